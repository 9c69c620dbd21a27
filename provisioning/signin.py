"""Signing in to the servers of a system: as one of nunect's own users, or as whom the system names for it."""

from __future__ import annotations

import asyncio
import base64
import ssl
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats.errors
from django.conf import settings
from nats.aio.client import Client

from accounts_app import credentials
from accounts_app.models import System

Closed = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Tls:
    """How nunect speaks TLS with servers. ca, certificate, key: PEM, "" for those of this machine, and for none;
    first: nothing is said before it."""

    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    first: bool = False

    def context(self) -> ssl.SSLContext:
        """For connections of a client. Raises ssl.SSLError for PEM that can't be used."""
        made = ssl.create_default_context(cadata=self.ca or None)
        if self.certificate:
            with tempfile.TemporaryDirectory() as folder:  # Python reads a key from a file alone
                pair = Path(folder, "pair.pem")
                pair.touch(0o600)
                pair.write_text(f"{self.key}\n{self.certificate}\n")
                made.load_cert_chain(pair)
        return made

    @property
    def asked(self) -> bool:
        """Whether somebody has said anything about it."""
        return bool(self.ca or self.certificate or self.first)


@dataclass(frozen=True, slots=True)
class Login:
    """Where and as whom. urls: any of the servers; inbox: the prefix that this user may subscribe; password: of the
    user `user`, when it is no nkey that signs in."""

    urls: tuple[str, ...]
    nkey: str
    seed: str = field(repr=False)
    name: str
    inbox: str
    user: str = ""
    password: str = field(default="", repr=False)
    tls: Tls = Tls()


def login_of(system: System, nkey: str, seed: str, name: str, inbox: str, *, given: bool = True) -> Login:
    """How one of nunect's own users signs in to a system. Servers that nunect doesn't manage may not know it: there it
    is whom the system names. given: False for a user that nobody can stand for."""
    user, password = "", ""
    if given and system.login_secret and system.stage != System.Stage.MANAGED:
        if system.login_user:
            user, password = system.login_user, system.login_secret
        else:
            nkey, seed = credentials.public_of(credentials.raw_of(system.login_secret)), system.login_secret
    return Login(urls_of(system.url), nkey, seed, name, inbox, user, password, tls_of(system))


def tls_of(system: System) -> Tls:
    return Tls(system.tls_ca, system.tls_certificate, system.tls_key, system.tls_first)


def urls_of(text: str) -> tuple[str, ...]:
    """The servers of a system, which stand with commas between them."""
    return tuple(url.strip() for url in text.split(",") if url.strip())


async def sign_in(url: str, login: Login, *, closed: Closed | None = None, **options: Any) -> Client:
    """A connection that is never replaced behind our back. closed: called when it has ended.

    One server at a time: nats-py gives up at the first of several, or tries for ever. Raises nats.errors.Error,
    OSError, TimeoutError.
    """
    client = Client()
    if login.user:
        options |= {"user": login.user, "password": login.password}
    else:
        client._public_nkey = login.nkey  # nats-py's own way in needs the sdist `nkeys`
        options["signature_cb"] = lambda nonce: base64.b64encode(credentials.sign(login.seed, nonce.encode()))
    if login.tls.asked:
        options |= {"tls": login.tls.context(), "tls_handshake_first": login.tls.first}
    async with asyncio.timeout(settings.NATS_CONNECT_TIMEOUT + 1):
        await client.connect(
            [url],
            name=login.name,
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


def no_way_in(url: str, error: Exception) -> tuple[str, bool]:
    """(a sentence why nobody is signed in, whether it is because of the credential)"""
    why, refused = refusal_words(error)
    return (
        f"The server at {url} refuses nunect's own credential." if refused else f"No server answers at {url}: {why}."
    ), refused


def refusal_words(error: Exception) -> tuple[str, bool]:
    """(why nobody could sign in, whether it is because of the credential)"""
    words = str(error).strip() or type(error).__name__
    refused = "authorization" in words.lower()
    return ("it refuses nunect's own credential" if refused else words), refused


async def _ignore(*_: Any) -> None:
    """nats-py's default error callback prints a traceback; errors come as exceptions here."""
