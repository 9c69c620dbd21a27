"""From a blueprint to a client that publishes, and back, at the command line of the whole product."""

import asyncio
import base64
import json
import stat
from pathlib import Path

import nats
import pytest

from accounts_app import credentials
from accounts_app.natsconf import nkeys

QUEUE = ("--set", "owner=admin", "--set", "queues=[thumbs]")


def said(shell, *arguments, **options):
    return json.loads(shell(*arguments, "--json", **options).stdout)


def publishes(context):
    """The stream that keeps what the client of a context file publishes."""

    async def go():
        told = json.loads(context.read_text())
        seed = Path(told["nkey"]).read_text().strip()
        client = nats.NATS()
        client._public_nkey = credentials.public_of(nkeys.decode_seed(seed)[1])
        await client.connect(
            told["url"],
            signature_cb=lambda nonce: base64.b64encode(credentials.sign(seed, nonce.encode())),
            inbox_prefix=told["inbox_prefix"].encode(),
            allow_reconnect=False,
            connect_timeout=3,
        )
        try:
            return (await client.jetstream().publish("jobs.thumbs.1", b"hello")).stream
        finally:
            await client.close()

    return asyncio.run(go())


@pytest.fixture(scope="module")
def team(here, tmp_path_factory):
    """An account from a blueprint, and the folder of its credentials."""
    folder = tmp_path_factory.mktemp("team") / "creds"
    job = said(here, "provision", "work-queue", "--set", "name=TEAM", *QUEUE, "--creds-to", folder)
    return job, folder


def test_a_team_is_made_in_one_command_and_its_client_publishes(team):
    job, folder = team
    assert job["state"] == "done" and [step["state"] for step in job["steps"]] == ["done"] * 5
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert publishes(folder / "TEAM-producer.json") == "JOBS"


def test_what_would_be_made_is_said_and_nothing_is_done(there, team):
    told = said(there, "provision", "work-queue", "--set", "name=OTHER", *QUEUE, "--dry-run")
    assert "stream `JOBS` of account `OTHER` is made" in " ".join(each["text"] for each in told["changes"])
    assert [row["name"] for row in said(there, "list", "accounts")].count("OTHER") == 0
    wrong = there("provision", "work-queue", "--set", "name=no dots.", *QUEUE, code=1)
    assert wrong.stderr.startswith("nunect: name: ")
    missing = there("provision", "work-qeue", code=1)
    assert "did you mean work-queue?" in missing.stderr


def test_the_same_again_changes_nothing_and_hands_nothing_over(there, team):
    again = there("provision", "work-queue", "--set", "name=TEAM", *QUEUE, "--link")
    assert again.stdout == ""
    assert "The rows say so already." in again.stderr and "There are no new credentials" in again.stderr
    both = there("provision", "work-queue", "--set", "name=TEAM", *QUEUE, "--link", "--creds-to", "x", code=1)
    assert "one way or the other" in both.stderr


def test_new_credentials_end_the_former_ones(here, there, team, tmp_path):
    job, _ = team
    link = there("job", "new-credentials", job["id"], "--link", "--yes").stdout.strip()
    assert "/handover/#" in link
    told = said(here, "job", "new-credentials", job["id"], "--yes", "--creds-to", tmp_path / "again")
    assert told["state"] == "done"
    assert publishes(tmp_path / "again" / "TEAM-producer.json") == "JOBS"
    with pytest.raises(nats.errors.Error):
        publishes(team[1] / "TEAM-producer.json")


def test_streams_are_rows_and_what_others_changed_is_answered(here, there, team):
    rows = said(there, "list", "streams", "account=TEAM")
    assert {(row["name"], row["state"]) for row in rows} == {("JOBS", "applied"), ("DEAD_LETTERS", "applied")}
    changed = said(there, "update", "streams", "TEAM/JOBS", "max_age=7d")
    assert changed["max_age"] == "7d" and changed["sync"]["state"] == "applied"
    assert "Nothing waits: when nunect last looked, everything was as the rows say." in there("drift").stderr
    refused = there("drift", "adopt", "users", "x", code=1)
    assert "This is for streams, kv-buckets, object-buckets, consumers and conf." in refused.stderr


def test_an_account_is_retired_had_back_and_gone(here, there, team):
    begun = said(there, "retire", "TEAM", "--window", "1h", "--confirm", "TEAM")["job"]
    told = said(there, "job", "follow", begun["id"], "--timeout", "1", code=None)
    assert told["kind"] == "retire" and told["state"] in ("queued", "running", "waiting")
    assert "retiring" in there("list", "accounts").stdout
    assert said(there, "job", "cancel", begun["id"], "--yes")["state"] == "cancelled"
    assert "retiring" not in there("list", "accounts").stdout.lower()
    assert all(user["enabled"] for user in said(there, "list", "users", "account=TEAM"))
    assert "Type the name" in there("retire", "TEAM", "--confirm", "MEAT", code=1).stderr
    gone = said(here, "retire", "TEAM", "--window", "0s", "--data", "delete", "--confirm", "TEAM", "--follow")
    assert gone["state"] == "done"
    assert "TEAM" not in [row["name"] for row in said(there, "list", "accounts")]
    assert [row["state"] for row in said(there, "jobs", "--account", "TEAM")][:2] == ["done", "cancelled"]
