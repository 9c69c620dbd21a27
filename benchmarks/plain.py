"""What nunect's list is held against: a Django view with the same rows and columns, and nothing else.

No DRF, no sign-in, no throttle, no filters; the product's own settings, middleware and database. Its own
ASGI application, so that daphne can serve it beside the product: `python -m daphne benchmarks.plain:application`.
With BENCH_PLAIN=bare it has no middleware either.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any

import django
from django.conf import settings

settings.ROOT_URLCONF = "benchmarks.plain"
if os.environ.get("BENCH_PLAIN") == "bare":
    settings.MIDDLEWARE = []
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

from accounts_app.api.rights import ROLE_NAME  # noqa: E402
from accounts_app.api.users import Users  # noqa: E402
from accounts_app.models import NatsUser, SubjectPermission  # noqa: E402

COLUMNS = [column for column in Users.columns.values() if isinstance(column, str)]
RULE = ("action", "effect", "subject", "queue")


def users(request: HttpRequest) -> JsonResponse:
    """The users after a primary key with their permissions, in two queries."""
    limit, after = int(request.GET.get("limit", "100")), int(request.GET.get("after", "0"))
    page: list[dict[str, Any]] = list(
        NatsUser.objects.filter(pk__gt=after).order_by("pk").values(*COLUMNS, role_name=ROLE_NAME)[: limit + 1]
    )
    rows = page[:limit]
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for rule in (
        SubjectPermission.objects.filter(user__in=[row["id"] for row in rows]).order_by(*RULE).values("user_id", *RULE)
    ):
        found[rule.pop("user_id")].append(rule)
    for row in rows:
        row["permissions"] = found[row["id"]]
    more = f"{request.path}?limit={limit}&after={rows[-1]['id']}" if len(page) > limit else None
    return JsonResponse({"results": rows, "next": more})


urlpatterns = [path("users/", users)]
application = get_asgi_application()
