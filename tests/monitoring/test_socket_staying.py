"""Who may stay: a session or a right that is gone is seen within a second, by as few queries for many as for one."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring import callers, patrol
from monitoring.callers import Admitted, Caller
from monitoring.hub import Hub, Socket
from tests import factories
from tests.monitoring.conftest import session_of, token_of, until


def _log_out(person, session, token):
    browser = Browser()
    browser.cookies["sessionid"] = session
    assert browser.post("/admin/logout/").status_code == 200


def _session_expires(person, session, token):
    Session.objects.filter(session_key=session).update(expire_date=timezone.now())


def _password_changes(person, session, token):
    person.set_password("another-long-password")
    person.save()


def _person_is_disabled(person, session, token):
    person.is_active = False
    person.save()


def _person_leaves_the_staff(person, session, token):
    person.is_staff = False
    person.save()


def _person_is_deleted(person, session, token):
    person.delete()


def _token_is_revoked(person, session, token):
    token.revoked_at = timezone.now()
    token.save()


def _token_expires(person, session, token):
    token.expires_at = timezone.now() - timedelta(seconds=1)
    token.save()


BOTH = (_person_is_disabled, _person_leaves_the_staff, _person_is_deleted)
ENDS = [(act, "session") for act in (_log_out, _session_expires, _password_changes, *BOTH)]
ENDS += [(act, "token") for act in (_token_is_revoked, _token_expires, *BOTH)]


@pytest.mark.parametrize(("act", "by"), ENDS)
async def test_who_may_no_longer_be_here_is_closed(web, relay, ada, act, by):
    session = await database_sync_to_async(session_of)(ada)
    row, bare = await database_sync_to_async(token_of)(ada)
    bystander = await database_sync_to_async(factories.admin)("bystander")
    other = await web.open(await database_sync_to_async(session_of)(bystander))
    client = await web.open(**({"session": session} if by == "session" else {"token": bare}))
    client.watch("overview")
    relay.put()
    await client.of("snapshot")
    closed = asyncio.create_task(client.until_closed())  # reads meanwhile: daphne waits a second for an answer
    await database_sync_to_async(act)(ada, session, row)
    code, seen = await closed  # at most some 0.6 s later on an idle machine, since the patrol walks each 0.5 s
    assert code == 4401 and seen[-1]["type"] == "error"
    other.watch("overview")
    await other.of("snapshot")


async def test_a_password_that_changes_ends_no_token(web, relay, ada):
    _, bare = await database_sync_to_async(token_of)(ada)
    client = await web.open(token=bare)
    await client.of("state")
    await database_sync_to_async(_password_changes)(ada, "", None)
    assert await client.rest(1.2) == []  # two rounds


def _group(*codenames):
    group, _ = Group.objects.get_or_create(name="watchers")
    group.permissions.set(Permission.objects.filter(codename__in=codenames))
    return group


async def test_rights_that_change_are_told_and_hold_at_once(web, relay):
    sam = await database_sync_to_async(factories.staff)("sam")
    group = await database_sync_to_async(_group)("view_server", "view_revision")
    await database_sync_to_async(sam.groups.add)(group)
    client = await web.open(await database_sync_to_async(session_of)(sam))
    assert (await client.frame())["topics"] == ["overview", "tables", "changes"]
    client.watch("overview", "changes")
    relay.put("overview")
    await client.of("snapshot")
    await database_sync_to_async(_group)("view_revision", "view_account", "view_natsuser")
    assert (await client.of("hello"))["topics"] == ["events", "changes", "account:*"]
    relay.put("overview")
    relay.put("changes")
    assert (await client.of("snapshot"))["topic"] == "changes"
    await database_sync_to_async(sam.groups.clear)()
    assert (await client.of("hello"))["topics"] == []
    sam.is_superuser = True
    await database_sync_to_async(sam.save)()
    assert len((await client.of("hello"))["topics"]) == 7


async def test_an_account_that_goes_is_watched_no_more(web, relay, ada):
    acme = await database_sync_to_async(factories.account)("ACME")
    _, bare = await database_sync_to_async(token_of)(ada, accounts=["ACME"])
    client = await web.open(token=bare)
    await client.of("state")
    client.watch("account:ACME")
    relay.put("account:ACME")
    await client.of("snapshot")
    await database_sync_to_async(acme.delete)()
    await database_sync_to_async(factories.account)("ACME")  # somebody else's, by the same name
    await client.of("hello")
    relay.put("account:ACME")
    assert await client.rest() == []


def test_a_round_for_many_asks_as_often_as_for_one(transactional_db):
    factories.system()
    factories.account("ACME")

    def rounds(numbers):
        people = [factories.staff(f"p{number}", "accounts_app.view_server") for number in numbers]
        here = {Caller(person.pk, session=session_of(person)) for person in people}
        here |= {Caller(person.pk, token=token_of(person, accounts=["ACME"])[0].pk) for person in people}
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert len(callers.standings(here)) == len(here)
        return len(asked)

    assert rounds(range(1)) == rounds(range(1, 40)) == 6


async def test_without_a_database_the_last_answer_counts_for_a_while(relay, ada, monkeypatch):
    monkeypatch.setattr(patrol, "TRUST_S", 600.0)
    monkeypatch.setattr(patrol, "EVERY_S", 0.05)
    session = await database_sync_to_async(session_of)(ada)
    let_in: Admitted = await database_sync_to_async(callers.admit)(session, None, "")
    hub, socket = Hub(), Socket(_nothing, instant=True)
    hub.start()
    socket.caller, socket.standing, socket.topics = let_in.caller, let_in.standing, let_in.topics
    await hub.add(socket, let_in.system, let_in.system_name)
    walks = asyncio.create_task(patrol.Patrol(hub).run())
    try:
        let_in_at = socket.checked
        await until(lambda: socket.checked > let_in_at)
        asked = []

        def gone(*_):
            asked.append(time.monotonic())
            raise OperationalError("the database is gone")

        monkeypatch.setattr(callers, "standings", gone)
        await until(lambda: len(asked) > 5)
        assert socket.code is None and socket.checked < asked[1]
        monkeypatch.setattr(patrol, "TRUST_S", 0.0)  # the while is over
        await until(lambda: socket.code)
        assert socket.code == 4503
    finally:
        walks.cancel()
        await hub.stop()


async def _nothing(message):
    pass
