"""Through which door a change came, and who stood in it: one context for history and audit."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.utils.translation import gettext_lazy as _

DoorName = Literal["admin", "rest", "command", "worker", "shell"]
LOCAL = "nunect.local"  # in the environ of a request that was made in this process; no header can set it


@dataclass(frozen=True, slots=True)
class Door:
    """person: the signed-in user, or None for a worker or a shell; reason: what the act was for."""

    name: DoorName = "shell"
    person: Any = None
    request_id: str = ""
    reason: str = ""


DOORS = {
    "admin": _("the admin"),
    "rest": _("REST"),
    "command": _("a command"),
    "worker": _("nunect itself"),
    "shell": _("a shell"),
}


def who_by(name: str, door: str) -> str:
    """Who did something, in words: the person, or the door where nobody was signed in ("a command")."""
    return name or str(DOORS.get(door, door)) or str(DOORS["worker"])


_current: ContextVar[Door | None] = ContextVar("nunect_door", default=None)
_request: ContextVar[HttpRequest | None] = ContextVar("nunect_request", default=None)


def current_door() -> Door:
    """The door of the act under way; a shell when nobody opened one."""
    door = _current.get() or Door()
    request = _request.get()
    if request is not None and door.person is None:
        user = getattr(request, "user", None)
        if user is not None and user.is_authenticated and user.pk is not None:
            token = getattr(user, "nunect_token", None)
            reason = door.reason or (f"token {token.name}" if token is not None else "")
            return Door(door.name, user, door.request_id, reason)
    return door


@contextmanager
def through(name: DoorName, *, person: Any = None, reason: str = "") -> Iterator[Door]:
    """Run a block as an act through `name`; history and audit entries made inside say so."""
    door = Door(name, person, uuid.uuid4().hex, reason)
    token = _current.set(door)
    try:
        yield door
    finally:
        _current.reset(token)


@sync_and_async_middleware
def door_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Open the door of a request. The person is looked up when asked for, since the session comes later."""

    def enter(request: HttpRequest) -> tuple[Any, Any]:
        name: DoorName = "rest" if request.path.startswith("/api/") else "admin"
        if request.META.get(LOCAL) is True:
            name = "command"
        if name == "rest" and "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            request.META["CONTENT_LENGTH"] = "-1"  # a body of unknown length is no empty body
        return _current.set(Door(name, request_id=uuid.uuid4().hex)), _request.set(request)

    def leave(tokens: tuple[Any, Any]) -> None:
        _current.reset(tokens[0])
        _request.reset(tokens[1])

    if iscoroutinefunction(get_response):

        async def asynchronous(request: HttpRequest) -> HttpResponseBase:
            tokens = enter(request)
            try:
                response: Awaitable[HttpResponseBase] = get_response(request)
                return await response
            finally:
                leave(tokens)

        return asynchronous

    def synchronous(request: HttpRequest) -> HttpResponseBase:
        tokens = enter(request)
        try:
            return get_response(request)
        finally:
            leave(tokens)

    return synchronous
