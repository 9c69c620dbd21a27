"""The clients of the pictures' story: they publish, subscribe, lag behind and are refused, until they are ended.

`python scripts/traffic.py` reads {"url": …, "secrets": {user: password, or [nkey, seed]}} from its input, so that no
secret stands in a list of processes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import contextvars
import json
import math
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig

TICK_S = 0.1
INBOX = ("publish $JS.API.>", "publish $JS.ACK.>", "subscribe _INBOX.>")


@dataclass(frozen=True, slots=True)
class App:
    """rate: messages a second of each copy, in the middle; pulls: (stream, consumer, messages a second)."""

    account: str
    name: str
    copies: int = 1
    publishes: tuple[str, ...] = ()
    rate: float = 0.0
    size: int = 300
    hears: tuple[str, ...] = ()
    queue: str = ""
    pulls: tuple[str, str, float] | None = None
    stays_s: float = 0.0  # and then it comes again; 0 for ever

    @property
    def rules(self) -> list[str]:
        """As tests/factories.py takes them."""
        heard = [f"subscribe {subject} {self.queue}".strip() for subject in self.hears]
        return [f"publish {subject}" for subject in self.publishes] + heard + list(INBOX if self.pulls else ())


CHECKOUT = App("ORDERS", "orders-checkout", 1, ("orders.created",), 22, 900, ("orders.events.>",), "checkout")
CAST = (
    App("ORDERS", "orders-api", 3, ("orders.paid", "orders.events.placed"), 14, 700, ("orders.lookup",), "lookup"),
    App("ORDERS", "orders-worker", 4, ("orders.events.packed",), 3, 400, ("orders.*",), "workers"),
    App("ORDERS", "orders-fulfilment", 2, pulls=("ORDERS", "fulfilment", 60)),
    App("ORDERS", "orders-invoicing", 1, pulls=("ORDERS", "invoicing", 25)),
    App("BILLING", "billing-api", 2, ("billing.invoiced", "billing.events.paid"), 9, 1200, ("billing.lookup",), "api"),
    App("BILLING", "billing-printer", 2, hears=("billing.invoiced", "partners.orders.events.>")),
    App("TELEMETRY", "telemetry-collector", 4, ("telemetry.readings.cpu", "telemetry.readings.disk"), 26, 180),
    App("TELEMETRY", "telemetry-rollup", 2, pulls=("READINGS", "rollup", 90)),
    App("TELEMETRY", "telemetry-alerts", 3, hears=("telemetry.readings.>",)),
    App("FLEET", "fleet-gateway", 3, ("fleet.position.north", "fleet.position.south"), 20, 240),
    App("FLEET", "fleet-map", 8, hears=("fleet.position.>",), stays_s=70),
    App("CHECKOUT", "checkout-web", 3, ("checkout.cart.updated",), 8, 500, pulls=("CARTS", "recovery", 5)),
    App("IDENTITY", "identity-api", 2, ("identity.events.login",), 5, 350, ("identity.lookup",), "api"),
    App("IDENTITY", "identity-sessions", 4, hears=("identity.events.>",), stays_s=110),
    App("SEARCH", "search-indexer", 2, ("search.indexed",), 6, 600, pulls=("CATALOG", "indexer", 30)),
    App("LEDGER", "ledger-sync", 1, ("ledger.booked",), 7, 420),
    App("LEDGER", "ledger-audit", 1, hears=("ledger.>",)),
    App("NOTIFY", "notify-api", 1, ("notify.mail.queued",), 12, 800),
    App("NOTIFY", "notify-mailer", 2, pulls=("OUTBOX", "mailer", 7)),
    App("REPORTS", "reports-nightly", 1, ("reports.done",), 2, 1500, stays_s=25),
)
STREAMS = {  # {name: (who makes it, its subjects, most bytes, consumers that nobody reads)}
    "ORDERS": ("orders-fulfilment", "orders.>", 64, ("analytics",)),
    "READINGS": ("telemetry-rollup", "telemetry.readings.>", 32, ()),
    "CARTS": ("checkout-web", "checkout.cart.*", 16, ()),
    "CATALOG": ("search-indexer", "search.indexed", 48, ()),
    "OUTBOX": ("notify-mailer", "notify.mail.*", 8, ()),
}
# (account, user, fields of its row, name of the app, from where, seconds between two tries); account "": no row
STRANGERS: tuple[tuple[str, str, dict[str, Any], str, str, float], ...] = (
    ("BILLING", "billing-export", {"credential": "password"}, "billing-export", "127.20.4.18", 9),
    ("FLEET", "fleet-tablet-07", {"credential": "password", "enabled": False}, "fleet-driver", "127.31.0.7", 16),
    ("SEARCH", "search-batch", {}, "search-batch", "127.20.6.40", 41),
    ("", "legacy-importer", {}, "legacy-importer", "127.44.9.3", 23),
    ("", "", {}, "healthcheck", "127.20.1.250", 30),
)
FORMER = ("checkout-canary", "127.20.2.77", 27.0)  # it still has the nkey from before the rotation

chance = random.Random(4222)  # noqa: S311  nothing secret
source = contextvars.ContextVar("source", default="127.0.0.1")


class Loop(asyncio.SelectorEventLoop):
    """Lets each client come from an address of its own, as in a network."""

    async def create_connection(self, *given: Any, **more: Any) -> Any:
        return await super().create_connection(*given, local_addr=(source.get(), 0), **more)


async def _ignore(*_: object) -> None:
    pass


async def signed_in(url: str, app: str, address: str, user: str, secret: str | list[str]) -> Client:
    """A client, or nats.errors.Error when it is refused."""
    from accounts_app import credentials

    client = Client()
    how: dict[str, Any] = {}
    if isinstance(secret, list):
        nkey, seed = secret
        client._public_nkey = nkey  # nats-py's own way in needs the sdist `nkeys`
        how["signature_cb"] = lambda nonce: base64.b64encode(credentials.sign(seed, nonce.encode()))
    elif user:
        how |= {"user": user, "password": secret}
    source.set(address)
    await client.connect([url], name=app, allow_reconnect=False, error_cb=_ignore, **how)
    return client


async def stranger(url: str, app: str, address: str, user: str, secret: str | list[str], every_s: float) -> None:
    await asyncio.sleep(chance.uniform(2, every_s))
    while True:
        with contextlib.suppress(nats.errors.Error, OSError):
            await signed_in(url, app, address, user, secret)
        await asyncio.sleep(every_s * chance.uniform(0.8, 1.2))


async def play(url: str, app: App, number: int, address: str, secret: str | list[str], ready: asyncio.Event) -> None:
    """One copy of an app, for ever."""
    await ready.wait()
    name = f"{app.name}-{number}" if app.copies > 1 else app.name
    await asyncio.sleep(chance.uniform(0, 4))
    while True:
        client = await signed_in(url, name, address, app.name, secret)
        for subject in app.hears:
            await client.subscribe(subject, queue=app.queue, cb=_ignore)
        acts = [publish(client, app, number)] if app.publishes else []
        if app.pulls:
            acts.append(pull(client, *app.pulls))
        acts.append(asyncio.sleep(app.stays_s * chance.uniform(0.5, 1.5) or 86_400))
        tasks = [asyncio.ensure_future(act) for act in acts]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await client.close()
        await asyncio.sleep(app.stays_s / 3 or 1)


async def publish(client: Client, app: App, number: int) -> None:
    clock, owed, sent = asyncio.get_running_loop().time, 0.0, 0
    phase = sum(app.account.encode()) % 6
    while True:
        tide = 1 + 0.45 * math.sin(clock() / 23 + phase) + 0.2 * math.sin(clock() / 5.3 + phase * 2)
        owed += app.rate * tide * chance.uniform(0.8, 1.2) * TICK_S
        for _ in range(int(owed)):
            sent += 1
            subject = app.publishes[(sent + number) % len(app.publishes)]
            await client.publish(subject, os.urandom(int(app.size * chance.uniform(0.5, 1.5))))
        owed -= int(owed)
        await asyncio.sleep(TICK_S)


async def pull(client: Client, stream: str, consumer: str, rate: float) -> None:
    """Take messages at a pace of its own; one in forty is forgotten and comes again."""
    waiting = await client.jetstream().pull_subscribe("", consumer, stream)
    while True:
        with contextlib.suppress(nats.errors.TimeoutError):
            for message in await waiting.fetch(max(1, int(rate / 2)), timeout=3):
                if chance.random() > 1 / 40:
                    await message.ack()
        await asyncio.sleep(0.5)


async def furnish(url: str, secrets: dict[str, str | list[str]]) -> None:
    """The streams, with messages from before, and their consumers."""
    pulled = {app.pulls[:2] for app in CAST if app.pulls}
    for name, (user, subjects, most, unread) in STREAMS.items():
        client = await signed_in(url, "nats-cli", "127.0.0.1", user, secrets[user])
        streams = client.jetstream()
        limits = RetentionPolicy.LIMITS
        await streams.add_stream(StreamConfig(name, None, [subjects], limits, max_bytes=most * 1024**2))
        for consumer in [*unread, *sorted(one for of, one in pulled if of == name)]:
            await streams.add_consumer(name, ConsumerConfig(durable_name=consumer, ack_wait=20, max_ack_pending=400))
        await client.close()


async def main() -> None:
    told = json.load(sys.stdin)
    url, secrets, ready = told["url"], told["secrets"], asyncio.Event()
    hosts: Iterator[str] = (f"127.20.{at // 12}.{at % 12 * 7 + 11}" for at in range(10_000))
    plays = [
        play(url, app, number + 1, next(hosts), secrets[app.name], ready)
        for app in (CHECKOUT, *CAST)
        for number in range(app.copies)
    ]
    plays += [stranger(url, app, at, user, "wrong", every) for _, user, _, app, at, every in STRANGERS]
    app, address, every_s = FORMER
    plays.append(stranger(url, app, address, "", secrets["former"], every_s))
    everybody = asyncio.gather(*plays)
    await furnish(url, secrets)
    ready.set()
    await everybody


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
