"""`/metrics`: for a token that reads the whole system, or for everybody where a setting says so."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts_app.access import require, require_whole
from accounts_app.api.people import TokenAuthentication
from accounts_app.models import Account, NatsUser, Server
from monitoring.metrics import Scrape


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Every figure in the text format of Prometheus, or in OpenMetrics for who accepts that."""
    if not settings.METRICS_OPEN and (refused := _refused(request)) is not None:
        return refused
    registry = CollectorRegistry()
    registry.register(Scrape())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


def _refused(request: HttpRequest) -> HttpResponse | None:
    """Why this person or token gets nothing, in plain words; None for who may see all of it."""
    asked = Request(request, authenticators=[TokenAuthentication(), SessionAuthentication()])
    try:
        person = asked.user
    except AuthenticationFailed as refused:
        return _said(401, str(refused.detail))
    if not person.is_authenticated:
        return _said(401, "Say who you are: “Authorization: Bearer nun_…”. docs/metrics.md tells more.")
    try:
        for model in (Server, Account, NatsUser):
            require(person, "view", model)
        require_whole(person)
    except PermissionDenied as refused:
        return _said(403, str(refused))
    return None


def _said(status: int, sentence: str) -> HttpResponse:
    answer = HttpResponse(f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8")
    if status == 401:
        answer["WWW-Authenticate"] = 'Bearer realm="nunect"'
    return answer
