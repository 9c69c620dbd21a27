"""Who calls: a bearer token, a session, or nunect's own command in this process."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.permissions import BasePermission
from rest_framework.throttling import BaseThrottle

from accounts_app.access import narrow
from accounts_app.api.problems import Invalid
from accounts_app.api.query import flag
from accounts_app.door import LOCAL
from accounts_app.models import Token

STRANGERS = 60  # requests of one address in a minute, where nobody need sign in
_USED_EVERY = timedelta(minutes=1)


class LocalPerson(AnonymousUser):
    """Who sits at the machine itself and may read its secrets anyway."""

    is_active = is_staff = is_superuser = True  # type: ignore[assignment]

    def __str__(self) -> str:
        return "local command"

    @property
    def is_authenticated(self) -> Any:
        return True

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return True


class LocalAuthentication(BaseAuthentication):
    """Lets in what `nunect` calls without a network."""

    def authenticate(self, request: Any) -> tuple[Any, Any] | None:
        return (LocalPerson(), None) if request.META.get(LOCAL) is True else None


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer nun_…`"""

    def authenticate(self, request: Any) -> tuple[Any, Any] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        bare = words[1].decode("latin-1") if len(words) == 2 else ""
        token = Token.find(bare)
        if token is None:
            raise exceptions.AuthenticationFailed("This token is not known, or has expired, or was revoked.")
        _remember_use(token)
        return narrow(token.person, token, looks=_is_dry(request)), token

    def authenticate_header(self, request: Any) -> str:
        return 'Bearer realm="nunect"'


def _is_dry(request: Any) -> bool:
    try:
        return flag(request, "dry_run")
    except Invalid:
        return False


def _remember_use(token: Token) -> None:
    """Once a minute: a write for each request would be the dearest part of it."""
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > _USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - _USED_EVERY)
        QuerySet(Token).filter(stale, pk=token.pk).update(last_used_at=now)


class Staff(BasePermission):
    """Somebody who may use nunect at all; what they may do there, each view asks `access`."""

    message = "You have no right to use nunect: ask an administrator to make you staff."

    def has_permission(self, request: Any, view: Any) -> bool:
        person = request.user
        return bool(person and person.is_authenticated and person.is_active and person.is_staff)


class Throttle(BaseThrottle):
    """API_RATE requests of one token or person in a minute; without Redis nobody is kept out."""

    MINUTE = 60

    def allow_request(self, request: Any, view: Any) -> bool:
        if request.META.get(LOCAL) is True:
            return True
        key = f"nunect:rate:{self.who(request)}:{int(time.time()) // self.MINUTE}"
        try:
            return bool(self._count(key) <= self.most())
        except (RedisError, OSError, ValueError):
            return True

    def who(self, request: Any) -> str:
        """Whose requests are counted together."""
        return f"token-{request.auth.pk}" if isinstance(request.auth, Token) else f"person-{request.user.pk}"

    def most(self) -> int:
        """Requests in a minute."""
        return int(settings.API_RATE)

    def _count(self, key: str) -> int:
        """How many requests there are now, this one included."""
        try:
            return cache.incr(key)
        except ValueError:  # the first of this minute, or one of several first ones
            return 1 if cache.add(key, 1, 2 * self.MINUTE) else cache.incr(key)

    def wait(self) -> float:
        return self.MINUTE - time.time() % self.MINUTE


class StrangerThrottle(Throttle):
    """For what needs no log-in: some requests of one address in a minute."""

    def who(self, request: Any) -> str:
        return f"stranger-{request.META.get('REMOTE_ADDR', '')}"

    def most(self) -> int:
        return min(STRANGERS, super().most())


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema tells of tokens."""

    target_class = "accounts_app.api.people.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A token that starts with nun_."}
