"""What all resources of configuration rows share: lists, objects, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict
from typing import Any, ClassVar, TypeAlias

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, QuerySet
from django.http import Http404
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.filters import SearchFilter
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts_app import past
from accounts_app.access import Act, may, reaches_all, require, visible
from accounts_app.api.pages import Pages, page, rows_of
from accounts_app.api.problems import Invalid, Several, Stale
from accounts_app.api.query import OF_LISTS, OF_WRITES, only_known
from accounts_app.api.shapes import Gone, Past
from accounts_app.api.writing import answered_before, etag, matches, write
from accounts_app.models import NatsUser, System
from accounts_app.stages import ANY, CHANGEABLE, HELD, meant

Rows: TypeAlias = "list[dict[str, Any]]"
BY_NAME = {"id": "pk", "name": "name"}
ACTS: dict[str, Act] = {"GET": "view", "HEAD": "view", "OPTIONS": "view", "POST": "add", "DELETE": "delete"}


class Resource(GenericViewSet[Any]):
    """Rows of one model to read. columns: {field: column or expression}, in the order of the answer."""

    model: ClassVar[type[models.Model]]
    columns: ClassVar[dict[str, Any]]
    ordering: ClassVar[dict[str, str]] = {"id": "pk"}
    first: ClassVar[str] = "id"  # the order of a list that nobody asked for
    UNSTABLE: ClassVar[tuple[str, ...]] = ()
    answers: ClassVar[dict[str, Any]] = {}  # {action: serializer of what it answers}, where that is another one
    pagination_class = Pages
    filter_backends = (SearchFilter, DjangoFilterBackend)
    lookup_value_regex = "[0-9]{1,18}"
    http_method_names = ["get", "head", "options"]

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action is None or request.method.lower() not in self.http_method_names:
            self.http_method_not_allowed(request)
        require(request.user, self.act_of(request), self.model)
        only_known(request, self.parameters())

    def parameters(self) -> Collection[str]:
        """What the address may ask for, by what is done."""
        if self.action == "list":
            filters = getattr(self, "filterset_class", None)
            return OF_LISTS | (filters.base_filters.keys() if filters else frozenset())
        return frozenset() if self.request.method in ("GET", "HEAD", "OPTIONS") else OF_WRITES

    def act_of(self, request: Any) -> Act:
        """What the person must have the right to."""
        if request.method == "POST" and self.action != "create":
            return "change"
        return ACTS.get(request.method, "change")

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return self.model._default_manager.none()
        return visible(self.model._default_manager.order_by(), self.request.user)

    def list(self, request: Any) -> Response:
        found = page(request, self.filter_queryset(self.get_queryset()), self._columns(), self.ordering, self.first)
        rows: Rows = self.finished(found.rows)
        if wanted := request.query_params.get("fields"):
            rows = self._only(rows, wanted)
        return Response({"results": rows, "next": found.next})

    def _only(self, rows: Rows, wanted: str) -> Rows:
        known: Any = self.get_serializer_class()().fields  # type: ignore[attr-defined]
        names = [name.strip() for name in wanted.split(",")]
        if unknown := [name for name in names if name not in known]:
            raise Invalid("fields", f"There is no field “{unknown[0][:80]}” here.")
        return [{name: row[name] for name in names if name in row} for row in rows]

    def retrieve(self, request: Any, pk: str) -> Response:
        row = self.told(int(pk))
        tag = etag(row, *self.UNSTABLE)
        if matches(request.headers.get("If-None-Match", ""), tag):
            return Response(status=304, headers={"ETag": tag})
        return Response(row, headers={"ETag": tag})

    def told(self, pk: int) -> dict[str, Any]:
        """One row as it is answered. Raises Http404."""
        rows = rows_of(self.get_queryset().filter(pk=pk), self._columns())
        if not rows:
            raise Http404
        return self.finished(rows)[0]

    def _columns(self) -> dict[str, Any]:
        return {name: F(column) if isinstance(column, str) else column for name, column in self.columns.items()}

    def finished(self, rows: Rows) -> Rows:
        """Rows with what takes more than their own columns; a fixed number of queries."""
        return rows


class RowResource(Resource):
    """Rows that can be made, changed and deleted."""

    http_method_names = ["get", "head", "options", "post", "patch", "delete"]
    answers = {"destroy": Gone}
    home_system: System | None = None  # of the row that is changed: names in the body are meant there

    def create(self, request: Any) -> Response:
        data = self.given(request)
        made = self.tagged(write(request, self.system_of(data), lambda: self.make(data), self.answer, 201))
        if isinstance(made.data, dict) and "id" in made.data:
            made["Location"] = request.build_absolute_uri(f"{request.path}{made.data['id']}/")
        return made

    def partial_update(self, request: Any, pk: str) -> Response:
        system = self.home_system = self.home(self.row(pk))
        data = self.given(request, partial=True)
        if data.get("system") not in (None, system):
            raise ValidationError({"system": "This can't move to another system."})

        def act() -> Any:
            row = self.row(pk, lock=True)
            self.unchanged(request, row)
            return self.change(row, data)

        return self.tagged(write(request, system, act, self.answer))

    def destroy(self, request: Any, pk: str) -> Response:
        if before := answered_before(request, self.get_queryset().filter(pk=int(pk))):
            return before
        system = self.home(self.row(pk))

        def act() -> dict[str, Any]:
            row = self.row(pk, lock=True)
            self.unchanged(request, row)
            self.remove(row)
            return {"id": int(pk)}

        return write(request, system, act, lambda gone: gone)

    # --- what a resource may say otherwise -------------------------------------

    def make(self, data: dict[str, Any]) -> Any:
        """A new row. Raises ValidationError."""
        return self.change(self.model(), data)

    def change(self, row: Any, data: dict[str, Any]) -> Any:
        """Set what was given and save, with what belongs to the row."""
        for name, value in data.items():
            setattr(row, name, value)
        row.full_clean()
        row.save()
        return row

    def remove(self, row: Any) -> None:
        row.delete()

    def answer(self, row: Any) -> dict[str, Any]:
        """The body of a write."""
        return self.told(row.pk)

    def home(self, row: Any) -> System:
        """The system of a row."""
        found: System = row.system if hasattr(row, "system_id") else row.account.system
        return found

    def system_of(self, data: dict[str, Any]) -> System:
        """The system that a new row belongs to."""
        for name in ("account", "role", "user"):
            if data.get(name) is not None:
                return self.home(data[name])
        return data["system"] if data.get("system") else only_system(self.request.user, stages=CHANGEABLE)

    # --- helpers -----------------------------------------------------------------

    def given(self, request: Any, *, partial: bool = False) -> dict[str, Any]:
        """What the body says, with rows in place of names."""
        if not isinstance(request.data, dict):
            raise Invalid("", "The body must be a map of fields.")
        serializer = self.get_serializer(data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        found: dict[str, Any] = serializer.validated_data
        return found

    def row(self, pk: Any, *, lock: bool = False) -> Any:
        queryset = self.get_queryset()
        row = (queryset.select_for_update(of=("self",)) if lock else queryset).filter(pk=int(pk)).first()
        if row is None:
            raise Http404
        return row

    def unchanged(self, request: Any, row: Any) -> None:
        """Raise Stale when the row is not what If-Match says."""
        asked = request.headers.get("If-Match", "")
        if asked and not matches(asked, etag(self.told(row.pk), *self.UNSTABLE)):
            raise Stale

    def tagged(self, answer: Response) -> Response:
        if isinstance(answer.data, dict) and "id" in answer.data:
            plain = {key: value for key, value in answer.data.items() if key not in ("secret", "token")}
            answer["ETag"] = etag(plain, *self.UNSTABLE)
        return answer


class ConfigResource(RowResource):
    """Configuration rows: each change of them is remembered."""

    @extend_schema(responses={200: Past(many=True)}, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def history(self, request: Any, pk: str) -> Response:
        """What happened to the row and its parts, newest first: who, through which door, before and after."""
        keys = may(request.user, "change", NatsUser)
        row = self.get_queryset().filter(pk=int(pk)).first() or self._gone(pk)
        return Response([asdict(entry) for entry in past.entries(row, keys=keys)])

    def _gone(self, pk: str) -> Any:
        """A row as it last was, for who sees the whole system. Raises Http404."""
        row = past.last_of(self.model, pk) if reaches_all(self.request.user) else None
        if row is None:
            raise Http404
        return row


def only_system(person: Any, name: str = "", stages: Collection[str] = ANY) -> System:
    """The system of that name; without one the only one, or the only one in which this can be done.

    stages: of systems that don't refuse it anyway. Raises ValidationError or Several.
    """
    rows = list(System.objects.visible_to(person).filter(**({"name": name} if name else {})).order_by("name"))
    if not rows:
        raise ValidationError({"system": "There is no such system." if name else "There is no system yet."})
    found = meant(rows, stages)
    if found is None:
        raise Several(which(person, rows))
    return found


def which(person: Any, systems: Iterable[System]) -> str:
    """The sentence that asks for one of several systems, with their names for who may see systems."""
    names = ", ".join(system.name for system in systems) if may(person, "view", System) else ""
    return "There are several systems: say which one by “system”" + (f": {names}." if names else ".")


def sync_row(row: dict[str, Any]) -> dict[str, Any]:
    """Fold the counters of a row's account into `sync`."""
    wanted, done, kind, at = (row.pop(name) for name in ("sync_wanted", "sync_done", "sync_kind", "sync_at"))
    state = "applied" if wanted == done or wanted is None else kind if kind and at == wanted else "pending"
    problem = row.pop("sync_problem")
    if row.pop("sync_stage") != System.Stage.MANAGED and state == "pending":
        state, problem = "held", HELD
    told = problem if state in ("failed", "held") else ""
    row["sync"] = {"state": state, "revision": row.pop("sync_revision"), "problem": told}
    return row


