"""The page on which an owner picks up credentials: no log-in, the link's token is all that it takes.

The token stands in the fragment of the address, which browsers send to nobody, and goes into the body of a POST at
the click of a button: a program that looks ahead at links opens nothing.
"""

from __future__ import annotations

import json
import time
from typing import Any

from csp.constants import NONE, SELF
from csp.decorators import csp
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from redis.exceptions import RedisError

from provisioning.blueprints import handover
from provisioning.blueprints.handover import HandOverError, Opener

TRIES = 60  # of one address in a minute
MINUTE_S = 60
LONGEST = 2048  # bytes of what is posted
POLICY = {
    "default-src": [NONE],
    "script-src": [SELF],
    "style-src": [SELF],
    "img-src": [SELF],
    "connect-src": [SELF],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [NONE],
}
HEADERS = {
    "Cache-Control": "no-store, private",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Permissions-Policy": "clipboard-write=(self)",
}
_STATUS = {"unknown": 404, "used": 410, "over": 410, "withdrawn": 410, "not_ready": 409}


@csp(POLICY)
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The page itself, the same for every link."""
    answer = render(request, "provisioning/handover.html")
    for name, value in HEADERS.items():
        answer[name] = value
    return answer


@csrf_exempt  # the token is what a forged request could not have
@require_POST
def look(request: HttpRequest) -> JsonResponse:
    """{title, users, expires_at} of what a link will open, without opening it."""
    token, refused = _token(request)
    if refused is not None:
        return refused
    try:
        found = handover.look(token)
    except HandOverError as error:
        return _refusal(error)
    told = {"title": found.title, "users": list(found.users), "expires_at": found.expires_at}
    return JsonResponse(told, headers=HEADERS)


@csrf_exempt
@require_POST
def pick_up(request: HttpRequest) -> JsonResponse:
    """{users: {name: credential}}, once."""
    token, refused = _token(request)
    if refused is not None:
        return refused
    person: Any = request.user
    opener = Opener(
        person.get_username() if person.is_authenticated else "",
        address_of(request),
        request.headers.get("User-Agent", ""),
    )
    try:
        found = handover.open_once(token, opener)
    except HandOverError as error:
        return _refusal(error)
    return JsonResponse({"users": found}, headers=HEADERS)


def address_of(request: HttpRequest) -> str:
    """Where a request comes from. Behind TLS a proxy of ours stands in front, and adds it at the end."""
    forwarded = request.headers.get("X-Forwarded-For", "") if settings.BEHIND_TLS else ""
    return (forwarded.rpartition(",")[2].strip() or str(request.META.get("REMOTE_ADDR") or ""))[:64]


def _token(request: HttpRequest) -> tuple[str, JsonResponse | None]:
    """(the token that was posted, the answer when it can't be taken)"""
    if not _within(address_of(request)):
        wait = int(MINUTE_S - time.time() % MINUTE_S) + 1
        sentence = _("These were many tries: wait a minute.")
        return "", JsonResponse(
            {"reason": "slow", "detail": sentence}, status=429, headers={**HEADERS, "Retry-After": str(wait)}
        )
    token: Any = None
    if len(request.body) <= LONGEST:
        try:
            told = json.loads(request.body)
            token = told.get("token") if isinstance(told, dict) else None
        except (ValueError, RecursionError):
            token = None
    if not isinstance(token, str) or not token:
        sentence = _("Post the link's token as JSON: {“token”: …}.")
        return "", JsonResponse({"reason": "wrong", "detail": sentence}, status=400, headers=HEADERS)
    return token, None


def _within(address: str) -> bool:
    """Whether this address may try once more; without Redis nobody is kept out."""
    key = f"nunect:handover:{address}:{int(time.time()) // MINUTE_S}"
    try:
        cache.add(key, 0, 2 * MINUTE_S)
        return cache.incr(key) <= TRIES
    except (RedisError, OSError, ValueError):
        return True


def _refusal(error: HandOverError) -> JsonResponse:
    return JsonResponse({"reason": error.reason, "detail": str(error)}, status=_STATUS[error.reason], headers=HEADERS)


urlpatterns = [
    path("", page, name="handover"),
    path("look/", look, name="handover-look"),
    path("open/", pick_up, name="handover-open"),
]
