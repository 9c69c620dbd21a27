"""A system: servers that share one set of accounts, and what was last seen of them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts_app import validators
from accounts_app.certificates import certificates, check_date, check_pair
from accounts_app.fields import EncryptedTextField
from accounts_app.models.base import ConfigModel, history
from accounts_app.natsconf.nkeys import decode_seed
from accounts_app.natsconf.specs import IdentitySpec
from accounts_app.natsconf.subjects import InvalidValue


class System(ConfigModel):
    """Servers that share one set of accounts. Most people have one; `up` makes it.

    stage says what nunect may do to the servers: all, only look, or nothing any more.
    revision is the number of the one that its servers hold. wanted counts the changes asked for, done
    the last of them that a run has answered (enforced, held or refused); they are equal at rest.
    """

    class Environment(models.TextChoices):
        DEV = "dev", _("development")
        STAGE = "stage", _("staging")
        PROD = "prod", _("production")

    class Mode(models.TextChoices):
        CONFIG = "config", _("configuration files")

    class DriftPolicy(models.TextChoices):
        REPAIR = "repair", _("repair at once")
        ASK = "ask", _("leave it for a person")

    class Stage(models.TextChoices):
        MANAGED = "managed", _("managed")
        OBSERVED = "observed", _("observed")
        RELEASED = "released", _("released")

    name = models.CharField(max_length=64, unique=True, validators=[validators.role_name])
    stage = models.CharField(max_length=8, choices=Stage, default=Stage.MANAGED, editable=False)
    environment = models.CharField(max_length=8, choices=Environment, default=Environment.DEV)
    mode = models.CharField(max_length=8, choices=Mode, default=Mode.CONFIG, editable=False)
    conf_dir = models.CharField(
        max_length=500,
        blank=True,
        validators=[validators.text, validators.folder],
        help_text=_("Folder of nats-server.conf and accounts.conf; empty: NUNECT_CONFIG_DIR."),
    )
    nats_url = models.CharField(
        max_length=500,
        blank=True,
        validators=[validators.text, validators.servers_url],
        help_text=_("How nunect reaches the servers; empty: NATS_URL."),
    )
    public_url = models.CharField(
        max_length=500,
        blank=True,
        validators=[validators.text, validators.servers_url],
        help_text=_("How clients reach them, for snippets and credentials; empty: as nunect does."),
    )
    tls_ca = models.TextField(
        _("authority"),
        blank=True,
        default="",
        validators=[validators.text, certificates],
        help_text=_(
            "Whom nunect trusts to have signed the servers' certificates, as PEM; empty: whom this machine does."
        ),
    )
    tls_certificate = models.TextField(
        _("client certificate"),
        blank=True,
        default="",
        validators=[validators.text, certificates],
        help_text=_("What nunect shows to servers that ask clients for a certificate, as PEM."),
    )
    tls_key = EncryptedTextField(
        _("key of the certificate"),
        blank=True,
        default="",
        help_text=_("The private key of the client certificate, as PEM without a passphrase. Never shown again."),
    )
    tls_first = models.BooleanField(
        _("TLS first"),
        default=False,
        help_text=_("The servers speak TLS before anything else (handshake_first)."),
    )
    login_user = models.CharField(
        _("user"),
        max_length=200,
        blank=True,
        default="",
        validators=[validators.text],
        help_text=_("Of the system account, while nunect only observes; empty: nunect's own key, or the seed below."),
    )
    login_secret = EncryptedTextField(
        _("password or seed"),
        blank=True,
        default="",
        help_text=_("The password of that user, or without one the seed of a user's nkey (SU…). Never shown again."),
    )
    system_account = models.CharField(max_length=64, default="$SYS", editable=False)
    drift_policy = models.CharField(
        max_length=8,
        choices=DriftPolicy,
        default=DriftPolicy.REPAIR,
        help_text=_(
            "What happens when somebody edits accounts.conf by hand. An empty, torn or missing file is always repaired."
        ),
    )
    guard_nkey = models.CharField(max_length=56, editable=False, validators=[validators.user_nkey])
    control_nkey = models.CharField(max_length=56, editable=False, validators=[validators.user_nkey])
    control_seed = EncryptedTextField(editable=False, default="")
    relay_nkey = models.CharField(max_length=56, editable=False, validators=[validators.user_nkey])
    relay_seed = EncryptedTextField(editable=False, default="")
    jetstream_nkey = models.CharField(max_length=56, editable=False, validators=[validators.user_nkey])
    jetstream_seed = EncryptedTextField(editable=False, default="")

    wanted = models.PositiveBigIntegerField(default=0, editable=False)
    done = models.PositiveBigIntegerField(default=0, editable=False)
    fence = models.PositiveBigIntegerField(default=0, editable=False)
    revision = models.PositiveBigIntegerField(null=True, editable=False)
    last_number = models.PositiveBigIntegerField(default=0, editable=False)
    problem = models.TextField(blank=True, default="", editable=False)
    problem_step = models.CharField(max_length=16, blank=True, default="", editable=False)
    problem_at = models.DateTimeField(null=True, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    expiry_checked_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    history = history(
        "control_seed",
        "relay_seed",
        "jetstream_seed",
        "tls_key",
        "login_secret",
        "stage",
        "wanted",
        "done",
        "fence",
        "last_number",
        "revision",
        "problem",
        "problem_step",
        "problem_at",
        "checked_at",
        "expiry_checked_at",
    )

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        self.check_way()
        self.check_folder()

    def check_way(self) -> None:
        """Raise ValidationError at the field that keeps anybody from getting to the servers.

        A certificate that has expired is refused when it is given: one that expires here stops no other change.
        """
        check_pair(self.tls_certificate, self.tls_key)
        before: Any = System.objects.filter(pk=self.pk).values("tls_ca", "tls_certificate").first() or {}
        for name in ("tls_ca", "tls_certificate"):
            if getattr(self, name) != before.get(name):
                check_date(name, getattr(self, name))
        if self.login_user and not self.login_secret:
            raise ValidationError({"login_secret": _("A user needs a password.")})
        if self.login_secret and not self.login_user:
            _check_seed(self.login_secret)

    def check_folder(self) -> None:
        """Raise ValidationError when nunect manages another system by the files in this one's folder."""
        others = System.objects.exclude(pk=self.pk).filter(stage=self.Stage.MANAGED).only("name", "conf_dir")
        if (taken := next((one for one in others if one.folder == self.folder), None)) is not None:
            told = _("System “%(name)s” has its files in %(folder)s: give another folder.")
            raise ValidationError({"conf_dir": told % {"name": taken.name, "folder": taken.folder}})

    @property
    def is_shared(self) -> bool:
        return True

    def affects(self) -> tuple[int, list[int]]:
        return self.pk, []

    @classmethod
    def of_accounts(cls, accounts: Collection[int]) -> models.Q:
        """The systems that these accounts are in."""
        return models.Q(pk__in=models.Subquery(_systems_of(accounts)))

    @property
    def folder(self) -> Path:
        """Where the conf files stand."""
        return Path(self.conf_dir) if self.conf_dir else settings.CONFIG_DIR

    @property
    def url(self) -> str:
        """How nunect reaches the servers."""
        return self.nats_url or settings.NATS_URL

    @property
    def client_url(self) -> str:
        """How clients reach the servers."""
        return self.public_url or self.nats_url or settings.NATS_PUBLIC_URL

    @property
    def identity(self) -> IdentitySpec:
        """nunect's own public keys in this system."""
        return IdentitySpec(
            self.guard_nkey, self.control_nkey, self.relay_nkey, self.jetstream_nkey, self.system_account
        )

    @property
    def own_nkeys(self) -> tuple[str, ...]:
        """nunect's own public keys, which no other user may have."""
        return self.identity.nkeys

    @property
    def state(self) -> str:
        """ "applied", "pending" or "failed" of the system as a whole; its stage when nunect doesn't manage it."""
        if self.stage != self.Stage.MANAGED:
            return self.stage
        if self.problem:
            return "failed"
        return "applied" if self.done == self.wanted else "pending"


