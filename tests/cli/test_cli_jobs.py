"""Jobs at the command line: what is lost is shown before anybody is asked, and long values stay behind a count."""

import pytest

from accounts_app.door import through
from provisioning.jobs import services
from provisioning.models import Job
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def job():
    acme = factories.account("ACME", jetstream=True)
    factories.user(acme, "svc")
    with through("cli", person=factories.admin()):
        made = services.start("provision", acme.system, title="Team ACME", accounts=["ACME"], inputs={})
    made.claims.all().delete()
    users = [f"user-{number}" for number in range(200)]
    document = {"accounts": [{"name": "ACME", "users": [{"name": "svc"}]}]}
    Job.objects.filter(pk=made.pk).update(state="done", results={"users": users, "document": document})
    made.steps.update(state="done")
    made.steps.filter(name="rows").update(result={"wanted": {"ACME": 1}, "made": ["ACME"]})
    return made


def test_rolling_back_says_what_goes_before_it_asks(nunect, job):
    told = nunect("job", "roll-back", str(job.pk))
    assert "Account “ACME” is deleted with its 1 user." in told.output, told.output
    assert told.exit_code != 0
    job.refresh_from_db()
    assert job.asked == ""


def test_long_values_stay_behind_a_count_and_the_document_is_printed_by_itself(nunect, job):
    told = nunect("job", "show", str(job.pk)).output
    assert "200 users" in told
    assert "user-17" not in told
    assert f"nunect job document {job.pk}" in told
    printed = nunect("job", "document", str(job.pk)).output
    assert "name: ACME" in printed, printed
