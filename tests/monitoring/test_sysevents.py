"""What the servers say is read exactly, and what is no such thing is refused."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.sysevents import (
    MOST_BYTES,
    Connected,
    Disconnected,
    Leaving,
    Malformed,
    Refused,
    read_advisory,
    read_event,
    read_reply,
    seconds,
)
from tests.monitoring import said


def test_a_login_says_who_came_from_where():
    found = read_event(*said.connect(9, "A", user="svc"))
    assert isinstance(found, Connected)
    peer = found.peer
    assert (peer.cid, peer.account, peer.login, peer.app, peer.address) == (9, "A", "svc", "app", "10.0.0.7")
    assert (found.server.name, found.server.revision) == ("n1", None)


def test_a_server_carries_nunects_mark():
    found = read_event("$SYS.SERVER.NA.STATSZ", said.stats(said.MARKED))
    assert (found.server.revision, found.server.sha256) == (7, "abc")


def test_a_client_without_a_name_of_its_own_is_one_too():
    told = said.client()
    del told["name"]
    found = read_event("$SYS.ACCOUNT.A.CONNECT", said.event("connect", told))
    assert found.peer.app == ""


def test_going_and_refusal_carry_the_servers_words():
    gone = read_event(*said.disconnect(reason="Slow Consumer (Pending Bytes)"))
    assert isinstance(gone, Disconnected) and gone.reason == "Slow Consumer (Pending Bytes)"
    kept_out = read_event(*said.refusal(reason="Authentication Failure"))
    assert isinstance(kept_out, Refused) and kept_out.peer.account == "$G"


@pytest.mark.parametrize(("word", "lame"), [("SHUTDOWN", False), ("LAMEDUCK", True)])
def test_a_server_that_goes_says_so(word, lame):
    found = read_event(f"$SYS.SERVER.NA.{word}", said.packed(said.SERVER))
    assert isinstance(found, Leaving) and found.lame_duck is lame


def test_an_account_may_have_a_dollar_and_its_name_is_the_subjects():
    assert read_event(*said.connect(account="$SYS")).peer.account == "$SYS"
    subject, data = said.connect(account="A")
    with pytest.raises(Malformed, match="another account"):
        read_event(subject.replace(".A.", ".B."), data)


def test_a_server_that_speaks_for_another_is_not_believed():
    with pytest.raises(Malformed, match="another server"):
        read_event("$SYS.SERVER.NB.STATSZ", said.stats())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"server": 1}',
        b'{"server": {"id": "NA", "name": "n"}, "client": {"id": "x", "acc": "A"}, "timestamp": "2026-11-24T19:00Z"}',
        b'{"server": {"id": "NA", "name": "n1"}, "client": {"id": 1, "acc": "A"}, "timestamp": "yesterday"}',
        b"[" * 100_000,
        b" " * (MOST_BYTES + 1),
    ],
)
def test_what_is_no_event_is_refused(data):
    with pytest.raises(Malformed):
        read_event("$SYS.ACCOUNT.A.CONNECT", data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def damaged(draw, told):
    """A message of which one value somewhere is another one."""
    told = json.loads(told)
    place = told
    while True:
        key = draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or not place[key] or draw(st.booleans()):
            break
        place = place[key]
    place[key] = draw(JSON)
    return json.dumps(told).encode()


@given(data=damaged(said.connect()[1]))
def test_a_damaged_event_is_read_or_refused_and_nothing_else(data):
    with contextlib.suppress(Malformed):
        assert isinstance(read_event("$SYS.ACCOUNT.A.CONNECT", data), Connected)


@given(what=st.sampled_from(["STATSZ", "VARZ", "STATZ", "CONNZ", "JSZ"]), data=JSON)
def test_any_json_as_a_reply_is_read_or_refused(what, data):
    with contextlib.suppress(Malformed):
        read_reply(what, json.dumps({"server": said.SERVER, "data": data, "statsz": data}).encode())


def test_a_page_of_connections_says_whether_another_follows():
    found = read_reply("CONNZ", said.page(said.connection(4), said.connection(5), total=3))
    assert found.more and [one.peer.cid for one in found.connections] == [4, 5]
    assert (found.connections[0].rtt_ms, found.connections[0].idle_s) == (0.67, 62.0)
    assert not read_reply("CONNZ", said.page(said.connection(6), offset=2, total=3)).more


def test_what_servers_pass_on_to_each_other_is_not_counted():
    """As n2 of a cluster of three said it, where one client publishes and one on each server listens."""
    received = {"msgs": 1370, "bytes": 7232, "routes": {"msgs": 0, "bytes": 0}}
    sent = {"msgs": 2736, "bytes": 15188, "routes": {"msgs": 1367, "bytes": 6835}, "gateways": {"msgs": 0, "bytes": 0}}
    account = {"acc": "A", "conns": 2, "received": received, "sent": sent}
    told = said.packed({"server": said.SERVER, "data": {"account_statz": [account]}})
    (found,) = read_reply("STATZ", told).accounts
    assert (found.in_msgs, found.out_msgs, found.out_bytes) == (1370, 1369, 8353)
    both = {"received": {"msgs": 9, "bytes": 9}, "received_from_clients": {"msgs": 4, "bytes": 3}}
    assert read_reply("STATSZ", said.stats(**both)).in_msgs == 4


def test_unlimited_is_none():
    limits = {"config": {"max_storage": -1, "max_memory": 2**63 - 1}, "stats": {"storage": 5, "memory": 0}}
    found = read_reply("STATSZ", said.stats(jetstream=limits))
    assert (found.js_storage, found.js_max_storage, found.js_max_memory) == (5, None, None)


def test_an_advisory_belongs_to_the_account_that_it_came_from():
    told = {"type": "io.nats.jetstream.advisory.v1.stream_action", "id": "x", "timestamp": "2026-11-24T19:00:00Z"}
    data = said.packed({**told, "stream": "ORDERS", "action": "create", "account": "SOMEBODY ELSE"})
    found = read_advisory("JSEV.A.ADVISORY.STREAM.CREATED.ORDERS", data, "JSEV.")
    assert (found.account, found.stream, found.kind, found.action) == ("A", "ORDERS", "stream_action", "create")
    with pytest.raises(Malformed):
        read_advisory("JSEV.A", data, "JSEV.")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("673µs", 0.000673),
        ("1m2.5s", 62.5),
        ("2d3h0m1s", 183601.0),
        ("0s", 0.0),
        ("", None),
        ("soon", None),
        ("1y2d", 31708800.0),
    ],
)
def test_durations_are_those_that_go_writes(text, value):
    assert seconds(text) == (None if value is None else pytest.approx(value))
