"""The control account on a real server: nunect sees streams of the others, as long as they let it."""

import asyncio
import base64
import contextlib
import importlib
import json
import re
import time

import nats
import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from nats.aio.client import Client

from accounts_app import credentials
from accounts_app.models import Account, Export, ExportAccess, Import, System
from accounts_app.natsconf import nkeys
from accounts_app.natsconf.control import JETSTREAM_INBOX
from provisioning import decisions, guard, workshop
from provisioning.enforced import Enforced
from provisioning.models import Drift, Hold, Revision
from tests.provisioning.world import PASSWORD


class Watcher:
    """A client with nunect's JetStream key; `heard` fills with subjects of advisories, `errors` with refusals."""

    def __init__(self, world):
        self.world, self.heard, self.errors = world, [], []

    async def __aenter__(self):
        seed, self.client = self.world.system.jetstream_seed, Client()
        self.client._public_nkey = self.world.system.jetstream_nkey

        async def on_error(error):
            self.errors.append(str(error).lower())

        await self.client.connect(
            f"nats://127.0.0.1:{self.world.port}",
            signature_cb=lambda nonce: base64.b64encode(credentials.sign(seed, nonce.encode())),
            inbox_prefix=JETSTREAM_INBOX.encode(),
            allow_reconnect=False,
            connect_timeout=20,
            error_cb=on_error,
        )

        async def on_advisory(message):
            self.heard.append(message.subject)

        await self.client.subscribe("JSEV.>", cb=on_advisory)
        await self.client.flush()
        return self

    async def __aexit__(self, *_):
        await self.client.close()

    async def streams(self, account):
        """Names of the streams of an account; None when nobody answers for it."""
        with contextlib.suppress(nats.errors.NoRespondersError):
            answer = await self.client.request(f"JSACC.{account}.STREAM.LIST", b"", timeout=20)
            return [stream["config"]["name"] for stream in json.loads(answer.data)["streams"] or ()]

    async def hears(self, subject):
        end = time.monotonic() + 30
        while subject not in self.heard:
            assert time.monotonic() < end, self.heard
            await asyncio.sleep(0.01)


async def make_stream(world, name, user="svc"):
    client = await nats.connect(f"nats://127.0.0.1:{world.port}", user=user, password=PASSWORD, connect_timeout=20)
    try:
        await client.jetstream(timeout=20).add_stream(name=name, subjects=[f"{name}.>"])
    finally:
        await client.close()


def keeper(world, name="A", user="svc", **fields):
    account = world.account(name, jetstream=True, **fields)
    world.user(account, user, access="all")
    return account


def switch(account, **fields):
    account.refresh_from_db()
    for name, value in fields.items():
        setattr(account, name, value)
    account.save()


def streams(world, account):
    async def ask():
        async with Watcher(world) as watcher:
            return await watcher.streams(account)

    return asyncio.run(ask())


def control_state():
    return Account.objects.get(name="$NUNECT").state


def test_a_stream_is_announced_and_can_be_listed_and_managed(world):
    keeper(world)
    keeper(world, "B", "other")
    world.apply()

    async def work():
        async with Watcher(world) as watcher:
            await make_stream(world, "S")
            await make_stream(world, "T", "other")
            await watcher.hears("JSEV.A.ADVISORY.STREAM.CREATED.S")
            await watcher.hears("JSEV.B.ADVISORY.STREAM.CREATED.T")
            assert await watcher.streams("A") == ["S"]
            assert await watcher.streams("B") == ["T"]
            await watcher.client.jetstream(prefix="JSACC.A", timeout=20).delete_stream("S")
            await watcher.hears("JSEV.A.ADVISORY.STREAM.DELETED.S")
            assert await watcher.streams("A") == []

    asyncio.run(work())
    assert control_state() == "applied"


def test_its_user_may_do_nothing_else(world):
    keeper(world)
    world.apply()

    async def work():
        async with Watcher(world) as watcher:
            client = watcher.client
            for subject in (
                "orders",
                "$JS.API.STREAM.LIST",
                "$SYS.REQ.SERVER.PING",
                "JSEV.A.ADVISORY.STREAM.CREATED.S",
            ):
                await client.publish(subject, b"")
            for subject in (">", "$SYS.>", "JSACC.>"):
                await client.subscribe(subject)
            await client.flush()
            end = time.monotonic() + 30
            while len(watcher.errors) < 7:
                assert time.monotonic() < end, watcher.errors
                await asyncio.sleep(0.01)
            assert all("permissions violation" in error for error in watcher.errors)
            assert watcher.heard == []

    asyncio.run(work())


