"""Jobs with streams on a real server: killed, cancelled and rolled back at every step; retired with their data."""

import os
import time

import pytest

from accounts_app.models import Account, Consumer, Stream
from provisioning.blueprints import handover
from provisioning.jetstream.client import JetStream
from provisioning.jetstream.enforce import enforce
from provisioning.jobs import engine, lease, services
from provisioning.models import Job
from tests.provisioning.jobs_world import (
    POINTS,
    as_ada,
    client,
    dies,
    dump,
    folders,
    provision,
    retire,
    steps,
    told,
    turn,
    until,
    with_streams,
)


@pytest.fixture(autouse=True)
def short_lease(monkeypatch):
    monkeypatch.setattr(lease, "LEASE_S", 0.6)
    monkeypatch.setattr(lease, "RENEW_S", 0.2)


def stores(world, secret, subject="orders.new"):
    """The stream that has stored a message of this client, and its sequence there."""

    async def work(made):
        stored = await made.jetstream(timeout=10).publish(subject, b"x")
        return stored.stream, stored.seq

    return client(world, secret["secret"], work)


def on_server(world, account="ACME"):
    """{stream: its config} as the server has it now."""
    with JetStream(world.system) as jetstream:
        return {each["config"]["name"]: each["config"] for each in jetstream.streams(account)}


def until_folders(world, wanted, seconds=10):
    """A purge is answered before it is over."""
    end = time.monotonic() + seconds
    while folders(world) != wanted:
        assert time.monotonic() < end, folders(world)
        time.sleep(0.02)


def same(world, before):
    rows, conf, store = before
    until_folders(world, store)
    now = dump(world)
    assert now[1] == conf
    assert now[0] == rows


def test_a_job_to_a_client_that_publishes_into_its_stream_and_back(world):
    world.user(world.account("OTHER", jetstream=True), "bystander", "publish a.>")
    world.apply()
    before = dump(world)
    job, token = provision(world, with_streams())
    assert until(world, job).state == "done", told(job)
    assert job.results["streams"] == ["KV_config", "ORDERS"]
    secret = handover.open_once(token)["acme-svc"]
    assert stores(world, secret) == ("ORDERS", 1)
    assert folders(world)["ACME"] == ["KV_config", "ORDERS"]
    as_ada(services.roll_back, job)
    assert until(world, job).state == "rolled_back", told(job)
    same(world, before)
    anew, token = provision(world, with_streams())
    assert until(world, anew).state == "done", told(anew)
    assert stores(world, handover.open_once(token)["acme-svc"]) == ("ORDERS", 1), "it is a new one, and it stores"


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_the_streams_it_goes_on_to_the_same_end_and_back(world, point):
    world.apply()
    before = dump(world)
    job, token = provision(world, with_streams())
    while steps(job)["enforced"] != "done":
        Job.objects.filter(pk=job.pk).update(next_at=None)
        if dies(lambda: turn(world), "assets", point):
            break
    else:
        assert dies(lambda: turn(world), "assets", point), told(job)
    assert until(world, job).state == "done", told(job)
    assert sorted(on_server(world)) == ["KV_config", "ORDERS"]
    assert stores(world, handover.open_once(token)["acme-svc"]) == ("ORDERS", 1)
    as_ada(services.roll_back, job)
    assert dies(lambda: turn(world), "assets", point), told(job)
    assert until(world, job).state == "rolled_back", told(job)
    same(world, before)


@pytest.mark.long
@pytest.mark.parametrize("crash", ["assets look", "assets trace", "assets act", "assets write"])
def test_killed_between_any_two_acts_of_the_streams_nothing_is_left(world, crash):
    """In the midst of the step: the server has made a stream that no row knows as done."""
    from tests.provisioning.world import dies_at

    world.apply()
    before = dump(world)
    job, _ = provision(world, with_streams())
    while steps(job)["rows"] != "done":
        turn(world)
    died = False
    while not died:
        died = dies_at(crash, lambda: turn(world))
        job.refresh_from_db()
        assert job.state in Job.ACTIVE, told(job)
    as_ada(services.cancel, job)
    assert until(world, job, Job.State.CANCELLED)
    same(world, before)


