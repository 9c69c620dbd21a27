"""REST: what happened, and the change that preceded it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

import django_filters as filters
from django.db.models import Case, IntegerField, OuterRef, Q, QuerySet, Subquery, When
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from accounts_app.access import require
from accounts_app.api.filters import OneOf, Whole, text
from accounts_app.api.query import only_known
from accounts_app.api.rows import Resource, Rows
from accounts_app.models import NatsUser
from monitoring.events import KINDS, Event, moment
from monitoring.models import ArchivedEvent
from provisioning.models import Revision
from provisioning.telling import in_words

SAID = 3  # changes that a sentence names before it counts
_EARLIEST, _LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


class Preceded(serializers.Serializer[Any]):
    """The newest revision before an event that changed the event's account."""

    number = serializers.IntegerField()
    at = serializers.DateTimeField()
    text = serializers.CharField(help_text="What it changed of this account, in NATS's words.")


class EventSerializer(serializers.Serializer[Any]):
    """One thing that happened; fields that don't apply are empty."""

    at = serializers.DateTimeField()
    id = serializers.CharField()
    kind = serializers.CharField(help_text=f"One of {', '.join(KINDS)}.")
    text = serializers.CharField(help_text="One sentence for people.")
    level = serializers.CharField(help_text="info, warning or error.")
    server = serializers.CharField()
    account = serializers.CharField()
    account_pk = serializers.IntegerField(allow_null=True)
    user = serializers.CharField(help_text="The login, where no row has it.")
    user_pk = serializers.IntegerField(allow_null=True)
    owner = serializers.CharField()
    app = serializers.CharField(help_text="The name that the client gave itself.")
    address = serializers.CharField()
    cid = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField(help_text="The server's own words.")
    revision = serializers.IntegerField(allow_null=True, help_text="The one that its server ran at that moment.")
    detail = serializers.DictField()
    preceded_by = Preceded(allow_null=True)


class Moment(filters.IsoDateTimeFilter):
    """A time that every database can hold."""

    def __init__(self, **options: Any) -> None:
        told = "This must be a time such as 2027-01-31T12:00:00Z."
        super().__init__(error_messages={"invalid": told}, **options)

    def filter(self, queryset: QuerySet[Any], value: Any) -> QuerySet[Any]:
        if value:
            try:
                value = min(max(value, _EARLIEST), _LATEST)
            except OverflowError:  # in its own zone it is no time of this world
                value = _EARLIEST if value.year < 2 else _LATEST
        found: QuerySet[Any] = super().filter(queryset, value)
        return found


class EventFilter(filters.FilterSet):
    system, account, user, server = text("system__name"), text("account"), text("user"), text("server")
    kind = OneOf(choices=ArchivedEvent.Kind.choices)
    level = OneOf(choices=ArchivedEvent.Level.choices)
    revision = Whole(field_name="revision", help_text="What happened while its server ran this one.")
    since = Moment(field_name="at", lookup_expr="gte", help_text="From this moment on.")
    until = Moment(field_name="at", lookup_expr="lt", help_text="Before this moment.")

    class Meta:
        model = ArchivedEvent
        fields: list[str] = []


def _newest(**which: Any) -> Subquery:
    """The key of the newest revision of the event's system for which this holds."""
    rows = Revision.objects.filter(system=OuterRef("system"), **which)
    return Subquery(rows.order_by("-number").values("pk")[:1])


def preceding() -> Case:
    """The key of the revision that preceded an event, as a column.

    A server enforces a revision before it is recorded, so a change counts from when its rows were read, and whatever
    the clocks say, once the event's own server ran it. What belongs to no account follows any change.
    """
    earlier = Q(snapshot_at__lt=OuterRef("at")) | Q(number__lte=OuterRef("revision"))
    any_account = Revision.objects.filter(earlier, system=OuterRef("system")).order_by("-number").values("pk")[:1]
    of_account = (
        Revision.objects.filter(earlier, system=OuterRef("system"), blocks__account=OuterRef("account"))
        .order_by("-number")
        .values("pk")[:1]
    )
    before = {"number__lt": OuterRef("revision")}
    is_revision = Q(kind=ArchivedEvent.Kind.REVISION, revision__isnull=False)
    return Case(
        When(is_revision & Q(account=""), then=_newest(**before)),
        When(is_revision, then=_newest(blocks__account=OuterRef("account"), **before)),
        When(account="", then=Subquery(any_account)),
        default=Subquery(of_account),
        output_field=IntegerField(),
    )


class Events(Resource):
    """What happened, newest first, each with the change that preceded it."""

    OPERATIONS = {"GET": "live_events"}
    model = ArchivedEvent
    serializer_class = EventSerializer
    columns: ClassVar[dict[str, Any]] = {
        **{name: "key" if name == "id" else name for name in Event.__slots__},
        "preceded_by": preceding(),
    }
    ordering = {"at": "at"}
    first = "-at"
    search_fields = ["text", "app", "address", "reason"]
    filterset_class = EventFilter
    http_method_names = ["get", "head", "options"]

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super(Resource, self).initial(request, *args, **kwargs)  # the right is that to users, not to events
        if self.action is None or request.method.lower() not in self.http_method_names:
            self.http_method_not_allowed(request)
        require(request.user, "view", NatsUser)
        only_known(request, self.parameters())

    @extend_schema(responses={200: EventSerializer(many=True)})
    def list(self, request: Any) -> Response:
        """What happened, newest first, each with the change that preceded it."""
        return super().list(request)

    def get_queryset(self) -> QuerySet[Any]:
        rows: Any = super().get_queryset()
        return rows if getattr(self, "swagger_fake_view", False) else rows.of_one_system(self.request.user)

    def finished(self, rows: Rows) -> Rows:
        found = Revision.objects.filter(pk__in={row["preceded_by"] for row in rows} - {None})
        revisions = {row.pk: row for row in found.only("number", "created_at", "changes", "reason")}
        wanted = list({(row["preceded_by"], row["account"]): None for row in rows if row["preceded_by"] in revisions})
        said = in_words(_changes(revisions[pk], account) for pk, account in wanted)
        texts = {
            key: _sentence([line.text for line in lines], revisions[key[0]])
            for key, lines in zip(wanted, said, strict=True)
        }
        for row in rows:
            row["at"] = moment(row["at"].timestamp())
            revision = revisions.get(row["preceded_by"])
            key = (row["preceded_by"], row["account"])
            row["preceded_by"] = revision and {
                "number": revision.number,
                "at": moment(revision.created_at.timestamp()),
                "text": texts[key],
            }
        return rows


def sentence_of(revision: Revision, account: str) -> str:
    """What a revision changed of an account, in one sentence; of everything, for what belongs to none."""
    (lines,) = in_words([_changes(revision, account)])
    return _sentence([line.text for line in lines], revision)


def _changes(revision: Revision, account: str) -> list[Any]:
    """What a revision changed of an account, and of no other one; all of it for what belongs to none."""
    changes = [change for change in revision.changes if isinstance(change, dict)]
    return [change for change in changes if change.get("account") == account] if account else changes


def _sentence(lines: list[str], revision: Revision) -> str:
    said = "; ".join(lines[:SAID]) or f"Revision {revision.number} changed it; its page says how"
    return f"{said}; and {len(lines) - SAID} more." if len(lines) > SAID else f"{said}."
