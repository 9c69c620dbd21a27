"""Retiring an account in the admin: what is asked for, and how the account tells it meanwhile."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts_app.models import Account
from provisioning.models import Claim, Job, JobStep
from tests import factories
from tests.admin.job_rows import make_job, page_of, text


def test_retiring_asks_for_the_name_and_what_becomes_of_the_data(page, db):
    account = factories.account("ACME")
    factories.user(account, "svc")
    address = reverse("admin:provisioning_job_retire", args=[account.pk])
    assert address in text(page.get(reverse("admin:accounts_app_account_change", args=[account.pk])))
    shown = text(page.get(address))
    assert "Type “ACME” to retire it" in shown and '<span class="nu-strong">1</span> user, who' in shown
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


def test_the_page_names_twenty_streams_and_counts_the_rest(page, db):
    account = factories.account("ACME", jetstream=True)
    for number in range(20):
        factories.stream(account, f"S{number:02}", counts={"messages": number})
    address = reverse("admin:provisioning_job_retire", args=[account.pk])
    shown = text(page.get(address))
    assert "stream “S01” with 1 message, as last seen" in shown and "“S19” with 19 messages" in shown
    assert "more</li>" not in shown and "in memory: lost" not in shown
    for name in ("A", "Z"):
        factories.stream(account, name, storage="memory")
    shown = text(page.get(address))
    assert "stream “A” with 0 messages, as last seen; kept in memory: lost in any case" in shown
    assert "and 2 more</li>" in shown and "“S18”" in shown and "“S19”" not in shown


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


def in_window(*names):
    """Jobs that retire these accounts, whose undo window is open until 28 November 2030."""
    for name in names:
        job = make_job("waiting", kind="retire", accounts=[name])
        Claim.objects.create(system=job.system, account=name, job=job)
        result = {"until": "2030-11-28T07:00:00+00:00"}
        JobStep.objects.create(job=job, number=3, name="window", title="Window", state="waiting", result=result)
        yield job


ACCOUNTS = "/admin/accounts_app/account/"
SAID = "retiring, removed on 28 Nov 07:00 UTC"


def test_an_account_in_its_window_says_so_in_the_list_and_on_its_pages(page, db):
    goes, stays = factories.account("ACME"), factories.account("SHOP")
    (job,) = in_window("ACME")
    shown = text(page.get(ACCOUNTS))
    assert shown.count(SAID) == 1 and page_of(job) in shown
    for part in ("change", "conf", "history"):
        told = text(page.get(f"{ACCOUNTS}{goes.pk}/{part}/"))
        assert SAID in told and page_of(job) in told
    assert SAID not in text(page.get(f"{ACCOUNTS}{stays.pk}/change/"))


@pytest.mark.parametrize(
    ("state", "asked", "said"),
    [
        ("failed", "", "retiring, job {} failed"),
        ("queued", "", SAID),
        ("waiting", "cancel", ""),
        ("undoing", "cancel", ""),
    ],
)
def test_what_is_told_of_it_follows_the_job(page, db, state, asked, said):
    factories.account("ACME")
    (job,) = in_window("ACME")
    Job.objects.filter(pk=job.pk).update(state=state, asked=asked)
    shown = text(page.get(ACCOUNTS))
    assert said.format(job.pk) in shown and ("retiring" in shown) == bool(said)


def test_who_sees_no_jobs_gets_no_way_to_one(client, db):
    factories.account("ACME")
    (job,) = in_window("ACME")
    client.force_login(factories.staff("few", "accounts_app.view_account"))
    shown = text(client.get(ACCOUNTS))
    assert SAID in shown and page_of(job) not in shown


def test_many_that_go_take_as_few_queries_as_two(page, db):
    def asked():
        with CaptureQueriesContext(connection) as queries:
            assert page.get(ACCOUNTS).status_code == 200
        return len(queries)

    names = [f"A{number}" for number in range(22)]
    for name in names:
        factories.account(name)
    assert len(list(in_window(*names[:2]))) == 2
    few = asked()
    assert len(list(in_window(*names[2:]))) == 20
    assert asked() == few