def sync_columns(way: str) -> dict[str, str]:
    """The columns that `sync_row` folds; way: from the row to its account, such as "account__"."""
    return {
        "sync_wanted": f"{way}wanted",
        "sync_done": f"{way}done",
        "sync_kind": f"{way}problem_kind",
        "sync_problem": f"{way}problem",
        "sync_at": f"{way}problem_wanted",
        "sync_revision": f"{way}system__revision",
        "sync_stage": f"{way}system__stage",
    }


def replace_all(
    present: Iterable[Any],
    wanted: list[dict[str, Any]],
    key: Callable[[Any], Any],
    make: Callable[[dict[str, Any]], Any],
    field: str,
    person: Any,
) -> None:
    """Make the rows below a row exactly the wanted ones. What is wrong with one is told as `field[number].…`.

    Raises PermissionDenied for what the person may not do to such rows.
    """
    old = {key(row): row for row in present}
    seen = set()
    problems: dict[str, list[str]] = {}
    fresh = []
    for number, values in enumerate(wanted):
        row = make(values)
        if key(row) in seen:
            problems[f"{field}[{number}]"] = ["This stands there twice."]
        seen.add(key(row))
        known = old.get(key(row))
        if known is None:
            require(person, "add", type(row))
            fresh.append((number, row))
        elif changed := [name for name, value in values.items() if getattr(known, name) != value]:
            require(person, "change", type(known))
            for name in changed:
                setattr(known, name, values[name])
            fresh.append((number, known))
    for row in [row for name, row in old.items() if name not in seen]:
        require(person, "delete", type(row))
        row.delete()
    for number, row in fresh:
        try:
            row.full_clean()
        except ValidationError as refused:
            for name, sentences in refused.message_dict.items():
                at = f"{field}[{number}]" if name == "__all__" else f"{field}[{number}].{name}"
                problems[at] = sentences
        else:
            if not problems:
                row.save()
    if problems:
        raise ValidationError(problems)


def apart(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of a row of an account: its system is said by the account."""
    return {name: value for name, value in data.items() if name != "system"}


def stays(row: Any, data: dict[str, Any]) -> None:
    """A row of an account never moves to another one."""
    if row.pk and data.get("account", row.account) != row.account:
        raise ValidationError({"account": "This can't move to another account."})
