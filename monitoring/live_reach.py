"""What a person may see of what the servers do, and what is said when nobody can tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import models
from redis.exceptions import RedisError
from rest_framework import exceptions, status

from accounts_app.access import reaches_all, require, require_whole, visible
from accounts_app.api.rows import only_system
from accounts_app.models import Account, NatsUser, Server, System

OF_TABLES: dict[str, type[models.Model]] = {  # what one must have the right to view
    "servers": Server,
    "accounts": Account,
    "connections": NatsUser,
    "failures": NatsUser,
    "streams": Account,
    "consumers": Account,
}


class Unavailable(exceptions.APIException):
    """Something that this needs doesn't answer."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    wait = 1  # seconds until it is worth another try


@contextmanager
def redis_answers() -> Iterator[None]:
    """Raise Unavailable when Redis doesn't answer."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable("Redis doesn't answer now, and what the servers do is kept there: try again.") from error


def asked_system(request: Any) -> System:
    """The system that `?system=` names, or the only one. Raises ValidationError or Conflict."""
    return only_system(request.user, request.query_params.get("system", ""))


def names_within(person: Any, system: System) -> frozenset[str] | None:
    """The accounts that somebody is kept to, None for all that there are."""
    if reaches_all(person):
        return None
    return frozenset(visible(Account.objects.filter(system=system), person).values_list("name", flat=True))


def require_table(person: Any, name: str) -> None:
    """Raise PermissionDenied unless they may see rows of this table."""
    require(person, "view", OF_TABLES[name])
    if name == "servers":
        require_whole(person)
