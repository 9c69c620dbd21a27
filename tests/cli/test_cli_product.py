"""The command as a program, beside the whole product: at its machine, and elsewhere with a token."""

import asyncio
import base64
import contextlib
import json
import os
import stat
from pathlib import Path

import nats
import pytest

from accounts_app import credentials
from accounts_app.natsconf import nkeys

ORDERS = """\
accounts:
  - name: ORDERS
    description: the shop
    users:
      - name: checkout
        permissions: [publish orders.>, deny publish orders.secret]
      - name: clerk
        credential: password
        permissions: [subscribe orders.* clerks]
---
accounts:
  - name: WEATHER
    exports: [{kind: stream, subject: weather.>}]
"""


@pytest.fixture(params=["here", "there"])
def nunect(request):
    """Both ways, for what a request does not have in common; a command at the machine loads all of nunect."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def orders(there, tmp_path):
    """The file, applied; the rows and servers are exactly that afterwards."""
    file = tmp_path / "orders.yaml"
    file.write_text(ORDERS)
    there("apply", "-f", file, "--prune", "--yes", "--json")
    return file


def newest(shell):
    return json.loads(shell("revisions", "--limit", "1", "--json").stdout)[0]["number"]


def tries(product, subjects, seed="", **login):
    """{subject: whether the server let it be published}; None when it may not even sign in."""

    async def go():
        refused = []

        async def on_error(error):
            refused.append(str(error).lower())

        client = nats.NATS()
        if seed:
            client._public_nkey = credentials.public_of(nkeys.decode_seed(seed)[1])
            login["signature_cb"] = lambda nonce: base64.b64encode(credentials.sign(seed, nonce.encode()))
        url = f"nats://127.0.0.1:{product.ports['NATS_PORT']}"
        try:
            await client.connect(url, allow_reconnect=False, connect_timeout=3, error_cb=on_error, **login)
        except (nats.errors.Error, OSError):
            return None
        told = {}
        for subject in subjects:
            del refused[:]
            await client.publish(subject, b"")
            await client.flush(5)
            await asyncio.sleep(0.05)
            told[subject] = not any("permissions violation" in said for said in refused)
        with contextlib.suppress(Exception):
            await client.close()
        return told

    return asyncio.run(go())


def test_plan_ends_with_2_for_changes_0_for_none_and_1_for_errors(nunect, orders):
    assert "Nothing would change." in nunect("plan", "-f", orders).stdout
    orders.write_text(ORDERS.replace("orders.secret", "orders.hidden"))
    changed = nunect("plan", "-f", orders, "--conf", code=2)
    assert "user `checkout` of account `ORDERS`" in changed.stdout
    assert 'deny: ["orders.hidden"]' in changed.stdout
    told = json.loads(nunect("plan", "-f", orders, "--json", code=2).stdout)
    assert told["changes"][0]["account"] == "ORDERS"
    nunect("plan", "-f", "nowhere.yaml", code=1)


def test_a_document_is_applied_enforced_and_its_secrets_told_once(product, nunect, there):
    there("apply", "-f", "-", "--prune", "--yes", given="accounts: [{name: EMPTY}]")
    told = nunect("apply", "-f", "-", "--yes", given=ORDERS)
    secrets = {line.split()[0]: line.split()[2] for line in told.stdout.splitlines()[1:]}
    assert secrets.keys() == {"checkout", "clerk"}
    for step in ("read", "compare", "write", "enforce"):
        assert f"✓ {step}" in told.stderr
    revision = newest(there)
    assert f"applied: every server enforces it, revision {revision}." in told.stderr
    subjects = ("orders.new", "orders.secret", "elsewhere")
    assert tries(product, subjects, seed=secrets["checkout"]) == dict(zip(subjects, (True, False, False), strict=True))
    assert tries(product, (), user="clerk", password=secrets["clerk"]) == {}
    again = nunect("apply", "-f", "-", given=ORDERS)
    assert "Nothing to change." in again.stderr
    assert again.stdout == ""
    assert newest(there) == revision


def test_the_same_key_again_gets_the_same_answer_with_its_secrets(there, orders):
    key, mark = os.urandom(8).hex(), os.urandom(3).hex()
    given = f"accounts: [{{name: KEY{mark}, users: [{{name: svc-{mark}}}]}}]"
    first = there("apply", "-f", "-", "--yes", "--idempotency-key", key, given=given)
    again = there("apply", "-f", "-", "--yes", "--idempotency-key", key, given=given)
    assert first.stdout == again.stdout and "SU" in again.stdout
    assert "nothing was done again" in again.stderr
    assert "applied: every server enforces it" in again.stderr


def test_secrets_go_to_a_file_that_only_its_owner_reads(there, orders, tmp_path):
    file = tmp_path / "secrets.json"
    more = "accounts: [{name: MORE, users: [{name: one}, {name: two}]}]"
    told = there("apply", "-f", "-", "--yes", "--secrets-to", file, given=more)
    assert told.stdout == ""
    kept = json.loads(file.read_text())
    assert kept.keys() == {"one", "two"}
    assert kept["one"]["seed"] not in told.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    refused = there("apply", "-f", "-", "--yes", "--secrets-to", file, given=more.replace("two", "three"), code=1)
    assert "is there already" in refused.stderr
    assert "two" in there("list", "users", "account=MORE").stdout


def test_nothing_is_applied_where_nobody_can_be_asked(there, orders):
    before = newest(there)
    answer = there("apply", "-f", "-", given="accounts: [{name: FRESH}]", code=1)
    assert "account `FRESH` is added" in answer.stderr
    assert "--yes" in answer.stderr
    assert newest(there) == before


def test_prune_deletes_accounts_that_no_document_names(there, orders):
    weather = ORDERS.partition("---\n")[2]
    assert "Nothing would change." in there("plan", "-f", "-", given=weather).stdout
    told = there("plan", "-f", "-", "--prune", given=weather, code=2).stdout
    assert "account `ORDERS` is removed with 2 users" in told
    there("apply", "-f", "-", "--prune", "--yes", given=weather)
    names = {row["name"] for row in json.loads(there("list", "accounts", "--json").stdout)}
    assert names == {"$SYS", "$NUNECT", "WEATHER"}


def test_what_is_exported_is_applied_without_a_change(there, orders, tmp_path):
    file = tmp_path / "all.yaml"
    there("export", "-o", file)
    assert "Nothing would change." in there("plan", "-f", file, "--prune").stdout
    one = there("export", "ORDERS").stdout
    assert "WEATHER" not in one
    assert "Nothing to change." in there("apply", "-f", "-", given=one).stderr
    assert json.loads(there("export", "--json").stdout)["accounts"]
    assert "There is no account “NONE”" in there("export", "NONE", code=1).stderr


def test_a_new_user_does_what_it_may_and_a_disabled_one_is_kept_out(product, nunect, orders):
    name = f"svc-{os.urandom(3).hex()}"
    seed = nunect(
        "user", "add", "ORDERS", name, "--publish", "orders.>", "--deny-publish", "orders.secret",
        "--subscribe", "jobs.* workers", "--expires", "90d",
    ).stdout.strip()  # fmt: skip
    subjects = ("orders.new", "orders.secret", "elsewhere")
    assert list(tries(product, subjects, seed=seed).values()) == [True, False, False]
    fresh = nunect("user", "rotate", name, "--overlap", "1h").stdout.strip()
    assert tries(product, (), seed=seed) == tries(product, (), seed=fresh) == {}
    nunect("user", "disable", name)
    assert tries(product, (), seed=fresh) is None
    nunect("user", "enable", f"ORDERS/{name}")
    assert tries(product, (), seed=fresh) == {}
    told = nunect("user", "creds", name).stdout
    assert "nats.connect(" in told and f"ORDERS/{name}" in told and "<seed>" in told


def test_creds_are_written_for_their_owner_alone(there, orders, tmp_path):
    file = tmp_path / "context.json"
    there("user", "creds", "clerk", "--out", file)
    assert json.loads(file.read_text())["user"] == "clerk"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_revert_shows_what_it_does_and_goes_back(there, orders):
    before = newest(there)
    there("user", "add", "ORDERS", "guest")
    assert newest(there) == before + 1
    assert "guest" in there("diff", "--json").stdout or "nkey" in there("diff").stdout
    asked = there("revert", before, code=1)
    assert "user `guest` of account `ORDERS` is removed" in asked.stderr
    assert "--yes" in asked.stderr
    there("revert", before, "--yes")
    assert "guest" not in there("list", "users").stdout
    assert "Nothing to change" in there("revert", before, "--yes").stderr
    assert "There is no revision 9999" in there("revert", 9999, "--yes", code=1).stderr


def test_a_held_change_waits_for_yes_or_no(there):
    name = f"FULL{os.getpid()}"
    many = [{"name": f"u{number}"} for number in range(15)]
    full = json.dumps({"accounts": [{"name": name, "users": many}]})
    few = json.dumps({"accounts": [{"name": name, "users": many[:1]}]})
    there("apply", "-f", "-", "--prune", "--yes", "--json", given=full)
    held = there("apply", "-f", "-", "--yes", given=few, code=3)
    assert "held: written, and held until somebody answers" in held.stderr
    assert name in there("holds").stdout
    number = json.loads(there("holds", "--json").stdout)[0]["id"]
    there("holds", "no", number)
    assert len(json.loads(there("list", "users", f"account={name}", "--json").stdout)) == 15
    assert "Nothing waits" in there("holds").stderr
    there("apply", "-f", "-", "--yes", given=few, code=3)
    number = json.loads(there("holds", "--json").stdout)[0]["id"]
    answer = there("holds", "yes", number)
    assert "applied: every server enforces it" in answer.stderr
    assert "answered this already" in there("holds", "yes", number, code=1).stderr


@pytest.mark.parametrize(
    "text, said",
    [
        ("accounts:\n  - name: A\n   users: []\n", "stdin, line 3, column 4"),
        ("accounts:\n  - name: A\n    colour: red\n", "stdin:3: accounts[0].colour: There is no such field."),
        (
            "accounts: []\n---\naccounts:\n  - name: A\n    users:\n      - name: x\n        permissions: [sing a]\n",
            "stdin:7: accounts[0].users[0].permissions[0]: A permission reads like",
        ),
        ("accounts: [{name: A}, {name: A}]", "This account is there twice."),
        ("accounts: [{name: A, users: [{name: x, permissions: [publish a..b]}]}]", 'Subject "a..b" has an empty token'),
    ],
)
def test_a_faulty_document_is_told_with_its_place_and_changes_nothing(there, text, said):
    before = newest(there)
    answer = there("apply", "-f", "-", "--yes", given=text, code=1)
    assert said in answer.stderr
    assert newest(there) == before


@pytest.mark.parametrize(
    "more, said",
    [
        ({"NUNECT_TOKEN": "nun_wrong"}, "This token is not known"),
        ({"NUNECT_URL": "http://127.0.0.1:9"}, "Nobody listens at http://127.0.0.1:9: is nunect running there?"),
        ({"NUNECT_URL": "nunect.example.com"}, "is no address of nunect"),
        ({"NUNECT_TOKEN": ""}, "NUNECT_URL is set and NUNECT_TOKEN is not"),
        ({"NUNECT_TOKEN": "nun_日本"}, "holds a character that no token has"),
    ],
)
def test_who_isn_t_let_in_is_told_what_to_do(there, more, said):
    answer = there("list", "users", code=1, **more)
    assert said in answer.stderr
    assert answer.stdout == ""


def test_a_revoked_token_is_refused(there):
    made = there("token", "create", "short-lived", "--scope", "read", "--account", "$SYS", "--expires", "1h")
    bare = made.stdout.strip()
    assert made.stdout == f"{bare}\n" and bare.startswith("nun_")
    there("status", NUNECT_TOKEN=bare)
    refused = there("create", "accounts", "name=X", NUNECT_TOKEN=bare, code=1)
    assert "scope is “read”" in refused.stderr
    there("token", "revoke", "short-lived")
    assert "revoked" in there("list", "users", NUNECT_TOKEN=bare, code=1).stderr
    assert "short-lived" not in there("token", "list").stdout
    assert "short-lived" in there("token", "list", "--all").stdout


def test_login_checks_the_token_and_keeps_it_for_its_owner_alone(there, tmp_path):
    bare, url = there.env["NUNECT_TOKEN"], there.env["NUNECT_URL"]
    elsewhere = {"NUNECT_URL": "", "NUNECT_TOKEN": "", "XDG_CONFIG_HOME": str(tmp_path)}
    assert "not known" in there("login", url, "--token", "nun_x", code=1, **elsewhere).stderr
    assert not list(tmp_path.iterdir())
    told = there("login", f"{url}/api/v1/", "--token", "-", given=f"{bare}\n", **elsewhere)
    assert "as admin: scope admin" in told.stderr
    assert bare not in told.stdout + told.stderr
    file = Path(tmp_path, "nunect", "config.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert url in there("status", **elsewhere).stdout
    there("login", "--forget", **elsewhere)
    assert not file.exists()


def test_doctor_ends_with_0_when_all_is_well_and_status_is_ready(nunect, orders):
    assert "✓ Worker" in nunect("doctor").stdout
    assert json.loads(nunect("doctor", "--json").stdout)["ok"] is True
    assert "ready: " in nunect("status").stdout


def test_doctor_ends_with_1_and_a_remedy_when_something_is_wrong(here):
    answer = here("doctor", code=1, REDIS_URL="redis://127.0.0.1:9/0")
    assert "✗ Redis" in answer.stdout
    assert "→ Start it, or check REDIS_URL." in answer.stdout


def test_wide_and_odd_names_go_there_and_back(there, orders):
    user = {"name": "日本 é", "description": "calm\u202e"}
    told = there("apply", "-f", "-", "--yes", given=json.dumps({"accounts": [{"name": "WIDE", "users": [user]}]}))
    assert "日本 é" in told.stdout
    listed = there("list", "users", "account=WIDE", "--fields", "name,description").stdout
    assert "日本 é" in listed and "calm\\u202e" in listed
    assert "Nothing to change." in there("apply", "-f", "-", given=there("export", "WIDE").stdout).stderr
    refused = there("create", "accounts", "name=\x1b[31mred", code=1)
    assert "\x1b" not in refused.stderr


def test_a_terminal_that_can_t_show_a_character_is_no_reason_to_fail(there, orders):
    answer = there("doctor", PYTHONIOENCODING="latin-1")
    assert "\\u2713 Worker" in answer.stdout
