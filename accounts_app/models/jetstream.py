"""Streams, consumers and buckets of accounts: what shall be, and what was seen there."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts_app import validators
from accounts_app.jetstream.checks import check
from accounts_app.jetstream.differences import drift_digest
from accounts_app.jetstream.names import bucket_of
from accounts_app.models.account import Account
from accounts_app.models.base import ConfigModel, history
from accounts_app.wanted import want_assets

SEEN = ("seen", "seen_at", "counts", "drift")  # what a look at the servers writes
COUNTED = ("wanted", "done", "problem_kind", "problem", "problem_field", "problem_wanted")
_NO_HISTORY = (*SEEN, *COUNTED, "drift_ignored", "ignored_until")


class Asset(ConfigModel):
    """What an account keeps in JetStream. managed: the row says what shall be; else it tells what is there.

    config: {setting: value} as `accounts_app.jetstream.settings` names and writes them, only what was said.
    seen: the server's own config, None when it isn't there; counts: messages, bytes and the like.
    drift: differences that nunect did not make, as `accounts_app.jetstream.differences` writes them.
    leaving: the row goes as soon as the server has forgotten the object.
    Its counters are its own: a change of it never renders an account anew (ADR 14).
    """

    AFFECTS: ClassVar[tuple[str, ...]] = ()

    class Deletion(models.TextChoices):
        KEEP = "keep", _("keep the data: nunect only forgets it")
        DELETE = "delete", _("delete it with its data")

    class Problem(models.TextChoices):
        NONE = "", _("none")
        WAITS = "waits", _("waits")
        FAILED = "failed", _("failed")

    name = models.CharField(max_length=255, validators=[validators.asset_name])
    config = models.JSONField(default=dict, blank=True)
    deletion = models.CharField(
        max_length=6,
        choices=Deletion,
        default=Deletion.KEEP,
        help_text=_("What becomes of the data when nobody asks for it any more."),
    )
    managed = models.BooleanField(default=True, editable=False)
    leaving = models.BooleanField(default=False, editable=False)

    wanted = models.PositiveBigIntegerField(default=0, editable=False)
    done = models.PositiveBigIntegerField(default=0, editable=False)
    problem_kind = models.CharField(max_length=8, choices=Problem, blank=True, default="", editable=False)
    problem = models.TextField(blank=True, default="", editable=False)
    problem_field = models.CharField(max_length=64, blank=True, default="", editable=False)
    problem_wanted = models.PositiveBigIntegerField(default=0, editable=False)

    seen = models.JSONField(null=True, editable=False)
    seen_at = models.DateTimeField(null=True, editable=False)
    counts = models.JSONField(default=dict, editable=False)
    drift = models.JSONField(default=list, editable=False)
    drift_ignored = models.CharField(max_length=64, blank=True, default="", editable=False)
    ignored_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **options: Any) -> None:
        """Counters and what was seen are never written from here: somebody else may have moved them meanwhile."""
        if not self._state.adding and options.get("update_fields") is None:
            kept = {*COUNTED, *SEEN}
            options["update_fields"] = [
                field.name for field in self._meta.concrete_fields if not field.primary_key and field.name not in kept
            ]
        with transaction.atomic():
            super().save(*args, **options)
            type(self).count([self])

    @classmethod
    def count(cls, rows: Any) -> None:
        """Count a change of each row, in the transaction under way."""
        want_assets(cls._meta.concrete_model or cls, [(row.home.system_id, row.home.pk, row.pk) for row in rows])

    def affects(self) -> tuple[int, list[int]]:
        """The system and account that it belongs to. A change of it moves no conf."""
        return self.home.system_id, [self.home.pk]

    def clean(self) -> None:
        """Raise ValidationError with the settings that are wrong, each by its own name."""
        if wrong := check(self.settings_kind, self.name, self.config if isinstance(self.config, dict) else {}):
            raise ValidationError({field: [sentence] for field, sentence in wrong.items()})

    @property
    def home(self) -> Account:
        """The account that keeps it."""
        raise NotImplementedError

    @property
    def settings_kind(self) -> str:
        """Which settings it has: a key of `accounts_app.jetstream.settings.SETTINGS`."""
        raise NotImplementedError

    @property
    def ignored(self) -> bool:
        """Whether somebody has said to leave just this drift alone, and until now."""
        if not self.drift or self.drift_ignored != drift_digest(self.drift):
            return False
        return self.ignored_until is None or self.ignored_until > timezone.now()

    @property
    def state(self) -> str:
        """ "observed", "leaving", "pending", "waits", "failed", "drifted" or "applied"."""
        if not self.managed:
            return "observed"
        if self.problem_kind and self.problem_wanted == self.wanted:
            return self.problem_kind
        if self.leaving:
            return "leaving"
        if self.wanted != self.done:
            return "pending"
        return "drifted" if self.drift and not self.ignored else "applied"


class Stream(Asset):
    """A stream, or the stream under a bucket. name: the server's name of it, KV_… and OBJ_… for buckets."""

    AFFECTS = ("account",)
    CONSTRAINT_FIELDS = {"stream_name_once_per_account": "name"}

    class Kind(models.TextChoices):
        STREAM = "stream", _("stream")
        KV = "kv", _("KV bucket")
        OBJECT = "object", _("object bucket")

    account = models.ForeignKey(Account, models.CASCADE, related_name="streams")
    kind = models.CharField(max_length=6, choices=Kind, default=Kind.STREAM, editable=False)

    history = history(*_NO_HISTORY)

    class Meta(Asset.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["account", "name"],
                name="stream_name_once_per_account",
                violation_error_message=_("This account has a stream or bucket of this name already."),
            )
        ]

    @property
    def home(self) -> Account:
        return self.account

    @property
    def settings_kind(self) -> str:
        return self.kind

    @property
    def bucket(self) -> str:
        """The name by which people know it."""
        return bucket_of(self.kind, self.name)


class Consumer(Asset):
    """A consumer of a stream; ephemeral ones come and go, and are no rows."""

    AFFECTS = ("stream__account",)
    ACCOUNT = ("stream__account",)
    CONSTRAINT_FIELDS = {"consumer_name_once_per_stream": "name"}

    stream = models.ForeignKey(Stream, models.CASCADE, related_name="consumers")

    history = history(*_NO_HISTORY)

    class Meta(Asset.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["stream", "name"],
                name="consumer_name_once_per_stream",
                violation_error_message=_("This stream has a consumer of this name already."),
            )
        ]

    @property
    def home(self) -> Account:
        return self.stream.account

    @property
    def settings_kind(self) -> str:
        return "consumer"


ASSET_MODELS: tuple[type[Asset], ...] = (Stream, Consumer)
