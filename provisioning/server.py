"""Running servers, asked over the system account as nunect's control user."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import nats
import nats.errors
from django.conf import settings
from nats.aio.client import Client

from accounts_app.models import System
from accounts_app.natsconf.account import CONTROL_INBOX
from provisioning.errors import Refused, Unreachable
from provisioning.signin import login_of, no_way_in, sign_in_somewhere


@dataclass(frozen=True, slots=True)
class Seen:
    """What one running server says of itself. revision and sha256 come from nunect's own metadata."""

    server_id: str
    name: str
    version: str
    host: str
    config_digest: str
    revision: int | None
    sha256: str
    config_load_time: datetime | None
    jetstream_max_mem: int | None
    jetstream_max_file: int | None

    @classmethod
    def from_varz(cls, answer: dict[str, Any]) -> Seen:
        server, data = answer.get("server") or {}, answer.get("data") or {}
        metadata = server.get("metadata") or data.get("metadata") or {}
        number = str(metadata.get("nunect_revision", ""))
        jetstream = (data.get("jetstream") or {}).get("config") or {}
        loaded = None
        with suppress(ValueError, TypeError):
            loaded = datetime.fromisoformat(data.get("config_load_time", ""))
        return cls(
            server_id=server.get("id", ""),
            name=server.get("name", ""),
            version=server.get("ver", ""),
            host=server.get("host", ""),
            config_digest=data.get("config_digest", ""),
            revision=int(number) if number.isdecimal() else None,
            sha256=str(metadata.get("nunect_sha256", "")),
            config_load_time=loaded,
            jetstream_max_mem=jetstream.get("max_memory"),
            jetstream_max_file=jetstream.get("max_storage"),
        )


