"""What the schema says of every operation alike: names, headers, dry run, how it can fail, and examples."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter

from accounts_app.api import examples
from accounts_app.api.pages import LIMIT, MOST
from accounts_app.api.problems import MEDIA_TYPE, TITLES
from accounts_app.api.shapes import Preview, Problem

JSON, CSV = "application/json", "text/csv"
DRY = OpenApiParameter("dry_run", bool, description="Say what it would do, and do nothing.")
PREFER = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    description="`wait=N`: answer when the servers enforce it, or after N seconds (60 at most) with 202.",
)
KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "maxLength": 200},
    OpenApiParameter.HEADER,
    description="The same key and body within a day: the same answer, done once. Another body: 422.",
)
MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="Only when the row's ETag is this; otherwise 412."
)
NONE_MATCH = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="Answer 304 when the row's ETag is this."
)
READ_PROBLEMS = ("401", "403", "404", "406", "422", "429", "503")
WRITE_PROBLEMS = ("400", "401", "403", "404", "406", "409", "412", "413", "415", "422", "429", "503")
ACTS = {"list": "list", "retrieve": "get", "create": "create", "partial_update": "update", "destroy": "delete"}
SUMMARIES = {
    "list": "List {many}",
    "retrieve": "Read one {one}",
    "create": "Make a new {one}",
    "partial_update": "Change one {one}",
    "destroy": "Delete one {one}",
}
METHODS = {"retrieve": "get", "partial_update": "patch", "destroy": "delete"}
LINKED = (
    *METHODS, "history", "rotate", "enable", "disable", "connect", "conf", "diff",
    "adopt", "revert", "ignore", "log", "retry", "resume", "cancel", "roll_back", "hand_over", "withdraw",
)  # fmt: skip


class Schema(AutoSchema):
    """drf-spectacular's, with what all of nunect's operations have in common."""

    @property
    def _reads(self) -> bool:
        return self.method in ("GET", "HEAD")

    @property
    def _action(self) -> str:
        return getattr(self.view, "action", "")

    def get_operation_id(self) -> str:
        """ "users_list", "users_rotate", "apply": stable names for generated clients."""
        named = getattr(self.view, "OPERATIONS", {}).get(self.method)
        resource = self.path.removeprefix("/api/v1/").split("/")[0].replace("-", "_")
        return named or (f"{resource}_{ACTS.get(self._action, self._action)}" if self._action else resource)

    def get_summary(self) -> str:
        """What a list of operations shows of it."""
        if self._action in SUMMARIES:
            names = self.view.model._meta  # type: ignore[attr-defined]
            return SUMMARIES[self._action].format(one=names.verbose_name, many=names.verbose_name_plural)
        return str(self.get_description()).split(". ")[0].partition("\n")[0].rstrip(".")

    def get_override_parameters(self) -> list[Any]:
        more: list[Any] = []
        if self._action == "list":
            more = self._of_lists()
        elif self._reads and self._action == "retrieve":
            more = [NONE_MATCH]
        elif not self._reads:
            more = [DRY, PREFER, KEY]
            if "{id}" in self.path:
                more = [*more, MATCH]
        return [*more, *super().get_override_parameters()]

    def _of_lists(self) -> list[OpenApiParameter]:
        ways = [f"{sign}{name}" for name in self.view.ordering for sign in ("", "-")]  # type: ignore[attr-defined]
        first = self.view.first  # type: ignore[attr-defined]
        limit = {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT}
        return [
            OpenApiParameter("limit", limit, description="Rows of a page."),
            OpenApiParameter("cursor", str, description="Where the page begins; `next` of the one before holds it."),
            OpenApiParameter("ordering", str, enum=ways, default=first, description="With - before it, downwards."),
            OpenApiParameter("fields", str, description="Only these fields of each row, with commas between."),
        ]

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if not operation:
            return operation
        answers = operation["responses"]
        for code, answer in answers.items():
            answer["description"] = "Done." if code == "201" or not self._reads else "What was asked for."
            self._say_types(answer)
        if not self._reads:
            self._say_writes(answers)
        elif self._action == "retrieve":
            answers["304"] = {"description": "The row is what If-None-Match says."}
        choosing = any(given["name"] == "system" for given in operation.get("parameters", ()))
        reading = (*READ_PROBLEMS, "409") if choosing else READ_PROBLEMS  # several systems, and none is said
        for code in reading if self._reads else WRITE_PROBLEMS:
            answers[code] = self._problem(int(code))
        examples.put_into(operation)
        self._say_links(operation["operationId"], answers)
        return operation

    def _say_links(self, operation: str, answers: dict[str, Any]) -> None:
        """Where a row that was just answered can be asked for again."""
        resource, _, act = operation.rpartition("_")
        place = {"create": "$response.body#/id", "list": "$response.body#/results/0/id"}.get(act)
        if place is None:
            return
        acts = [name for name in LINKED if hasattr(self.view, name)]
        links = {
            ACTS.get(name, name): {"operationId": f"{resource}_{ACTS.get(name, name)}", "parameters": {"id": place}}
            for name in acts
            if getattr(getattr(self.view, name), "mapping", {}).keys() <= {"get", "post"}
            and (name not in METHODS or METHODS[name] in self.view.http_method_names)
        }
        for code in ("200", "201"):
            if code in answers and (code == "201" or act == "list"):
                answers[code]["links"] = links

    def _problem(self, code: int) -> Any:
        """A problem of this status, written once for all operations."""
        schema = self.resolve_serializer(Problem, "response").ref
        told = {
            "description": f"{TITLES[code][1]}.",
            "content": {MEDIA_TYPE: {"schema": schema, "example": examples.problem(code)}},
        }
        name = f"Problem{code}"
        component = ResolvedComponent(name=name, type=ResolvedComponent.RESPONSE, schema=told, object=name)
        self.registry.register_on_missing(component)
        return component.ref

    def _say_types(self, answer: dict[str, Any]) -> None:
        """JSON, and CSV for lists."""
        content = answer.get("content") or {}
        if JSON in content:
            answer["content"] = {JSON: content[JSON]}
            if self._action == "list":
                answer["content"][CSV] = {"schema": {"type": "string"}}

    def _preview(self) -> Any:
        """What a dry run answers."""
        return Preview

    def _say_writes(self, answers: dict[str, Any]) -> None:
        """200 may be a preview, 202 is done and not enforced yet."""
        done: dict[str, Any] = next((answers[code] for code in ("201", "200") if code in answers), {})
        answers.pop("204", None)
        preview = self.resolve_serializer(self._preview(), "response").ref
        schema = done.get("content", {}).get(JSON, {}).get("schema")
        both = [each for each in (None if "201" in answers else schema, preview) if each]
        answers["200"] = {
            "description": "Done, or what a dry run would do." if len(both) > 1 else "What a dry run would do.",
            "content": {JSON: {"schema": {"anyOf": both} if len(both) > 1 else both[0]}},
        }
        if schema:
            answers["202"] = {
                "description": "Done here; the servers don't enforce it yet.",
                "content": {JSON: {"schema": schema}},
            }

    def get_response_serializers(self) -> Any:
        told = getattr(self.view, "answers", {}).get(self._action) or super().get_response_serializers()
        return {200: told} if self._action == "destroy" else told