def test_whoever_opts_out_or_is_disabled_is_seen_no_more(world):
    account = keeper(world)
    world.apply()
    assert streams(world, "A") == []
    switch(account, jetstream_control=False)
    revision = world.apply()
    assert [change["text"] for change in revision.changes] == ["nunect no longer sees the streams of account `A`"]
    assert streams(world, "A") is None
    switch(account, jetstream_control=True)
    world.apply()
    assert streams(world, "A") == []
    switch(account, enabled=False)
    before = world.reloads()
    world.apply()
    assert world.reloads() == before + 2  # kept empty first, then gone
    assert "JSACC.A" not in world.conf.read_text()
    assert streams(world, "A") is None
    account.delete()
    world.apply()
    assert world.digest_on_disk()
    assert control_state() == "applied"


def test_a_held_account_is_still_seen(world):
    account = keeper(world)
    world.apply()
    asyncio.run(make_stream(world, "S"))
    account.delete()
    world.apply()
    assert Hold.objects.get(state="open").account == "A"
    assert streams(world, "A") == ["S"]
    keeper(world, "B", "other")  # the others go on, with a control account that sees both
    world.apply()
    assert (streams(world, "A"), streams(world, "B")) == (["S"], [])
    decisions.approve(Hold.objects.get(state="open"))
    world.apply()
    assert (streams(world, "A"), streams(world, "B")) == (None, [])


def test_an_account_that_fails_is_not_imported_before_it_is_there(world):
    keeper(world, "GOOD", "other")
    world.apply()
    bad = world.account("BAD", jetstream=True, jetstream_max_file=8_000_000_000)  # more than the server has
    world.apply()
    bad.refresh_from_db()
    assert bad.state == "failed"
    assert "JSACC.BAD" not in world.conf.read_text()
    switch(bad, jetstream_max_file=1_000_000)
    world.apply()
    assert "JSACC.BAD" in world.conf.read_text()
    assert streams(world, "BAD") == []


def test_another_account_can_not_import_the_api(world):
    keeper(world)
    thief = world.account("THIEF")
    world.apply()
    row = Import.objects.create(
        account=thief, kind="service", from_account=Account.objects.get(name="A"), subject="$JS.API.>"
    )
    world.apply()
    thief.refresh_from_db()
    assert thief.state == "failed"
    assert streams(world, "A") == []
    row.delete()
    world.apply()
    thief.refresh_from_db()
    assert thief.state == "applied"


def test_an_export_of_ones_own_and_an_import_of_a_part_go_on(world):
    """The import is narrower than what is exported: ours would leave it to chance, so ours goes."""
    owner, guest = keeper(world), world.account("GUEST")
    world.user(guest, "guest", access="all")
    export = Export.objects.create(account=owner, kind="service", subject="$JS.API.STREAM.>")
    ExportAccess.objects.create(export=export, account=guest)
    world.apply()
    assert streams(world, "A") == []
    row = Import.objects.create(account=guest, kind="service", from_account=owner, subject="$JS.API.STREAM.NAMES")
    world.apply()
    assert [account.state for account in Account.objects.all()] == ["applied"] * 4
    assert streams(world, "A") is None
    assert "JSEV.A.>" in world.conf.read_text()

    async def names():
        address = f"nats://127.0.0.1:{world.port}"
        client = await nats.connect(address, user="guest", password=PASSWORD, connect_timeout=20)
        try:
            return json.loads((await client.request("$JS.API.STREAM.NAMES", b"", timeout=20)).data)["total"]
        finally:
            await client.close()

    assert asyncio.run(names()) == 0
    row.delete()
    world.apply()
    assert streams(world, "A") == []


def test_a_run_renders_what_moved_and_nothing_else(world, monkeypatch):
    accounts = [keeper(world, f"A{number}", f"u{number}") for number in range(20)]
    world.apply()
    rendered = []
    real = workshop.render_account

    def counted(spec, *arguments):
        rendered.append(spec.name)
        return real(spec, *arguments)

    monkeypatch.setattr(workshop, "render_account", counted)  # counts, and does the work
    switch(accounts[3], jetstream=False)
    world.apply()
    assert rendered == ["A3"]
    assert "JSACC.A3.>" not in world.conf.read_text()
    assert "JSACC.A4.>" in world.conf.read_text()


