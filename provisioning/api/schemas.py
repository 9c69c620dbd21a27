"""What the schema says of requests that become jobs, and of those that no server has to follow."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter

from accounts_app.api.schema import DRY, KEY, MATCH, PREFER, Schema
from accounts_app.api.shapes import Preview

WAIT = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    description="`wait=N`: answer when the job rests (it has ended, or failed), or after N seconds (60 at most).",
)


class JobSchema(Schema):
    """Of what becomes a job, or is wanted of one: 202 while it is under way. PREVIEWS: what a dry run answers."""

    def get_override_parameters(self) -> list[Any]:
        kept = [each for each in super().get_override_parameters() if each is not PREFER]
        return kept if self._reads else [WAIT, *kept]

    def _preview(self) -> Any:
        return getattr(self.view, "PREVIEW", Preview)

    def _say_writes(self, answers: dict[str, Any]) -> None:
        super()._say_writes(answers)
        answers["202"]["description"] = "The job is under way."
        answers["200"]["description"] = "The job rests, or what a dry run would do."


class PlainSchema(Schema):
    """Of a POST after which there is nothing to wait for, that is never answered twice, and that comes too late."""

    def get_override_parameters(self) -> list[Any]:
        without = (DRY, PREFER, KEY, MATCH)
        return [each for each in super().get_override_parameters() if each not in without]

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation:
            operation["responses"]["410"] = self._problem(410)
        return operation

    def _say_writes(self, answers: dict[str, Any]) -> None:
        """It changes no row that servers follow."""