def test_cancelled_while_its_streams_are_made_nothing_is_left(world):
    world.apply()
    before = dump(world)
    for point in POINTS[:2]:
        job, _ = provision(world, with_streams())

        def cancel(sender, job_id, step, point, at=point, **_):
            if (step, point) == ("assets", at) and not Job.objects.get(pk=job_id).asked:
                as_ada(services.cancel, Job.objects.get(pk=job_id))

        engine.passed.connect(cancel)
        try:
            assert until(world, job, Job.State.CANCELLED), told(job)
        finally:
            engine.passed.disconnect(cancel)
        same(world, before)


def test_an_account_that_was_there_gets_its_streams_back(world):
    """A changed stream as it was, a new one gone, one that was let go managed again; what it stores stays."""
    first, token = provision(world, with_streams())
    until(world, first)
    secret = handover.open_once(token)["acme-svc"]
    stores(world, secret)
    before, server = dump(world), on_server(world)
    other = with_streams(
        streams=[
            {"name": "ORDERS", "subjects": ["orders.>", "more.>"], "max_age": "1d", "consumers": []},
            {"name": "EXTRA", "subjects": ["extra.>"]},
        ],
        kv_buckets=[],
    )
    job, _ = provision(world, other)
    assert until(world, job).state == "done", told(job)
    assert sorted(on_server(world)) == ["EXTRA", "ORDERS"]
    as_ada(services.roll_back, job)
    assert until(world, job).state == "rolled_back", told(job)
    same(world, before)
    now = on_server(world)
    assert {name: config["subjects"] for name, config in now.items()} == {
        name: config["subjects"] for name, config in server.items()
    }
    assert now["ORDERS"]["max_age"] == server["ORDERS"]["max_age"]
    assert stores(world, secret) == ("ORDERS", 2), "what was stored before is there"
    with JetStream(world.system) as jetstream:
        assert jetstream.consumer("ACME", "ORDERS", "worker") is not None


def test_a_stream_that_the_server_refuses_fails_the_job_and_nothing_is_left_of_it(world):
    world.apply()
    before = dump(world)
    said = with_streams()
    said["accounts"][0]["jetstream"] = {"max_streams": 1}
    job, _ = provision(world, said)
    assert until(world, job, Job.State.FAILED).problem_step == "assets", told(job)
    assert job.problem.startswith(("Stream ORDERS: ", "KV bucket config: ")), job.problem
    Account.objects.filter(name="ACME").update(jetstream_max_streams=None)
    world.apply()
    as_ada(services.retry, job)
    assert until(world, job).state == "done", told(job)
    Account.objects.filter(name="ACME").update(jetstream_max_streams=1)
    as_ada(services.roll_back, job)
    assert until(world, job).state == "rolled_back", told(job)
    same(world, before)


def test_somebody_elses_stream_of_the_name_is_not_taken(world):
    """A tenant has made one of this name before: the job says so, and leaves it when it is taken back."""
    first, token = provision(world, {"accounts": [{**with_streams()["accounts"][0], "streams": [], "kv_buckets": []}]})
    until(world, first)
    secret = handover.open_once(token)["acme-svc"]

    async def work(made):
        await made.jetstream(timeout=10).add_stream(name="ORDERS", subjects=["mine.>"])

    client(world, secret["secret"], work)
    job, _ = provision(world, with_streams())
    assert until(world, job, Job.State.FAILED).problem_step == "assets", told(job)
    assert "There is a stream of this name already that nunect doesn't manage" in job.problem
    assert "subjects: mine.> → orders.>" in job.problem
    as_ada(services.roll_back, job)
    assert until(world, job).state == "rolled_back", told(job)
    assert on_server(world)["ORDERS"]["subjects"] == ["mine.>"]


