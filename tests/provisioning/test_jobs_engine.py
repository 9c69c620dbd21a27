"""The engine by itself, on steps of the tests: turns, pauses, failures, leases and the fence. No server."""

import threading
import time
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts_app.door import current_door, through
from accounts_app.models import Account, AuditEntry
from provisioning.bootstrap import ensure_system
from provisioning.events import job_changed
from provisioning.jobs import engine, gathering, lease, paths, services, turn
from provisioning.jobs.protocol import Done, Step, StepFailed, Wait
from provisioning.models import Claim, Job
from tests.factories import admin
from tests.provisioning.jobs_world import as_ada, dies, steps

pytestmark = pytest.mark.django_db(transaction=True)


class Note(Step):
    """Writes down what it was asked for; `answers` are given one after another."""

    timeout_s = 60.0

    def __init__(self, name):
        self.name, self.title = name, name.capitalize()
        self.answers, self.asked, self.doors = [], [], []

    def do(self, job, step):
        return self._answer("do")

    def undo(self, job, step):
        return self._answer("undo")

    def _answer(self, way):
        self.asked.append(way)
        self.doors.append(current_door())
        answer = self.answers.pop(0) if self.answers else Done()
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer


@pytest.fixture
def path(monkeypatch):
    """Three steps, first to third."""
    made = [Note(name) for name in ("first", "second", "third")]
    monkeypatch.setitem(paths.PATHS, Job.Kind.PROVISION, tuple(made))
    for step in made:
        monkeypatch.setitem(paths.STEPS, step.name, step)
    monkeypatch.setattr(lease, "LEASE_S", 0.6)
    monkeypatch.setattr(lease, "RENEW_S", 0.2)
    return made


def begin(*accounts):
    with through("rest", person=admin()):
        return services.start("provision", ensure_system(), title="A job", accounts=accounts or ["ACME"], inputs={})


def look(job, *, at_once=True):
    if at_once:
        Job.objects.filter(pk=job.pk).update(next_at=None)
    engine.advance(job.pk)
    job.refresh_from_db()
    return job


def lines(job):
    return [line.text for line in job.lines.all()]


def test_all_steps_in_order_and_in_the_authors_name(path):
    job = look(begin())
    assert (job.state, job.lease, job.next_at) == ("done", "", None)
    assert [step.asked for step in path] == [["do"]] * 3
    assert path[0].doors[0].name == "worker"
    assert path[0].doors[0].person == admin()
    assert path[0].doors[0].reason == f"job {job.pk}"
    assert set(steps(job).values()) == {"done"}
    assert job.started_at and job.ended_at
    assert not Claim.objects.exists()
    assert AuditEntry.objects.filter(act="job started", person=admin(), object_id=str(job.pk)).exists()


def test_the_job_of_somebody_who_is_gone_goes_on_and_says_whose_it_was(path):
    job = begin()
    admin().delete()
    job = look(job)
    assert job.state == "done"
    assert path[0].doors[0].person is None
    assert path[0].doors[0].reason == f"job {job.pk} of ada"


def test_who_hears_of_a_job_hears_every_change_after_its_commit(path):
    heard = []

    def hear(sender, job_id, system_id, **_):
        assert not connection.in_atomic_block
        heard.append(Job.objects.get(pk=job_id).state)

    job_changed.connect(hear)
    try:
        path[1].answers = [Wait("n3")]
        look(look(begin()))
    finally:
        job_changed.disconnect(hear)
    assert heard[0] == "queued"
    assert heard[-1] == "done"
    assert {"running", "waiting"} <= set(heard)


