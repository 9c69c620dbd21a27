"""What is sealed of a job goes some time after its end; what it came to stays."""

import json
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts_app.door import through
from provisioning.admin.job_words import offers
from provisioning.jobs import forgetting, services
from provisioning.models import Job
from provisioning.tasks import forget_undo
from tests import factories
from tests.api.conftest import Api, errors, token_of

pytestmark = pytest.mark.django_db
SECRET = "$2a$04$hash"


def ended(days, state=Job.State.DONE, name="ACME"):
    """A job that ended so many days ago, with something sealed."""
    with through("admin", person=factories.admin()):
        job = services.start(
            "provision", factories.system(), title=name, accounts=[name], inputs={"document": {"hash": SECRET}}
        )
    job.claims.all().delete()
    job.steps.filter(name="rows").update(state="done", undo=json.dumps({"before": {}, "hash": SECRET}))
    Job.objects.filter(pk=job.pk).update(
        state=state, ended_at=timezone.now() - timedelta(days=days), results={"users": ["svc"]}
    )
    job.refresh_from_db()
    return job


def sealed(job):
    job.refresh_from_db()
    return job.inputs + "".join(job.steps.values_list("undo", flat=True))


@pytest.mark.parametrize("state", Job.ENDED)
def test_what_is_sealed_goes_and_results_stay(state, settings):
    settings.UNDO_DAYS = 30.0
    old, young = ended(31, state), ended(29, state, "SHOP")
    forget_undo()
    assert SECRET not in sealed(old) and SECRET in sealed(young)
    assert (old.results, old.forgotten_at is None) == ({"users": ["svc"]}, False)
    assert old.lines.last().text == "What it takes to take it back is forgotten."
    assert forgetting.forget_undo() == 0


@pytest.mark.parametrize("state", [Job.State.FAILED, Job.State.WAITING, Job.State.UNDOING])
def test_what_has_not_ended_keeps_it(state):
    job = ended(1000, state)
    assert forgetting.forget_undo() == 0 and SECRET in sealed(job)


def test_more_jobs_than_one_transaction_takes_all_go(monkeypatch):
    monkeypatch.setattr(forgetting, "CHUNK", 2)
    for number in range(5):
        ended(40, name=f"A{number}")
    assert forgetting.forget_undo() == 5


def test_rolling_back_afterwards_is_refused_with_the_reason(settings):
    settings.UNDO_DAYS = 30.0
    job = ended(31)
    ada = factories.admin()
    assert "roll-back" in [each.name for each in offers(job, ada)]
    forgetting.forget_undo()
    job.refresh_from_db()
    with pytest.raises(ValidationError) as refused:
        services.roll_back(job)
    assert refused.value.messages == [
        f"What it takes to roll this job back was forgotten on {timezone.now():%Y-%m-%d}: it is kept for 30 days."
    ]
    assert "roll-back" not in [each.name for each in offers(job, ada)]
    for query in ("", "?dry_run=true"):
        answer = Api(token_of(ada)).post(f"jobs/{job.pk}/roll-back/{query}")
        assert "it is kept for 30 days" in str(errors(answer))
