"""Trying the way to the servers of a system, step by step: what is wrong, and the lines of a conf that mend it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

import nats.errors
from django.conf import settings
from django.utils.translation import gettext as _
from nats.aio.client import Client

from accounts_app import credentials
from accounts_app.certificates import expired, read_certificates
from accounts_app.models import System
from accounts_app.natsconf.account import CONTROL_INBOX
from provisioning.binary import OLDEST, parse_version, too_old
from provisioning.mending import Lines, own_lines
from provisioning.signin import Login, login_of, refusal_words, sign_in, urls_of

STEPS = ("name", "port", "server", "tls", "login", "account", "version", "rights")
VARZ = "$SYS.REQ.SERVER.PING.VARZ"
PORTS = {"ws": 80, "wss": 443}
REFUSED_S = 0.5
GLOBAL = "$G"  # whose clients are in no account that a conf names


@dataclass(frozen=True, slots=True)
class Step:
    """One step to one server. state: "ok", "failed" or "untried"; text: what was found, or is wrong; lines: of the
    server's conf, that mend it; needs: "reload" or "restart" once they stand there, "" without lines."""

    name: str
    state: str
    seconds: float = 0.0
    text: str = ""
    lines: str = ""
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """The steps to the server at one URL."""

    url: str
    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool:
        """Whether nunect can look at this server."""
        return all(step.state == "ok" for step in self.steps)


class Wrong(Exception):
    """Why a step failed."""

    def __init__(self, text: str, lines: Lines | None = None) -> None:
        super().__init__(text)
        self.text, self.lines = text, lines or Lines()


def try_connection(system: System) -> list[Tried]:
    """Try all URLs of a system at once, a few seconds for each step. Nothing is changed anywhere.

    A system that isn't saved can be tried, too.
    """
    nkey, seed = (system.control_nkey, system.control_seed) if system.pk is not None else credentials.new_nkey()
    login = login_of(system, nkey, seed, "nunect test", CONTROL_INBOX)

    async def each() -> list[Tried]:
        return list(await asyncio.gather(*(_Attempt(system, login, url).go() for url in urls_of(system.url))))

    return asyncio.run(each())


