"""Jobs of accounts and users on a real server: to the end, or nothing is left of them."""

import pytest
from django.core.exceptions import ValidationError

from accounts_app.door import through
from accounts_app.models import Account, AuditEntry, NatsUser, Role, Server, SubjectPermission
from provisioning import pipeline
from provisioning.blueprints import handover
from provisioning.jobs import engine, lease, services
from provisioning.models import Hold, Job, Revision
from tests.factories import admin, staff
from tests.provisioning.jobs_world import (
    POINTS,
    as_ada,
    client,
    dies,
    document,
    dump,
    provision,
    retire,
    steps,
    told,
    turn,
    until,
)


@pytest.fixture(autouse=True)
def short_lease(monkeypatch):
    monkeypatch.setattr(lease, "LEASE_S", 0.6)
    monkeypatch.setattr(lease, "RENEW_S", 0.2)


def signs_in(world, secret):
    return client(world, secret["secret"], lambda made: made.flush()) is None


def test_a_job_from_its_start_to_a_connected_client_and_back(world):
    """Rolled back, rows, conf, server and store are as they were."""
    world.user(world.account("OTHER", jetstream=True), "bystander", "publish a.>")
    world.apply()
    before = dump(world)
    job, token = provision(world, document())
    assert until(world, job).state == "done", told(job)
    assert job.results["accounts"] == ["ACME"]
    assert job.results["users"] == ["acme-svc"]
    opened = handover.open_once(token)
    assert signs_in(world, opened["acme-svc"])
    created = Account.history.get(name="ACME", history_type="+")
    assert (created.door, created.history_user, created.history_change_reason) == ("worker", admin(), f"job {job.pk}")
    assert AuditEntry.objects.filter(act="document applied", person=admin(), door="worker").exists()

    as_ada(services.roll_back, job)
    assert until(world, job).state == "rolled_back", told(job)
    assert dump(world) == before
    with pytest.raises(Exception, match="Authorization"):
        signs_in(world, opened["acme-svc"])
    assert opened["acme-svc"]["secret"] not in str(job.__dict__) + told(job)


@pytest.mark.long
@pytest.mark.parametrize("step", ["rows", "enforced", "credentials", "ready"])
def test_killed_anywhere_it_goes_on_to_the_same_end_and_back_again(world, step):
    world.apply()
    before = dump(world)
    for number, point in enumerate(POINTS):
        job, token = provision(world, document(f"TEAM{number}"))
        Job.objects.filter(pk=job.pk).update(next_at=None)
        died = False
        while not died and job.state not in Job.ENDED:
            if dies(lambda: turn(world), step, point):
                died = True
            job.refresh_from_db()
        assert died, told(job)
        assert until(world, job).state == "done", told(job)
        assert len(handover.open_once(token)) == 1
        as_ada(services.roll_back, job)
        died = dies(lambda: turn(world), step, point)
        assert until(world, job).state == "rolled_back", told(job)
        assert dump(world) == before, (step, point)


@pytest.mark.parametrize("step", ["rows", "enforced", "credentials", "ready"])
def test_cancelled_at_any_step_nothing_is_left(world, step):
    world.apply()
    before = dump(world)
    job, token = provision(world, document())

    def cancel(sender, point, **seen):
        if (point, seen["step"]) == ("begun", step) and not Job.objects.get(pk=job.pk).asked:
            as_ada(services.cancel, job)

    engine.passed.connect(cancel)
    try:
        assert until(world, job, Job.State.CANCELLED).state == "cancelled"
    finally:
        engine.passed.disconnect(cancel)
    assert dump(world) == before
    with pytest.raises(handover.HandOverError, match="withdrawn"):
        handover.open_once(token)


def test_an_account_that_was_there_gets_exactly_its_rows_back(world):
    """Roles, users, permissions, sharing and mappings: primary keys, owners, credentials and all."""
    rich = document(
        "ACME",
        "old",
        description="before",
        roles=[{"name": "worker", "permissions": ["publish a.>"]}],
        exports=[{"kind": "stream", "subject": "a.>", "accounts": ["OTHER"]}],
        mappings=[{"source": "m.*", "destinations": ["n.$1"]}],
        default_role="worker",
    )
    world.account("OTHER")
    first, _ = provision(world, rich)
    until(world, first)
    NatsUser.objects.filter(name="old").update(owner=admin(), description="mine")
    world.apply()
    before = dump(world)
    other = {
        "accounts": [
            {
                "name": "ACME",
                "description": "after",
                "roles": [{"name": "reader", "permissions": ["subscribe b.>"]}],
                "users": [
                    {"name": "new", "role": "reader"},
                    {"name": "old", "permissions": ["publish c.>"], "enabled": False},
                ],
                "imports": [],
            }
        ]
    }
    job, _ = provision(world, other)
    assert until(world, job).state == "done", told(job)
    assert dump(world)[0] != before[0]
    as_ada(services.roll_back, job)
    assert until(world, job).state == "rolled_back", told(job)
    after = dump(world)
    for label, rows in before[0].items():
        assert after[0][label] == rows, label
    assert after == before
    assert Role.objects.get(account__name="ACME").name == "worker"
    assert SubjectPermission.objects.count() == 1