def _check_seed(seed: str) -> None:
    """Raise ValidationError for what is no seed of a user's nkey."""
    with suppress(InvalidValue):
        if decode_seed(seed)[0] == "U":
            return
    raise ValidationError({"login_secret": _("Without a user this is the seed of a user's nkey (SU…).")})


def _systems_of(accounts: Collection[int]) -> models.QuerySet[Any, Any]:
    return apps.get_model("accounts_app", "Account").objects.filter(pk__in=accounts).values("system")


class Server(models.Model):
    """What was last seen of one nats-server. Observed, never edited."""

    class State(models.TextChoices):
        IN_SYNC = "in_sync", _("in sync")
        PENDING = "pending", _("pending")
        FAILED = "failed", _("failed")
        UNREACHABLE = "unreachable", _("unreachable")
        FOREIGN = "foreign", _("foreign configuration")
        TOO_OLD = "too_old", _("too old")

    system = models.ForeignKey(System, models.CASCADE, related_name="servers")
    name = models.CharField(max_length=200)
    server_id = models.CharField(max_length=56)
    version = models.CharField(max_length=40, blank=True)
    host = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    detail = models.TextField(blank=True, default="")
    config_digest = models.CharField(max_length=80, blank=True)
    revision = models.PositiveBigIntegerField(null=True, help_text=_("The revision its metadata carries."))
    generated_sha256 = models.CharField(max_length=80, blank=True)
    jetstream_max_mem = models.BigIntegerField(null=True)
    jetstream_max_file = models.BigIntegerField(null=True)
    config_load_time = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["system", "name"], name="server_name_once_per_system")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def as_dict(self) -> dict[str, Any]:
        """State and age, as `/readyz` and the start page show them."""
        return {
            "name": self.name,
            "state": self.state,
            "version": self.version,
            "revision": self.revision,
            "seen_at": self.seen_at.isoformat() if self.seen_at else None,
            "detail": self.detail,
        }
