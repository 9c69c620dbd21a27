"""Who may have to do with backups: they hold everything, so that no single right is enough."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied

from accounts_app.access import Narrowed, require_whole
from accounts_app.models import Token


def may_back_up(person: Any) -> bool:
    """Whether they may see, make and take away backups."""
    try:
        require_backups(person)
    except PermissionDenied:
        return False
    return True


def require_backups(person: Any) -> None:
    """Raise PermissionDenied unless they are a superuser, by a token that is not narrowed if by one."""
    if not (getattr(person, "is_active", False) and person.is_staff and person.is_superuser):
        raise PermissionDenied("Backups are for superusers.")
    token: Narrowed | None = getattr(person, "nunect_token", None)
    if token is not None and token.scope != Token.Scope.ADMIN:
        raise PermissionDenied(f"This token's scope is “{token.scope}”: backups need “admin”.")
    require_whole(person)
