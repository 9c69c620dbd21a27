"""3,000 users in 50 accounts are taken over and given back, and nobody who is connected is thrown out."""

import base64
import json
import socket
import time

import pytest

from accounts_app.credentials import new_nkey, sign
from accounts_app.models import NatsUser
from provisioning.takeover.looking import look
from provisioning.takeover.taking import take, undo
from tests.provisioning.taken_place import HASH, Member, Place

pytestmark = [pytest.mark.live, pytest.mark.long]  # some 13 s

ACCOUNTS, EACH = 50, 60


class KeyMember(Member):
    """A client by hand that signs in with an nkey."""

    def __init__(self, port, public, seed):
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.file = self.socket.makefile("rb")
        nonce = json.loads(self.file.readline().removeprefix(b"INFO "))["nonce"]
        signature = base64.urlsafe_b64encode(sign(seed, nonce.encode())).decode().rstrip("=")
        options = {"verbose": False, "pedantic": False, "nkey": public, "sig": signature}
        self.socket.sendall(f"CONNECT {json.dumps(options)}\r\n".encode())


def written(seeds):
    """Accounts whose users have a password and an nkey by turns; seeds: {public: seed}, filled for some."""
    for number in range(ACCOUNTS):
        yield f"  TEAM{number}: {{ users: ["
        for each in range(EACH):
            if each % 2:
                public, seed = new_nkey()
                seeds[public] = seed
                who = f"nkey: {public}"
            else:
                who = f'user: "u{number}-{each}", password: "{HASH}"'
            may = f'publish: ["team{number}.{each}.>"], subscribe: ["team{number}.>", "_INBOX.>"]'
            yield f"    {{ {who}, permissions: {{ {may} }} }}"
        yield "  ] }"


@pytest.fixture
def place(transactional_db, tmp_path, settings):
    settings.STATE_DIR = tmp_path / "state"
    folder = tmp_path / "nats"
    folder.mkdir()
    made = Place(folder, "single")
    made.seeds = {}
    lines = "\n".join(written(made.seeds))
    made.main.write_text(
        f"listen: 127.0.0.1:{made.port}\nhttp: 127.0.0.1:{made.http}\n"
        f"accounts {{\n{lines}\n}} # teams\nmax_payload: 2MB\n"
    )
    made.before = made.files()
    try:
        yield made.start()
    finally:
        made.stop()


def test_clients_of_3000_users_stay_through_a_take_over_and_its_undoing(place, record_testsuite_property):
    there = [Member(place.port, f"u{number}-0") for number in range(10)]
    there += [KeyMember(place.port, *pair) for pair in list(place.seeds.items())[:10]]
    assert all(member.alive() for member in there)
    began = time.monotonic()
    forecast = look(place.main, None)
    looked = time.monotonic()
    assert (forecast.refusals, forecast.differences) == ((), ())
    assert (forecast.accounts, forecast.users) == (ACCOUNTS, ACCOUNTS * EACH)
    assert take(place.main, "default").revision.servers[0]["proof"] == "digest"
    taken = time.monotonic()
    assert NatsUser.objects.count() >= ACCOUNTS * EACH
    assert all(member.alive() for member in there)
    given_back = time.monotonic()
    undo(place.main)
    undone = time.monotonic()
    for name, seconds in (("look", looked - began), ("take", taken - looked), ("undo", undone - given_back)):
        record_testsuite_property(name, round(seconds, 1))
    assert all(member.alive() for member in there)
    assert place.files() == place.before
