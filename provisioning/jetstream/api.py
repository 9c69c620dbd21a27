"""JetStream's API of the accounts of a system, as nunect's control account sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import nats.errors
from nats.aio.client import Client

from accounts_app.natsconf.control import API_PREFIX
from provisioning.jetstream.errors import UNKNOWN, JetStreamError, NoAnswer, NotShown

TIMEOUT_S = 5.0  # seconds; what a slower cluster has done meanwhile, the next look tells


class Api:
    """Requests over one connection, any number at a time.

    Each raises JetStreamError for a refusal, NotShown when the account doesn't let nunect see its JetStream, NoAnswer
    when nobody answers within timeout_s.
    """

    def __init__(self, client: Client, timeout_s: float = TIMEOUT_S) -> None:
        self._client, self.timeout_s = client, timeout_s

    def prefix(self, account: str) -> str:
        """What stands before the subjects of an account's API."""
        return f"{API_PREFIX}.{account}"

    async def ask(self, account: str, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the account's API answers. subject: as it stands in the documentation after `$JS.API.`."""
        payload = json.dumps(body).encode() if body is not None else b""
        try:
            message = await self._client.request(f"{self.prefix(account)}.{subject}", payload, timeout=self.timeout_s)
            answer: dict[str, Any] = json.loads(message.data)
        except nats.errors.NoRespondersError as nobody:
            raise NotShown(f"Account {account} does not show its JetStream to nunect.") from nobody
        except (TimeoutError, nats.errors.Error, OSError, ValueError) as lost:
            raise NoAnswer(f"JetStream of account {account} does not answer ({type(lost).__name__}).") from lost
        error = answer.get("error")
        if error:
            raise JetStreamError(
                int(error.get("code", 0)), int(error.get("err_code", 0)), str(error.get("description", "refused"))
            )
        return answer

    # --- looking ------------------------------------------------------------

    async def account_info(self, account: str) -> dict[str, Any]:
        """What the account uses and may use."""
        return await self.ask(account, "INFO")

    async def stream(self, account: str, stream: str) -> dict[str, Any] | None:
        """One stream as the server describes it (config, state, cluster), None when there is none."""
        return await self._found(account, f"STREAM.INFO.{stream}")

    async def consumer(self, account: str, stream: str, consumer: str) -> dict[str, Any] | None:
        """One consumer, None when there is none, or no such stream."""
        return await self._found(account, f"CONSUMER.INFO.{stream}.{consumer}")

    async def streams(self, account: str) -> list[dict[str, Any]]:
        """Every stream of an account that its servers can describe now."""
        return [each async for each in self._pages(account, "STREAM.LIST", "streams")]

    async def consumers(self, account: str, stream: str) -> list[dict[str, Any]]:
        """Every consumer of a stream, those that come and go among them."""
        return [each async for each in self._pages(account, f"CONSUMER.LIST.{stream}", "consumers")]

    async def stream_names(self, account: str) -> list[str]:
        """The names of all streams, those whose servers are away among them."""
        return [each async for each in self._pages(account, "STREAM.NAMES", "streams")]

    # --- doing --------------------------------------------------------------

    async def create_stream(self, account: str, config: dict[str, Any]) -> dict[str, Any]:
        return await self.ask(account, f"STREAM.CREATE.{config['name']}", config)

    async def update_stream(self, account: str, config: dict[str, Any]) -> dict[str, Any]:
        return await self.ask(account, f"STREAM.UPDATE.{config['name']}", config)

    async def delete_stream(self, account: str, stream: str) -> bool:
        """Delete it with its data; False when there was none."""
        return await self._found(account, f"STREAM.DELETE.{stream}") is not None

    async def create_consumer(self, account: str, stream: str, config: dict[str, Any]) -> dict[str, Any]:
        return await self._consumer(account, stream, config, "create")

    async def update_consumer(self, account: str, stream: str, config: dict[str, Any]) -> dict[str, Any]:
        return await self._consumer(account, stream, config, "update")

    async def delete_consumer(self, account: str, stream: str, consumer: str) -> bool:
        """Delete it; False when there was none."""
        return await self._found(account, f"CONSUMER.DELETE.{stream}.{consumer}") is not None

    async def pause_consumer(self, account: str, stream: str, consumer: str, until: str | None) -> dict[str, Any]:
        """Let it deliver nothing until then (RFC 3339), or go on: None."""
        body = {"pause_until": until} if until else {}
        return await self.ask(account, f"CONSUMER.PAUSE.{stream}.{consumer}", body)

    # ------------------------------------------------------------------------

    async def _consumer(self, account: str, stream: str, config: dict[str, Any], action: str) -> dict[str, Any]:
        name = config.get("durable_name") or config["name"]
        body = {"stream_name": stream, "config": {"name": name, **config}, "action": action}
        return await self.ask(account, f"CONSUMER.CREATE.{stream}.{name}", body)

    async def _found(self, account: str, subject: str) -> dict[str, Any] | None:
        try:
            return await self.ask(account, subject)
        except JetStreamError as error:
            if error.err_code in UNKNOWN:
                return None
            raise

    async def _pages(self, account: str, subject: str, key: str) -> AsyncIterator[Any]:
        offset = 0
        while True:
            answer = await self.ask(account, subject, {"offset": offset})
            page = answer.get(key) or []
            for each in page:
                yield each
            offset += len(page)
            if not page or offset >= int(answer.get("total", 0)):
                return
