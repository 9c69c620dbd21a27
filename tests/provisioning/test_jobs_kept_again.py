"""What a retired account kept, once it is made again: said before, taken over where nothing is lost, else asked."""

import json

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts_app import assets
from accounts_app.applying import apply_document
from accounts_app.models import Stream
from accounts_app.natsconf.document import read_document
from accounts_app.preview import preview
from provisioning.admin.job_words import context_of
from provisioning.blueprints import handover
from provisioning.jetstream.client import JetStream
from provisioning.jetstream.enforce import enforce
from provisioning.jobs import lease, services
from provisioning.jobs.purging import purge
from provisioning.left_behind import left_by
from provisioning.models import Job
from tests.factories import admin, system
from tests.provisioning.jobs_world import as_ada, client, provision, retire, told, until, with_streams

MEMORY = {"name": "MEM", "subjects": ["mem.>"], "storage": "memory"}
MORE = {"name": "MORE", "subjects": ["more.>"]}


@pytest.fixture(autouse=True)
def short_lease(monkeypatch):
    monkeypatch.setattr(lease, "LEASE_S", 0.6)
    monkeypatch.setattr(lease, "RENEW_S", 0.2)


def document(**orders):
    """The account with ORDERS, its consumer, and two more streams. orders: settings of ORDERS."""
    said = with_streams(kv_buckets=[])
    said["accounts"][0]["streams"][0] |= orders
    said["accounts"][0]["streams"] += [dict(MEMORY), dict(MORE)]
    return said


@pytest.fixture
def retired(world):
    """The job that retired it: two messages in ORDERS are kept, and one in MEM was in memory."""
    job, token = provision(world, document())
    until(world, job)
    secret = handover.open_once(token)["acme-svc"]["secret"]

    async def work(made):
        for subject in ("orders.new", "orders.new", "mem.x"):
            await made.jetstream(timeout=10).publish(subject, b"x")

    client(world, secret, work)
    gone = retire(data="keep")
    assert until(world, gone).state == "done", told(gone)
    return gone


def looks(world, said):
    """{object: what a dry run says of it}"""
    seen = preview(world.system, lambda: apply_document(world.system, read_document(said)))
    return {each.named: each.warning.sentence for each in seen.warnings}


def on_server(world):
    """({stream: (its config, how many messages it holds)}, the config of the consumer)"""
    with JetStream(world.system) as jetstream:
        streams = {
            one["config"]["name"]: (one["config"], one["state"]["messages"]) for one in jetstream.streams("ACME")
        }
        return streams, jetstream.consumer("ACME", "ORDERS", "worker")["config"]


def test_what_was_kept_is_said_and_taken_over_and_given_back(world, retired):
    since = f"when ACME was retired (job {retired.pk}, just now)"
    kept = f"It was kept with its data {since}: it comes back with its 2 messages."
    assert retired.results["kept"] == [
        "stream MEM was in memory: 1 message lost",
        "stream MORE with 0 messages",
        "stream ORDERS with 2 messages",
    ]
    assert looks(world, document()) == {
        "stream “ORDERS”": kept,
        "stream “MORE”": f"It was kept with its data {since}: it comes back without messages.",
        "stream “MEM”": f"It was in memory {since}: its 1 message is lost.",
    }
    said = document(storage="memory")
    assert "storage: file → memory: it can't be changed. It stays as it is" in looks(world, said)["stream “ORDERS”"]
    other = looks(world, with_streams(streams=[{"name": "NEW", "subjects": ["orders.new"]}], kv_buckets=[]))
    assert other == {
        "stream “NEW”": "“orders.new” overlaps with “orders.>” of stream ORDERS, which stores it already.",
        "data": f"They were kept {since}: stream “MORE” without messages, stream “ORDERS” with its 2 messages. "
        "What nobody asks for comes back, too, and is observed.",
    }

    said = document(subjects=["orders.>", "sales.>"], consumers=[{"name": "worker", "ack_wait": "20s"}])
    seen = looks(world, said)
    assert seen["stream “ORDERS”"] == f"{kept} Its settings become these: subjects: orders.> → orders.>, sales.>."
    assert "time to acknowledge: 10s → 20s" in seen["consumer “worker” of stream “ORDERS”"]
    job, _ = provision(world, said)
    assert until(world, job).state == "done", told(job)
    streams, consumer = on_server(world)
    assert (streams["ORDERS"][0]["subjects"], streams["ORDERS"][1]) == (["orders.>", "sales.>"], 2)
    assert consumer["ack_wait"] == 20 * 10**9
    assert streams["MEM"][1] == 0

    as_ada(services.roll_back, job)
    assert until(world, job).state == "rolled_back", told(job)
    assert "unless that has changed since" in looks(world, document())["stream “ORDERS”"]
    again, _ = provision(world, with_streams(streams=[], kv_buckets=[]))
    assert until(world, again).state == "done", told(again)
    streams, consumer = on_server(world)
    assert (streams["ORDERS"][0]["subjects"], streams["ORDERS"][1]) == (["orders.>"], 2)
    assert consumer["ack_wait"] == 10 * 10**9