def test_a_step_that_waits_says_for_whom_and_is_looked_at_again_in_time(path):
    path[1].answers = [Wait("n3", 0.3), Wait("n3", 0.3)]
    job = look(begin())
    assert (job.state, job.waits_for, job.lease) == ("waiting", "n3", "")
    assert steps(job) == {"first": "done", "second": "waiting", "third": "pending"}
    engine.work(1)
    assert path[1].asked == ["do"], "it was looked at before its time"
    end = time.monotonic() + 10
    while job.state != "done":
        engine.work(1)
        job.refresh_from_db()
        assert time.monotonic() < end
        time.sleep(0.02)
    assert path[1].asked == ["do"] * 3
    assert lines(job).count("Waits for n3.") == 1, "the same wait is told once"
    assert job.steps.get(name="second").attempts == 1


def test_a_step_that_waits_too_long_fails_and_says_for_whom_it_waited(path):
    path[1].timeout_s, path[1].answers = 0.0, [Wait("n3")]
    job = look(begin())
    assert job.state == "failed"
    assert job.problem_step == "second"
    assert job.problem == "It waited 0 s for n3."


def test_what_fails_says_so_in_one_sentence_and_can_be_retried(path):
    path[1].answers = [StepFailed("The servers refuse account “ACME”: no.")]
    job = look(begin())
    assert (job.state, job.problem) == ("failed", "The servers refuse account “ACME”: no.")
    assert steps(job) == {"first": "done", "second": "failed", "third": "pending"}
    assert look(job).state == "failed", "it goes on only when somebody asks for it"
    as_ada(services.retry, job)
    job = look(job)
    assert (job.state, job.problem, job.problem_step) == ("done", "", "")
    assert path[0].asked == ["do"], "what was done is not done again"
    with pytest.raises(ValidationError, match="Only a job that failed"):
        services.retry(job)


def test_what_goes_wrong_is_tried_again_with_a_back_off_and_fails_in_the_end(path, caplog):
    path[0].answers = [KeyError("secret-words")] * engine.TRIES
    job = begin()
    pauses = []
    for _ in range(engine.TRIES):
        before = job.state
        job = look(job)
        if job.next_at is not None:
            pauses.append(job.next_at)
            assert "another try" in job.waits_for
    assert (before, job.state) == ("running", "failed")
    assert job.problem == "Something unforeseen happened (KeyError); nunect's log tells more."
    assert job.steps.get(name="first").attempts == engine.TRIES
    assert "secret-words" not in "".join(lines(job))


def test_cancel_takes_back_in_the_opposite_order(path):
    path[2].answers = [Wait("n3")]
    job = look(begin())
    as_ada(services.cancel, job)
    job = look(job)
    assert (job.state, job.asked) == ("cancelled", "")
    assert [step.asked for step in path] == [["do", "undo"]] * 3
    assert set(steps(job).values()) == {"undone"}
    assert not Claim.objects.exists()


def test_a_job_that_has_not_begun_is_cancelled_at_once_even_while_a_worker_takes_it(path):
    job = begin()
    seen = []

    def cancel(sender, point, **_):
        if point == "taken" and not seen:
            seen.append(point)
            as_ada(services.cancel, job)

    engine.passed.connect(cancel)
    try:
        job = look(job)
    finally:
        engine.passed.disconnect(cancel)
    assert (seen, job.state) == (["taken"], "cancelled")
    assert path[0].asked == []


def test_a_cancel_during_a_step_is_heard_when_the_step_is_over(path):
    job = begin()
    path[0].answers = [lambda: as_ada(services.cancel, job) or Done()]
    job = look(job)
    assert job.state == "cancelled"
    assert [step.asked for step in path] == [["do", "undo"], [], []]


def test_a_cancel_in_the_last_moment_before_a_step_keeps_it_from_beginning(path, monkeypatch):
    """Between the look at what is asked and the step's beginning: a removal that began then could not be taken back."""
    job, asked = begin(), turn.Turn._asked

    def late(self):
        told = asked(self)
        if path[0].asked == ["do"] and not told:
            as_ada(services.cancel, job)
        return told

    monkeypatch.setattr(turn.Turn, "_asked", late)
    assert look(job).state == "cancelled"
    assert [step.asked for step in path] == [["do", "undo"], [], []]


