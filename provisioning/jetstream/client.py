"""JetStream of a system's accounts for synchronous code."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client

from accounts_app.models import System
from accounts_app.natsconf.control import JETSTREAM_INBOX
from provisioning.errors import ProvisioningError, Unreachable
from provisioning.jetstream.api import TIMEOUT_S, Api
from provisioning.signin import login_of, no_way_in, sign_in_somewhere

T = TypeVar("T")


class JetStream:
    """The API of all accounts that show it, asked as nunect's JetStream user. A context manager.

    Entering raises Unreachable when nobody can sign in. Methods raise as those of `Api` do.
    """

    def __init__(self, system: System, timeout_s: float = TIMEOUT_S) -> None:
        self._system, self._timeout_s = system, timeout_s
        self._runner = asyncio.Runner()
        self._client: Client | None = None

    def __enter__(self) -> JetStream:
        system = self._system
        nkey, seed = system.jetstream_nkey, system.jetstream_seed
        login = login_of(system, nkey, seed, "nunect jetstream", JETSTREAM_INBOX, given=False)
        self._runner.__enter__()
        try:
            self._client = self._runner.run(sign_in_somewhere(login))
        except (nats.errors.Error, OSError, TimeoutError) as error:
            self._runner.__exit__(None, None, None)
            raise Unreachable(no_way_in(system.url, error)[0]) from error
        self.api = Api(self._client, self._timeout_s)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            with suppress(Exception):  # the answers are in hand; how the socket ends doesn't matter
                self._runner.run(_close(self._client))
        self._runner.__exit__(kind, error, trace)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine of `api` gives."""
        return self._runner.run(work)

    def ask(self, account: str, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.run(self.api.ask(account, subject, body))

    def account_info(self, account: str) -> dict[str, Any]:
        return self.run(self.api.account_info(account))

    def stream(self, account: str, stream: str) -> dict[str, Any] | None:
        return self.run(self.api.stream(account, stream))

    def consumer(self, account: str, stream: str, consumer: str) -> dict[str, Any] | None:
        return self.run(self.api.consumer(account, stream, consumer))

    def found(self, paths: Sequence[tuple[str, ...]]) -> list[dict[str, Any] | ProvisioningError | None]:
        """Streams by (account, stream) and consumers by (account, stream, consumer), all asked for at once: as the
        server describes each, None for one that isn't there, the error of one that can't be told."""

        async def one(path: tuple[str, ...]) -> dict[str, Any] | ProvisioningError | None:
            try:
                return await (self.api.stream(*path) if len(path) == 2 else self.api.consumer(*path))
            except ProvisioningError as error:
                return error

        async def each() -> list[dict[str, Any] | ProvisioningError | None]:
            return await asyncio.gather(*map(one, paths))

        return self.run(each())

    def streams(self, account: str) -> list[dict[str, Any]]:
        return self.run(self.api.streams(account))

    def consumers(self, account: str, stream: str) -> list[dict[str, Any]]:
        return self.run(self.api.consumers(account, stream))

    def create_stream(self, account: str, config: dict[str, Any]) -> dict[str, Any]:
        return self.run(self.api.create_stream(account, config))

    def update_stream(self, account: str, config: dict[str, Any]) -> dict[str, Any]:
        return self.run(self.api.update_stream(account, config))

    def delete_stream(self, account: str, stream: str) -> bool:
        return self.run(self.api.delete_stream(account, stream))

    def create_consumer(self, account: str, stream: str, config: dict[str, Any]) -> dict[str, Any]:
        return self.run(self.api.create_consumer(account, stream, config))

    def update_consumer(self, account: str, stream: str, config: dict[str, Any]) -> dict[str, Any]:
        return self.run(self.api.update_consumer(account, stream, config))

    def delete_consumer(self, account: str, stream: str, consumer: str) -> bool:
        return self.run(self.api.delete_consumer(account, stream, consumer))

    def pause_consumer(self, account: str, stream: str, consumer: str, until: str | None) -> dict[str, Any]:
        return self.run(self.api.pause_consumer(account, stream, consumer, until))


async def _close(client: Client) -> None:
    async with asyncio.timeout(1):
        await client.close()
