"""Where websockets are."""

from __future__ import annotations

from typing import Any

from channels.routing import URLRouter
from django.urls import re_path

from monitoring.consumers import live, nowhere

_path: Any = re_path  # Django's stubs know views of HTTP only
websockets = URLRouter([_path(r"^ws/live/$", live), _path(r"", nowhere)])
