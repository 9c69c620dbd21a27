"""Blueprints in the admin: the catalogue, those of one's own, and the form of one."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts_app.models import Account, AuditEntry
from provisioning.blueprints.catalogue import save_blueprint
from provisioning.models import Blueprint, HandOver, Job, JobStep
from tests import factories
from tests.admin.job_rows import CATALOGUE, FORM, GIVEN, LINK, TEXT, make_job, page_of, text

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


def test_what_is_only_missing_is_told_apart_from_what_is_wrong(page, blueprint):
    answer = page.post(f"{FORM}look/", {**GIVEN, "p-name": "", "p-keep": "soon"}).json()
    assert answer["good"] is False and set(answer["errors"]) == {"name", "keep"}
    assert "Still needed:" in answer["html"] and "Account" in answer["html"]
    assert "Kept for" in answer["html"] and "must be a duration" in answer["html"]


def test_what_is_wrong_is_named_once(page, blueprint):
    told = text(page.post(FORM, {**GIVEN, "p-name": "a b", "p-keep": "soon", "step": "look"}))
    places = told.partition("nu-places")[2].partition("</ul>")[0]
    assert "Account name" in places and ">Account<" not in places
    assert ">Kept for<" in places


def test_a_table_comes_as_text_or_as_a_file_and_says_which_line_is_wrong(page, blueprint):
    from django.core.files.uploadedfile import SimpleUploadedFile

    told = page.post(f"{FORM}look/", {**GIVEN, "p-devices": "name\nd1\nd2\n"}).json()
    assert told["good"] and "d1" in told["html"] and "4 users" in told["html"]
    file = SimpleUploadedFile("devices.csv", b"\xef\xbb\xbfname\r\nd1\r\nno.dots\r\n")
    told = page.post(f"{FORM}look/", {**GIVEN, "p-devices-file": file}).json()
    assert "line 3" in told["errors"]["devices"][0]
    binary = SimpleUploadedFile("devices.csv", b"\xff\xfe\x00")
    assert "UTF-8" in page.post(f"{FORM}look/", {**GIVEN, "p-devices-file": binary}).json()["html"]


def test_a_table_names_its_columns_and_which_are_needed(page, db):
    factories.system()
    shown = " ".join(text(page.get("/admin/provisioning/blueprint/provision/iot-fleet/")).split())
    assert "A CSV with a header line, up to 10,000 rows." in shown
    columns = shown.partition("nu-columns")[2].partition("</ul>")[0]
    needed, nkey, description = columns.split("</li>")[:3]
    assert ">name<" in needed and "needed" in needed and "login" in needed
    assert ">nkey<" in nkey and "optional" in nkey and "Of a key pair that the device has made itself." in nkey
    assert ">description<" in description and "optional" in description


def test_a_table_says_what_a_column_may_be_and_what_it_is_when_empty(page, blueprint, ada):
    columns = "name: {type: token}\n      tier: {type: choice, choices: {a: Small, b: b}, default: a}"
    columns += "\n      on: {type: flag, default: false}"
    save_blueprint(TEXT.replace("name: {type: token, title: Name}", columns).replace("version: 1", "version: 2"), ada)
    shown = text(page.get(FORM)).partition("nu-columns")[2].partition("</ul>")[0]
    name, tier, on = shown.split("</li>")[:3]
    assert "one of a (Small), b · a when empty" in tier and "optional" in tier
    assert "false when empty" in on and "when empty" not in name


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