@dataclass(slots=True)
class _Attempt:
    system: System
    login: Login
    url: str
    info: dict[str, Any] = field(default_factory=dict)
    client: Client | None = None
    unheard: bool = False

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def port(self) -> int:
        return self.parts.port or PORTS.get(self.parts.scheme, 4222)

    @property
    def host(self) -> str:
        return str(self.parts.hostname)

    async def go(self) -> Tried:
        done: list[Step] = []
        try:
            for name, act in zip(STEPS, self._acts(), strict=True):
                done.append(await self._timed(name, act))
                if done[-1].state == "failed":
                    break
        finally:
            if self.client is not None:
                await self.client.close()
        return Tried(self.url, (*done, *(Step(name, "untried") for name in STEPS[len(done) :])))

    def _acts(self) -> Iterator[Callable[[], Awaitable[str]]]:
        yield from (self._name, self._port, self._server, self._tls)
        yield from (self._login, self._account, self._version, self._rights)

    async def _timed(self, name: str, act: Callable[[], Awaitable[str]]) -> Step:
        began = time.monotonic()
        try:
            async with asyncio.timeout(settings.NATS_CONNECT_TIMEOUT + 2):
                text = await act()
        except Wrong as wrong:
            return Step(name, "failed", time.monotonic() - began, wrong.text, wrong.lines.text, wrong.lines.needs)
        except TimeoutError:
            return Step(name, "failed", time.monotonic() - began, _("It didn't answer in time."))
        return Step(name, "ok", time.monotonic() - began, text)

    # --- the way there ----------------------------------------------------------------

    async def _name(self) -> str:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            told = _("“%(host)s” is no name that this machine knows: %(why)s.")
            raise Wrong(told % {"host": self.host, "why": _plain(error)}) from error
        return ", ".join(dict.fromkeys(str(address[0]) for *_rest, address in found))

    async def _port(self) -> str:
        writer = (await self._open())[1]
        writer.close()
        return str(self.port)

    async def _server(self) -> str:
        """What it says of itself; one that speaks TLS first says it later."""
        if self.parts.scheme in PORTS:
            raise Wrong(_("nunect speaks no websocket: give an address for clients, nats:// or tls://."))
        if self.login.tls.first:
            return _("It says who it is once it is signed in to.")
        reader, writer = await self._open()
        try:
            async with asyncio.timeout(settings.NATS_CONNECT_TIMEOUT):
                line = await reader.readline()
            if not line.startswith(b"INFO "):
                raise ValueError
            self.info = json.loads(line[5:])
        except (ValueError, TimeoutError, OSError) as error:
            told = _("Whatever listens there doesn't begin as a nats-server does. Is it another port, or TLS first?")
            raise Wrong(told) from error
        finally:
            writer.close()
        name = str(self.info.get("server_name", ""))
        given = "" if name == self.info.get("server_id") else name
        return f"nats-server {self.info.get('version', '?')} {given}".strip()

    async def _tls(self) -> str:
        if not (self.info.get("tls_required") or self.login.tls.first or self.parts.scheme == "tls"):
            return _("It asks for none: what is said can be read on the way.")
        if not (self.info.get("tls_required") or self.info.get("tls_available") or self.login.tls.first):
            raise Wrong(_("The URL says tls://, and the server speaks none: say nats://."))
        if self.info.get("tls_verify") and not self.login.tls.certificate:
            raise Wrong(_("It asks every client for a certificate: give one with its key."))
        own = self.login.tls.certificate
        if (
            own
            and (self.info.get("tls_verify") or self.login.tls.first)
            and (ended := expired(read_certificates(own)[:1]))
        ):
            raise Wrong(_("The certificate that nunect shows has expired on %s: give a new one.") % f"{ended:%Y-%m-%d}")
        reader, writer = await self._open()
        try:
            if not self.login.tls.first:
                await reader.readline()
            await writer.start_tls(self.login.tls.context(), server_hostname=self.host)
            await self._taken(reader)
            return str(writer.get_extra_info("ssl_object").version())
        except ssl.SSLCertVerificationError as error:
            raise Wrong(self._untrusted(error)) from error
        except (ssl.SSLError, OSError) as error:
            if self.login.tls.certificate and "ALERT" in str(error):
                raise Wrong(_("It doesn't take the certificate that nunect shows.")) from error
            raise Wrong(_("They don't come to terms about TLS: %s.") % _plain(error)) from error
        finally:
            writer.close()

    async def _taken(self, reader: asyncio.StreamReader) -> None:
        """With TLS 1.3 a server refuses a certificate after the handshake, as the first thing that it says."""
        if not self.login.tls.certificate:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(REFUSED_S):
                if await reader.read(1) == b"":
                    raise Wrong(_("It doesn't take the certificate that nunect shows."))

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> str:
        why = str(error.verify_message or "").rstrip(".")
        if error.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
            return _("Its certificate is for another name: %s.") % why
        if error.verify_code == 10:  # X509_V_ERR_CERT_HAS_EXPIRED
            return _("Its certificate has expired.")
        if self.login.tls.ca:
            return _("Its certificate was not signed by the authority that was given: %s.") % why
        return _("Nobody that this machine trusts has signed its certificate: give its authority. (%s)") % why

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(settings.NATS_CONNECT_TIMEOUT):
                return await asyncio.open_connection(self.host, self.port)
        except (OSError, TimeoutError) as error:
            told = _("Nobody lets nunect in at %(host)s:%(port)s: %(why)s.")
            raise Wrong(told % {"host": self.host, "port": self.port, "why": _plain(error)}) from error

    # --- as whom ----------------------------------------------------------------------

    async def _login(self) -> str:
        who = self.login.user or self.login.nkey
        try:
            self.client = await sign_in(self.url, self.login)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            why, refused = refusal_words(error)
            if refused and not (self.login.user or self.system.login_secret):
                raise Wrong(self._unknown(), own_lines(self.system)) from error
            if refused:
                raise Wrong(
                    _("It refuses “%s”: the credential is wrong, or may not be used from here.") % who
                ) from error
            raise Wrong(_("Signing in fails: %s.") % why) from error
        return who

    def _unknown(self) -> str:
        if self.system.pk is None:
            return _("It knows no key of nunect's: give a user of its system account, or save and add the key.")
        return _("It doesn't know nunect's own key: give a user of its system account, or let it know the key.")

    async def _account(self) -> str:
        told = await self._ask("$SYS.REQ.USER.INFO")
        account = str((told.get("data") or {}).get("account", ""))
        if not account and self.unheard:
            said = _("The server runs without a system account (no_system_account): nobody can ask it anything.")
            raise Wrong(said, own_lines(self.system, system_elsewhere=True))
        if account == self.system.system_account or await self._ask(VARZ):
            return account
        if account == GLOBAL and not self._signed_in()._server_info.get("auth_required"):
            said = _("The server has no users: it lets in everybody, whatever they say, and nobody who may ask it.")
            raise Wrong(said, own_lines(self.system))  # empty accounts may stand there
        said = (
            _("The user is in account “%s”, which is not the system account: from there no server can be asked.")
            % account
        )
        if not account:
            said = _(
                "The user may not ask the server anything: it isn't in the system account, or its rights are too few."
            )
        raise Wrong(said, own_lines(self.system, has_accounts=account not in ("", GLOBAL) or None))

    async def _version(self) -> str:
        version = str(self._signed_in()._server_info.get("version", ""))
        if parse_version(version) < OLDEST:
            raise Wrong(too_old(version))
        return version

    async def _rights(self) -> str:
        told = (await self._ask(VARZ)).get("data") or {}
        if told:
            return _("Asked what it runs, it says %s.") % told.get("config_digest", "?")
        if self.unheard:
            said = _("Account “%s” is not the system account of this server: its conf names another one, or none.")
            lines = own_lines(self.system, has_accounts=True, system_elsewhere=True)
            raise Wrong(said % self.system.system_account, lines)
        said = _("Nobody answers at %(subject)s: let the user publish there, and subscribe %(inbox)s.")
        raise Wrong(said % {"subject": VARZ, "inbox": f"{CONTROL_INBOX}.>"}, own_lines(self.system, has_accounts=True))

    async def _ask(self, subject: str) -> dict[str, Any]:
        """The first answer, {} when there is none; then `unheard` says whether nobody listens there."""
        self.unheard = False
        try:
            patience = min(settings.NATS_REQUEST_TIMEOUT, settings.NATS_CONNECT_TIMEOUT / 2 + 0.9)  # two fit in a step
            answer = await self._signed_in().request(subject, b"", timeout=patience)
            told: dict[str, Any] = json.loads(answer.data)
        except nats.errors.NoRespondersError:
            self.unheard = True
            return {}
        except (TimeoutError, nats.errors.Error, ValueError):
            return {}
        return told

    def _signed_in(self) -> Client:
        if self.client is None:
            raise Wrong(_("The connection is gone."))
        return self.client


def _plain(error: Exception) -> str:
    """An error of the machine in its own words, without numbers."""
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror | ssl.SSLError):
        if error.errno is not None and error.errno > 0:
            return os.strerror(error.errno).lower()
        if "Multiple exceptions" in str(error):
            return _("none of its addresses answers")
        if isinstance(error, TimeoutError):
            return _("it took too long")
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(words).strip().rstrip(".")
