"""Jobs at the command line: what is lost is shown before anybody is asked, and long values stay behind a count."""

import pytest
from django.db.models import F

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
    looked = nunect("job", "roll-back", str(job.pk), "--dry-run")
    assert (looked.exit_code, "Account “ACME” is deleted" in looked.output) == (0, True), looked.output
    job.refresh_from_db()
    assert job.asked == ""


def test_retiring_says_what_becomes_of_its_streams_before_it_asks(nunect, job):
    factories.stream(job.system.accounts.get(name="ACME"), "JOBS", counts={"messages": 8})
    told = nunect("retire", "ACME", "--data", "delete", input="no\n")
    said, asked = "“JOBS” of account “ACME” is deleted with 8 messages, as last seen.", "Type the name of the account"
    assert -1 < told.output.find(said) < told.output.find(asked), told.output
    assert told.exit_code != 0 and not Job.objects.filter(kind="retire").exists()
    looked = nunect("retire", "ACME", "--data", "delete", "--dry-run")
    assert (looked.exit_code, said in looked.output, Job.objects.filter(kind="retire").exists()) == (0, True, False)
    kept = nunect("retire", "ACME", input="no\n").output
    assert "stays in the servers' store with 8 messages" in kept
    assert nunect("retire", "ACME", input="ACME\n").exit_code == 0
    assert Job.objects.filter(kind="retire").count() == 1


def test_long_values_stay_behind_a_count_and_the_document_is_printed_by_itself(nunect, job):
    told = nunect("job", "show", str(job.pk)).output
    assert "200 users" in told
    assert "user-17" not in told
    assert f"nunect job document {job.pk}" in told
    printed = nunect("job", "document", str(job.pk)).output
    assert "name: ACME" in printed, printed


def test_a_job_that_failed_names_the_stream_that_it_failed_at(nunect, job):
    row = factories.stream(job.system.accounts.get(name="ACME"), "JOBS")
    told = {"resource": "streams", "id": row.pk, "account": "ACME", "name": "JOBS"}
    job.steps.filter(name="assets").update(state="failed", result={"objects": [told]})
    shown = nunect("job", "show", str(job.pk)).output
    assert f"It failed at streams ACME/JOBS: `nunect get streams {row.pk}` tells more." in shown
    job.steps.filter(name="assets").update(state="done")
    assert "It failed at" not in nunect("job", "show", str(job.pk)).output


def test_what_stands_in_a_rows_place_is_listed_and_what_is_gone_is_said_to_be_gone(nunect, job):
    stream = factories.stream(job.system.accounts.get(name="ACME"), "JOBS")
    words = "Age: the row says 1d, the server has 7d."
    drift = [{"setting": "max_age", "wanted": 1, "seen": 2, "words": words}]
    factories.settled(stream, seen={}, drift=drift, problem_kind="failed", problem_wanted=F("wanted"))
    gone = factories.consumer(stream, "worker")
    factories.settled(
        gone, drift=[{"setting": "", "wanted": None, "seen": None, "words": "It is gone from the server."}]
    )
    listed = nunect("drift")
    assert "streams ACME/JOBS" in listed.output and words in listed.output
    told = nunect("drift", "adopt", "consumers", "ACME/worker", "--wait", "0")
    assert told.exit_code == 0, told.output
    assert told.stderr.strip() == "ACME/worker is gone from the server, and its row is gone, too."
    assert not type(gone).objects.exists()


@pytest.mark.parametrize(
    "asked",
    [
        ("show", "99"),
        ("document", "99"),
        ("follow", "99"),
        ("log", "99"),
        ("retry", "99"),
        ("resume", "99"),
        ("cancel", "99", "--yes"),
        ("roll-back", "99", "--yes"),
        ("withdraw", "99"),
        ("new-credentials", "99", "--yes"),
    ],
)
def test_a_job_that_is_not_there_is_one_sentence(nunect, asked):
    factories.system()
    factories.admin()
    told = nunect("job", *asked)
    assert (told.exit_code, told.output) == (1, "nunect: There is no job 99.\n")


def test_a_program_reads_the_same_of_a_job_that_is_not_there(nunect):
    factories.system()
    factories.admin()
    assert '"detail": "There is no job 99."' in nunect("job", "show", "99", "--json").output


def test_who_gave_a_job_by_a_command_is_told(nunect, job):
    Job.objects.filter(pk=job.pk).update(author_name="", door="command")
    assert "a command" in nunect("jobs").output
    assert "a command" in nunect("job", "show", str(job.pk)).output


def test_nobody_need_wait_for_a_job(nunect, job):
    told = nunect("job", "roll-back", str(job.pk), "--yes", "--no-follow")
    assert (told.exit_code, f"`nunect job follow {job.pk}`" in told.output) == (0, True), told.output
    job.refresh_from_db()
    assert job.asked == "roll_back"
