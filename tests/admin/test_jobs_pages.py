"""Blueprints, jobs and retiring in the admin: what is asked, what is told, and who may do what."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts_app.models import Account, AuditEntry
from monitoring.dashboard import navigation
from provisioning.models import Blueprint, HandOver, Job, JobLine, JobStep
from tests import factories

CATALOGUE = "/admin/provisioning/blueprint/catalogue/"
FORM = "/admin/provisioning/blueprint/provision/small-team/"
JOBS = "/admin/provisioning/job/"
LINK = re.compile(r"/handover/#([A-Za-z0-9_-]{43})")
TEXT = """
blueprint: small-team
version: 1
title: A small team
description: An account with a worker for each service.
parameters:
  name: {type: account_name, title: Account, help: How it is called.}
  services: {type: list, of: token, title: Services, min: 1}
  size: {type: choice, choices: {small: Small, large: Large}, default: small}
  keep: {type: duration, title: Kept for, default: 7d}
  devices:
    type: table
    title: Devices
    required: false
    columns:
      name: {type: token, title: Name}
  all: {type: flag, title: Everything, default: true}
values:
  connections: {case: "${size}", of: {small: 10, large: 100}}
accounts:
  - name: ${name}
    max_connections: ${connections}
    users:
      - for_each: ${services}
        as: service
        name: ${name}-${service}
        permissions: ["allow publish ${service}.>"]
      - for_each: ${devices}
        as: device
        name: ${device.name}
        permissions: ["allow publish devices.${device.name}.>"]
