"""Pages and answers about what is true."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse

from monitoring import health


def healthz(request: HttpRequest) -> HttpResponse:
    """The process is alive; nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> JsonResponse:
    """Database, Redis, worker and each server, with state and age; 503 while one of them is not ready."""
    ready, told = health.report()
    return JsonResponse({"ready": ready, **told}, status=200 if ready else 503)
