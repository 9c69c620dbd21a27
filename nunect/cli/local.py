"""Requests without a network: REST called in this process, on the database of this machine."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from nunect.cli.client import Failure, Reply

MARK = "nunect.local"  # in the environ; no header can set it
ELSEWHERE = "Set NUNECT_URL and NUNECT_TOKEN (or `nunect login`), or run this on the machine of nunect."


class Local:
    """Carries requests to nunect's own WSGI application."""

    remote = False

    def __init__(self) -> None:
        self._application = _application()
        self._host = _host()
        self.where = "nunect on this machine"

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float) -> Reply:
        found: dict[str, Any] = {}

        def start_response(status: str, answered: list[tuple[str, str]], *_: Any) -> None:
            found.update(status=int(status.split()[0]), headers={name.lower(): value for name, value in answered})

        with _told_once():
            chunks = self._application(self._environ(method, path, headers, body or b""), start_response)
            try:
                content = b"".join(chunks)
            finally:
                if hasattr(chunks, "close"):
                    chunks.close()
        return Reply(found["status"], found["headers"], content)

    def first_administrator(self) -> str:
        """The name of the administrator who was there first, "" when there is none."""
        from django.contrib.auth import get_user_model

        people = get_user_model()._default_manager.filter(is_superuser=True, is_active=True, is_staff=True)
        first = people.order_by("pk").first()
        return str(first.get_username()) if first is not None else ""

    def _environ(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        address, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(address).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": self._host,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": True,
            MARK: True,
        }
        for name, value in headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        return environ


@contextlib.contextmanager
def _told_once() -> Iterator[None]:
    """A refusal is told by the command and not by the log, too, unless NUNECT_LOG_LEVEL asks for that."""
    before = logging.root.manager.disable
    if "NUNECT_LOG_LEVEL" not in os.environ:
        logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _application() -> Any:
    """nunect's WSGI application. Raises Failure when this machine has no nunect."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nunect.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    try:
        missing = _missing(settings)
        if missing:
            raise Failure(f"There is no nunect on this machine ({missing}). {ELSEWHERE}")
        import django
        from django.core.handlers.wsgi import WSGIHandler

        class Rest(WSGIHandler):
            """Without the admin, whose pages take as long to load as all the rest."""

            def get_response(self, request: Any) -> Any:
                request.urlconf = "nunect.rest_urls"
                return super().get_response(request)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a web server should know is nothing to who asks here
            django.setup(set_prefix=False)
            return Rest()
    except ImproperlyConfigured as error:
        raise Failure(str(error)) from error


def _missing(settings: Any) -> str:
    """What keeps the local settings from being those of an installation, in words."""
    if getattr(settings, "SECRET_KEY_MISSING", False):
        return "SECRET_KEY is not set"
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3") and not _there(database):
        return f"{database['NAME']} is not there"
    return ""


def _there(database: Mapping[str, Any]) -> bool:
    name = str(database["NAME"])
    return name.startswith("file:") or name == ":memory:" or Path(name).exists()


def _host() -> str:
    """A host that the settings let in."""
    from django.conf import settings

    allowed = [host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*"]
    return "localhost" if not allowed or "localhost" in allowed else str(allowed[0])
