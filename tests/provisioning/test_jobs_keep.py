"""What was in the store before a job stays there when the job is taken back, on a real server."""

import pytest

from accounts_app.models import Stream
from provisioning import pipeline
from provisioning.blueprints import handover
from provisioning.jetstream.client import JetStream
from provisioning.jetstream.enforce import enforce
from provisioning.jobs import engine, lease, services
from tests.provisioning.jobs_world import as_ada, client, folders, provision, retire, told, until, with_streams

BARE = {**with_streams()["accounts"][0], "streams": [], "kv_buckets": []}


@pytest.fixture(autouse=True)
def short_lease(monkeypatch):
    monkeypatch.setattr(lease, "LEASE_S", 0.6)
    monkeypatch.setattr(lease, "RENEW_S", 0.2)


def publishes(world, token, *subjects):
    secret = handover.open_once(token)["acme-svc"]["secret"]

    async def work(made):
        for subject in subjects:
            await made.jetstream(timeout=10).publish(subject, b"x")

    client(world, secret, work)


def left_behind(world, said=None):
    """An account that was there, with a message in ORDERS, and whose data are kept in the store."""
    job, token = provision(world, said or with_streams())
    until(world, job)
    publishes(world, token, "orders.new")
    assert until(world, retire(data="keep")).state == "done"


def messages(world):
    """{stream: messages} of the account, once it is made again without a stream of its own."""
    job, _ = provision(world, {"accounts": [BARE]})
    assert until(world, job).state == "done", told(job)
    with JetStream(world.system) as jetstream:
        return {each["config"]["name"]: each["state"]["messages"] for each in jetstream.streams("ACME")}


def rolled_back(world, job):
    as_ada(services.roll_back, job)
    assert until(world, job).state == "rolled_back", told(job)


@pytest.mark.long
def test_what_retiring_kept_stays_when_the_next_job_of_the_same_streams_is_rolled_back(world):
    left_behind(world)
    job, _ = provision(world, with_streams())
    assert until(world, job).state == "done", told(job)
    rolled_back(world, job)
    assert folders(world)["ACME"] == ["KV_config", "ORDERS"]
    assert "for account ACME: KV_config, ORDERS." in job.results["kept"][0]
    assert messages(world) == {"KV_config": 0, "ORDERS": 1}


def test_a_stream_that_was_in_the_way_stays_when_the_job_that_failed_is_rolled_back(world):
    left_behind(world)
    said = with_streams()
    said["accounts"][0]["streams"][0]["max_age"] = "1m"
    said["accounts"][0]["streams"].append({"name": "EXTRA", "subjects": ["extra.>"], "deletion": "keep"})
    job, _ = provision(world, said)
    assert until(world, job, "failed").problem_step == "assets", told(job)
    assert "kept when account ACME was retired" in job.problem
    rolled_back(world, job)
    assert messages(world) == {"KV_config": 0, "ORDERS": 1}, "only what the job itself had made is gone"


@pytest.mark.long
def test_streams_that_no_job_has_made_stay_and_a_new_consumer_of_theirs_goes(world):
    job, token = provision(world, {"accounts": [BARE]})
    until(world, job)
    secret = handover.open_once(token)["acme-svc"]["secret"]

    async def work(made):
        await made.jetstream(timeout=10).add_stream(name="MINE", subjects=["mine.>"])
        await made.jetstream(timeout=10).publish("mine.x", b"x")

    client(world, secret, work)
    assert until(world, retire(data="keep")).state == "done"
    mine = {"name": "MINE", "subjects": ["mine.>"], "allow_direct": False, "consumers": [{"name": "worker"}]}
    for streams in ([], [mine]):
        again, _ = provision(world, with_streams(streams=streams))
        assert until(world, again).state == "done", told(again)
        rolled_back(world, again)
        assert folders(world)["ACME"] == ["MINE"]
    assert messages(world) == {"MINE": 1}
    with JetStream(world.system) as jetstream:
        assert jetstream.consumers("ACME", "MINE") == []


def test_nobody_makes_a_stream_of_a_job_before_it_has_looked(world):
    """Hints and sweeps bring rows to the servers, too: then what was there could not be told from what was made."""
    left_behind(world)
    job, _ = provision(world, with_streams())
    engine.work(5)
    pipeline.apply(world.system.pk)
    enforce(world.system.pk)
    stream = Stream.objects.get(name="ORDERS")
    assert (stream.done, stream.problem) == (0, f"Waits for job {job.pk} to look at what is there.")
    as_ada(services.cancel, job)
    assert until(world, job, "cancelled"), told(job)
    assert folders(world)["ACME"] == ["KV_config", "ORDERS"]
    assert messages(world) == {"KV_config": 0, "ORDERS": 1}


def test_a_stream_that_does_not_come_up_again_is_not_purged(world):
    """An account of narrower limits than before: what the server can't open it doesn't list."""
    left_behind(world)
    job, _ = provision(world, {"accounts": [{**BARE, "jetstream": {"max_streams": 1, "max_file": 1024}}]})
    assert until(world, job).state == "done", told(job)
    rolled_back(world, job)
    assert folders(world)["ACME"] == ["KV_config", "ORDERS"]
