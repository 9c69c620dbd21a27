"""Signing in to a server with one of nunect's own nkeys."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import nats.errors
from django.conf import settings
from nats.aio.client import Client

from accounts_app import credentials

Closed = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Login:
    """Where and as whom. urls: any of the servers; inbox: the prefix that this user may subscribe."""

    urls: tuple[str, ...]
    nkey: str
    seed: str = field(repr=False)
    name: str
    inbox: str


def urls_of(text: str) -> tuple[str, ...]:
    """The servers of a system, which stand with commas between them."""
    return tuple(url.strip() for url in text.split(",") if url.strip())


async def sign_in(url: str, login: Login, *, closed: Closed | None = None, **options: Any) -> Client:
    """A connection that is never replaced behind our back. closed: called when it has ended.

    One server at a time: nats-py gives up at the first of several, or tries for ever. Raises nats.errors.Error,
    OSError, TimeoutError.
    """
    client = Client()
    client._public_nkey = login.nkey  # nats-py's own way in needs the sdist `nkeys`
    async with asyncio.timeout(settings.NATS_CONNECT_TIMEOUT + 1):
        await client.connect(
            [url],
            name=login.name,
            signature_cb=lambda nonce: base64.b64encode(credentials.sign(login.seed, nonce.encode())),
            inbox_prefix=login.inbox.encode(),
            allow_reconnect=False,
            connect_timeout=settings.NATS_CONNECT_TIMEOUT,
            error_cb=_ignore,
            closed_cb=closed or _ignore,
            disconnected_cb=_ignore,
            **options,
        )
    return client


async def sign_in_somewhere(login: Login, *, closed: Closed | None = None, **options: Any) -> Client:
    """A connection to the first of the servers that answers. Raises the last one's error when none does."""
    for url in login.urls[:-1]:
        with suppress(nats.errors.Error, OSError, TimeoutError):
            return await sign_in(url, login, closed=closed, **options)
    return await sign_in(login.urls[-1], login, closed=closed, **options)


def refusal_words(error: Exception) -> tuple[str, bool]:
    """(why nobody could sign in, whether it is because of the credential)"""
    words = str(error).strip() or type(error).__name__
    refused = "authorization" in words.lower()
    return ("it refuses nunect's own credential" if refused else words), refused


async def _ignore(*_: Any) -> None:
    """nats-py's default error callback prints a traceback; errors come as exceptions here."""
