"""Jobs in the admin: what their pages tell and offer, and their list."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts_app.models import AuditEntry
from monitoring.dashboard import navigation
from provisioning.models import HandOver, Job, JobLine, JobStep
from tests import factories
from tests.admin.job_rows import FORM, JOBS, LINK, act, make_job, page_of, text

# --- jobs -------------------------------------------------------------------------------------------------------


def test_a_job_tells_its_steps_what_it_waits_for_and_its_log(page, db):
    job = make_job("waiting", waits_for="n3", parameters={"name": "ACME", "devices": "1,000 rows", "rows": [{"a": 1}]})
    JobStep.objects.filter(job=job, number=2).update(waits_for="n3")
    shown = text(page.get(page_of(job)))
    for told in ("Write the rows", "Every server runs it", "Waits for n3.", "1 account, 2 users.", "2 tries", "by ada"):
        assert told in shown, told
    assert '"a": 1' not in shown.split("<details>")[0]
    fragment = page.get(f"{page_of(job)}?fragment=1")
    assert "Waits for n3." in text(fragment) and "<html" not in text(fragment)
    assert "no-store" in fragment["Cache-Control"]


def test_a_job_of_a_command_says_so(page, db):
    job = make_job(door="command", author_name="")
    assert "by a command" in text(page.get(page_of(job)))
    assert "a command" in text(page.get(JOBS))
    signed_in = text(page.get(page_of(make_job())))
    assert "by ada through the admin" in signed_in


def test_a_failed_job_says_where_and_why(page, db):
    job = make_job("failed", problem="The servers refuse account “ACME”.", problem_step="enforced")
    shown = text(page.get(page_of(job)))
    assert "It stopped at “Every server runs it”." in shown and "The servers refuse account “ACME”." in shown
    assert act(job, "retry") in shown and act(job, "roll-back") in shown
    start = text(page.get("/admin/"))
    assert "The servers refuse account “ACME”." in start
    (jobs,) = (
        one
        for group in navigation(page.get("/admin/").wsgi_request)
        for one in group["items"]
        if one["title"] == "Jobs"
    )
    assert jobs["badge"] == 1
    make_job("waiting", waits_for="a person's yes to the held change of ACME: 20 users would go.")
    make_job("waiting", waits_for="n3")
    (jobs,) = (
        one
        for group in navigation(page.get("/admin/").wsgi_request)
        for one in group["items"]
        if one["title"] == "Jobs"
    )
    assert jobs["badge"] == 2


def test_the_command_search_finds_jobs_and_blueprints(page, client, blueprint):
    make_job(accounts=["ACME"])
    found = text(page.get("/admin/search/", {"s": "small", "extended": "1"}))
    assert FORM in found and "A small team: ACME" in found
    client.force_login(factories.staff("vic", "accounts_app.view_account"))
    assert "small" not in text(client.get("/admin/search/", {"s": "small", "extended": "1"})).split("<input")[0].lower()


BUTTONS = {
    "queued": {"cancel"},
    "running": {"cancel"},
    "waiting": {"cancel", "resume"},
    "failed": {"retry", "roll-back"},
    "undoing": set(),
    "done": {"hand-over", "roll-back"},
    "cancelled": set(),
    "rolled_back": set(),
}


@pytest.mark.parametrize(("state", "buttons"), BUTTONS.items())
def test_a_page_offers_what_its_job_can_do(page, db, state, buttons):
    job = make_job(state)
    shown = text(page.get(page_of(job)))
    assert {
        name for name in ("retry", "resume", "cancel", "roll-back", "hand-over") if act(job, name) in shown
    } == buttons


def test_a_question_says_what_is_taken_back(page, db):
    job = make_job("running")
    shown = text(page.get(act(job, "cancel")))
    assert "what it has done so far is taken back" in shown and "The rows are what they were before" in shown
    assert page.get(act(job, "retry")).status_code == 302  # nothing to ask, and nothing to retry
    job.refresh_from_db()
    assert job.asked == ""


def test_buttons_do_what_they_say(page, db, ada):
    job = make_job("running")
    assert page.post(act(job, "cancel")).url == page_of(job)
    job.refresh_from_db()
    assert (job.asked, job.asked_by) == ("cancel", ada)
    shown = text(page.get(page_of(job)))
    assert "asked to take it back" in shown and act(job, "resume") in shown
    page.post(act(job, "resume"))
    job.refresh_from_db()
    assert job.asked == ""
    failed = make_job("failed", problem="no")
    page.post(act(failed, "retry"))
    failed.refresh_from_db()
    assert failed.state == "running"
    assert "Only a job that failed can be retried" in text(page.post(act(failed, "retry"), follow=True))
    assert page.post(act(job, "explode")).status_code == 404


def test_who_may_not_change_jobs_has_no_buttons(client, db):
    client.force_login(factories.staff("vic", "provisioning.view_job"))
    job = make_job("failed")
    shown = text(client.get(page_of(job)))
    assert "/act/" not in shown
    for name in ("retry", "resume", "cancel", "roll-back", "withdraw", "hand-over"):
        assert client.post(act(job, name)).status_code == 403
    client.force_login(factories.staff("nil"))
    assert client.get(page_of(job)).status_code == client.get(f"{JOBS}states/?ids={job.pk}").status_code == 403


def test_the_page_tells_who_picked_the_credentials_up_and_lets_a_link_be_withdrawn(page, db):
    job = make_job("done")
    soon = timezone.now() + timezone.timedelta(hours=1)
    fields = {"job": job, "public_key": "k", "users": ["svc"], "expires_at": soon}
    HandOver.objects.create(
        **fields,
        token_sha256="1",
        opened_at=timezone.now(),
        opened_by="grace",
        opened_from="192.0.2.7",
        opened_with="curl/8",
    )
    waits = HandOver.objects.create(**fields, token_sha256="2", ready_at=timezone.now(), sealed="x")
    shown = text(page.get(page_of(job)))
    for told in ("picked up", "by grace", "192.0.2.7", "curl/8", "waits for its owner"):
        assert told in shown, told
    page.post(act(job, "withdraw"))
    waits.refresh_from_db()
    assert waits.withdrawn_at and not waits.sealed
    assert "withdrawn" in text(page.get(page_of(job)))
    assert AuditEntry.objects.filter(act="hand-over withdrawn").exists()


def test_new_credentials_come_by_a_new_link(page, blueprint):
    account = factories.account("ACME")
    factories.user(account, "svc")
    job = make_job("done")
    soon = timezone.now() + timezone.timedelta(hours=1)
    HandOver.objects.create(job=job, public_key="k", token_sha256="1", users=["svc"], expires_at=soon)
    assert "cease to work at once" in text(page.get(act(job, "hand-over")))
    answer = page.post(act(job, "hand-over"))
    assert LINK.search(text(answer))
    again = Job.objects.exclude(pk=job.pk).get()
    assert again.kind == "hand_over"
    assert "no credentials" in text(page.post(act(make_job("done", accounts=["NONE"]), "hand-over"), follow=True))


# --- the list ----------------------------------------------------------------------------------------------------


def test_the_list_finds_filters_and_tells_states(page, db):
    failed = make_job("failed", problem="no such server")
    make_job("done", accounts=["SHOP", "BILLING"])
    listed = lambda **asked: {job.state for job in page.get(JOBS, asked).context["cl"].result_list}  # noqa: E731
    assert listed() == {"failed", "done"}
    assert listed(state__exact="failed") == {"failed"}
    assert listed(q="billing") == listed(q="SHOP") == {"done"}
    assert listed(q=str(failed.pk)) == {"failed"}
    assert "no such server" in text(page.get(JOBS))
    told = page.get(f"{JOBS}states/", {"ids": f"{failed.pk},x,999999999999999999"}).json()["jobs"]
    assert told == {
        str(failed.pk): {"state": "failed", "word": "failed", "icon": "error", "now": "no such server", "took": ""}
    }
    exported = page.get(f"{JOBS}export.json").json()
    assert {row["state"] for row in exported} == {"failed", "done"} and "inputs" not in exported[0]


def test_a_long_list_takes_as_few_queries_as_a_short_one(page, db):
    def asked():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert page.get(JOBS).status_code == 200
        return len(queries)

    make_job()
    few = asked()
    for _ in range(20):
        make_job("failed")
    assert asked() <= few


def test_a_page_of_a_job_takes_a_fixed_number_of_queries(page, db):
    def asked(job):
        with CaptureQueriesContext(connection) as queries:
            page.get(f"{page_of(job)}?fragment=1")
        return len(queries)

    job = make_job()
    few = asked(job)
    for number in range(50):
        JobLine.objects.create(job=job, text=str(number))
    assert asked(job) == few <= 12


def test_the_step_that_failed_leads_to_its_stream(page, db):
    job = make_job("failed", problem="Stream JOBS: refused.", problem_step="enforced")
    row = factories.stream(factories.account("ACME", jetstream=True), "JOBS")
    told = {"resource": "streams", "id": row.pk, "account": "ACME", "name": "JOBS"}
    job.steps.filter(state="failed").update(result={"objects": [told]})
    address = reverse("admin:accounts_app_stream_change", args=[row.pk])
    assert f'<a class="nu-link" href="{address}">ACME/JOBS</a>' in text(page.get(page_of(job)))
    type(row).objects.filter(pk=row.pk).delete()
    assert page.get(page_of(job)).status_code == 200
