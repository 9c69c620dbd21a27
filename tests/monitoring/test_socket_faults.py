"""Redis that goes and comes, a client that reads nothing, a server that is stopped."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from monitoring.hub.line import REDIS_S
from monitoring.hub.socket import ACK_S
from tests import factories
from tests.monitoring.conftest import Relay, session_of
from tests.monitoring.ws_client import Valkey, Web


@pytest.fixture
def alone(tmp_path, settings, transactional_db):
    """(web process, its Valkey): of this test alone, to be broken."""
    factories.system()
    valkey = Valkey(tmp_path / "v")
    valkey.start()
    settings.REDIS_URL, settings.LIVE_PREFIX = valkey.url, f"nunect:test:{os.getpid()}:alone"
    web = Web(tmp_path / "w", valkey.url, settings.LIVE_PREFIX, REDIS_S)
    yield web, valkey
    web.stop()
    valkey.stop()


async def test_redis_may_go_and_come_and_the_server_says_good_bye(alone, transactional_db):
    web, valkey = alone
    client = await web.open(await asyncio.to_thread(_session))
    relay = await asyncio.to_thread(_relay, valkey)
    client.watch("overview")
    await client.of("state", live=True)
    relay.put(n=1)
    await client.of("snapshot")
    client.ack(1)

    valkey.stop()
    state = await client.of("state", live=False)
    assert "Redis" in state["detail"]
    other = await web.open(await asyncio.to_thread(_session))  # whoever comes now is let in, and told
    assert (await other.of("state"))["live"] is False

    valkey.start()
    relay = await asyncio.to_thread(_relay, valkey)
    relay.seq = 1
    relay.put(n=2)
    seen = []
    while not (any(frame.get("live") for frame in seen) and any(frame["type"] == "snapshot" for frame in seen)):
        seen.append(await client.frame())
        if seen[-1]["type"] == "snapshot":
            client.ack(seen[-1]["seq"])
    relay.put(n=3)
    assert (await client.of("snapshot"))["data"] == {"n": 3}
    assert [frame["data"]["n"] for frame in seen if frame["type"] == "snapshot"] == [2]

    web.process.terminate()
    code, last = await client.until_closed()
    assert code == 4012, (last, web.log())
    assert "Traceback" not in web.log()


def _session():
    from django.db import connection

    try:
        return session_of(factories.admin())
    finally:
        connection.close()


def _relay(valkey):
    from django.db import connection

    try:
        return Relay(factories.system(), url=valkey.url)
    finally:
        connection.close()


async def test_who_reads_nothing_is_passed_over_and_then_gets_the_newest(web, relay, session):
    slow, fast = await web.open(session), await web.open(session)
    for client in (slow, fast):
        client.watch("overview")
        await client.understood()
    sent = 0

    async def send():
        nonlocal sent
        sent += 1
        relay.put(n=sent)
        frame = await fast.of("snapshot")
        assert frame["data"]["n"] == sent
        fast.ack(frame["seq"])

    await send()
    over = time.monotonic() + ACK_S + 0.3
    while time.monotonic() < over:
        await send()
        await asyncio.sleep(0.1)
    await send()  # certainly too late for who has acknowledged nothing
    late = [frame["data"]["n"] for frame in await slow.rest(1.0) if frame["type"] == "snapshot"]
    assert late == list(range(1, len(late) + 1)) and 1 <= len(late) < sent
    slow.ack(len(late))
    assert (await slow.of("snapshot"))["data"]["n"] == sent


async def test_large_frames_arrive_whole_and_in_order_at_who_reads_late(web, relay, session):
    client = await web.open(session, limit=4096)
    client.watch("overview", "events", "tables", "changes")
    await client.of("state")
    large = [relay.put(topic, text="\N{SNOWMAN}" * 100_000) for topic in ("overview", "events", "tables")]
    small = relay.put("changes", n=1)
    client.say("no JSON")
    await asyncio.sleep(0.5)
    seen = [await client.next() for _ in range(5)]
    assert [frame for frame in seen if b'"error"' not in frame[:20]] == [*large, small]
