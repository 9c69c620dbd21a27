"""Answers to a conf that was edited by hand: adopt, revert, ignore; nobody who is connected loses anything."""

import asyncio
import json
import re
import signal
import threading
from datetime import timedelta

import nats
import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts_app import credentials
from accounts_app.models import Account, AuditEntry, Export, NatsUser, Role, SubjectPermission, System
from accounts_app.natsconf.diff import diff
from accounts_app.natsconf.parse import parse
from accounts_app.preview import preview
from provisioning import drift_answers
from provisioning.models import Drift, Hold, Revision
from tests.provisioning.world import PASSWORD, dies_at

HASH = credentials.hash_password(PASSWORD, chosen=False)


class Connected:
    """A client that stays connected while others work; what happens to it is kept."""

    def __init__(self, world, user, subject):
        self.lost, self.got, self.loop = [], [], asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.client = self._do(self._connect(world.urls, user, subject))

    async def _connect(self, url, user, subject):
        async def lost(*why):
            self.lost.append(why)

        async def got(message):
            self.got.append(message.data)

        options = {"allow_reconnect": False, "error_cb": lost, "disconnected_cb": lost, "closed_cb": lost}
        client = await nats.connect(url, user=user, password=PASSWORD, **options)
        await client.subscribe(subject, cb=got)
        await client.flush()
        return client

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def hears(self, subject, data):
        """Whether it still gets what it publishes itself."""

        async def ask():
            await self.client.publish(subject, data)
            await self.client.flush()
            async with asyncio.timeout(2):
                while data not in self.got:
                    await asyncio.sleep(0.005)

        self._do(ask())
        return self.lost == []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._do(self.client.drain() if not self.client.is_closed else asyncio.sleep(0))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


@pytest.fixture
def asks(world):
    """A world whose system leaves hand edits for a person."""
    world.system.drift_policy = "ask"
    world.system.save()
    return world


def edit(world, change):
    """A person edits accounts.conf and reloads; waits until the server has re-read it."""
    text = world.conf.read_text()
    changed = change(text)
    assert changed != text
    before = world.reloads()
    world.conf.write_text(changed)
    world.signal(signal.SIGHUP)
    wait_for(lambda: world.reloads() > before)
    return changed


def wait_for(condition):
    for _ in range(600):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("It did not come.")


def entry(name, publish, secret=HASH):
    """A user as a person writes one."""
    return f'{{user: {json.dumps(name)}, password: {json.dumps(secret)}, permissions: {{publish: {json.dumps(publish)}, subscribe: {{deny: ">"}}}}}}'  # noqa: E501


def with_user(name, publish, secret=HASH, account="ACME"):
    def change(text):
        head, found, tail = text.partition(f"  {account}: ")
        assert found
        return head + found + re.sub(r"users: \[", f"users: [\n{entry(name, publish, secret)},", tail, count=1)

    return change


def without(nkeys, *accounts):
    """Somebody takes users of ACME and whole accounts out of the conf, and writes it in another way besides."""
    gone = set(nkeys)

    def change(text):
        tree = parse(text).tree
        for name in accounts:
            del tree["accounts"][name]
        users = tree["accounts"]["ACME"]["users"]
        tree["accounts"]["ACME"]["users"] = [user for user in users if user.get("nkey") not in gone]
        return "\n".join(f"{key}: {json.dumps(value)}" for key, value in tree.items()) + "\n"

    return change


def found(world, **narrowed):
    world.apply(fresh=True)
    return Drift.objects.get(state="open", **narrowed)


def test_adopted_rows_say_what_the_hand_wrote_and_a_connected_client_stays(asks):
    acme = asks.account(description="The shop")
    role = Role.objects.create(system=asks.system, account=acme, name="worker")
    for action in ("publish", "subscribe"):
        SubjectPermission.objects.create(role=role, action=action, subject="a.>")
    for name in ("svc", "other"):
        asks.user(acme, name, access="role", role=role, description="of the team")
    asks.user(acme, "asleep", "publish z.>", enabled=False)
    asks.apply()
    with Connected(asks, "svc", "a.>") as client:
        theirs = edit(asks, with_user("hand", "by.hand.>"))
        drift = found(asks)
        seen = preview(asks.system, lambda: drift_answers.adopt(drift))
        assert not NatsUser.objects.filter(name="hand").exists()
        assert any("`hand`" in str(change) for change in seen.changes)
        assert seen.answer.then == () and seen.answer.lost == ()
        assert seen.answer.kept == ('user "asleep" of account "ACME": only the rows know it.',)
        done = drift_answers.adopt(Drift.objects.get())
        assert done.changes.as_dict()["created"] == {"user": 1, "permission": 1}
        asks.apply()
        assert client.hears("a.b", b"still here")
    drift.refresh_from_db()
    asks.system.refresh_from_db()
    assert (drift.state, asks.system.problem, asks.system.state) == ("adopted", "", "applied")
    assert diff(parse(theirs).tree, parse(asks.conf.read_text()).tree) == []
    assert Revision.objects.first().config_digest == asks.digest_on_disk()
    assert asks.may("by.hand.x", user="hand") is True
    kept = NatsUser.objects.exclude(name="hand").order_by("name").values_list("name", "access", "role__name", "enabled")
    assert list(kept) == [
        ("asleep", "own", None, False),
        ("other", "role", "worker", True),
        ("svc", "role", "worker", True),
    ]
    acme.refresh_from_db()
    assert acme.description == "The shop"
    assert AuditEntry.objects.filter(act="drift adopted").count() == 1
    asks.apply(fresh=True)
    assert Drift.objects.count() == 1


