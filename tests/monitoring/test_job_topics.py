"""The topics of jobs: made of the rows when something changes, for those who may see the job, without a relay."""

from __future__ import annotations

import json

import pytest
from channels.db import database_sync_to_async
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monitoring import jobs_live, store
from monitoring.frames import Wrong, read
from provisioning.events import job_changed
from provisioning.models import Job, JobLine, JobStep
from tests import factories
from tests.api.conftest import Api
from tests.api.conftest import token_of as bare_token
from tests.monitoring.conftest import session_of, token_of
from tests.monitoring.test_socket_entry import example, shape


def make_job(*accounts, **fields):
    job = Job.objects.create(
        system=factories.system(),
        kind="provision",
        title=f"{accounts[0]} from event-driven-team",
        accounts=list(accounts),
        author_name="ada",
        door="admin",
        **fields,
    )
    for number, name in enumerate(("rows", "enforced"), 1):
        JobStep.objects.create(job=job, number=number, name=name, title=f"The step {name}")
    JobLine.objects.create(job=job, step="rows", text="begun")
    return job


def change(job, **fields):
    """As the engine does: the row, then the word of it."""
    Job.objects.filter(pk=job.pk).update(**fields)
    job_changed.send(sender=Job, system_id=job.system_id, job_id=job.pk)


in_thread = database_sync_to_async


async def test_a_job_is_told_at_once_and_when_it_changes(web, session):
    job = await in_thread(make_job)("ACME")
    client = await web.open(session)
    client.watch(f"job:{job.pk}")
    first = await client.of("snapshot")
    assert shape(first) == shape(example("job"))
    assert shape(first["data"]) == shape({**example("job")["data"], "started_at": None, "blueprint_version": None})
    assert [shape(step) for step in first["data"]["steps"]] == [shape(example("job")["data"]["steps"][2])] * 2
    assert first["data"]["lines"][0]["text"] == "begun"
    assert (first["topic"], first["data"]["state"]) == (f"job:{job.pk}", "queued")
    await in_thread(change)(job, state="waiting", waits_for="Waits for n3.")
    second = await client.of("snapshot")
    assert (second["data"]["state"], second["data"]["waits_for"]) == ("waiting", "Waits for n3.")
    assert second["epoch"] == first["epoch"] and second["seq"] > first["seq"]


async def test_all_jobs_are_counted_and_the_latest_told(web, session):
    await in_thread(make_job)("OLD", state="done")
    job = await in_thread(make_job)("ACME", state="running")
    client = await web.open(session)
    client.watch("jobs")
    told = await client.of("snapshot")
    assert shape(told) == shape(example("jobs"))
    assert [shape(one) for one in told["data"]["latest"]] == [
        shape({**example("jobs")["data"]["latest"][0], "started_at": None, "blueprint_version": None})
    ] * 2
    assert told["data"]["counts"] == {"queued": 0, "running": 1, "waiting": 0, "undoing": 0, "failed": 0}
    await in_thread(change)(job, state="failed")
    assert (await client.of("snapshot"))["data"]["counts"]["failed"] == 1


async def test_frames_of_relay_and_jobs_go_over_one_socket(web, relay, session):
    job = await in_thread(make_job)("ACME")
    client = await web.open(session)
    client.watch("overview", f"job:{job.pk}")
    seen = set()
    for number in range(3):
        relay.put(n=number)
        await in_thread(change)(job, problem=str(number))
        while True:
            frame = await client.of("snapshot")
            client.ack(frame["seq"])
            seen.add((frame["topic"], frame["epoch"]))
            if frame["topic"] != "overview" and frame["data"]["problem"] == str(number):
                break
    assert len(seen) == 2
    await client.understood()


async def test_many_changes_become_few_frames_and_the_last_is_among_them(web, session):
    job = await in_thread(make_job)("ACME")
    client = await web.open(session)
    client.watch("jobs", f"job:{job.pk}")
    await client.of("snapshot", topic=f"job:{job.pk}")
    for number in range(60):
        await in_thread(change)(job, problem=f"change {number}")
    frames = []
    while not frames or frames[-1]["data"]["problem"] != "change 59":
        frames.append(await client.of("snapshot", topic=f"job:{job.pk}"))
    assert len(frames) < 30


