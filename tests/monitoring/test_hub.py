"""From Redis to sockets: the same message for all, latest wins, and whoever is slow keeps nobody else waiting."""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace

import pytest

from monitoring import store
from monitoring.frames import Wrong
from monitoring.hub import Hub, Socket
from monitoring.hub import socket as slot
from tests.monitoring.conftest import Relay, until


class Sink:
    """What a server's `send` was given."""

    def __init__(self):
        self.messages = []

    async def __call__(self, message):
        self.messages.append(message)

    @property
    def frames(self):
        return [json.loads(message["text"]) for message in self.messages]

    def numbers(self):
        return [frame["data"].get("n") for frame in self.frames if frame["type"] == "snapshot"]


class Slow(Sink):
    """Like a server that waits until the other end has read."""

    def __init__(self):
        super().__init__()
        self.gate = asyncio.Event()

    async def __call__(self, message):
        await self.gate.wait()
        self.messages.append(message)


@pytest.fixture
async def hub(valkey, monkeypatch):
    for part in ("hub", "line", "pulses", "subscription"):
        monkeypatch.setattr(f"monitoring.hub.{part}.REDIS_S", 20.0)  # a busy machine is no Redis that is gone
    monkeypatch.setattr("monitoring.hub.pulses.PULSE_S", 0.1)
    made = Hub()
    made.start()
    await until(lambda: made._line.subscribed)
    yield made
    await made.stop()


@pytest.fixture
def source(valkey):
    return Relay(SimpleNamespace(pk=7, name="default"))


async def watcher(hub, *topics, sink=None, instant=True):
    sink = sink or Sink()
    socket = Socket(sink, instant=instant)
    await hub.add(socket, 7, "default")
    hub.watch(socket, topics)
    return socket, sink


async def test_all_get_the_same_object_and_no_copy(hub, source):
    sockets = [await watcher(hub, "overview") for _ in range(50)]
    source.put(n=1)
    await until(lambda: all(sink.messages for _, sink in sockets))
    assert len({id(sink.messages[0]) for _, sink in sockets}) == 1


async def test_nothing_comes_for_a_topic_that_nobody_watches(hub, source):
    _, sink = await watcher(hub, "events")
    source.put("overview", n=1)
    source.put("events", n=2)
    await until(lambda: sink.messages)
    assert sink.numbers() == [2]
    assert set(hub.rooms[7].last) == {"events"}


async def test_a_later_watcher_gets_what_the_earlier_ones_have_seen(hub, source):
    _, first = await watcher(hub, "overview")
    source.put(n=1)
    await until(lambda: first.messages)
    _, second = await watcher(hub, "overview")
    assert second.messages == first.messages  # at once, without asking Redis


async def test_who_acknowledges_nothing_is_sent_nothing_more_and_then_the_newest(hub, source, monkeypatch):
    monkeypatch.setattr(slot, "ACK_S", 600.0)
    socket, sink = await watcher(hub, "overview", "events")
    healthy, other = await watcher(hub, "overview")
    for number in range(10):
        source.put("overview", n=number)
        source.put("events", n=100 + number)
        await until(lambda: (last := hub.rooms[7].last.get("events")) and last.seq == source.seq)
        healthy.ack(source.seq - 1, time.monotonic())
        if number == 2:
            monkeypatch.setattr(slot, "ACK_S", 0.0)  # the time is over
    stopped = sink.numbers()
    assert stopped == [0, 100, 1, 101, 2, 102] and other.numbers() == list(range(10))
    socket.ack(2, time.monotonic())  # old frames are still on their way: these are 2 only
    assert sink.numbers() == stopped
    socket.ack(len(stopped), time.monotonic())
    assert sink.numbers() == [*stopped, 9, 109]


async def test_bytes_on_their_way_to_one_socket_are_bounded(hub, source):
    socket, sink = await watcher(hub, "overview")
    for number in range(4):
        source.put(n=number, more="x" * 400_000)
    await until(lambda: 3 in [json.loads(f.message["text"])["data"]["n"] for f in socket.waiting.values()])
    assert sink.numbers() == [0, 1] and socket.in_flight < slot.MOST_IN_FLIGHT
    socket.ack(2, time.monotonic())
    assert sink.numbers() == [0, 1, 3] and not socket.waiting