def test_a_user_whose_rights_the_hand_changed_gets_its_own_and_that_is_said_before(asks):
    acme = asks.account()
    role = Role.objects.create(system=asks.system, account=acme, name="worker")
    SubjectPermission.objects.create(role=role, action="publish", subject="a.>")
    asks.user(acme, "svc", access="role", role=role)
    asks.apply()
    edit(asks, lambda text: text.replace('["a.>"]', '["a.>", "more.>"]'))
    drift = found(asks)
    done = drift_answers.adopt(drift)
    assert done.lost == ('user "svc" of account "ACME": permissions of its own instead of a role\'s.',)
    asks.apply()
    user = NatsUser.objects.get(name="svc")
    assert set(user.permissions.values_list("effect", "action", "subject")) >= {
        ("allow", "publish", "a.>"), ("allow", "publish", "more.>"),
    }  # fmt: skip
    assert Role.objects.get().name == "worker"
    assert asks.may("more.x") is True


def test_a_file_that_has_changed_since_it_was_shown_is_not_adopted(asks):
    asks.user(asks.account(), "svc", "publish a.>")
    asks.apply()
    edit(asks, with_user("hand", "by.hand.>"))
    drift = found(asks)
    edit(asks, with_user("second", "more.>"))
    with pytest.raises(ValidationError, match="has changed meanwhile"):
        drift_answers.adopt(drift)
    assert set(NatsUser.objects.values_list("name", flat=True)) == {"svc"}
    newer = found(asks)
    drift.refresh_from_db()
    assert (drift.state, newer.pk != drift.pk) == ("gone", True)
    with pytest.raises(ValidationError, match="settled already"):
        drift_answers.adopt(drift)


def test_what_the_hand_took_away_is_adopted_without_a_guard_that_would_bring_it_back(asks):
    acme, other = asks.account(), asks.account("OTHER")
    asks.user(acme, "svc", "publish a.>", "subscribe a.>")
    asks.user(other, "elsewhere", "publish a.>")
    asks.many_users(acme, 12)
    asks.apply()
    with Connected(asks, "svc", "a.>") as client:
        theirs = edit(asks, without(NatsUser.objects.filter(credential="nkey").values_list("nkey", flat=True), "OTHER"))
        drift_answers.adopt(found(asks))
        asks.apply()
        assert client.hears("a.b", b"still here")
    assert not Hold.objects.exists()
    assert not Account.objects.filter(name="OTHER").exists()
    assert set(NatsUser.objects.values_list("name", flat=True)) == {"svc"}
    assert diff(parse(theirs).tree, parse(asks.conf.read_text()).tree) == []
    assert Drift.objects.get().state == "adopted"


def test_an_account_and_a_password_in_clear_by_hand_become_rows_and_no_secret_is_told(asks):
    asks.user(asks.account(), "svc", "publish a.>")
    asks.apply()
    more = f'  NEW: {{users: [{entry("clear", "n.>", PASSWORD)}], exports: [{{service: "n.ask"}}]}}\n'
    edit(asks, lambda text: text.replace("accounts: {\n", "accounts: {\n" + more))
    drift = found(asks)
    seen = preview(asks.system, lambda: drift_answers.adopt(drift))
    assert any("stands in the conf in clear" in each for each in seen.answer.lost)
    assert PASSWORD not in repr(seen)
    assert not any("password" in str(change) for change in seen.answer.then), "the same one, hashed"
    drift_answers.adopt(drift)
    asks.apply()
    assert asks.may("n.x", user="clear") is True
    assert Export.objects.get().account.name == "NEW"
    assert PASSWORD not in asks.conf.read_text()
    assert PASSWORD not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize("step", ["write", "reload", "verify"])
