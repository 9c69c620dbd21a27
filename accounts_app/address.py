"""Where people reach nunect, for links that are told outside of its own pages."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from accounts_app.door import LOCAL


def address_of(path: str, request: Any = None) -> str:
    """The whole address of a page: below NUNECT_PUBLIC_URL, else as the request came, else on this machine.

    path: from the root, such as "/handover/".
    """
    if settings.PUBLIC_URL:
        return f"{settings.PUBLIC_URL}{path}"
    if request is None or (request.META.get(LOCAL) is True and request.get_host() in ("localhost", "127.0.0.1")):
        host = "localhost" if request is None else request.get_host()
        return f"http://{host}:{settings.PORT}{path}"  # it came through no port
    return str(request.build_absolute_uri(path))