async def test_one_frame_always_goes_whatever_its_size(hub, source):
    socket, sink = await watcher(hub, "overview")
    source.put(n=1, more="x" * 2_000_000)
    await until(lambda: sink.messages)
    source.put(n=2)
    await until(lambda: socket.waiting)
    socket.ack(1, time.monotonic())
    assert sink.numbers() == [1, 2]


async def test_a_server_that_waits_holds_up_its_own_socket_alone(hub, source):
    slow, sink = await watcher(hub, "overview", sink=Slow(), instant=False)
    _, other = await watcher(hub, "overview")
    for number in range(5):
        source.put(n=number)
    await until(lambda: 4 in other.numbers())
    sink.gate.set()
    await until(lambda: len(sink.messages) == 2)
    assert sink.numbers() == [0, 4] and not slow.waiting


async def test_who_is_silent_for_a_minute_is_closed(hub, source, monkeypatch):
    monkeypatch.setattr(slot, "CLOSE_S", 0.3)
    socket, sink = await watcher(hub, "overview")
    idle, _ = await watcher(hub, "events")
    source.put(n=1)
    await until(lambda: socket.code)
    assert socket.code == 4408 and idle.code is None and len(sink.messages) == 1


async def test_an_ack_of_what_was_never_sent_is_wrong(hub, source):
    socket, sink = await watcher(hub, "overview")
    source.put()
    await until(lambda: sink.messages)
    with pytest.raises(Wrong):
        socket.ack(2, time.monotonic())
    socket.ack(1, time.monotonic())
    assert (socket.in_flight, socket.since) == (0, 0.0)


async def test_a_relay_that_begins_anew_is_followed(hub, source):
    socket, sink = await watcher(hub, "overview")
    source.seq = 5000
    source.put(n=1)
    again = Relay(source.system, epoch="next")
    again.put(n=2)
    await until(lambda: len(sink.messages) == 2)
    assert socket.since
    socket.ack(1, time.monotonic())  # of the new epoch: what came before has arrived as well
    assert (socket.in_flight, socket.since) == (0, 0.0)


async def test_an_old_frame_asks_for_no_acknowledgement(hub, source):
    """Who acknowledges the highest seq, once, must not be taken for dead."""
    source.put("changes", n=1)
    socket, sink = await watcher(hub, "overview")
    source.put("overview", n=2)
    await until(lambda: sink.messages)
    socket.ack(2, time.monotonic())
    hub.watch(socket, ["overview", "changes"])
    await until(lambda: sink.numbers() == [2, 1])
    assert socket.since == 0.0


async def test_a_silent_relay_is_told_and_one_that_is_back(hub, source):
    _, sink = await watcher(hub)
    source.pulse(at=time.time() - 60)
    await until(lambda: sink.messages)
    source.pulse(connected=False, problem="No server answers.")
    await until(lambda: len(sink.messages) == 2)
    source.pulse()
    await until(lambda: len(sink.messages) == 3)
    told = [(frame["type"], frame["live"]) for frame in sink.frames]
    assert told == [("state", False), ("state", False), ("state", True)]
    assert "silent" in sink.frames[0]["detail"] and sink.frames[1]["detail"] == "No server answers."


async def test_the_relay_is_asked_for_the_accounts_that_are_watched(hub, source, valkey):
    await watcher(hub, "account:ACME", "overview")

    def asked():
        pipe = valkey.pipeline()
        store.watched_command(pipe, 7)
        return pipe.execute()[-1]

    await until(lambda: asked() == [b"ACME"])


async def test_what_is_no_frame_is_counted_and_left(hub, source, valkey):
    _, sink = await watcher(hub, "overview")
    for data in (b"", b"7 overview\n", b"7 overview\n{}", b"x y\nz", b"\xff\xfe\n", b"7 overview\n\xff" * 3):
        valkey.publish(store.channel(), data)
    source.put(n=1)
    await until(lambda: sink.messages)
    assert sink.numbers() == [1] and hub.malformed >= 4


async def test_a_room_without_sockets_is_left(hub, source):
    socket, _ = await watcher(hub, "overview")
    hub.remove(socket)
    hub.remove(socket)
    assert hub.rooms == {} and hub.sockets == []
