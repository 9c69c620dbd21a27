"""Who is let in, and what they may watch: a real daphne, a real Valkey, real websockets."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts_app.models import System
from monitoring import frames
from tests import factories
from tests.monitoring.conftest import session_of, token_of
from tests.monitoring.ws_client import HandshakeRefused
from tests.whole.product import ROOT

EXAMPLES = ROOT / "docs" / "examples" / "live"
ALL = ["overview", "events", "tables", "changes", "jobs", "account:*", "job:*"]


def example(name):
    return json.loads((EXAMPLES / f"{name}.json").read_text())


def shape(frame):
    """Keys in order, and the type of each value; a float may be whole."""
    return [(name, type(value).__name__.replace("int", "float")) for name, value in frame.items()]


async def refused(web, **who):
    """(code, sentence) of somebody who is let in only to be told why not."""
    code, seen = await (await web.open(**who)).until_closed()
    (told,) = seen
    assert shape(told) == shape(example("error"))
    return code, told["detail"]


async def test_a_person_is_greeted_and_gets_the_last_frame_at_once(web, relay, session):
    first = relay.put(n=1)
    client = await web.open(session)
    hello, state = await client.frame(), await client.frame()
    assert shape(hello) == shape(example("hello")) and shape(state) == shape(example("state"))
    assert (hello["topics"], hello["epoch"], hello["system"]) == (ALL, relay.epoch, "default")
    assert state["live"] is True and state["detail"] == ""
    client.watch("overview")
    assert await client.next() == first
    second = relay.put(n=2)
    assert await client.next() == second


async def test_a_client_is_sent_what_it_watches_and_nothing_else(web, relay, session):
    client = await web.open(session)
    client.watch("overview", "changes")
    relay.put("overview")
    await client.of("snapshot", topic="overview")
    client.watch("changes")
    await client.understood()
    relay.put("changes", n=1)
    await client.of("snapshot", topic="changes")
    relay.put("overview")
    relay.put("tables")
    relay.put("changes", n=2)
    assert (await client.of("snapshot"))["data"] == {"n": 2}


@pytest.mark.parametrize("name", ["ack", "watch"])
def test_what_the_examples_let_a_client_say_is_understood(name):
    said = frames.read((EXAMPLES / f"{name}.json").read_text())
    assert said in (frames.Ack(1041), frames.Watch(("overview", "events", "account:ACME")))


def test_every_example_of_ours_is_what_our_code_writes():
    told = example("hello")
    made = frames.hello(told["system"], told["epoch"], told["topics"], 0, told["ack_s"])
    assert shape(json.loads(made)) == shape(told)
    assert shape(json.loads(frames.state("default", 0, False, 0, "no"))) == shape(example("state"))
    assert shape(json.loads(frames.error(0, "no"))) == shape(example("error"))
    for name in ("overview", "events", "tables", "changes", "account", "jobs", "job"):
        told = example(name)
        made = frames.snapshot(told["topic"], told["system"], told["epoch"], told["seq"], 0, told["data"])
        assert shape(json.loads(made)) == shape(told)


async def test_who_is_not_signed_in_is_told_so(web, relay, ada, session):
    assert await refused(web) == (4401, "Sign in to see what the servers do.")
    assert (await refused(web, session="0" * 32))[0] == 4401
    expired = database_sync_to_async(Session.objects.filter(session_key=session).update)
    await expired(expire_date=timezone.now() - timedelta(seconds=1))
    assert (await refused(web, session=session))[0] == 4401


async def test_a_session_from_before_a_new_password_is_not_let_in(web, relay, ada, session):
    ada.set_password("another-long-password")
    await database_sync_to_async(ada.save)()
    assert (await refused(web, session=session))[0] == 4401


async def test_who_is_not_staff_is_told_whom_to_ask(web, relay):
    person = await database_sync_to_async(factories.staff)("pat")
    person.is_staff = False
    await database_sync_to_async(person.save)()
    code, detail = await refused(web, session=await database_sync_to_async(session_of)(person))
    assert code == 4403 and "ask an administrator" in detail


@pytest.mark.parametrize("origin", ["", "https://elsewhere.example", "null", "http://127.0.0.1.evil.example"])
async def test_a_browser_from_elsewhere_is_refused_in_the_handshake(web, relay, session, origin):
    with pytest.raises(HandshakeRefused, match="403"):
        await web.open(session, origin=origin)


async def test_another_address_is_refused_and_the_log_stays_clean(web, relay, ada):
    from tests.monitoring.ws_client import Client

    for path in ("/ws/", "/ws/live", "/ws/live/more/", "/admin/"):
        with pytest.raises(HandshakeRefused, match="403"):
            await Client.open(web.port, path)
    assert "Traceback" not in web.log()


@pytest.mark.parametrize("origin", ["", "https://elsewhere.example"])
async def test_a_program_needs_no_origin(web, relay, ada, origin):
    row, bare = await database_sync_to_async(token_of)(ada)
    client = await web.open(token=bare, origin=origin)
    assert (await client.frame())["topics"] == ALL
    await database_sync_to_async(row.refresh_from_db)()
    assert row.last_used_at is not None


async def test_a_token_that_is_none_is_refused_even_with_a_session(web, relay, ada, session):
    _, bare = await database_sync_to_async(token_of)(ada)
    for wrong in (bare[:-1] + ("A" if bare[-1] != "A" else "B"), "nun_x", "two words"):
        code, detail = await refused(web, token=wrong, session=session)
        assert code == 4401 and "token" in detail


async def test_systems_are_named_when_there_are_several(web, relay, session):
    assert await refused(web, session=session, system="nowhere") == (4404, "There is no such system.")
    other = System(name="other", conf_dir="/nowhere", nats_url="nats://127.0.0.1:1")
    await database_sync_to_async(other.save)()
    code, detail = await refused(web, session=session)
    assert code == 4404 and "several" in detail
    client = await web.open(session, system="other")
    assert (await client.frame())["system"] == "other"
    state = await client.frame()
    assert state["live"] is False and "relay" in state["detail"]


async def test_a_person_with_few_rights_watches_what_these_allow(web, relay):
    sam = await database_sync_to_async(factories.staff)("sam", "accounts_app.view_server", "accounts_app.view_account")
    await database_sync_to_async(factories.account)("ACME")
    client = await web.open(await database_sync_to_async(session_of)(sam))
    assert (await client.frame())["topics"] == ["overview", "tables"]  # an account's topic tells of its users, too
    client.watch("events", "overview", "account:ACME", "account:NONE", "changes")
    assert (await client.of("error"))["detail"] == (
        "watch: you may not watch events, account:ACME, account:NONE, changes."
    )
    for topic in ("events", "changes", "account:NONE", "account:ACME", "overview"):
        relay.put(topic)
    assert (await client.of("snapshot"))["topic"] == "overview" and await client.rest() == []


async def test_a_token_for_one_account_watches_this_one_alone(web, relay, ada):
    await database_sync_to_async(factories.account)("ACME")
    await database_sync_to_async(factories.account)("OTHER")
    _, bare = await database_sync_to_async(token_of)(ada, accounts=["ACME"])
    client = await web.open(token=bare)
    assert (await client.frame())["topics"] == ["account:*", "job:*"]
    client.watch("account:OTHER", "overview", "account:ACME", "account:NONE")
    told = (await client.of("error"))["detail"]
    assert told == "watch: you may not watch account:OTHER, overview, account:NONE."
    for topic in ("account:OTHER", "overview", "account:NONE", "account:ACME"):
        relay.put(topic)
    assert (await client.of("snapshot"))["topic"] == "account:ACME"
    assert await client.rest() == []


GARBAGE = [
    "",
    "no JSON",
    "[]",
    "{}",
    '{"ack": "1"}',
    '{"ack": -1}',
    '{"ack": 1e3}',
    '{"watch": ["overview"]}',
    '{"watch": {"topics": ["everything"]}}',
    '{"ack": 1, "watch": {"topics": []}}',
    "[" * 5000,
    '{"ack": 9007199254740991}',
    "x" * 9000,
]


async def test_garbage_is_answered_and_the_tenth_within_a_minute_ends_it(web, relay, session):
    client = await web.open(session)
    await client.of("state")
    for said in GARBAGE[:8]:
        client.say(said)
        assert shape(await client.frame()) == shape(example("error"))
    client.say_bytes(b"\x00\xff")
    assert "8192" in (await client.of("error"))["detail"]
    client.say(GARBAGE[-1])
    code, seen = await client.until_closed()
    assert code == 4400 and seen[-1]["type"] == "error"


@pytest.mark.parametrize("said", GARBAGE[8:])
async def test_a_wrong_frame_changes_nothing_else(web, relay, session, said):
    client = await web.open(session)
    client.watch("overview")
    client.say(said)
    await client.of("error")
    frame = relay.put()
    assert await client.next() == frame


async def test_a_huge_frame_ends_the_socket_and_no_other(web, relay, session):
    client, other = await web.open(session), await web.open(session)
    other.watch("overview")
    client.say("x" * 2_000_000)
    code, _ = await client.until_closed()
    assert code in (1006, 1009)
    relay.put()
    await other.of("snapshot")


async def test_a_client_that_floods_is_closed(web, relay, session):
    client = await web.open(session)
    await client.of("state")
    for _ in range(3001):
        client.ack(0)
    code, seen = await client.until_closed()
    assert code == 4400 and "3000" in seen[-1]["detail"]
