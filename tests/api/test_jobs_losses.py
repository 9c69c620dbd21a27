"""A dry run of taking a job back over REST, and the page in between, say what goes and what stays."""

import json

import pytest

from accounts_app.door import through
from accounts_app.models import Stream
from provisioning.jobs import services
from provisioning.models import Job, JobStep
from tests import factories


@pytest.fixture
def done(ada):
    """A job that has made ACME with a user and two streams, one of which was in the store before."""
    acme = factories.account("ACME", jetstream=True)
    factories.user(acme, "svc")
    for name, messages in (("NEW", 1204), ("OLD", 3)):
        Stream.objects.create(account=acme, name=name, config={"subjects": [f"{name}.>"]})
        Stream.objects.filter(name=name).update(counts={"messages": messages}, done=1)
    with through("rest", person=ada):
        job = services.start("provision", acme.system, title="Team ACME", accounts=["ACME"], inputs={})
    job.claims.all().delete()
    Job.objects.filter(pk=job.pk).update(state="done")
    job.steps.update(state="done")
    job.steps.filter(name="rows").update(result={"wanted": {"ACME": 1}, "made": ["ACME"]})
    found = {"found": {"ACME": ["OLD"]}, "configs": [["ACME", "OLD", "", {"name": "OLD", "subjects": ["former.>"]}]]}
    step = JobStep.objects.get(job=job, name="enforced")
    step.result, step.undo = {"looked": True}, json.dumps(found)
    step.save()
    return job


def test_a_dry_run_says_what_is_lost_first_and_what_stays(api, done):
    answer = api.post(f"jobs/{done.pk}/roll-back/?dry_run=true")
    assert answer.status_code == 200, answer.data
    assert [(each["removes_access"], each["text"]) for each in answer.data["changes"]] == [
        (True, "Account “ACME” is deleted with its 1 user."),
        (True, "Stream “NEW” of account “ACME” is deleted with 1,204 messages, as last seen."),
        (
            False,
            "Stream “OLD” of account “ACME” stays with its messages, and gets back its settings: it was there before.",
        ),
    ]
    assert [each.get("stays", False) for each in answer.data["changes"]] == [False, False, True]
    done.refresh_from_db()
    assert (done.state, done.asked) == ("done", "")


def test_the_page_that_asks_says_the_same(client, ada, done):
    client.force_login(ada)
    page = client.get(f"/admin/provisioning/job/{done.pk}/act/roll-back/").content.decode()
    assert "“NEW” of account “ACME” is deleted with 1,204 messages, as last seen." in page
    assert "“OLD” of account “ACME” stays" in page