def test_what_somebody_changed_since_is_not_taken_back(world):
    job, _ = provision(world, document())
    until(world, job)
    user = NatsUser.objects.get(name="acme-svc")
    world.permit(user, "publish mine.>")
    with pytest.raises(ValidationError, match="was added since: this can't be taken back without losing that"):
        services.roll_back(job)
    user.permissions.all().delete()
    services.roll_back(job)
    assert until(world, job).state == "rolled_back"


def test_a_cancel_takes_a_new_account_with_all_that_is_in_it_by_now(world):
    world.apply()
    before = dump(world)
    job, _ = provision(world, document())
    engine.work(5)
    world.permit(NatsUser.objects.get(name="acme-svc"), "publish mine.>")
    as_ada(services.cancel, job)
    assert until(world, job, Job.State.CANCELLED), told(job)
    assert dump(world) == before


def test_what_changes_while_it_is_taken_back_stops_it_and_is_said(world):
    job, _ = provision(world, document())
    until(world, job)
    as_ada(services.roll_back, job)
    NatsUser.objects.filter(name="acme-svc").update(description="somebody else's")
    assert until(world, job, Job.State.FAILED).problem_step == "rows"
    assert "“acme-svc” was changed since" in job.problem
    assert Account.objects.filter(name="ACME").exists()


def test_a_document_that_can_not_be_applied_fails_with_its_places(world):
    job, _ = provision(world, document(users=[{"name": "x", "permissions": ["publish a..b"]}]))
    assert until(world, job, Job.State.FAILED).problem_step == "rows"
    assert "a..b" in job.problem or "empty" in job.problem, job.problem
    assert not Account.objects.filter(name="ACME").exists()
    as_ada(services.roll_back, job)
    assert until(world, job).state == "rolled_back"


def test_an_account_that_the_servers_refuse_fails_and_can_be_rolled_back(world):
    world.apply()
    before = dump(world)
    job, _ = provision(world, document(jetstream={"max_file": 10 * 1024**4}))
    assert until(world, job, Job.State.FAILED).problem_step == "enforced", told(job)
    assert "ACME" in job.problem
    as_ada(services.roll_back, job)
    assert until(world, job).state == "rolled_back", told(job)
    assert dump(world) == before


def test_it_waits_for_servers_that_are_away_and_says_so(world):
    world.apply()
    world.stop()
    job, _ = provision(world, document())
    turn(world)
    turn(world)
    job.refresh_from_db()
    assert (job.state, job.waits_for) == ("waiting", "n1")
    Job.objects.filter(pk=job.pk).update(next_at=None)
    world.start()
    assert until(world, job).state == "done", told(job)


def test_a_run_of_the_pipeline_wakes_the_jobs_that_wait_for_it(world):
    job, _ = provision(world, document())
    engine.work(5)
    Job.objects.filter(pk=job.pk).update(next_at=job.created_at.replace(year=2100))
    pipeline.apply(world.system.pk)
    assert engine.work(5) is False
    job.refresh_from_db()
    assert job.state == "done", told(job)


def test_twenty_jobs_at_once_share_a_few_reloads(world):
    world.apply()
    reloads = world.reloads()
    jobs = [provision(world, document(f"T{number}"), link=False)[0] for number in range(20)]
    while Job.objects.filter(state__in=Job.ACTIVE).exists():
        engine.work(2)
        pipeline.apply(world.system.pk)
    assert set(Job.objects.values_list("state", flat=True)) == {"done"}, told(jobs[0])
    assert world.reloads() - reloads <= 5
    assert Revision.objects.count() <= 6