"""
GIVEN = {"p-name": "ACME", "p-services": "orders\nbilling", "p-size": "small", "p-keep": "7d", "p-all": "on"}


@pytest.fixture
def blueprint(db):
    factories.system()
    from provisioning.blueprints.catalogue import save_blueprint

    save_blueprint(TEXT, factories.admin())
    return Blueprint.objects.get()


def make_job(state="running", *, kind="provision", accounts=("ACME",), **fields):
    """A job of two steps, the first of which is done."""
    job = Job.objects.create(
        system=factories.system(),
        kind=kind,
        title=f"A small team: {', '.join(accounts)}",
        accounts=list(accounts),
        author_name="ada",
        door="admin",
        state=state,
        started_at=timezone.now(),
        **fields,
    )
    states = {"failed": "failed", "done": "done"}
    for number, (name, title, now) in enumerate(
        (("rows", "Write the rows", "done"), ("enforced", "Every server runs it", states.get(state, "waiting"))), 1
    ):
        JobStep.objects.create(
            job=job, number=number, name=name, title=title, state=now, started_at=timezone.now(), attempts=number
        )
    JobLine.objects.create(job=job, step="rows", text="1 account, 2 users.")
    return job


def page_of(job):
    return reverse("admin:provisioning_job_change", args=[job.pk])


def act(job, name):
    return reverse("admin:provisioning_job_act", args=[job.pk, name])


def text(answer):
    return answer.content.decode()


# --- the catalogue and blueprints of one's own -----------------------------------------------------------------


def test_the_catalogue_leads_to_each_blueprint(page, blueprint):
    shown = text(page.get(CATALOGUE))
    assert "A small team" in shown and "An account with a worker for each service." in shown
    assert FORM in shown and "/blueprint/text/small-team/?version=1" in shown
    assert FORM in text(page.get("/admin/provisioning/blueprint/text/small-team/"))
    assert text(page.get("/admin/")).count(CATALOGUE) >= 2  # in the sidebar, and as a button


def test_three_clicks_lead_from_the_start_page_to_a_job(page, blueprint):
    """Start page → catalogue → form → job."""
    assert f'href="{CATALOGUE}"' in text(page.get("/admin/"))
    assert f'href="{FORM}"' in text(page.get(CATALOGUE))
    assert page.post(FORM, {**GIVEN, "step": "provision"}).status_code == 200
    assert Job.objects.get().accounts == ["ACME"]


def test_one_of_one_s_own_is_written_checked_and_switched(page, blueprint, ada):
    add = "/admin/provisioning/blueprint/add/"
    begun = text(page.get(f"{add}?copy=small-team&version=1"))
    assert "version: 2" in begun
    wrong = page.post(add, {"text": TEXT.replace("allow publish ${service}", "allow publish ${servise}")})
    assert "servise" in text(wrong) and "nothing was saved" in text(wrong)
    assert "Paste something" in text(page.post(add, {"text": " "}))
    assert "document" in text(page.post(add, {"text": "- a\n- b: ["})) or "line" in text(page.post(add, {"text": "["}))
    made = page.post(add, {"text": TEXT.replace("version: 1", "version: 2")})
    row = Blueprint.objects.get(version=2)
    assert made.url == reverse("admin:provisioning_blueprint_change", args=[row.pk])
    assert row.created_by == ada
    switch = reverse("admin:provisioning_blueprint_switch", args=[row.pk])
    page.post(switch, {"enabled": "no"})
    row.refresh_from_db()
    assert row.enabled is False
    assert "v1" in text(page.get(CATALOGUE))
    page.post(switch, {"enabled": "yes"})
    assert "v2" in text(page.get(CATALOGUE))
    assert AuditEntry.objects.filter(act="blueprint disabled", person=ada).exists()


def test_who_may_only_use_blueprints_neither_writes_nor_switches_them(client, blueprint):
    client.force_login(factories.staff("uma", "provisioning.add_job", "provisioning.view_job"))
    shown = text(client.get(CATALOGUE))
    assert FORM in shown and "Write your own" not in shown
    assert client.get("/admin/provisioning/blueprint/add/").status_code == 403
    switch = reverse("admin:provisioning_blueprint_switch", args=[blueprint.pk])
    assert client.post(switch, {"enabled": "no"}).status_code == 403
    blueprint.enabled = False
    blueprint.save()
    assert "A small team" not in text(client.get(CATALOGUE))
    assert client.get(FORM).status_code == 404


# --- the form ---------------------------------------------------------------------------------------------------


def test_the_form_asks_for_each_parameter(page, blueprint):
    answer = page.get(FORM)
    fields = {field.spec.name: field for field in answer.context["fields"]}
    kinds = {name: field.kind for name, field in fields.items()}
    assert kinds == {
        "name": "line", "services": "list", "size": "choice", "keep": "line", "devices": "table", "all": "flag",
    }  # fmt: skip
    assert (fields["keep"].value, fields["size"].value, fields["all"].value) == ("7d", "small", True)
    shown = text(answer)
    assert "How it is called." in shown and 'name="p-devices-file"' in shown


def test_what_will_be_made_is_told_and_nothing_is_written(page, blueprint):
    answer = page.post(f"{FORM}look/", GIVEN).json()
    assert answer["good"] is True and answer["errors"] == {}
    assert "ACME-orders" in answer["html"] and "may publish orders.&gt;" in answer["html"]
    assert "10" in answer["html"]
    assert not Job.objects.exists() and not Account.objects.filter(name="ACME").exists()


def test_what_a_retired_account_of_the_name_has_kept_is_told(page, blueprint):
    keeps = "    jetstream: true\n    streams: [{name: JOBS, subjects: [jobs.>]}]\n    users:\n"
    Blueprint.objects.update(text=TEXT.replace("    users:\n", keeps, 1))
    gone = make_job("done", kind="retire", parameters={"account": "ACME", "data": "keep"})
    kept = {"kind": "stream", "config": {"name": "JOBS", "subjects": ["jobs.>"], "storage": "file"}}
    undo = json.dumps({"behind": {"ACME": {"JOBS": {**kept, "counts": {"messages": 1204}, "consumers": {}}}}})
    at = timezone.now() - timedelta(days=3, hours=1)
    JobStep.objects.create(
        job=gone, number=3, name="removal", title="Remove it", result={"system": 1}, undo=undo, started_at=at
    )
    answer = page.post(f"{FORM}look/", GIVEN).json()
    told = f"when ACME was retired (job {gone.pk}, 3 days ago): it comes back with its 1,204 messages."
    assert answer["good"] is True
    assert f"stream “JOBS” (ACME): It was kept with its data {told}" in answer["html"]
    gone.parameters["data"] = "delete"
    gone.save()
    assert "was retired" not in page.post(f"{FORM}look/", GIVEN).json()["html"]


def test_the_step_that_failed_leads_to_its_stream(page, db):
    job = make_job("failed", problem="Stream JOBS: refused.", problem_step="enforced")
    row = factories.stream(factories.account("ACME", jetstream=True), "JOBS")
    told = {"resource": "streams", "id": row.pk, "account": "ACME", "name": "JOBS"}
    job.steps.filter(state="failed").update(result={"objects": [told]})
    address = reverse("admin:accounts_app_stream_change", args=[row.pk])
    assert f'<a class="nu-link" href="{address}">ACME/JOBS</a>' in text(page.get(page_of(job)))
    type(row).objects.filter(pk=row.pk).delete()
    assert page.get(page_of(job)).status_code == 200


def test_what_is_only_missing_is_told_apart_from_what_is_wrong(page, blueprint):
    answer = page.post(f"{FORM}look/", {**GIVEN, "p-name": "", "p-keep": "soon"}).json()
    assert answer["good"] is False and set(answer["errors"]) == {"name", "keep"}
    assert "Still needed:" in answer["html"] and "Account" in answer["html"]
    assert "Kept for" in answer["html"] and "must be a duration" in answer["html"]


def test_a_table_comes_as_text_or_as_a_file_and_says_which_line_is_wrong(page, blueprint):
    from django.core.files.uploadedfile import SimpleUploadedFile

    told = page.post(f"{FORM}look/", {**GIVEN, "p-devices": "name\nd1\nd2\n"}).json()
    assert told["good"] and "d1" in told["html"] and "4 users" in told["html"]
    file = SimpleUploadedFile("devices.csv", b"\xef\xbb\xbfname\r\nd1\r\nno.dots\r\n")
    told = page.post(f"{FORM}look/", {**GIVEN, "p-devices-file": file}).json()
    assert "line 3" in told["errors"]["devices"][0]
    binary = SimpleUploadedFile("devices.csv", b"\xff\xfe\x00")
    assert "UTF-8" in page.post(f"{FORM}look/", {**GIVEN, "p-devices-file": binary}).json()["html"]


def test_the_form_works_without_scripts(page, blueprint):
    shown = page.post(FORM, {**GIVEN, "step": "look"})
    assert "ACME-billing" in text(shown) and not Job.objects.exists()
    refused = page.post(FORM, {**GIVEN, "p-name": "no dots.", "step": "provision"})
    assert refused.status_code == 200 and not Job.objects.exists()
    name = next(field for field in refused.context["fields"] if field.spec.name == "name")
    assert name.errors and name.value == "no dots."
    unchecked = {key: value for key, value in GIVEN.items() if key != "p-all"}
    shown = page.post(FORM, {**unchecked, "step": "look"})
    assert next(field for field in shown.context["fields"] if field.spec.name == "all").value is False


@pytest.mark.parametrize(
    "more", [{"p-name": "\x00"}, {"p-size": "huge"}, {"p-services": "a,a"}, {"p-devices": '"'}, {"p-keep": "7 moons"}]
)
def test_bad_input_is_told_at_its_parameter(page, blueprint, more):
    answer = page.post(FORM, {**GIVEN, **more, "step": "provision"})
    assert answer.status_code == 200
    (name,) = more
    assert next(field for field in answer.context["fields"] if field.name == name).errors
    assert not Job.objects.exists()


def test_provisioning_shows_the_link_once_and_keeps_it_nowhere(page, blueprint, ada, caplog):
    caplog.set_level("DEBUG")
    answer = page.post(FORM, {**GIVEN, "step": "provision", "once": "abc", "lifetime_s": "3600"})
    job = Job.objects.get()
    assert "no-store" in answer["Cache-Control"]
    token = LINK.search(text(answer))[1]
    assert "for 1 hour from when" in text(answer)
    assert (job.author, job.door, job.parameters["services"]) == (ada, "admin", ["orders", "billing"])
    assert json.loads(job.inputs)["lifetime_s"] == 3600
    assert token not in text(page.get(page_of(job)))
    assert token not in caplog.text
    kept = [str(row) for model in (Job, HandOver, AuditEntry) for row in model.objects.values()]
    assert not any(token in row for row in kept)
    assert not any(token in str(value) for value in page.session.values())
    again = page.post(FORM, {**GIVEN, "step": "provision", "once": "abc"})
    assert again.status_code == 302 and again.url == page_of(job)
    assert Job.objects.count() == 1


def test_provisioning_asks_for_the_right_to_it(client, blueprint):
    client.force_login(factories.staff("vic", "provisioning.view_job", "provisioning.view_blueprint"))
    assert "Use it" not in text(client.get(CATALOGUE))
    for path in (FORM, f"{FORM}look/"):
        assert client.post(path, {**GIVEN, "step": "provision"}).status_code == 403
    assert not Job.objects.exists()


@pytest.mark.parametrize("name", ["none", "x" * 200, "%00"])
def test_a_blueprint_that_isn_t_there_is_not_found(page, blueprint, name):
    for path in (f"provision/{name}/", f"text/{name}/", f"text/{name}/?version=x", "text/small-team/?version=9"):
        assert page.get(f"/admin/provisioning/blueprint/{path}").status_code == 404, path
    assert page.get(f"{FORM}?version=99999999999").status_code in (200, 404)


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


# --- retiring ----------------------------------------------------------------------------------------------------


def test_retiring_asks_for_the_name_and_what_becomes_of_the_data(page, db):
    account = factories.account("ACME")
    factories.user(account, "svc")
    address = reverse("admin:provisioning_job_retire", args=[account.pk])
    assert address in text(page.get(reverse("admin:accounts_app_account_change", args=[account.pk])))
    shown = text(page.get(address))
    assert "Type “ACME” to retire it" in shown and '<span class="nu-strong">1</span> users' in shown
    for given, said in (
        ({"confirm": "acme", "data": "delete"}, "Type the name of the account: ACME."),
        ({"confirm": "ACME"}, "Choose what becomes of the data."),
    ):
        refused = page.post(address, {"window_s": "3600", **given})
        assert said in text(refused) and not Job.objects.exists()
        assert '<option value="3600" selected' in text(refused)
    made = page.post(address, {"confirm": "ACME", "data": "delete", "window_s": "3600"})
    job = Job.objects.get()
    assert made.url == page_of(job)
    assert json.loads(job.inputs) == {"window_s": 3600.0, "data": "delete"}
    JobStep.objects.filter(job=job, name="window").update(
        state="waiting", result={"until": "2030-01-01T10:00:00+00:00"}
    )
    Job.objects.filter(pk=job.pk).update(state="waiting")
    shown = text(page.get(page_of(job)))
    assert "Keep the account" in shown and "Until 2030-01-01 10:00" in shown
    again = page.post(address, {"confirm": "ACME", "data": "delete"})
    assert "being retired already" in text(again)


def test_the_servers_own_account_is_not_retired(page, db):
    factories.system()
    account = (
        factories.account("$SYS")
        if not Account.objects.filter(name="$SYS").exists()
        else Account.objects.get(name="$SYS")
    )
    address = reverse("admin:provisioning_job_retire", args=[account.pk])
    assert address not in text(page.get(reverse("admin:accounts_app_account_change", args=[account.pk])))
    assert "own and can" in text(page.post(address, {"confirm": "$SYS", "data": "keep"}))
    assert not Job.objects.exists()


def test_retiring_asks_for_both_rights(client, db):
    account = factories.account("ACME")
    address = reverse("admin:provisioning_job_retire", args=[account.pk])
    for number, rights in enumerate((["accounts_app.delete_account"], ["provisioning.add_job"])):
        client.force_login(factories.staff(f"few{number}", "accounts_app.view_account", *rights))
        assert client.get(address).status_code == client.post(address, {"confirm": "ACME"}).status_code == 403