def test_a_cancel_during_the_last_step_is_heard_too(path):
    job = begin()
    path[2].answers = [lambda: as_ada(services.cancel, job) or Done()]
    assert look(job).state == "cancelled"


def test_resume_after_a_cancel_that_has_not_begun(path):
    path[1].answers = [Wait("n3")]
    job = look(begin())
    as_ada(services.cancel, job)
    as_ada(services.resume, job)
    job = look(job)
    assert job.state == "done"
    assert path[0].asked == ["do"]


def test_what_can_not_be_taken_back_fails_on_its_way_and_goes_on_there_when_retried(path):
    job = look(begin())
    as_ada(services.roll_back, job)
    path[1].answers = [StepFailed("It can't.")]
    job = look(job)
    assert (job.state, job.problem_step, job.asked) == ("failed", "second", "roll_back")
    as_ada(services.retry, job)
    job = look(job)
    assert job.state == "rolled_back"
    assert [step.asked for step in path] == [["do", "undo"], ["do", "undo", "undo"], ["do", "undo"]]


@pytest.mark.parametrize(
    ("act", "state", "sentence"),
    [
        (services.cancel, "done", "Only a job under way can be cancelled; this one is done. Roll it back instead."),
        (services.cancel, "cancelled", "Only a job under way can be cancelled; this one is cancelled."),
        (services.roll_back, "waiting", "Only a job that failed or is done can be rolled back"),
        (services.retry, "waiting", "Only a job that failed can be retried; this one is waiting."),
        (services.resume, "done", "There is nothing to resume: the job is done."),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(path, act, state, sentence):
    job = begin()
    Job.objects.filter(pk=job.pk).update(state=state)
    with pytest.raises(ValidationError) as refused:
        act(job)
    assert sentence in refused.value.messages[0]


def test_two_jobs_on_one_account_queue_up_in_order(path):
    one, two, third = begin("ACME"), begin("ACME", "OTHER"), begin("OTHER")
    path[2].answers = [Wait("n3")]
    for job in (one, two, third):
        look(job)
    assert [job.state for job in (one, two, third)] == ["waiting", "queued", "queued"]
    assert two.waits_for == f"job {one.pk} on account ACME"
    assert third.waits_for == f"job {two.pk} on account OTHER"
    look(one)
    woken = Job.objects.get(pk=two.pk).next_at - Job.objects.get(pk=one.pk).ended_at
    assert woken < timedelta(seconds=2), "it would be looked at only half a minute later"
    engine.work(5)
    engine.work(5)
    assert set(Job.objects.values_list("state", flat=True)) == {"done"}
    assert len(path[0].asked) == 3


def test_a_job_behind_one_that_failed_says_what_to_do(path):
    one, two = begin("ACME"), begin("ACME")
    path[0].answers = [StepFailed("no")]
    look(one)
    look(two)
    assert two.waits_for == f"job {one.pk} on account ACME, which failed: retry it or roll it back"
    as_ada(services.roll_back, one)
    assert look(one).state == "rolled_back"
    assert look(two).state == "done"


def test_a_job_that_is_done_is_not_rolled_back_beneath_another(path):
    one = look(begin("ACME"))
    two = begin("ACME")
    with pytest.raises(ValidationError, match=f"Job {two.pk} is at work on ACME"):
        services.roll_back(one)


def test_a_task_that_is_delivered_twice_does_nothing_twice(path):
    job = begin()
    inside, go_on = threading.Event(), threading.Event()
    path[0].answers = [lambda: inside.set() or (go_on.wait(20) and Done())]

    def first():
        engine.work(1)
        connection.close()

    other = threading.Thread(target=first)
    other.start()
    assert inside.wait(20)
    time.sleep(2 * lease.LEASE_S)  # the lease would be over, if nobody renewed it
    assert engine.advance(job.pk) is False
    assert engine.work(1) is False
    go_on.set()
    other.join(20)
    assert [step.asked for step in path] == [["do"]] * 3
    job.refresh_from_db()
    assert job.state == "done"


def test_a_slow_worker_whose_lease_is_gone_writes_nothing(path, monkeypatch):
    """It sleeps in the middle of a step, somebody else finishes the job, it wakes and finds the fence closed."""
    monkeypatch.setattr(lease, "renew", lambda job: True)  # this worker is as good as dead
    job = begin()
    inside, go_on, written = threading.Event(), threading.Event(), []
    path[1].answers = [lambda: inside.set() or (go_on.wait(20) and Done("written by the slow one"))]

    def slow():
        engine.advance(job.pk)
        written.extend(lines(job))
        connection.close()

    other = threading.Thread(target=slow)
    other.start()
    assert inside.wait(20)
    end = time.monotonic() + 20
    while not engine.advance(job.pk):
        assert time.monotonic() < end
        time.sleep(0.02)
    job.refresh_from_db()
    assert job.state == "done"
    go_on.set()
    other.join(20)
    assert "written by the slow one" not in lines(job)
    assert job.steps.get(name="second").detail == ""
    assert path[2].asked == ["do"]


@pytest.mark.parametrize("point", ["begun", "acted", "written"])
@pytest.mark.parametrize("back", [False, True], ids=["forwards", "back"])
def test_a_worker_killed_anywhere_is_followed_by_another(path, point, back):
    job = begin()
    if back:
        look(job)
        as_ada(services.roll_back, job)
    assert dies(lambda: engine.work(1), "second", point)
    job.refresh_from_db()
    assert job.lease, "it died with the lease"
    since, end = time.monotonic(), time.monotonic() + 20
    while engine.work(1) or Job.objects.get(pk=job.pk).state not in Job.ENDED:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert time.monotonic() - since < 4 * lease.LEASE_S
    job.refresh_from_db()
    assert job.state == ("rolled_back" if back else "done")
    died = [text for text in lines(job) if "died" in text]
    assert died == ([] if point == "written" else ["The worker died; another goes on."])


def test_a_step_that_kills_every_worker_is_given_up(path):
    job = begin()
    for _ in range(engine.TRIES):
        assert dies(lambda: engine.advance(job.pk), "first", "begun")
        Job.objects.filter(pk=job.pk).update(lease="", lease_until=None)
    job = look(job)
    assert job.state == "failed"
    assert "each time the worker died" in job.problem


def test_work_ends_by_itself_when_its_time_is_over(path):
    for number in range(4):
        begin(f"A{number}")
    path[0].answers = [lambda: time.sleep(0.2) or Done()] * 4
    assert engine.work(0.3) is True
    assert 1 <= Job.objects.filter(state="done").count() < 4
    assert engine.work(10) is False
    assert Job.objects.filter(state="done").count() == 4


def test_a_run_waits_for_rows_that_are_being_written_but_lets_no_person_wait(path, monkeypatch):
    monkeypatch.setattr(gathering, "MOST_S", 0.4)
    one, two = begin("ACME"), begin("OTHER")
    QuerySet(Account).update(done=F("wanted"))

    def waited():
        since = time.monotonic()
        gathering.wait_for_rows(one.system_id)
        return time.monotonic() - since >= 0.4

    assert not waited(), "nobody works on jobs"
    Job.objects.filter(pk=one.pk).update(state="running", lease="x", lease_until=timezone.now() + timedelta(minutes=1))
    assert waited()
    Account.objects.create(system=one.system, name="ACME")
    assert waited(), "an account of a job is no person's"
    Account.objects.create(system=one.system, name="MINE")
    assert not waited()
    Account.objects.filter(name="MINE").delete()
    Job.objects.filter(pk=two.pk).update(state="waiting")
    assert not waited(), "none is about to begin"