def test_retired_with_its_data_and_made_again_its_streams_store(world):
    job, token = provision(world, with_streams())
    until(world, job)
    assert stores(world, handover.open_once(token)["acme-svc"]) == ("ORDERS", 1)
    gone = retire(data="delete")
    assert until(world, gone).state == "done", told(gone)
    assert not Stream.objects.exists()
    until_folders(world, {})
    exported = gone.results["document"]["accounts"][0]
    assert [stream["name"] for stream in exported["streams"]] == ["ORDERS"]
    again, token = provision(world, with_streams())
    assert until(world, again).state == "done", told(again)
    assert stores(world, handover.open_once(token)["acme-svc"]) == ("ORDERS", 1)


def test_retired_without_its_data_they_are_there_for_the_next_of_its_name(world):
    job, token = provision(world, with_streams())
    until(world, job)
    assert stores(world, handover.open_once(token)["acme-svc"]) == ("ORDERS", 1)
    gone = retire(data="keep")
    assert until(world, gone).state == "done", told(gone)
    assert folders(world)["ACME"] == ["KV_config", "ORDERS"]
    assert steps(gone)["gone"] == "skipped"
    again, token = provision(world, {"accounts": [{**with_streams()["accounts"][0], "streams": [], "kv_buckets": []}]})
    assert until(world, again).state == "done", told(again)
    assert stores(world, handover.open_once(token)["acme-svc"]) == ("ORDERS", 2)


EVERY = ("freeze", "enforced", "export", "window", "removal", "gone")


@pytest.mark.long
@pytest.mark.parametrize("step", EVERY if os.environ.get("EVERY_STEP") else ("freeze", "removal"))
def test_killed_anywhere_retiring_goes_on_to_its_end(world, step):
    for point in POINTS:
        job, _ = provision(world, with_streams())
        until(world, job)
        gone, died = retire(data="delete"), False
        while not died and gone.state not in Job.ENDED:
            Job.objects.filter(pk=gone.pk).update(next_at=None)
            died = dies(lambda: turn(world), step, point)
            gone.refresh_from_db()
        assert died, told(gone)
        assert until(world, gone).state == "done", told(gone)
        assert not Account.objects.filter(name="ACME").exists()
        assert not Consumer.objects.exists()
        until_folders(world, {})


def test_streams_that_only_the_tenant_knows_go_with_the_account(world):
    job, token = provision(world, {"accounts": [{**with_streams()["accounts"][0], "streams": [], "kv_buckets": []}]})
    until(world, job)
    secret = handover.open_once(token)["acme-svc"]

    async def work(made):
        await made.jetstream(timeout=10).add_stream(name="SECRET", subjects=["mine.>"])

    client(world, secret["secret"], work)
    gone = retire(data="delete")
    assert until(world, gone).state == "done", told(gone)
    until_folders(world, {})


def test_nothing_is_purged_that_somebody_has_made_anew(world):
    """A job that sleeps before its last act must not hit the next account of the name."""
    job, _ = provision(world, with_streams())
    until(world, job)
    gone = retire(data="delete")
    while steps(gone)["removal"] != "done":
        turn(world)
    Job.objects.filter(pk=gone.pk).update(state="waiting")
    gone.steps.filter(name="gone").update(state="pending")  # as if it had slept there
    account = world.account("ACME", jetstream=True)
    user = world.user(account, "svc2", access="all")
    world.apply()
    Stream.objects.create(account=account, name="NEW", config={"subjects": ["new.>"]})
    enforce(world.system.pk)
    Job.objects.filter(pk=gone.pk).update(next_at=None, lease="")
    engine.advance(gone.pk)
    assert list(on_server(world)) == ["NEW"]
    assert user.enabled


def test_a_server_that_does_not_answer_is_waited_for(world):
    job, _ = provision(world, with_streams())
    while steps(job)["enforced"] != "done":
        turn(world)
    if steps(job)["assets"] != "done":
        world.stop()
        turn(world)
        job.refresh_from_db()
        assert job.state == "waiting", told(job)
        world.start()
    assert until(world, job).state == "done", told(job)
