"""What the schema says of figures: they come from one class a view, and no write makes the servers follow."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter

from accounts_app.api.schema import CSV, DRY, JSON, Schema

SYSTEM = OpenApiParameter("system", str, description="Its name; the only system when it is left out.")


class LiveSchema(Schema):
    """The view tells: ANSWERS and BODIES, {method: serializer}; `asks()`, its parameters; LISTS: CSV, too."""

    def get_response_serializers(self) -> Any:
        return {200: self.view.ANSWERS[self.method]}  # type: ignore[attr-defined]

    def get_request_serializer(self) -> Any:
        return getattr(self.view, "BODIES", {}).get(self.method)

    def get_override_parameters(self) -> list[Any]:
        return [*self.view.asks(), *([] if self._reads else [DRY])]  # type: ignore[attr-defined]

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation:
            operation["responses"]["409"] = self._problem(409)  # several systems, and none named
        return operation

    def _say_types(self, answer: dict[str, Any]) -> None:
        super()._say_types(answer)
        if JSON in answer.get("content", {}) and getattr(self.view, "LISTS", False):
            answer["content"][CSV] = {"schema": {"type": "string"}}

    def _say_writes(self, answers: dict[str, Any]) -> None:
        """What is done to a connection changes no row: there is nothing to wait for."""