def test_a_run_that_dies_while_it_follows_an_adoption_is_taken_up_without_a_question(asks, step):
    acme = asks.account()
    asks.user(acme, "svc", "publish a.>", "subscribe a.>")
    asks.many_users(acme, 12)
    asks.apply()
    with Connected(asks, "svc", "a.>") as client:
        edit(asks, without(NatsUser.objects.filter(credential="nkey").values_list("nkey", flat=True)))
        drift_answers.adopt(found(asks))
        assert NatsUser.objects.count() == 1
        assert dies_at(step, asks.apply)
        asks.apply(fresh=True)
        assert client.hears("a.b", b"still here")
    assert [row.state for row in Drift.objects.all()] == ["adopted"]
    assert not Hold.objects.exists()
    assert Revision.objects.first().config_digest == asks.digest_on_disk()


def test_ignored_it_is_quiet_nothing_is_written_and_changes_wait_and_say_so(asks):
    acme = asks.account()
    asks.user(acme, "svc", "publish a.>")
    asks.apply()
    theirs = edit(asks, with_user("hand", "by.hand.>"))
    drift = found(asks)
    with pytest.raises(ValidationError, match="must lie ahead"):
        drift_answers.ignore(drift, timezone.now() - timedelta(hours=1))
    drift_answers.ignore(drift, timezone.now() + timedelta(days=4))
    asks.apply(fresh=True)
    asks.system.refresh_from_db()
    assert (asks.system.problem, asks.system.state) == ("", "applied")
    asks.user(acme, "later", "publish b.>")
    asks.apply()
    acme.refresh_from_db()
    assert acme.state == "held"
    assert re.fullmatch(
        r"accounts.conf was changed by hand and is ignored until \d{4}-\d\d-\d\d \d\d:\d\d: changes wait\.",
        acme.problem,
    )
    assert asks.conf.read_text() == theirs
    assert asks.may("by.hand.x", user="hand") is True
    assert asks.may("b.x", user="later") is None
    Drift.objects.update(ignored_until=timezone.now() - timedelta(seconds=1))
    asks.apply(fresh=True)
    drift.refresh_from_db()
    asks.system.refresh_from_db()
    assert (drift.state, asks.system.problem_step) == ("open", "drift")
    drift_answers.adopt(drift)
    asks.apply()
    acme.refresh_from_db()
    assert (acme.state, acme.problem) == ("applied", "")
    assert asks.may("by.hand.x", user="hand") is True
    assert asks.may("b.x", user="later") is True


def test_what_is_ignored_for_good_is_asked_about_when_it_is_another_difference(asks):
    asks.user(asks.account(), "svc", "publish a.>")
    asks.apply()
    edit(asks, with_user("hand", "by.hand.>"))
    first = found(asks)
    drift_answers.ignore(first)
    System.objects.update(drift_policy="repair")
    asks.apply(fresh=True)
    assert asks.may("by.hand.x", user="hand") is True, "a yes to leave it alone is older than the policy"
    System.objects.update(drift_policy="ask")
    edit(asks, with_user("second", "more.>"))
    second = found(asks)
    first.refresh_from_db()
    assert first.state == "gone"
    drift_answers.revert(second)
    asks.apply()
    second.refresh_from_db()
    assert second.state == "repaired"
    assert asks.may("by.hand.x", user="hand") is None


def test_what_runs_and_is_in_no_file_is_not_adopted_until_it_is_put_there(asks):
    asks.user(asks.account(), "svc", "publish a.>")
    asks.apply()
    right = asks.conf.read_text()
    theirs = edit(asks, with_user("hand", "by.hand.>"))
    asks.conf.write_text(right)
    drift = found(asks, where="server")
    with pytest.raises(ValidationError, match="put it there to adopt it, or revert"):
        drift_answers.adopt(drift)
    asks.conf.write_text(theirs + "# not the same text, the same meaning\n")
    drift_answers.adopt(drift)
    asks.apply(fresh=True)
    assert asks.may("by.hand.x", user="hand") is True
    assert set(Drift.objects.values_list("where", "state")) == {("server", "adopted"), ("file", "adopted")}


def test_what_cant_be_rows_is_refused_in_words_and_leaves_all_as_it_was(asks):
    asks.user(asks.account(), "svc", "publish a.>")
    asks.apply()
    edit(asks, with_user("svc2", "x.>"))
    drift = found(asks)
    NatsUser.objects.create(account=asks.account("LATE"), name="svc2", credential="password", password_hash=HASH)
    with pytest.raises(ValidationError, match="has a user of this name already"):
        drift_answers.adopt(drift)
    drift.refresh_from_db()
    assert drift.state == "open"
    assert not NatsUser.objects.filter(account__name="ACME", name="svc2").exists()
