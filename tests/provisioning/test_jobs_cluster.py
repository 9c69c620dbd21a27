"""Jobs on three servers of which one is away: they wait, say for whom, and finish when it is back."""

import pytest

from accounts_app.models import Account
from provisioning.blueprints import handover
from provisioning.jobs import lease, services
from provisioning.missing import look_for_missing
from provisioning.models import Job
from tests.provisioning.cluster import Cluster
from tests.provisioning.jobs_world import as_ada, client, folders, provision, retire, steps, told, turn, until
from tests.provisioning.jobs_world import with_streams as document

pytestmark = pytest.mark.long


@pytest.fixture
def cluster(transactional_db, tmp_path, settings, monkeypatch):
    monkeypatch.setattr(lease, "LEASE_S", 0.6)
    made = Cluster(tmp_path, settings)
    made.system.nats_url = made.urls
    made.system.save(update_fields=["nats_url"])
    try:
        yield made.start()
    finally:
        made.stop()


def with_copies(name="ACME"):
    said = document(name)
    stream, bucket = said["accounts"][0]["streams"][0], said["accounts"][0]["kv_buckets"][0]
    stream["replicas"] = bucket["replicas"] = 3
    return said


def stores(cluster, secret):
    async def work(made):
        return (await made.jetstream(timeout=20).publish("orders.new", b"x")).seq

    return client(cluster, secret["secret"], work)


def back(cluster, name):
    cluster.start(name)
    look_for_missing(cluster.system.pk)


def test_a_job_waits_for_the_server_that_is_away_and_goes_on_when_it_is_back(cluster):
    cluster.apply()
    away = cluster.followers()[-1]
    cluster.stop(away)
    job, token = provision(cluster, with_copies())
    while not (job.state == "waiting" and job.waits_for == away):
        assert job.state in Job.ACTIVE, told(job)
        turn(cluster)
        job.refresh_from_db()
    assert steps(job)["enforced"] == "waiting"
    assert f"Waits for {away}." in [line.text for line in job.lines.all()]
    account = Account.objects.get(name="ACME")
    assert account.done == account.wanted, "the others run it already"

    back(cluster, away)
    assert until(cluster, job).state == "done", told(job)
    cluster.port = cluster.ports[away]
    secret = handover.open_once(token)["acme-svc"]
    assert stores(cluster, secret) == 1
    for name in cluster.names:
        assert folders(cluster, f"js-{name}")["ACME"] == ["KV_config", "ORDERS"], name

    cluster.stop(away)
    cluster.port = cluster.ports[next(iter(cluster.processes))]
    as_ada(services.roll_back, job)
    while not (job.state == "undoing" and job.waits_for == away):
        assert job.state in Job.ACTIVE, told(job)
        turn(cluster)
        job.refresh_from_db()
    back(cluster, away)
    assert until(cluster, job).state == "rolled_back", told(job)
    cluster_is_empty(cluster)


def test_retiring_with_a_server_away_leaves_nothing_on_it_when_it_is_back(cluster):
    cluster.apply()
    job, _ = provision(cluster, with_copies())
    assert until(cluster, job).state == "done", told(job)
    away = cluster.followers()[-1]
    gone = retire(data="delete")
    cluster.stop(away)
    while steps(gone)["freeze"] != "done":
        turn(cluster)
    cluster.apply(fresh=True)
    turn(cluster)
    gone.refresh_from_db()
    assert gone.waits_for == away, told(gone)
    back(cluster, away)
    assert until(cluster, gone).state == "done", told(gone)
    cluster_is_empty(cluster)


def cluster_is_empty(cluster, seconds=20):
    import time

    end = time.monotonic() + seconds
    while any("ACME" in folders(cluster, f"js-{name}") for name in cluster.names):
        assert time.monotonic() < end, [folders(cluster, f"js-{name}") for name in cluster.names]
        time.sleep(0.05)
