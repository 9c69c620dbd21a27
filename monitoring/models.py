"""What is kept of what was seen: events, and the minutes of every series."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts_app.access import visible
from accounts_app.models import Account, System
from monitoring.events import Event
from monitoring.tables import METRICS


class EventQuerySet(models.QuerySet["ArchivedEvent"]):
    """Events, as far as a person may see them."""

    def visible_to(self, person: Any) -> models.QuerySet[ArchivedEvent]:
        """Who is kept to single accounts sees the events of these: by their keys, since an account that is deleted
        and made again under its old name is another one's; and by their names, which the indexes know."""
        if not (getattr(person, "is_active", False) and person.is_staff):
            return self.none()
        token = getattr(person, "nunect_token", None)
        if token is None or token.accounts is None:
            return self.filter(system__in=System.objects.visible_to(person))
        names = Account.objects.filter(pk__in=token.accounts).order_by().values("name")
        return self.filter(account__in=names, account_pk__in=token.accounts)

    def of_one_system(self, person: Any) -> models.QuerySet[ArchivedEvent]:
        """The same rows, said in the way that lets an index give them in order, where there is one system only."""
        systems = list(visible(System._default_manager.order_by(), person).values_list("pk", flat=True)[:2])
        return self.filter(system=systems[0]) if len(systems) == 1 else self


class ArchivedEvent(models.Model):
    """One thing that happened, as `monitoring.events.Event` has it. Never edited; `key` is the event's id.

    The rows that it speaks of may be gone: their names stay, their keys are no relations.
    """

    class Kind(models.TextChoices):
        CONNECT = "connect", _("connect")
        DISCONNECT = "disconnect", _("disconnect")
        AUTH_ERROR = "auth_error", _("authentication failure")
        ADVISORY = "advisory", _("JetStream advisory")
        SERVER = "server", _("server")
        RELOAD = "reload", _("reload")
        REVISION = "revision", _("revision")
        DRIFT = "drift", _("drift")

    class Level(models.TextChoices):
        INFO = "info", _("info")
        WARNING = "warning", _("warning")
        ERROR = "error", _("error")

    system = models.ForeignKey(System, models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=200)
    at = models.DateTimeField(_("when"), db_index=True)
    kind = models.CharField(max_length=12, choices=Kind)
    level = models.CharField(max_length=8, choices=Level, default=Level.INFO)
    text = models.CharField(_("what happened"), max_length=1000)
    server = models.CharField(max_length=200, blank=True)
    account = models.CharField(max_length=200, blank=True)
    account_pk = models.BigIntegerField(null=True)
    user = models.CharField(max_length=200, blank=True)
    user_pk = models.BigIntegerField(null=True)
    owner = models.CharField(max_length=150, blank=True)
    app = models.CharField(max_length=200, blank=True, help_text=_("The name that the client gave itself."))
    address = models.CharField(max_length=100, blank=True, help_text=_("Where it came from."))
    cid = models.BigIntegerField(_("connection"), null=True)
    reason = models.CharField(max_length=500, blank=True, help_text=_("The server's own words."))
    revision = models.BigIntegerField(null=True, help_text=_("The one that its server ran at that moment."))
    detail = models.JSONField(default=dict)

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        ordering = ["-at", "-pk"]
        default_permissions = ()  # who may see users may see what happened to them
        constraints = [models.UniqueConstraint(fields=["system", "key"], name="event_once_per_system")]
        indexes = [
            models.Index(fields=["system", "at"], name="event_by_time"),
            models.Index(fields=["system", "account", "at"], name="event_by_account"),
            models.Index(fields=["system", "user", "at"], name="event_by_user"),
            models.Index(fields=["system", "kind", "at"], name="event_by_kind"),
            models.Index(fields=["system", "revision", "at"], name="event_by_revision"),
        ]

    def __str__(self) -> str:
        return self.text

    @property
    def event(self) -> Event:
        """The event as the feed and the socket know it."""
        fields = {name: getattr(self, name) for name in Event.__slots__ if name not in ("id", "at")}
        return Event(id=self.key, at=self.at.timestamp(), **fields)


_VALUE = struct.Struct("<f")


class Minute(models.Model):
    """One minute of one series: the mean of each of METRICS, as packed floats. entity: "system", "server:NAME" or
    "account:NAME"; at: when the minute began."""

    system = models.ForeignKey(System, models.CASCADE, related_name="+", db_index=False)
    entity = models.CharField(max_length=210)
    at = models.DateTimeField(db_index=True)
    values = models.BinaryField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["system", "entity", "at"], name="minute_once_per_entity")]

    def __str__(self) -> str:
        return f"{self.entity} {self.at:%Y-%m-%d %H:%M}"

    @staticmethod
    def pack(values: Sequence[float]) -> bytes:
        """Values in the order of METRICS, for `values`."""
        return struct.pack(f"<{len(values)}f", *values)

    @staticmethod
    def unpack(packed: bytes) -> tuple[float, ...]:
        """The values in the order of METRICS; those that an older nunect did not know are 0."""
        found = tuple(value for (value,) in _VALUE.iter_unpack(bytes(packed)))
        return (*found, *(0.0,) * (len(METRICS) - len(found)))[: len(METRICS)]
