"""REST: revisions, held changes and drift, and what a person decides about them."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters as filters
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.access import Act, may, require, visible
from accounts_app.adopting import Adopted
from accounts_app.api.asset_shapes import Silence
from accounts_app.api.fields import Moment
from accounts_app.api.filters import OneOf, Whole, text
from accounts_app.api.query import OF_WRITES, only_known
from accounts_app.api.rows import Resource, Rows
from accounts_app.api.shapes import Gone, Sync
from accounts_app.api.writing import write
from accounts_app.conf_text import masked
from accounts_app.models import Account, NatsUser, System
from accounts_app.row_writer import Changes
from provisioning import decisions, drift_answers
from provisioning.models import Drift, Hold, Revision
from provisioning.telling import conf_diff, in_words


class Decided(serializers.Serializer[Any]):
    """What was decided, and how far the servers are."""

    id = serializers.IntegerField()
    state = serializers.CharField()
    sync = Sync()


class RevisionSerializer(serializers.ModelSerializer[Revision]):
    system = serializers.CharField()
    authors = serializers.ListField(child=serializers.DictField())
    changes = serializers.ListField(child=serializers.DictField())
    servers = serializers.ListField(child=serializers.DictField())
    timings = serializers.DictField(help_text="Milliseconds of each step.")

    class Meta:
        model = Revision
        fields = (
            "id", "system", "number", "created_at", "authors", "reason", "changes", "servers", "timings", "sha256",
            "config_digest",
        )  # fmt: skip


class HoldSerializer(serializers.ModelSerializer[Hold]):
    system = serializers.CharField()
    changes = serializers.ListField(child=serializers.DictField())
    decided_by = serializers.CharField(allow_null=True)

    class Meta:
        model = Hold
        fields = ("id", "system", "account", "reason", "changes", "state", "created_at", "decided_at", "decided_by")


class DriftSerializer(serializers.ModelSerializer[Drift]):
    system = serializers.CharField()
    changes = serializers.ListField(child=serializers.DictField())
    answered_by = serializers.CharField(allow_null=True)
    ignored_until = Moment(allow_null=True, help_text="null and `ignored`: until it is another difference.")

    class Meta:
        model = Drift
        fields = (
            "id", "system", "where", "summary", "changes", "state", "ignored_until", "found_at", "answered_at",
            "answered_by",
        )  # fmt: skip


class RevisionFilter(filters.FilterSet):
    system = text("system__name")
    number = Whole(field_name="number")


class HoldFilter(filters.FilterSet):
    system, account = text("system__name"), text("account")
    state = OneOf(choices=Hold.State.choices)


class DriftFilter(filters.FilterSet):
    system, where = text("system__name"), text("where")
    state = OneOf(choices=Drift.State.choices)


class Diff(serializers.Serializer[Any]):
    """A unified diff of the conf; hashes are masked."""

    diff = serializers.CharField()
    complete = serializers.BooleanField(help_text="Whether all of it is here.")


class Decisions(Resource):
    """Things that wait for a person."""

    http_method_names = ["get", "head", "options", "post"]
    first = "-id"

    def act_of(self, request: Any) -> Act:
        return "change" if request.method == "POST" else "view"

    def finished(self, rows: Rows) -> Rows:
        words = in_words(row["changes"] for row in rows)
        for row, lines in zip(rows, words, strict=True):
            row["changes"] = [{"text": line.text, "removes_access": line.danger} for line in lines]
        return rows

    def decide(self, pk: str, act: Any) -> Response:
        """Do what a person has decided about a row."""
        row = self.get_queryset().filter(pk=int(pk)).select_related("system").first()
        if row is None:
            return self.retrieve(self.request, pk)
        system: System = row.system

        def done() -> Any:
            return act(row)

        def tell(answer: Any) -> dict[str, Any]:
            row.refresh_from_db()
            changes = answer.changes if isinstance(answer, Adopted) else answer
            changed = {"rows": changes.as_dict()} if isinstance(changes, Changes) else {}
            return {"id": row.pk, "state": getattr(row, "state", "reverted"), **changed}

        return write(self.request, system, done, tell)


class Revisions(Decisions):
    """Confs that every server was seen to hold, newest first."""

    model = Revision
    serializer_class = RevisionSerializer
    columns = {"id": "id", "system": "system__name"} | {
        name: name for name in RevisionSerializer.Meta.fields if name not in ("id", "system")
    }
    ordering = {"id": "pk", "number": "number"}
    search_fields = ["reason"]
    filterset_class = RevisionFilter

    @extend_schema(responses={200: Diff}, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def diff(self, request: Any, pk: str) -> Response:
        """What it changed of the conf."""
        row = self.get_queryset().filter(pk=int(pk)).first()
        if row is None:
            return self.retrieve(request, pk)
        lines, more = conf_diff(row)
        manages = may(request.user, "change", NatsUser)
        text = "\n".join(masked(line["text"], keys=manages) for line in lines)
        return Response({"diff": text, "complete": not more})

    @extend_schema(request=None, responses={200: Decided})
    @action(detail=True, methods=["post"])
    def revert(self, request: Any, pk: str) -> Response:
        """Make the rows what they were then."""
        return self.decide(pk, decisions.revert_to)


class Holds(Decisions):
    """Changes that a guard keeps back until a person says yes or no."""

    model = Hold
    serializer_class = HoldSerializer
    columns = {"id": "id", "system": "system__name"} | {
        **{name: name for name in ("account", "reason", "changes", "state", "created_at", "decided_at")},
        "decided_by": "decided_by__username",
    }
    search_fields = ["account", "reason"]
    filterset_class = HoldFilter

    @extend_schema(request=None, responses={200: Decided})
    @action(detail=True, methods=["post"])
    def yes(self, request: Any, pk: str) -> Response:
        """What was shown, and only that, goes to the servers."""
        return self.decide(pk, decisions.approve)

    @extend_schema(request=None, responses={200: Decided})
    @action(detail=True, methods=["post"])
    def no(self, request: Any, pk: str) -> Response:
        """The account's rows become again what the servers hold; of another form (account `*`) nothing is written."""
        return self.decide(pk, decisions.refuse)


