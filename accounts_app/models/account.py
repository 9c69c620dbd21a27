"""Accounts, roles and the permissions of roles and users."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts_app import validators
from accounts_app.models.base import ConfigModel, history
from accounts_app.models.system import System
from accounts_app.natsconf.specs import CONTROL_ACCOUNT

_AT_LEAST_UNLIMITED = [MinValueValidator(-1, _("Ensure this value is -1 (no limit) or more."))]


def _limit(help_text: Any) -> Any:
    return models.BigIntegerField(null=True, blank=True, validators=_AT_LEAST_UNLIMITED, help_text=help_text)


TOLD = ("description", "owner")
ONLY_TOLD = _("This is nunect's own account: only its description and owner can be changed.")


class Account(ConfigModel):
    """An account of NATS: its subjects are its own.

    problem_kind is "held" or "failed" and problem says why, as long as `problem_wanted` equals
    `wanted`: a newer change makes the account pending again. refused: what of it a server has refused,
    as provisioning's plan says it.
    """

    ACCOUNT = ("pk",)

    CONSTRAINT_FIELDS = {"account_name_once_per_system": "name"}

    class Problem(models.TextChoices):
        NONE = "", _("none")
        HELD = "held", _("held")
        FAILED = "failed", _("failed")

    system = models.ForeignKey(System, models.PROTECT, related_name="accounts")
    name = models.CharField(
        max_length=64,
        validators=[validators.account_name],
        help_text=_("Letters, digits, - and _. It can't change once a server has enforced it: data would stay behind."),
    )
    description = models.CharField(max_length=500, blank=True, validators=[validators.text])
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="owned_accounts"
    )
    enabled = models.BooleanField(
        default=True, help_text=_("A disabled account is kept here and is gone from the servers; its data stay.")
    )
    default_role = models.ForeignKey(
        "Role",
        models.RESTRICT,
        null=True,
        blank=True,
        related_name="default_of",
        help_text=_(
            "Permissions of the users that inherit (NATS: default_permissions). Empty: they may do everything."
        ),
    )
    max_connections = _limit(_("Connections at once; -1: no limit; empty: the server's default."))
    max_subscriptions = _limit(_("Subscriptions; -1: no limit; empty: the server's default."))
    max_payload = _limit(_("Bytes of one message; -1: no limit; empty: the server's default."))
    max_leafnodes = _limit(_("Leafnode connections; -1: no limit; empty: the server's default."))

    jetstream = models.BooleanField(_("JetStream"), default=False, help_text=_("May this account keep streams?"))
    jetstream_control = models.BooleanField(
        _("JetStream shown to nunect"),
        default=True,
        help_text=_(
            "nunect hears what happens to this account's streams through its control account, and can manage them; "
            "off: it only sees what the servers report of them."
        ),
    )
    jetstream_max_mem = _limit(_("Bytes in memory; -1 or empty: no limit."))
    jetstream_max_file = _limit(_("Bytes on disk; -1 or empty: no limit."))
    jetstream_max_streams = _limit(_("Streams; -1 or empty: no limit."))
    jetstream_max_consumers = _limit(_("Consumers; -1 or empty: no limit."))
    jetstream_max_ack_pending = _limit(_("Unacknowledged messages of a consumer; -1 or empty: no limit."))
    jetstream_mem_max_stream_bytes = _limit(_("Bytes of one stream in memory; -1 or empty: no limit."))
    jetstream_disk_max_stream_bytes = _limit(_("Bytes of one stream on disk; -1 or empty: no limit."))
    jetstream_max_bytes_required = models.BooleanField(
        null=True, blank=True, help_text=_("Must every stream say how large it may become?")
    )
    jetstream_cluster_traffic = models.CharField(
        max_length=8, blank=True, choices=[("system", _("system")), ("owner", _("owner"))]
    )

    wanted = models.PositiveBigIntegerField(default=0, editable=False)
    done = models.PositiveBigIntegerField(default=0, editable=False)
    problem_kind = models.CharField(max_length=8, choices=Problem, blank=True, default="", editable=False)
    problem = models.TextField(blank=True, default="", editable=False)
    problem_wanted = models.PositiveBigIntegerField(default=0, editable=False)
    refused = models.JSONField(default=list, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    history = history("wanted", "done", "problem_kind", "problem", "problem_wanted", "refused")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["system", "name"],
                name="account_name_once_per_system",
                violation_error_message=_("An account of this name exists already."),
            )
        ]

    def __str__(self) -> str:
        return self.name

    def affects(self) -> tuple[int, list[int]]:
        return self.system_id, [self.pk] if self.pk else []

    def clean(self) -> None:
        if self.is_control:
            self._check_control()
        if self.default_role_id and self.default_role and self.default_role.account_id not in (None, self.pk):
            raise ValidationError({"default_role": _("This role belongs to another account.")})
        if self.pk:
            before = type(self)._base_manager.filter(pk=self.pk).values("name", "done").first()
            if before and before["done"] and before["name"] != self.name:
                raise ValidationError(
                    {"name": _("A server has enforced this account: its name can't change any more.")}
                )

    def _check_control(self) -> None:
        """Of nunect's own account only description and owner are people's."""
        own = Account(system_id=self.system_id, name=self.name)
        theirs = {"id", "name", "system", *TOLD}
        for field in self._meta.concrete_fields:
            changed = getattr(self, field.attname) != getattr(own, field.attname)
            if field.editable and changed and field.name not in theirs:
                raise ValidationError({field.name: ONLY_TOLD})

    @property
    def is_reserved(self) -> bool:
        """The system account, `$G` and nunect's own account can't be deleted, disabled or renamed."""
        return self.name.startswith("$")

    @property
    def is_control(self) -> bool:
        """nunect's control account: it sees and manages JetStream of the others."""
        return self.name == CONTROL_ACCOUNT

    @property
    def state(self) -> str:
        """ "applied", "pending", "held" or "failed"."""
        if self.wanted == self.done:
            return "applied"
        if self.problem_kind and self.problem_wanted == self.wanted:
            return self.problem_kind
        return "pending"