def test_an_upgrade_adds_it_to_what_runs_and_says_so(world):
    """As after the migration of a system that an older nunect has written."""
    key, seed = world.system.jetstream_nkey, world.system.jetstream_seed
    account = keeper(world, jetstream_control=False)
    System.objects.update(jetstream_nkey="", jetstream_seed="")
    world.apply()
    System.objects.update(jetstream_nkey=key, jetstream_seed=seed)
    switch(account, jetstream_control=True)
    world.apply(fresh=True)
    assert not Hold.objects.exists()
    assert streams(world, "A") == []
    assert control_state() == "applied"


def test_a_new_key_is_no_user_that_goes(world):
    keeper(world)
    world.apply()
    world.system.jetstream_nkey, world.system.jetstream_seed = credentials.new_nkey()
    world.system.save()
    world.apply()
    assert not Hold.objects.exists()
    assert streams(world, "A") == []
    enforced = Enforced.load(world.system.pk, fresh=True)
    assert (
        guard.check(["$NUNECT"], {}, enforced, world.system.identity, expired=set, streams_of=lambda account: None)
        == []
    )


def test_a_stranger_put_into_it_by_hand_is_drift_and_goes(world):
    keeper(world)
    world.apply()
    text = world.conf.read_text()
    stranger = f'{{ user: "eve", password: "{credentials.hash_password(PASSWORD, chosen=False)}" }}'
    edited = re.sub(r'("\$NUNECT": \{\s*users: \[)', lambda found: f"{found[1]}\n{stranger}\n", text, count=1)
    assert edited != text
    world.conf.write_text(edited)
    world.apply(fresh=True)
    (drift,) = Drift.objects.all()
    assert [change["text"] for change in drift.changes] == ["user `eve` of account `$NUNECT` is added"]
    assert world.conf.read_text() == text
    assert world.may("JSACC.A.STREAM.LIST", user="eve") is None


def test_a_revert_keeps_the_account_and_the_switch(world):
    account = keeper(world)
    then = world.apply()
    switch(account, jetstream_control=False)
    world.apply()
    decisions.revert_to(Revision.objects.get(pk=then.pk))
    world.apply()
    account.refresh_from_db()
    assert account.jetstream_control is True
    assert streams(world, "A") == []
    assert Account.objects.filter(name="$NUNECT", enabled=True).exists()


@pytest.mark.parametrize("gone", ["row", "disabled"])
def test_it_is_rendered_whatever_becomes_of_its_row(world, gone):
    keeper(world)
    world.apply()
    if gone == "row":
        Account.objects.filter(name="$NUNECT").delete()
    else:
        Account.objects.filter(name="$NUNECT").update(enabled=False)
    world.apply(fresh=True)
    assert streams(world, "A") == []


def test_the_migration_makes_key_and_account_and_asks_for_a_run(world):
    """Its data step on a system as the migration before left it; a second time it changes nothing."""
    migration = importlib.import_module("accounts_app.migrations.0004_control_account")
    keeper(world)
    world.apply()
    Account.objects.filter(name="$NUNECT").delete()
    System.objects.update(jetstream_nkey="", jetstream_seed="")
    world.apply()
    wanted, done = world.state()
    assert wanted == done
    apps = MigrationLoader(connection).project_state(("accounts_app", "0004_control_account")).apps
    migration.make_control_accounts(apps, None)
    migration.make_control_accounts(apps, None)
    account = Account.objects.get(name="$NUNECT")
    assert (account.state, account.history.get().door) == ("pending", "command")
    assert world.state() == (wanted + 1, done)
    world.system.refresh_from_db()
    assert credentials.public_of(nkeys.decode_seed(world.system.jetstream_seed)[1]) == world.system.jetstream_nkey
    world.apply()
    assert (control_state(), streams(world, "A")) == ("applied", [])


def test_a_user_put_into_it_behind_all_doors_is_not_let_in(world):
    keeper(world)
    world.apply()
    world.user(Account.objects.get(name="$NUNECT"), "eve", access="all")
    asker = world.account("B", jetstream=True)
    world.user(asker, "other", access="all")
    world.apply()
    assert world.may("JSACC.A.STREAM.LIST", user="eve") is None
    assert (streams(world, "A"), streams(world, "B")) == ([], [])