class Drifts(Decisions):
    """Differences that nunect did not make."""

    model = Drift
    serializer_class = DriftSerializer
    columns = {"id": "id", "system": "system__name"} | {
        **{name: name for name in ("where", "summary", "changes", "state", "ignored_until", "found_at", "answered_at")},
        "answered_by": "answered_by__username",
    }
    search_fields = ["summary"]
    filterset_class = DriftFilter

    @extend_schema(request=None, responses={200: Decided})
    @action(detail=True, methods=["post"])
    def adopt(self, request: Any, pk: str) -> Response:
        """Take what the edited accounts.conf says into the rows; a dry run tells what goes with it, in `adoption`."""
        return self.decide(pk, drift_answers.adopt)

    @extend_schema(request=None, responses={200: Decided})
    @action(detail=True, methods=["post"])
    def revert(self, request: Any, pk: str) -> Response:
        """Put what the rows say in place of what somebody else left there."""
        return self.decide(pk, drift_answers.revert)

    @extend_schema(request=None, responses={200: Decided})
    @action(detail=True, methods=["post"])
    def repair(self, request: Any, pk: str) -> Response:
        """The same as `revert`, by its former name."""
        return self.decide(pk, drift_answers.revert)

    @extend_schema(request=Silence, responses={200: Decided})
    @action(detail=True, methods=["post"])
    def ignore(self, request: Any, pk: str) -> Response:
        """Leave it as it is, until a moment or until it is another difference; changes of rows wait meanwhile."""
        asked = Silence(data=request.data)
        asked.is_valid(raise_exception=True)
        until = asked.validated_data.get("until")
        return self.decide(pk, lambda row: drift_answers.ignore(row, until))


class Retry(APIView):
    """Ask the servers again for rows that they refused."""

    model: ClassVar[type[System] | type[Account]]

    @extend_schema(request=None, responses={200: Gone})
    def post(self, request: Any, pk: int) -> Response:
        require(request.user, "change", self.model)
        only_known(request, OF_WRITES)
        target = visible(self.model._default_manager.all(), request.user).filter(pk=pk).first()
        if target is None:
            raise Http404
        system = target if isinstance(target, System) else target.system
        return write(request, system, lambda: decisions.try_again(target), lambda done: {"id": pk})


class RetrySystem(Retry):
    OPERATIONS = {"POST": "systems_retry"}
    model = System


class RetryAccount(Retry):
    OPERATIONS = {"POST": "accounts_retry"}
    model = Account