def test_credentials_are_handed_over_again_and_the_former_ones_end(world):
    from provisioning.blueprints import submit

    job, token = provision(world, document())
    until(world, job)
    former = handover.open_once(token)["acme-svc"]
    again = as_ada(submit.issue_again, job)
    assert until(world, again.job).state == "done", told(again.job)
    fresh = handover.open_once(again.token)["acme-svc"]
    assert fresh["secret"] != former["secret"]
    assert signs_in(world, fresh)
    with pytest.raises(Exception, match="Authorization"):
        signs_in(world, former)
    as_ada(services.roll_back, again.job)
    assert until(world, again.job).state == "rolled_back", told(again.job)
    assert signs_in(world, former)


def test_retiring_freezes_waits_and_removes_and_the_name_is_free_again(world):
    job, token = provision(world, document())
    until(world, job)
    secret = handover.open_once(token)["acme-svc"]
    gone = retire(window_s=3600)
    until(world, gone, Job.State.WAITING)
    while steps(gone)["window"] != "waiting":
        turn(world)
    with pytest.raises(Exception, match="Authorization"):
        signs_in(world, secret)
    assert Account.objects.filter(name="ACME").exists()
    gone.refresh_from_db()
    assert "undo window" in gone.waits_for
    assert gone.results["document"]["accounts"][0]["name"] == "ACME"
    user = gone.results["document"]["accounts"][0]["users"][0]
    assert (user["nkey"], "enabled" in user) == (NatsUser.objects.get(name="acme-svc").nkey, False)

    as_ada(services.cancel, gone)
    assert until(world, gone, Job.State.CANCELLED)
    assert signs_in(world, secret), "who was frozen may sign in again"

    gone = retire(window_s=0)
    assert until(world, gone).state == "done", told(gone)
    assert not Account.objects.filter(name="ACME").exists()
    with pytest.raises(ValidationError, match="can't be taken back"):
        services.roll_back(gone)
    anew, token = provision(world, document())
    assert until(world, anew).state == "done", told(anew)
    assert signs_in(world, handover.open_once(token)["acme-svc"])


def test_a_user_who_was_disabled_before_stays_so_when_retiring_is_cancelled(world):
    job, _ = provision(world, document("ACME", "one", "two"))
    until(world, job)
    NatsUser.objects.filter(name="two").update(enabled=False)
    gone = retire(window_s=3600)
    while steps(gone)["window"] != "waiting":
        turn(world)
    as_ada(services.cancel, gone)
    until(world, gone, Job.State.CANCELLED)
    assert dict(NatsUser.objects.values_list("name", "enabled")) == {"one": True, "two": False}


def test_the_name_is_typed_and_the_window_has_bounds(world):
    account = world.account()
    wrong = {
        "confirm": ("acme", 0, "delete"),
        "window_s": ("ACME", -1, "delete"),
        "data": ("ACME", 0, "burn"),
    }
    for field, given in wrong.items():
        with pytest.raises(ValidationError) as refused:
            services.retire(account, *given)
        assert list(refused.value.message_dict) == [field]
    services.retire(account, "ACME", 0, "keep")
    with pytest.raises(ValidationError, match="being retired already"):
        services.retire(account, "ACME", 0, "keep")


def test_a_hold_is_answered_by_who_asked_for_the_removal_if_they_may(world):
    """Retiring a large account trips the guard; the person has typed its name, and may decide holds."""
    world.many_users(world.account(), 12)
    world.apply()
    gone = retire(window_s=0)
    assert until(world, gone).state == "done", told(gone)
    assert Hold.objects.exclude(state="gone").first().decided_by == admin()


def test_a_command_at_the_machine_itself_has_said_yes_by_the_name(world):
    account = world.account()
    world.many_users(account, 12)
    world.apply()
    with through("command"):
        gone = services.retire(account, "ACME", 0, "keep")
    assert until(world, gone).state == "done", told(gone)
    assert Hold.objects.exclude(state="gone").exists()


def test_else_it_waits_for_a_person_who_may(world):
    staff("sam")
    world.many_users(world.account(), 12)
    world.apply()
    gone = retire(window_s=0, person="sam")
    while Hold.objects.filter(state="open").count() == 0:
        turn(world)
    turn(world)
    gone.refresh_from_db()
    assert "a person's yes" in gone.waits_for, told(gone)
    from provisioning import decisions

    decisions.approve(Hold.objects.get(state="open"))
    while steps(gone)["freeze"] == "done" and gone.state not in Job.ENDED:
        for hold in Hold.objects.filter(state="open"):
            decisions.approve(hold)
        turn(world)
        gone.refresh_from_db()
    assert gone.state == "done", told(gone)
    assert Server.objects.get().state == "in_sync"
