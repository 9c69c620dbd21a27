"""What is said of jobs that are taken back: what goes before it goes, what an account was, and how long it took."""

from datetime import timedelta

import pytest
from django.utils import timezone

from provisioning.blueprints import handover
from provisioning.jetstream.observe import observe
from provisioning.jobs import lease, losses
from provisioning.models import Job
from tests.provisioning.jobs_world import client, folders, provision, retire, told, until, with_streams
from tests.provisioning.test_jobs_keep import BARE, left_behind, publishes, rolled_back


@pytest.fixture(autouse=True)
def short_lease(monkeypatch):
    monkeypatch.setattr(lease, "LEASE_S", 0.6)
    monkeypatch.setattr(lease, "RENEW_S", 0.2)


def test_what_is_lost_and_what_stays_is_said_before(world):
    left_behind(world)
    said = with_streams()
    said["accounts"][0]["streams"].append({"name": "EXTRA", "subjects": ["extra.>"]})
    job, token = provision(world, said)
    assert until(world, job).state == "done", told(job)
    publishes(world, token, "extra.a", "extra.b")
    observe(world.system.pk)
    assert losses.losses(job) == [
        "Account “ACME” is deleted with its 1 user.",
        "Stream “EXTRA” of account “ACME” is deleted with 2 messages, as last seen.",
        "KV bucket “config” of account “ACME” stays with its messages: it was there before.",
        "Stream “ORDERS” of account “ACME” stays with its messages: it was there before.",
    ]
    rolled_back(world, job)
    assert losses.losses(job) == []
    assert folders(world)["ACME"] == ["KV_config", "ORDERS"]


def test_the_document_of_a_retired_account_lets_the_same_keys_in_again(world):
    job, token = provision(world, with_streams())
    until(world, job)
    secret = handover.open_once(token)["acme-svc"]["secret"]
    gone = retire(data="keep")
    assert until(world, gone).state == "done", told(gone)
    again, _ = provision(world, gone.results["document"], link=False)
    assert until(world, again).state == "done", told(again)
    client(world, secret, lambda made: made.flush())


def test_taking_back_has_times_of_its_own(world):
    job, _ = provision(world, {"accounts": [BARE]})
    until(world, job)
    long_ago = timezone.now() - timedelta(hours=1)
    Job.objects.filter(pk=job.pk).update(started_at=long_ago, ended_at=long_ago + timedelta(seconds=2))
    job.steps.update(started_at=long_ago, ended_at=long_ago)
    rolled_back(world, job)
    spans = [each.ended_at - each.started_at for each in (job, *job.steps.exclude(state="skipped"))]
    assert max(spans) < timedelta(minutes=10)
    assert job.lines.filter(text="Taken back from here on, after 2.0 s of work.").exists()