class Role(ConfigModel):
    """A named set of permissions, of one account or shared by the whole system."""

    AFFECTS = ("system",)

    CONSTRAINT_FIELDS = {"role_name_once_per_account": "name", "shared_role_name_once_per_system": "name"}

    system = models.ForeignKey(System, models.PROTECT, related_name="roles")
    account = models.ForeignKey(
        Account,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="roles",
        help_text=_("Empty: every account of the system may use this role."),
    )
    name = models.CharField(max_length=64, validators=[validators.role_name])
    description = models.CharField(max_length=500, blank=True, validators=[validators.text])
    allow_responses = models.BooleanField(
        default=False, help_text=_("May reply to requests it has received, on any reply subject.")
    )
    responses_max = models.IntegerField(
        default=0, help_text=_("Replies to one request; 0: the server's default (1); negative: no limit.")
    )
    responses_expires = models.CharField(
        max_length=32,
        blank=True,
        validators=[validators.duration],
        help_text=_('How long after the request, such as "2s"; empty: the server\'s default (2 minutes).'),
    )
    connection_types = models.JSONField(
        default=list,
        blank=True,
        validators=[validators.connection_types],
        help_text=_("How its users may connect; none chosen: in every way."),
    )

    history = history()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "name"],
                condition=Q(account__isnull=False),
                name="role_name_once_per_account",
                violation_error_message=_("This account has a role of this name already."),
            ),
            models.UniqueConstraint(
                fields=["system", "name"],
                condition=Q(account__isnull=True),
                name="shared_role_name_once_per_system",
                violation_error_message=_("A shared role of this name exists already."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **options: Any) -> None:
        if self.account_id:
            self.system_id = self.account.system_id  # type: ignore[union-attr]
        super().save(*args, **options)

    @classmethod
    def of_accounts(cls, accounts: Collection[int]) -> Q:
        """Shared roles are there for every account."""
        return Q(account__in=accounts) | Q(account=None)

    @property
    def is_shared(self) -> bool:
        return self.account_id is None

    def affects(self) -> tuple[int, list[int]]:
        if self.account_id:
            return self.system_id, [self.account_id]
        used = Account._base_manager.filter(Q(users__role=self.pk) | Q(default_role=self.pk))
        return self.system_id, sorted(set(used.values_list("pk", flat=True)))


class SubjectPermission(ConfigModel):
    """One rule of a role or of a user: may, or may not, publish or subscribe a subject."""

    AFFECTS = ("role", "user")
    ACCOUNT = ("role__account", "user__account")

    CONSTRAINT_FIELDS = {
        "queue_only_for_subscribe": "queue",
        "permission_once_per_role": "subject",
        "permission_once_per_user": "subject",
        "permission_of_role_or_user": "role",
    }

    class Action(models.TextChoices):
        PUBLISH = "publish", _("publish")
        SUBSCRIBE = "subscribe", _("subscribe")

    class Effect(models.TextChoices):
        ALLOW = "allow", _("allow")
        DENY = "deny", _("deny")

    role = models.ForeignKey(Role, models.CASCADE, null=True, blank=True, related_name="permissions")
    user = models.ForeignKey("NatsUser", models.CASCADE, null=True, blank=True, related_name="permissions")
    action = models.CharField(max_length=9, choices=Action)
    effect = models.CharField(max_length=5, choices=Effect, default=Effect.ALLOW)
    subject = models.CharField(
        max_length=500,
        validators=[validators.subject_template],
        help_text=_("* stands for one token, > for all that follow: orders.*.created, orders.>"),
    )
    queue = models.CharField(
        max_length=200,
        blank=True,
        default="",
        validators=[validators.queue],
        help_text=_("Only for subscribe: the queue group, which may hold wildcards. Empty: with or without a queue."),
    )

    history = history()

    class Meta:
        verbose_name = _("permission")
        ordering = ["action", "effect", "subject", "queue"]
        constraints = [
            models.CheckConstraint(
                condition=Q(role__isnull=False, user__isnull=True) | Q(role__isnull=True, user__isnull=False),
                name="permission_of_role_or_user",
                violation_error_message=_("A permission belongs to exactly one of a role and a user."),
            ),
            models.CheckConstraint(
                condition=Q(queue="") | Q(action="subscribe"),
                name="queue_only_for_subscribe",
                violation_error_message=_("A queue goes with subscribe only."),
            ),
            models.UniqueConstraint(
                fields=["role", "action", "effect", "subject", "queue"],
                condition=Q(role__isnull=False),
                name="permission_once_per_role",
                violation_error_message=_("This role has this permission already."),
            ),
            models.UniqueConstraint(
                fields=["user", "action", "effect", "subject", "queue"],
                condition=Q(user__isnull=False),
                name="permission_once_per_user",
                violation_error_message=_("This user has this permission already."),
            ),
        ]
        indexes = [models.Index(fields=["subject"])]

    def __str__(self) -> str:
        return " ".join(filter(None, (self.effect, self.action, self.subject, self.queue)))

    def clean(self) -> None:
        if self.queue and self.action != self.Action.SUBSCRIBE:
            raise ValidationError({"queue": _("A queue goes with subscribe only.")})
        if self.user_id and "{{" in self.subject:
            raise ValidationError({"subject": _("Templates belong into roles; a user's own subject is written out.")})

    @property
    def is_shared(self) -> bool:
        return self.role is not None and self.role.is_shared

    def affects(self) -> tuple[int, list[int]]:
        if self.role_id and self.role:
            return self.role.affects()
        return self.user.affects() if self.user else (0, [])