def test_what_would_be_lost_is_asked_about_and_goes_on_with_the_answer(world, retired):
    said = document(max_msgs=1, consumers=[{"name": "worker", "ack_wait": "20s"}])
    said["accounts"][0]["streams"][2]["storage"] = "memory"
    job, _ = provision(world, said)
    assert until(world, job, "failed").problem_step == "assets"
    asked = f"kept when account ACME was retired (job {retired.pk}), and the row says otherwise: "
    assert job.problem.startswith("Stream MORE: It is there, ")
    assert f"{asked}storage: file → memory: it can't be changed. Changing it" in job.problem
    assert f"Then `nunect job retry {job.pk}` goes on." in job.problem
    orders, more = Stream.objects.get(name="ORDERS"), Stream.objects.get(name="MORE")
    assert f"{asked}messages: no limit → 1: 1 of 2 messages go, the oldest ones." in orders.problem
    assert "`nunect drift adopt streams ACME/ORDERS` takes it as it is" in orders.problem
    assert "`nunect drift revert streams ACME/ORDERS` changes it" in orders.problem
    step = job.steps.get(name="assets")
    assert step.result["objects"] == [
        {"resource": "streams", "id": row.pk, "account": "ACME", "name": row.name} for row in (more, orders)
    ]
    shown = [each["objects"] for each in context_of(job, admin())["steps"]]
    links = [reverse("admin:accounts_app_stream_change", args=[row.pk]) for row in (more, orders)]
    assert shown == [[], [], list(zip(("ACME/MORE", "ACME/ORDERS"), links, strict=True)), [], []]

    as_ada(assets.accept, more)
    enforce(world.system.pk)
    assert on_server(world)[0]["ORDERS"][1] == 2

    as_ada(assets.revert, orders)
    as_ada(services.retry, job)
    assert "objects" not in job.steps.get(name="assets").result
    assert until(world, job).state == "done", told(job)
    streams, consumer = on_server(world)
    assert (streams["ORDERS"][1], streams["MORE"][0]["storage"]) == (1, "file")
    assert consumer["ack_wait"] == 20 * 10**9

    as_ada(services.roll_back, job)  # the answers were part of it
    assert until(world, job).state == "rolled_back", told(job)


def test_a_stream_that_somebody_made_of_the_name_since_is_not_taken_over(world, retired):
    """What is there is not what was kept any more."""
    job, _ = provision(world, with_streams(streams=[], kv_buckets=[]))
    assert until(world, job).state == "done", told(job)
    with JetStream(world.system) as jetstream:
        jetstream.update_stream("ACME", {**on_server(world)[0]["ORDERS"][0], "subjects": ["theirs.>"]})
    as_ada(apply_document, world.system, read_document(document()))
    enforce(world.system.pk)
    orders = Stream.objects.get(name="ORDERS")
    assert "doesn't manage, and the row says otherwise: subjects: theirs.> → orders.>." in orders.problem
    assert on_server(world)[0]["ORDERS"][0]["subjects"] == ["theirs.>"]


@pytest.mark.django_db
def test_the_last_retirement_tells_what_there_is():
    of = system()
    behind = {"ACME": {"JOBS": {"kind": "stream", "config": {}, "counts": {}, "consumers": {}}}}

    def retired_once(data, kept):
        job = Job.objects.create(
            system=of, kind="retire", title="", door="rest", parameters={"account": "ACME", "data": data}
        )
        step = {"name": "removal", "number": 1, "result": {"system": 1}, "started_at": timezone.now()}
        job.steps.create(**step, undo=json.dumps({"behind": kept}))
        return job

    retired_once("keep", {"ACME": None})
    job = retired_once("keep", behind)
    left = left_by(of.pk, ["ACME", "OTHER"])
    assert [(name, each.job, list(each.streams)) for name, each in left.items()] == [("ACME", job.pk, ["JOBS"])]
    retired_once("delete", {})
    assert left_by(of.pk, ["ACME"]) == {}


@pytest.mark.django_db
def test_where_nothing_is_to_be_purged_nobody_is_asked():
    of = system()
    of.nats_url = "nats://127.0.0.1:1"
    assert purge(Job(system=of), []) is None
