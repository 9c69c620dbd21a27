"""REST: streams, KV and object buckets, and consumers of accounts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, ClassVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.response import Response

from accounts_app import assets
from accounts_app.api import asset_filters as filters
from accounts_app.api import asset_shapes as shapes
from accounts_app.api.problems import Invalid
from accounts_app.api.query import OF_WRITES, flag
from accounts_app.api.rows import BY_NAME, ConfigResource, Rows
from accounts_app.api.standing import SYNC_OF_ASSETS
from accounts_app.api.writing import answered_before, write
from accounts_app.forecasting import foreseen
from accounts_app.jetstream.names import bucket_of, stream_of
from accounts_app.jetstream.settings import Kind, settings_of
from accounts_app.jetstream.wire import SERVERS_OWN, complete, effective
from accounts_app.jetstream.words import write_value
from accounts_app.models import Consumer, Stream, System
from accounts_app.models.jetstream import Asset

_STATE = (
    "managed", "leaving", "wanted", "done", "problem_kind", "problem_wanted", "drift", "drift_ignored", "ignored_until",
)  # fmt: skip
_KEPT = ("problem", "problem_field", "config", "seen", "counts", "seen_at", "created_at")
_DATA = ("keep", "delete")
DATA = OpenApiParameter(
    "data", str, enum=_DATA, description="Keep or delete what it holds; left out: what its `deletion` says."
)


class Assets(ConfigResource):
    """What streams, buckets and consumers have in common: a row says what shall be, or tells what was seen."""

    kind: ClassVar[Kind]
    ordering = {**BY_NAME, "created_at": "created_at"}
    UNSTABLE = ("state", "counts", "drift", "seen", "seen_at", "warnings", *SERVERS_OWN)  # what servers move

    def parameters(self) -> Collection[str]:
        return OF_WRITES | {"data"} if self.action == "destroy" else super().parameters()

    def finished(self, rows: Rows) -> Rows:
        return [self._finished(row) for row in rows]

    def _finished(self, row: dict[str, Any]) -> dict[str, Any]:
        state = self.model(**{name: row[name] for name in _STATE}).state  # type: ignore[attr-defined]
        settings, config = settings_of(self.kind), _config(self.kind, row)
        told = {name: row[name] for name in self.columns if name not in (*_STATE, *_KEPT, "revision")}
        told |= {name: write_value(setting, config[name]) for name, setting in settings.items()}
        told |= {name: row[name] for name in shapes.SEEN_ONLY}
        stuck = state in ("waits", "failed")
        told["state"] = state
        told["warnings"] = []
        told["sync"] = {
            "state": SYNC_OF_ASSETS[state],
            "revision": row["revision"],
            "problem": row["problem"] if stuck else "",
            "field": row["problem_field"] if stuck else "",
        }
        return told

    # --- writing -------------------------------------------------------------------

    def change(self, row: Any, data: dict[str, Any]) -> Any:
        fields = dict(data)
        fields.pop("system", None)
        if fields.pop("account", row.home) != row.home:
            raise ValidationError({"account": "This can't move to another account."})
        if fields.pop("name", row.name) != row.name:
            raise ValidationError({"name": "Its name can't change: make another one."})
        config = self._changed(row, self._settings_of(fields))
        return self._foreseen(assets.save_asset(row, config, **fields), config)

    def _foreseen(self, row: Asset, changes: Collection[str], *, new: bool = False) -> Any:
        """Keep beside the row what comes of it. Raises ValidationError with what the servers are sure to refuse.

        A dry run tells that instead, as it tells all else.
        """
        if flag(self.request, "dry_run"):
            return row
        told = foreseen(row, changes, new=new)
        if told.refused:
            raise ValidationError({setting or NON_FIELD_ERRORS: said for setting, said in told.refused.items()})
        row.foreseen = [{"setting": w.setting, "text": w.sentence, "severity": w.severity} for w in told.warnings]  # type: ignore[attr-defined]
        return row

    def answer(self, row: Any) -> dict[str, Any]:
        return self.told(row.pk) | {"warnings": getattr(row, "foreseen", [])}

    def _settings_of(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Take the settings out of the fields of a body."""
        return {name: fields.pop(name) for name in settings_of(self.kind) if name in fields}

    def _said(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The settings of a new row, as people write them."""
        settings, given = settings_of(self.kind), self._settings_of(fields)
        return {name: write_value(settings[name], value) for name, value in given.items()}

    def _changed(self, row: Asset, given: dict[str, Any]) -> dict[str, Any]:
        """Those of the given settings that are another value than the row shows, as people write them."""
        settings = settings_of(self.kind)
        shown = _config(self.kind, {"managed": row.managed, "config": row.config, "seen": row.seen})
        changed = [name for name in given if given[name] is not None or name in row.config]
        return {name: write_value(settings[name], given[name]) for name in changed if given[name] != shown[name]}

    def destroy(self, request: Any, pk: str) -> Response:
        data = request.query_params.get("data")
        if data is not None and data not in _DATA:
            raise Invalid("data", "This must be keep or delete.")
        if before := answered_before(request, self.get_queryset().filter(pk=int(pk))):
            return before
        system = self.home(self.row(pk))

        def act() -> Any:
            row = self.row(pk, lock=True)
            self.unchanged(request, row)
            assets.remove(row, data)
            return row

        return write(request, system, act, lambda row: {"id": int(pk)})

    # --- what a person answers to what was seen ----------------------------------------

    def _answered(self, request: Any, pk: str, act: Callable[[Any], Any]) -> Response:
        def done() -> tuple[Any, dict[str, Any]]:
            row = self.row(pk, lock=True)
            self.unchanged(request, row)
            before = self.told(row.pk)
            act(row)
            return row, before

        def tell(acted: tuple[Any, dict[str, Any]]) -> dict[str, Any]:
            row, before = acted
            return self.answer(row) if row.pk else before  # what is gone is told as it was

        return self.tagged(write(request, self.home(self.row(pk)), done, tell))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def adopt(self, request: Any, pk: str) -> Response:
        """Take what is there: what nunect only observes is managed as it was seen, a row takes the difference."""
        return self._answered(request, pk, assets.adopt)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def revert(self, request: Any, pk: str) -> Response:
        """Bring the servers back to what the row says."""
        return self._answered(request, pk, assets.revert)

    @extend_schema(request=shapes.Silence)
    @action(detail=True, methods=["post"])
    def ignore(self, request: Any, pk: str) -> Response:
        """Leave the difference as it is, until a moment or until it is another one."""
        asked = shapes.Silence(data=request.data)
        asked.is_valid(raise_exception=True)
        until = asked.validated_data.get("until")
        return self._answered(request, pk, lambda row: assets.ignore(row, until))


def _config(kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
    """{setting: canonical value} of all settings, as the servers have them or shall have them."""
    if not row["managed"]:
        return complete(kind, row["seen"] or {})
    config = effective(kind, row["config"])
    if row["seen"]:
        there = complete(kind, row["seen"])
        config |= {name: there[name] for name in SERVERS_OWN if name in there and name not in row["config"]}
    return config


def _columns(way: str, **more: str) -> dict[str, str]:
    return {
        "id": "id",
        "system": f"{way}system__name",
        "account": f"{way}name",
        **more,
        "name": "name",
        "deletion": "deletion",
        **{name: name for name in (*_STATE, *_KEPT)},
        "revision": f"{way}system__revision",
    }


class Streams(Assets):
    """Streams of accounts: what shall be, and what was seen beside it."""

    model = Stream
    kind: ClassVar[Kind] = "stream"
    serializer_class = shapes.StreamSerializer
    filterset_class = filters.StreamFilter
    columns = _columns("account__")
    search_fields = ["name", "account__name"]

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().filter(kind=self.kind)

    def make(self, data: dict[str, Any]) -> Stream:
        fields = dict(data)
        config = self._said(fields)
        name = stream_of(self.kind, fields["name"])
        row = assets.make_stream(
            fields["account"], self.kind, name, config, fields.get("deletion", Stream.Deletion.KEEP)
        )
        made: Stream = self._foreseen(row, config, new=True)
        return made

    def _gone(self, pk: str) -> Any:
        """Of this kind: a bucket is no stream, nor was it one."""
        row = super()._gone(pk)
        if row.kind != self.kind:
            raise Http404
        return row


class Buckets(Streams):
    """Buckets go by the name of the bucket, and their streams by that of the stream."""

    def _finished(self, row: dict[str, Any]) -> dict[str, Any]:
        return super()._finished(row) | {"name": bucket_of(self.kind, row["name"])}

    def change(self, row: Any, data: dict[str, Any]) -> Any:
        given = data.get("name")
        return super().change(row, data if given is None else {**data, "name": stream_of(self.kind, given)})


class KvBuckets(Buckets):
    """KV buckets of accounts."""

    kind = "kv"
    serializer_class = shapes.KvBucketSerializer
    filterset_class = filters.KvBucketFilter


class ObjectBuckets(Buckets):
    """Object buckets of accounts."""

    kind = "object"
    serializer_class = shapes.ObjectBucketSerializer
    filterset_class = filters.ObjectBucketFilter


class Consumers(Assets):
    """Durable consumers of streams and buckets; ephemeral ones come and go, and are no rows."""

    model = Consumer
    kind = "consumer"
    serializer_class = shapes.ConsumerSerializer
    filterset_class = filters.ConsumerFilter
    columns = _columns("stream__account__", stream="stream__name")
    search_fields = ["name", "stream__name", "stream__account__name"]

    def home(self, row: Any) -> System:
        found: System = row.home.system if isinstance(row, Consumer) else super().home(row)
        return found

    def make(self, data: dict[str, Any]) -> Consumer:
        fields = dict(data)
        config = self._said(fields)
        stream = Stream.objects.filter(account=fields["account"], name=fields["stream"]).first()
        if stream is None:
            raise ValidationError({"stream": f"There is no stream “{fields['stream'][:80]}” in this account."})
        row = assets.make_consumer(stream, fields["name"], config, fields.get("deletion", Consumer.Deletion.KEEP))
        made: Consumer = self._foreseen(row, config, new=True)
        return made

    def change(self, row: Any, data: dict[str, Any]) -> Any:
        fields = dict(data)
        if fields.pop("stream", row.stream.name) != row.stream.name:
            raise ValidationError({"stream": "A consumer can't move to another stream."})
        return super().change(row, fields)
