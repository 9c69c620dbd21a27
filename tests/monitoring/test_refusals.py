"""Why a real server refused somebody, in a sentence that is true of the rows."""

import asyncio
import base64
import json
import os
import re
from datetime import timedelta

import nats
import pytest
from django.db import connection
from django.db.models import F, QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from nats.aio.client import Client

from accounts_app import credentials, services
from accounts_app.door import through
from accounts_app.models import Account, NatsUser
from monitoring import refusals
from monitoring.refusals import Login, explain, explain_many
from tests import factories
from tests.ports import free_ports
from tests.provisioning.world import PASSWORD, World

FAILED = "Authentication Failure"
WAIT_S = 30


async def quiet(*_):
    pass


QUIET = {"allow_reconnect": False, "connect_timeout": 20, "error_cb": quiet}


@pytest.fixture(autouse=True)
def _no_strangers():
    refusals._strange.clear()


@pytest.fixture
def world(transactional_db, tmp_path, settings):
    """A server that also speaks websocket."""
    made = World(tmp_path, settings)
    (made.ws_port,) = free_ports(1)
    made.write_main(f'websocket {{ listen: "127.0.0.1:{made.ws_port}", no_tls: true }}')
    try:
        yield made.start()
    finally:
        made.stop()


class Door:
    """Tries to get in, and sees what nunect's relay is told of it."""

    def __init__(self, world):
        self.world, self.told, self.url = world, {}, f"nats://127.0.0.1:{world.port}"

    async def __aenter__(self):
        self.relay = await self.sign_in(self.world.system.relay_nkey, self.world.system.relay_seed)
        for subject in ("$SYS.SERVER.*.CLIENT.AUTH.ERR", "$SYS.ACCOUNT.*.DISCONNECT"):
            await self.relay.subscribe(subject, cb=self.hear)
        await self.relay.flush()
        return self

    async def __aexit__(self, *_):
        await self.relay.close()

    async def hear(self, message):
        event = json.loads(message.data)
        client = event["client"]
        self.told[client.get("name", "")] = Login(
            client.get("user", ""), event["reason"], client.get("user", "").startswith("U"), client["client_type"]
        )

    async def sign_in(self, nkey, seed, name="relay"):
        client = Client()
        client._public_nkey = nkey
        await client.connect(
            self.url,
            name=name,
            signature_cb=lambda nonce: base64.b64encode(credentials.sign(seed, nonce.encode())),
            allow_reconnect=False,
            connect_timeout=20,
            error_cb=quiet,
        )
        return client

    async def refused(self, name, **how):
        """What the server says of a client of that name that came with these credentials."""
        with pytest.raises(nats.errors.Error):
            if "seed" in how:
                await self.sign_in(how["nkey"], how["seed"], name)
            else:
                await nats.connect(self.url, name=name, **QUIET, **how)
        return await self.heard(name)

    async def refused_by_websocket(self, name, user, password):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.world.ws_port)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        told = f"CONNECT {json.dumps({'user': user, 'pass': password, 'name': name})}\r\nPING\r\n".encode()
        writer.write(bytes([0x82, 0x80 | 126]) + len(told).to_bytes(2, "big") + bytes(4) + told)
        await writer.drain()
        found = await self.heard(name)
        writer.close()
        return found

    async def heard(self, name):
        async with asyncio.timeout(WAIT_S):
            while name not in self.told:
                await asyncio.sleep(0.01)
        return self.told[name]


