"""Every page opens, says no where it should, and stays small."""

import pytest
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone

from accounts_app.models import Account, AuditEntry, Role, Server, Token, record
from provisioning.models import Blueprint, Difference, Drift, Hold, Job, Revision
from tests import factories

admin.autodiscover()  # whatever else has run before
OURS = [
    model
    for model in admin.site._registry
    if model._meta.app_label in ("accounts_app", "provisioning")
    and model not in (Token, Difference)  # test_tokens.py and test_stage_pages.py
]
STRANGE = ["x", "9" * 30, "%00", "%ED%A0%80", "1%27--"]


def names(model):
    return f"{model._meta.app_label}_{model._meta.model_name}"


@pytest.fixture
def world(db):
    accounts, known = factories.demo(users=12, names=("orders", "billing"))
    system = factories.system()
    Server.objects.create(system=system, name="n1", server_id="N1", state="in_sync", version="2.11.4")
    Revision.objects.create(
        system=system,
        number=1,
        sha256="a",
        text_sha256="b",
        renderer=1,
        wanted=1,
        changes=[{"text": "account added"}],
        snapshot_at=timezone.now(),
    )
    Hold.objects.create(system=system, account="ORDERS", reason="12 of 20 users would go.")
    Drift.objects.create(system=system, where="file", summary="Somebody edited accounts.conf.")
    factories.consumer(factories.stream(accounts[0], "EVENTS"), "reader")
    Job.objects.create(system=system, kind="provision", title="A team", accounts=["ORDERS"], door="admin")
    Blueprint.objects.create(name="team", version=1, title="A team", text="blueprint: team")
    record("something done", accounts[0])
    return accounts, known


@pytest.mark.parametrize("model", OURS, ids=names)
def test_list_object_and_history_open(page, world, model):
    assert page.get(reverse(f"admin:{names(model)}_changelist")).status_code == 200
    assert page.get(reverse(f"admin:{names(model)}_changelist"), {"q": "or"}).status_code == 200
    row = model._base_manager.order_by("pk").last()
    assert page.get(reverse(f"admin:{names(model)}_change", args=[row.pk])).status_code == 200
    if hasattr(model, "history"):
        shown = page.get(reverse(f"admin:{names(model)}_history", args=[row.pk]))
        assert shown.status_code == 200
        entry = row.history.first()
        assert page.get(reverse(f"admin:{names(model)}_simple_history", args=[row.pk, entry.pk])).status_code == 200


@pytest.mark.parametrize("model", OURS, ids=names)
def test_add_page_opens_or_is_refused(page, world, model):
    answer = page.get(reverse(f"admin:{names(model)}_add"))
    kept = ("server", "auditentry", "revision", "hold", "drift", "job")
    assert answer.status_code == (403 if model._meta.model_name in kept else 200)


@pytest.mark.parametrize("model", OURS, ids=names)
def test_strange_addresses_are_answered(page, world, model):
    row = model._base_manager.order_by("pk").last()
    base = reverse(f"admin:{names(model)}_changelist")
    for strange in STRANGE:
        for path in (f"{base}{strange}/change/", f"{base}?q={strange}", f"{base}?account__id__exact={strange}"):
            assert page.get(path).status_code < 500, path
        for path in (f"{base}{strange}/delete/", f"{base}{strange}/history/", f"{base}?p={strange}&o={strange}"):
            assert page.get(path).status_code < 500, path
        assert page.get(f"{base}?state={strange}&e={strange}").status_code < 500
        assert page.get(f"{base}add/?account={strange}&system={strange}&role={strange}&way={strange}").status_code < 500
    assert page.post(f"{base}{row.pk}/change/", {}).status_code < 500


@pytest.mark.parametrize("model", OURS, ids=names)
def test_person_without_right_sees_nothing(client, world, model):
    client.force_login(factories.staff())
    row = model._base_manager.order_by("pk").last()
    assert client.get(reverse(f"admin:{names(model)}_changelist")).status_code == 403
    assert client.get(reverse(f"admin:{names(model)}_change", args=[row.pk])).status_code == 403


@pytest.mark.parametrize("model", OURS, ids=names)
def test_person_who_may_only_look_gets_no_buttons(client, world, model):
    codename = f"{model._meta.app_label}.view_{model._meta.model_name}"
    client.force_login(factories.staff("vera", codename))
    row = model._base_manager.order_by("pk").last()
    shown = client.get(reverse(f"admin:{names(model)}_change", args=[row.pk]))
    assert shown.status_code == 200
    text = shown.content.decode()
    for button in ('name="_save"', "/delete/", 'name="answer"', "/rotate/", "/revert/", "/try-again/"):
        assert button not in text, button
    assert client.post(reverse(f"admin:{names(model)}_change", args=[row.pk]), {}).status_code == 403


@pytest.mark.parametrize("model", [Server, Revision, Drift, Hold, AuditEntry], ids=names)
def test_observed_rows_cannot_be_edited(page, world, model):
    row = model._base_manager.order_by("pk").last()
    assert page.post(reverse(f"admin:{names(model)}_add"), {}).status_code == 403
    assert page.post(reverse(f"admin:{names(model)}_change", args=[row.pk]), {"name": "x"}).status_code == 403
    assert page.post(reverse(f"admin:{names(model)}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


def test_lists_of_thousands_cost_a_few_queries(page, db, django_assert_max_num_queries):
    factories.demo(users=3_000)
    address = reverse("admin:accounts_app_natsuser_changelist")
    page.get(address)
    for question in ({}, {"q": "gateway"}, {"state": "pending"}, {"p": "30"}, {"o": "2.1"}):
        with django_assert_max_num_queries(12):
            page.get(address, question)
    for model in (Account, Role):
        with django_assert_max_num_queries(12):
            page.get(reverse(f"admin:{names(model)}_changelist"))


def test_start_page_says_how_it_is(page, world):
    Account.objects.filter(name="BILLING").update(wanted=9, done=8)
    from django.db.models import QuerySet

    QuerySet(Account).filter(name="ORDERS").update(
        wanted=9, done=8, problem_kind="failed", problem="bad limit", problem_wanted=9
    )
    text = page.get(reverse("admin:index")).content.decode()
    for words in ("n1", "in sync", "bad limit", "12 of 20 users would go.", "Somebody edited", "account added"):
        assert words in text, words
    inside = page.get(reverse("admin:index"), {"fragment": "1"}).content.decode()
    assert "bad limit" in inside
    assert "<html" not in inside


def test_start_page_of_an_empty_system_shows_the_first_steps(page):
    factories.system()
    assert "nunect import" in page.get(reverse("admin:index")).content.decode()


def test_start_page_tells_only_what_one_may_see(client, world):
    client.force_login(factories.staff())
    text = client.get(reverse("admin:index")).content.decode()
    assert "12 of 20 users would go." not in text
    assert "account added" not in text


def test_chips_are_asked_for_together(page, world):
    accounts, _ = world
    keys = ",".join(f"account-{one.pk}" for one in accounts) + ",account-x,system-1,\x00," + "9" * 50
    states = page.get(reverse("admin:accounts_app_states"), {"keys": keys}).json()["states"]
    assert {f"account-{one.pk}" for one in accounts} <= states.keys()
    assert states[f"account-{accounts[0].pk}"]["state"] == "pending"


def test_search_over_everything(page, world):
    found = page.get("/admin/search/", {"s": "checkout", "extended": "1"})
    assert found.status_code == 200
    assert "orders-checkout" in found.content.decode()
