"""What went wrong, as `application/problem+json` (RFC 9457): one sentence, and one for each field."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from django.db.models import ProtectedError, RestrictedError
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response

from accounts_app import wrong
from accounts_app.migrated import mismatch
from accounts_app.natsconf.document import DocumentError
from accounts_app.natsconf.errors import ConfSyntaxError

logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: ("unreadable", "The request can't be read"),
    401: ("unauthenticated", "Say who you are"),
    403: ("forbidden", "You have no right to this"),
    404: ("missing", "There is no such thing"),
    405: ("method", "This can't be done here"),
    406: ("format", "There is no such format"),
    409: ("conflict", "Something else is in the way"),
    410: ("gone", "It is over"),
    412: ("stale", "It has changed meanwhile"),
    413: ("too-large", "The request is too large"),
    415: ("media-type", "The body has another type"),
    422: ("invalid", "The request says something impossible"),
    429: ("throttled", "Too many requests"),
    503: ("unavailable", "Something that is needed doesn't answer"),
}
_EVERYTHING = ("__all__", "non_field_errors", "")


class Conflict(exceptions.APIException):
    """Something else must be changed first."""

    status_code = status.HTTP_409_CONFLICT


class Several(Conflict):
    """One of several systems must be named."""

    field = "system"


class Stale(exceptions.APIException):
    """If-Match names another state of the row."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "The row is not what If-Match says: read it again."


class TooLarge(exceptions.APIException):
    """A body over the limit."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE


class Invalid(exceptions.APIException):
    """A parameter that says something impossible."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to an exception, None for one that is a fault of ours."""
    headers: dict[str, str] = {}
    if isinstance(exc, DocumentError):
        return problem(422, [(place.where, place.sentence) for place in exc.places])
    if isinstance(exc, ConfSyntaxError):
        return problem(422, [("conf", str(exc))])
    if isinstance(exc, ValidationError):
        return problem(422, errors_of(exc))
    if isinstance(exc, exceptions.ValidationError):
        return problem(422, list(_flat(exc.detail)))
    if isinstance(exc, RestrictedError):
        return problem(409, [("", str(place)) for place in wrong.kept_by(exc)])
    if isinstance(exc, ProtectedError):
        return problem(409, [("", "Other rows use it.")])
    if isinstance(exc, OperationalError | ProgrammingError) and (unfit := _other_tables(exc)):
        return problem(503, [("", unfit)])
    if isinstance(exc, OperationalError | InterfaceError):
        logger.warning("the database did not answer", extra={"detail": type(exc).__name__})
        return problem(503, [("", "The database doesn't answer now: try again.")], {"Retry-After": "2"})
    if isinstance(exc, DataError):
        return problem(422, [("", "A value doesn't fit into its column.")])
    if isinstance(exc, IntegrityError):
        return problem(409, [("", "Somebody changed the same thing at the same moment: try again.")])
    if isinstance(exc, Http404):
        return problem(404, [("", "It was never there, was deleted, or you may not see it.")])
    if isinstance(exc, PermissionDenied):
        return problem(403, [("", str(exc) or "You have no right to do this.")])
    if isinstance(exc, exceptions.APIException):
        if wait := getattr(exc, "wait", None):
            headers["Retry-After"] = str(int(wait) + 1)
        if authenticate := getattr(exc, "auth_header", None):
            headers["WWW-Authenticate"] = authenticate
        field = getattr(exc, "field", "")
        return problem(exc.status_code, [(field, _in_our_words(exc, context))], headers)
    return None


def _other_tables(exc: Exception) -> str:
    """What to do when a table or a column is missing because the database is of another version; else ""."""
    if isinstance(exc, ProgrammingError) or "no such " in str(exc) or "has no column" in str(exc):
        with suppress(DatabaseError):
            return mismatch()
    return ""


def _in_our_words(exc: exceptions.APIException, context: dict[str, Any]) -> str:
    """What the framework says, and what to do about it."""
    if isinstance(exc, exceptions.NotAuthenticated):
        return "Say who you are: “Authorization: Bearer nun_…”."
    if isinstance(exc, exceptions.NotAcceptable):
        return "There is JSON here (“Accept: application/json”), and CSV of lists (“text/csv”)."
    if isinstance(exc, exceptions.UnsupportedMediaType):
        return "The body must be JSON: “Content-Type: application/json”."
    if isinstance(exc, exceptions.MethodNotAllowed) and context.get("view") is not None:
        return f"This address takes {', '.join(context['view'].allowed_methods)}."
    return str(exc.detail)


def problem(code: int, errors: list[tuple[str, str]], headers: dict[str, str] | None = None) -> Response:
    """A problem of a status code with its (field, sentence) pairs; field "" is about the whole."""
    return Response(body_of(code, errors), status=code, headers=headers, content_type=MEDIA_TYPE)


def body_of(code: int, errors: list[tuple[str, str]]) -> dict[str, Any]:
    """The JSON of a problem."""
    name, title = TITLES.get(code, ("fault", "nunect has failed"))
    return {
        "type": f"urn:nunect:error:{name}",
        "title": title,
        "status": code,
        "detail": errors[0][1] if len(errors) == 1 else f"{len(errors)} things are wrong.",
        "errors": [{"field": field, "detail": sentence} for field, sentence in errors],
    }


def errors_of(refused: ValidationError) -> list[tuple[str, str]]:
    """(field, sentence) of what models, services and reconciliation refuse."""
    if isinstance(refused, wrong.ReconcileError):
        return [
            (f"{place.where}: {place.field}" if place.field else place.where, place.sentence)
            for place in refused.places
        ]
    if hasattr(refused, "error_dict"):
        return [
            ("" if field in _EVERYTHING else field, sentence)
            for field, sentences in refused.message_dict.items()
            for sentence in sentences
        ]
    return [("", sentence) for sentence in refused.messages]


def _flat(detail: Any, at: str = "") -> Any:
    """(field, sentence) of what serializers refuse; a field in a list is "permissions[0].subject"."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            here = (
                at if key in _EVERYTHING else f"{at}[{key}]" if isinstance(key, int) else f"{at}.{key}" if at else key
            )
            yield from _flat(value, here)
    elif isinstance(detail, list):
        for number, value in enumerate(detail):
            nested = isinstance(value, dict | list)
            if not nested or value:
                yield from _flat(value, f"{at}[{number}]" if nested else at)
    else:
        yield at, str(detail)
