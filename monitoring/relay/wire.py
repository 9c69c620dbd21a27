"""One connection to the servers, kept for ever: replaced when it is closed for good."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
import uuid
from collections.abc import Callable, Sequence

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from provisioning.signin import Login, no_way_in, sign_in

logger = logging.getLogger(__name__)
PAUSES_S = (0.1, 0.3, 1.0, 2.0)  # between tries, the last for ever
REFUSED_S = 60.0  # the longest, where a server doesn't know nunect: each try is an error in its log
PING_S = 3


class Wire:
    """Signs in, subscribes, and does so again whenever it is thrown out. Callbacks must not block.

    heard: when anything came last, by the monotonic clock; problem: why there is no connection, "" with one.
    """

    def __init__(
        self,
        login: Callable[[], Login | None],
        subjects: Sequence[str],
        on_message: Callable[[str, bytes], None],
        on_reply: Callable[[str, bytes], None] | None = None,
    ) -> None:
        """login: asked at each try, None when nobody can sign in yet; on_reply: gets the label of `ask`."""
        self._login, self._subjects = login, subjects
        self._on_message, self._on_reply = on_message, on_reply
        self._client: Client | None = None
        self._inbox = ""
        self._closed, self._again = asyncio.Event(), asyncio.Event()
        self._refusals = 0
        self.heard = 0.0
        self.problem = "Not connected yet."

    @property
    def connected(self) -> bool:
        return self._client is not None and self._client.is_connected

    async def run(self) -> None:
        """Until cancelled."""
        pauses = itertools.chain(PAUSES_S, itertools.repeat(PAUSES_S[-1]))
        try:
            for turn in itertools.count():
                login = self._login()
                if login is not None and await self._connect(login, turn):
                    pauses = itertools.chain(PAUSES_S, itertools.repeat(PAUSES_S[-1]))
                    await self._closed.wait()
                    self.problem = "The connection was closed."
                await self.close()
                await self._pause(next(pauses))
        finally:
            await self.close()

    def try_again(self) -> None:
        """Something is new, by which a server that has refused may let nunect in."""
        self._refusals = 0
        self._again.set()

    async def _pause(self, seconds: float) -> None:
        self._again.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, min(REFUSED_S, 2.0**self._refusals) if self._refusals else 0)):
                await self._again.wait()

    async def close(self) -> None:
        """End the connection there is; `run` makes a new one."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):  # how an old socket ends doesn't matter
                await asyncio.wait_for(client.close(), 1)

    async def ask(self, subject: str, body: bytes, label: str) -> None:
        """Send a request; each answer comes to `on_reply` with its label."""
        client = self._client
        if client is not None and client.is_connected:
            with contextlib.suppress(nats.errors.Error, OSError):  # it is about to be replaced
                await client.publish(subject, body, reply=f"{self._inbox}.{label}")

    async def _connect(self, login: Login, turn: int) -> bool:
        """Try the next of the servers."""
        url = login.urls[turn % len(login.urls)]
        self._closed = closed = asyncio.Event()
        client = None

        async def on_closed() -> None:
            closed.set()

        async def on_message(message: Msg) -> None:
            self.heard = time.monotonic()
            self._on_message(message.subject, message.data)

        async def on_reply(message: Msg) -> None:
            self.heard = time.monotonic()
            if self._on_reply is not None:
                self._on_reply(message.subject[len(self._inbox) + 1 :], message.data)

        try:
            client = await sign_in(url, login, closed=on_closed, ping_interval=PING_S, max_outstanding_pings=2)
            self._inbox = f"{login.inbox}.{uuid.uuid4().hex[:12]}"
            for subject in self._subjects:
                await client.subscribe(subject, cb=on_message, pending_msgs_limit=2_000_000)
            if self._on_reply is not None:
                await client.subscribe(f"{self._inbox}.>", cb=on_reply)
            await client.flush(timeout=2)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            problem, refused = no_way_in(url, error)
            self._refusals += refused
            if problem != self.problem:
                logger.warning("not connected", extra={"as": login.name, "problem": problem})
            self.problem = problem
            if client is not None:
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(client.close(), 1)
            return False
        self._client, self.problem, self._refusals = client, "", 0
        self.heard = time.monotonic()
        logger.info("connected", extra={"as": login.name, "url": url})
        return True