def test_what_a_real_server_refuses_is_explained(world):
    acme, closed = world.account("ACME", max_connections=1), world.account("CLOSED", enabled=False)
    ada = factories.admin()
    now = timezone.now()
    svc = world.user(acme, "svc", "publish a.>", owner=ada)
    public, _ = credentials.new_nkey()
    world.user(acme, "keyed", credential="nkey", nkey=public, password_hash="")
    world.user(acme, "off", enabled=False)
    world.user(acme, "old", expires_at=now - timedelta(hours=2))
    world.user(acme, "plain", connection_types=["STANDARD"])
    world.user(closed, "theirs")
    world.user(acme, "gone")
    world.user(acme, "former")
    rotated = world.user(acme, "rotated", credential="nkey", nkey=credentials.new_nkey()[0], password_hash="")
    before = rotated.nkey
    with through("admin", person=ada):
        NatsUser.objects.get(name="gone").delete()
        services.rotate(rotated)
        changed = NatsUser.objects.get(name="former")
        changed.name = "renamed"
        changed.save()
    world.apply()
    world.user(acme, "new")  # no run since
    stranger = credentials.new_nkey()

    async def tries():
        async with Door(world) as door:
            found = {
                "wrong_password": await door.refused("a", user="svc", password="wrong"),
                "unknown_user": await door.refused("b", user="nobody", password="x"),
                "disabled": await door.refused("c", user="off", password=PASSWORD),
                "expired": await door.refused("d", user="old", password=PASSWORD),
                "connection_type": await door.refused_by_websocket("e", "plain", PASSWORD),
                "account_disabled": await door.refused("f", user="theirs", password=PASSWORD),
                "deleted": await door.refused("g", user="gone", password=PASSWORD),
                "renamed": await door.refused("h", user="former", password=PASSWORD),
                "former_key": await door.refused("i", nkey=before, seed=stranger[1]),
                "wrong_key": await door.refused("j", nkey=public, seed=stranger[1]),
                "wrong_kind": await door.refused("k", user="keyed", password="x"),
                "not_yet_pending": await door.refused("l", user="new", password=PASSWORD),
                "no_credential": await door.refused("m"),
                "token": await door.refused("n", token="s3cr3t"),
                "stranger": await door.refused("o", nkey=stranger[0], seed=stranger[1]),
            }
            inside = await nats.connect(door.url, user="svc", password=PASSWORD, connect_timeout=20)
            found["max_connections"] = await door.refused("p", user="svc", password=PASSWORD)
            await inside.close()
            return found

    told = asyncio.run(tries())
    answers = dict(zip(told, explain_many(world.system.pk, list(told.values())), strict=True))
    says = {name: (answer.code, answer.why) for name, answer in answers.items()}
    for name in ("deleted", "former_key"):  # until the minute, which may be another one by now
        code, why = says[name]
        assert re.fullmatch(r".* by ada on \d{4}-\d\d-\d\d at \d\d:\d\d UTC\.", why)
        says[name] = (code, why.partition("by ada on")[0])
    assert says == {
        "wrong_password": ("wrong_password", "The password is wrong."),
        "unknown_user": ("unknown_user", "There is no user with the name `nobody`."),
        "disabled": ("disabled", "User `off` is disabled."),
        "expired": ("expired", f"User `old` expired on {now - timedelta(hours=2):%Y-%m-%d at %H:%M} UTC."),
        "connection_type": ("connection_type", "User `plain` may not connect by websocket, only as standard."),
        "account_disabled": ("account_disabled", "Account `CLOSED` is disabled."),
        "deleted": ("deleted", "User `gone` was deleted "),
        "renamed": ("renamed", "User `former` is called `renamed` now."),
        "former_key": ("former_key", "This is a former nkey of user `rotated`; it was rotated "),
        "wrong_key": ("wrong_key", "The client's seed doesn't fit the nkey of user `keyed`."),
        "wrong_kind": ("wrong_kind", "User `keyed` signs in with an nkey, and the client came with its name."),
        "not_yet_pending": (
            "not_yet_pending",
            "User `new` is not on the servers yet: a change of `ACME` is on its way.",
        ),
        "no_credential": (
            "no_credential",
            "The client gave neither a user's name nor an nkey, and nobody gets in without.",
        ),
        "token": ("token", "The client gave a token, and these servers know users only."),
        "stranger": ("unknown_user", "There is no user with this nkey."),
        "max_connections": ("max_connections", "Account `ACME` has all of its 1 connections in use."),
    }
    assert all(answer.remedy.endswith(".") for answer in answers.values())
    mine = answers["wrong_password"]
    assert (mine.user, mine.user_pk, mine.account, mine.account_pk, mine.owner) == (
        "svc", svc.pk, "ACME", acme.pk, "ada",
    )  # fmt: skip
    assert "s3cr3t" not in str(answers)


