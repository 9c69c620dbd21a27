"""Retiring an account in the admin: what is asked for, and how the account tells it meanwhile."""

from __future__ import annotations

import json

from django.urls import reverse

from accounts_app.models import Account
from provisioning.models import Job, JobStep
from tests import factories
from tests.admin.job_rows import page_of, text


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