async def test_who_is_kept_to_one_account_sees_its_jobs_only(web, ada):
    await in_thread(factories.account)("ACME")
    await in_thread(factories.account)("SHOP")
    mine = await in_thread(make_job)("ACME")
    both = await in_thread(make_job)("ACME", "SHOP")
    gone = await in_thread(make_job)("ACME2")
    _, bare = await in_thread(token_of)(ada, accounts=["ACME"])
    client = await web.open(token=bare)
    assert (await client.frame())["topics"] == ["account:*", "job:*"]
    client.watch("jobs", *(f"job:{job.pk}" for job in (mine, both, gone)), "job:999999")
    error = await client.of("error")
    assert error["detail"] == (f"watch: you may not watch jobs, job:{both.pk}, job:{gone.pk}, job:999999.")
    assert (await client.of("snapshot"))["topic"] == f"job:{mine.pk}"
    await in_thread(change)(both, state="failed")
    assert await client.rest() == []


async def test_jobs_need_the_right_to_see_them(web):
    sam = await in_thread(factories.staff)("sam", "accounts_app.view_server")
    job = await in_thread(make_job)("ACME")
    client = await web.open(await in_thread(session_of)(sam))
    assert (await client.frame())["topics"] == ["overview", "tables"]
    client.watch("jobs", f"job:{job.pk}")
    assert (await client.of("error"))["detail"] == f"watch: you may not watch jobs, job:{job.pk}."


@pytest.mark.parametrize("topic", ["job:", "job:x", "job:-1", "job:1.5", "job:0", "job:" + "9" * 19, "job:*", "Jobs"])
def test_what_names_no_job_is_told_so(topic):
    with pytest.raises(Wrong, match="job:ID"):
        read(json.dumps({"watch": {"topics": [topic]}}))


# --- without a socket ------------------------------------------------------------------------------------------


@pytest.fixture
def rights(valkey, db):
    factories.system()
    return lambda *permissions: Api(bare_token(factories.staff("few", *permissions)))


def test_the_topics_are_to_be_had_by_rest_without_relay_and_redis(rights, settings):
    job = make_job("ACME", state="running")
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    api = rights("provisioning.view_job", "accounts_app.view_account")
    told = api.get(f"live/topics/job:{job.pk}/")
    assert told.status_code == 200, told.content
    assert told.json()["data"]["state"] == "running" and told.json()["live"] is True
    assert api.get("live/topics/jobs/").json()["data"]["counts"]["running"] == 1
    assert api.get("live/topics/job:999999/").status_code == 404
    assert api.get("live/topics/job:x/").status_code == 404


def test_by_rest_they_need_the_same_rights(rights, db):
    job = make_job("ACME")
    factories.account("ACME"), factories.account("SHOP")
    other = make_job("SHOP")
    api = rights("accounts_app.view_account")
    assert api.get("live/topics/jobs/").status_code == api.get(f"live/topics/job:{job.pk}/").status_code == 403
    narrow = Api(bare_token(factories.admin(), "read", accounts=["ACME"]))
    assert narrow.get("live/topics/jobs/").status_code == 403
    assert narrow.get(f"live/topics/job:{job.pk}/").status_code == 200
    assert narrow.get(f"live/topics/job:{other.pk}/").status_code == 404


# --- what it costs ---------------------------------------------------------------------------------------------


def test_a_redis_that_is_away_holds_no_job_up(db, settings, monkeypatch):
    monkeypatch.setattr(jobs_live, "_away_until", 0.0)
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    asked = []
    nudge = store.nudge
    monkeypatch.setattr(store, "nudge", lambda *args: (asked.append(args), nudge(*args)))
    for _ in range(3):
        job_changed.send(sender=Job, system_id=1, job_id=1)
    assert len(asked) == 1  # then it is left alone for a while


def test_topics_take_few_queries_and_hold_no_secret(db):
    jobs = [make_job("ACME", inputs=json.dumps({"secret": "hush"}), state="running") for _ in range(3)]
    JobStep.objects.update(undo='{"secret": "hush"}')
    with CaptureQueriesContext(
        connection,
    ) as asked:
        told = jobs_live.told(jobs[0].system_id, ["jobs", *(f"job:{job.pk}" for job in jobs)])
    assert len(asked) <= 4 + len(jobs)
    assert "hush" not in json.dumps(told)