# --- what needs no server ----------------------------------------------------------


def state(account, name):
    QuerySet(Account).filter(pk=account.pk).update(wanted=F("done") + 1, problem_kind=name)
    QuerySet(Account).filter(pk=account.pk).update(problem_wanted=F("wanted"))


@pytest.mark.parametrize(
    "name, words", [("held", "waits for a person's yes"), ("failed", "they refused a change of `ACME`")]
)
def test_a_user_whose_change_waits_or_failed(db, name, words):
    acme = factories.account("ACME")
    factories.user(acme, "svc", credential="password", password_hash="$2a$04$x")
    state(acme, name)
    found = explain(acme.system_id, "svc", FAILED, nkey=False)
    assert found.code == f"not_yet_{name}"
    assert words in found.why


def test_a_rotated_password_is_told_with_who_and_when(db):
    acme = factories.account("ACME")
    user = factories.user(acme, "svc", credential="password", password_hash="$2a$04$x")
    with through("admin", person=factories.admin("grace")):
        services.rotate(user)
    QuerySet(Account).update(wanted=0, done=0)
    found = explain(acme.system_id, "svc", FAILED, nkey=False)
    assert found.code == "rotated"
    assert found.why.startswith("The password is wrong; it was rotated by grace on ")
    assert found.remedy == "Give the client the user's new password."


def test_a_certificate_is_no_password(db):
    acme = factories.account("ACME")
    factories.user(acme, "svc", credential="certificate", certificate="CN=svc")
    QuerySet(Account).update(wanted=0, done=0)
    assert explain(acme.system_id, "svc", FAILED, nkey=False).code == "wrong_kind"


@pytest.mark.parametrize(
    "reason, code",
    [
        ("Authentication Timeout", "timeout"),
        ("Maximum Connections Exceeded", "server_full"),
        ("Authentication Expired", "expired"),
        ("Something New", "other"),
    ],
)
def test_other_words_of_the_server(db, reason, code):
    acme = factories.account("ACME")
    factories.user(acme, "svc", credential="password", password_hash="$2a$04$x")
    QuerySet(Account).update(wanted=0, done=0)
    found = explain(acme.system_id, "svc", reason, nkey=False)
    assert found.code == code
    assert (reason in found.why) == (code == "other")


def test_a_user_of_another_system_is_not_meant(db):
    acme = factories.account("ACME")
    factories.user(acme, "svc")
    assert explain(acme.system_id + 1, "svc", FAILED, nkey=False).code == "unknown_user"


def test_nunect_s_own_key_is_known(db):
    system = factories.system()
    assert explain(system.pk, system.relay_nkey, FAILED, nkey=True).code == "own"


def test_many_are_explained_with_six_questions_at_most(db):
    acme = factories.account("ACME")
    for number in range(40):
        factories.user(acme, f"u{number}", credential="password", password_hash="$2a$04$x")
    NatsUser.objects.filter(name__in=["u1", "u2"]).delete()
    asked = [Login(f"u{number}", FAILED) for number in range(40)] + [Login(f"x{n}", FAILED) for n in range(10)]
    counts = []
    for some in (asked[:2], asked):
        refusals._strange.clear()
        with CaptureQueriesContext(connection) as queries:
            found = explain_many(acme.system_id, some)
        assert len(found) == len(some)
        counts.append(len(queries))
    assert max(counts) <= 6
    assert [each.code for each in found[:3]] == ["not_yet_pending", "deleted", "deleted"]
    assert {each.code for each in found[-10:]} == {"unknown_user"}


def test_a_flood_of_strangers_asks_nothing_of_the_past(db):
    system = factories.system()
    asked = [Login(f"x{number}", FAILED) for number in range(500)]
    with CaptureQueriesContext(connection) as queries:
        assert {each.code for each in explain_many(system.pk, asked)} == {"unknown_user"}
    assert not any("historical" in query["sql"] for query in queries)
