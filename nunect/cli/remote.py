"""Requests over the network."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from nunect.cli.client import Failure, Lost, Reply
from nunect.cli.config import Target

_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF_WHILE_READING")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token follows no redirect to where nobody said that it may go."""

    def redirect_request(self, *args: Any, **options: Any) -> None:
        return None


class Remote:
    """Carries requests to a nunect elsewhere, with a bearer token."""

    remote = True

    def __init__(self, target: Target) -> None:
        self.where = target.url
        self._token = target.token
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float) -> Reply:
        """Raises Failure when it can't be reached, Lost when it ended without an answer."""
        sent = {**headers, "Authorization": f"Bearer {self._token}"}
        try:
            request = urllib.request.Request(self.where + path, data=body, headers=sent, method=method)  # noqa: S310
            with self._opener.open(request, timeout=timeout_s) as answer:
                return _reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return _reply(error.code, error.headers, error.read())
        except urllib.error.URLError as error:
            raise self._unreachable(error.reason, timeout_s) from error
        except (http.client.HTTPException, OSError) as error:
            raise Lost(
                f"The connection to {self.where} ended before its answer came{_told(error, timeout_s)}."
            ) from error
        except ValueError as error:
            raise Failure("The token holds a character that no token has: copy it again.") from error

    def _unreachable(self, reason: Any, timeout_s: float) -> Failure:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return Failure(
                f"The certificate of {self.where} is not trusted ({reason.verify_message}): "
                "set SSL_CERT_FILE to the authority that signed it."
            )
        if isinstance(reason, ssl.SSLError) and self.where.startswith("https://") and reason.reason in _NO_TLS:
            plain = self.where.replace("https://", "http://", 1)
            return Failure(f"{self.where} answers, but not by TLS: try {plain}.")
        if isinstance(reason, socket.gaierror):
            return Failure(f"There is no host of that name: {self.where}. Check NUNECT_URL or `nunect login`.")
        if isinstance(reason, ConnectionRefusedError):
            return Failure(f"Nobody listens at {self.where}: is nunect running there?")
        if isinstance(reason, TimeoutError):
            return Failure(f"{self.where} can't be reached{_told(reason, timeout_s)}.")
        return Failure(f"{self.where} can't be reached: {reason}.")


def _told(error: BaseException, timeout_s: float) -> str:
    return f" within {timeout_s:.0f} s" if isinstance(error, TimeoutError) else ""


def _reply(status: int, headers: Any, body: bytes) -> Reply:
    return Reply(status, {name.lower(): value for name, value in headers.items()}, body)