class Fleet:
    """The running servers of a system, asked as nunect's control user. A context manager.

    `problem` says why nobody can be asked ("" when connected); a server that is down is no exception.
    """

    def __init__(self, system: System, *, own: bool = False) -> None:
        """own: as nunect's own user whatever the system's stage, where the generated file is known to run."""
        self._system, self._own = system, own
        self._runner = asyncio.Runner()
        self._client: Client | None = None
        self.problem = ""
        self.unauthorized = False

    def __enter__(self) -> Fleet:
        self._runner.__enter__()
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            with suppress(Exception):  # the answer is in hand; how the socket ends doesn't matter
                self._runner.run(asyncio.wait_for(self._client.close(), 1))
        self._runner.__exit__(kind, error, trace)

    @property
    def connected(self) -> bool:
        return self._client is not None and self._client.is_connected

    def connect(self) -> None:
        """Try each server once; sets `problem` and `unauthorized`."""
        self._client, self.problem, self.unauthorized = None, "", False
        system = self._system
        login = login_of(
            system, system.control_nkey, system.control_seed, "nunect control", CONTROL_INBOX, given=not self._own
        )
        try:
            self._client = self._runner.run(sign_in_somewhere(login))
        except (nats.errors.Error, OSError, TimeoutError) as error:
            self.problem, self.unauthorized = no_way_in(system.url, error)

    def see(self, expected: int | Collection[str] = 0) -> list[Seen]:
        """Every server that answers, by name. expected: stop waiting once so many, or those, have answered."""
        if not self.connected:
            return []
        answers = self._runner.run(self._gather("$SYS.REQ.SERVER.PING.VARZ", b"", expected))
        return sorted((Seen.from_varz(answer) for answer in answers), key=lambda seen: seen.name)

    def reload(self, server_ids: Iterable[str]) -> dict[str, str]:
        """Ask servers to re-read their conf; {id: its refusal, "" for yes}.

        Raises Unreachable when one does not answer: it may or may not have re-read its files.
        """
        return self._runner.run(self._reload(list(server_ids)))

    def reload_unheard(self, server_ids: Iterable[str]) -> None:
        """Ask servers to re-read a conf that doesn't know nunect any more: their answer could not be heard."""
        self._runner.run(self._publish([f"$SYS.REQ.SERVER.{server_id}.RELOAD" for server_id in server_ids]))

    def streams_of(self, account: str) -> int | None:
        """How many streams the account keeps on all servers; None when nobody could tell."""
        if not self.connected:
            return None
        body = json.dumps({"account": account, "streams": True}).encode()
        answers = self._runner.run(self._gather("$SYS.REQ.SERVER.PING.JSZ", body, 0))
        if not answers:
            return None
        details = [
            detail
            for answer in answers
            for detail in (answer.get("data") or {}).get("account_details") or []
            if detail.get("name") == account
        ]
        return sum(len(detail.get("stream_detail") or ()) for detail in details)

    def jetstream(self, ask: dict[str, Any], server_ids: Collection[str] = ()) -> dict[str, dict[str, Any]]:
        """{id: JSZ's words} of those servers, or of all that answer. {} when nobody can be asked."""
        if not self.connected:
            return {}
        if server_ids:
            answers = self._runner.run(self._ask_each("JSZ", ask, server_ids))
        else:
            answers = self._runner.run(self._gather("$SYS.REQ.SERVER.PING.JSZ", json.dumps(ask).encode(), 0))
        return {answer["server"]["id"]: answer["data"] for answer in answers if answer.get("data")}

    def purge_account(self, account: str) -> bool:
        """Have the servers delete all that an account keeps in JetStream, whether they still know the account or not;
        True when one has begun to. Nothing can bring it back. Raises Unreachable."""
        answer = self._runner.run(self._ask(f"$JS.API.ACCOUNT.PURGE.{account}", {}))
        return bool(answer.get("initiated"))

    def connection(self, server_id: str, cid: int) -> dict[str, Any] | None:
        """What a server says of one of its clients now: CONNZ's words, with `server` (its name) and `now` (its clock).

        None when it has no such client, or there is no such server. Raises Unreachable when nobody answers.
        """
        ask = {"cid": cid, "auth": True, "subscriptions": True}
        answer = self._runner.run(self._ask(f"$SYS.REQ.SERVER.{server_id}.CONNZ", ask))
        data = answer.get("data") or {}
        found = data.get("connections")
        return {**found[0], "server": answer["server"]["name"], "now": data.get("now", "")} if found else None

    def kick(self, server_id: str, cid: int) -> bool:
        """Close the connection of a client; False when the server has no such client. Raises Unreachable."""
        answer = self._runner.run(self._ask(f"$SYS.REQ.SERVER.{server_id}.KICK", {"cid": cid}))
        return bool(answer) and not answer.get("error")

    def _connected(self) -> Client:
        if self._client is None:
            raise Unreachable(self.problem or "Not connected.")
        return self._client

    async def _gather(self, subject: str, body: bytes, expected: int | Collection[str]) -> list[dict[str, Any]]:
        client = self._connected()
        answers: list[dict[str, Any]] = []

        def complete() -> bool:
            if isinstance(expected, int):
                return len(answers) >= expected
            return {(answer.get("server") or {}).get("name") for answer in answers}.issuperset(expected)

        try:
            inbox = client.new_inbox()
            subscription = await client.subscribe(inbox)
            await client.publish(subject, body, reply=inbox)
            wait = settings.NATS_REQUEST_TIMEOUT
            while not expected or not complete():
                message = await subscription.next_msg(timeout=wait)
                answers.append(json.loads(message.data))
                if not expected:
                    wait = 0.3
            await subscription.unsubscribe()
        except (TimeoutError, nats.errors.Error, ValueError):
            pass  # whoever did not answer by now is not among the answers
        return answers

    async def _ask_each(self, what: str, ask: dict[str, Any], server_ids: Collection[str]) -> list[dict[str, Any]]:
        """The answers of those of these servers that answer."""
        answers = await asyncio.gather(
            *(self._ask(f"$SYS.REQ.SERVER.{server_id}.{what}", ask) for server_id in server_ids),
            return_exceptions=True,
        )
        return [answer for answer in answers if isinstance(answer, dict)]

    async def _ask(self, subject: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer of one server, {} when there is no such server. Raises Unreachable."""
        try:
            message = await self._connected().request(
                subject, json.dumps(body).encode(), timeout=settings.NATS_REQUEST_TIMEOUT
            )
            answer: dict[str, Any] = json.loads(message.data)
        except nats.errors.NoRespondersError:
            return {}
        except (TimeoutError, nats.errors.Error, OSError, ValueError) as lost:
            raise Unreachable(f"A server does not answer ({type(lost).__name__}).") from lost
        return answer

    async def _publish(self, subjects: list[str]) -> None:
        try:
            for subject in subjects:
                await self._connected().publish(subject, b"", reply=self._connected().new_inbox())
            await self._connected().flush(settings.NATS_REQUEST_TIMEOUT)
        except (TimeoutError, nats.errors.Error, OSError):
            pass  # they may have dropped it already; whether they have is asked next

    async def _reload(self, server_ids: list[str]) -> dict[str, str]:
        answers = await asyncio.gather(*(self._reload_one(server_id) for server_id in server_ids))
        return dict(zip(server_ids, answers, strict=True))

    async def _reload_one(self, server_id: str) -> str:
        try:
            message = await self._connected().request(
                f"$SYS.REQ.SERVER.{server_id}.RELOAD", b"", timeout=settings.NATS_RELOAD_TIMEOUT
            )
            error = json.loads(message.data).get("error")
        except (TimeoutError, nats.errors.Error, OSError, ValueError) as lost:
            raise Unreachable(
                f"A server stopped answering while it was asked to reload ({type(lost).__name__})."
            ) from lost
        return str(error.get("description", "refused")).strip() if error else ""


def signal_reload(pid_file: Path) -> None:
    """SIGHUP to the local server: for when nunect's own users are gone from the running conf.

    Raises Unreachable when there is no such process.
    """
    try:
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/comm")
        if command.exists() and "nats-server" not in command.read_text():
            raise ProcessLookupError
        os.kill(pid, signal.SIGHUP)
    except (OSError, ValueError) as error:
        raise Unreachable(f"There is no local nats-server to signal (by {pid_file}).") from error


def wait_until(fleet: Fleet, sha256: str, timeout_s: float) -> None:
    """After a signal: connect again until every server shows `sha256`. Raises Unreachable."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        fleet.connect()
        seen = fleet.see()
        if seen and all(one.sha256 == sha256 for one in seen):
            return
        time.sleep(0.05)
    raise Unreachable(fleet.problem or "The server was signalled and does not run the new configuration.")


def refusal(words: dict[str, str], seen: Iterable[Seen]) -> Refused:
    """The refusals of some servers as one error."""
    names = {one.server_id: one.name for one in seen}
    refused = {names.get(server_id, server_id): text for server_id, text in words.items() if text}
    told = "; ".join(f"{name}: {text}" for name, text in sorted(refused.items()))
    return Refused(f"Refused by {', '.join(sorted(refused))}.", told[:2000])
