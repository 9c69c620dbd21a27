"""The admin as a person meets it: it moves by itself, keeps secrets, fits a phone and can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db.models import QuerySet
from django.urls import reverse

from accounts_app.models import Account, NatsUser, Server
from provisioning.models import Drift, Hold, Revision
from tests import factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
NASTY = """'"><img src=x onerror="document.title='broken'"> {{ 7*7 }} </script> `${1}` \\"""


def of(name, *args):
    return reverse(f"admin:{name}", args=args)


def change(row):
    return of(f"{row._meta.app_label}_{row._meta.model_name}_change", row.pk)


@pytest.fixture
def filled():
    """A few rows of everything that has a page."""
    accounts, known = factories.demo(users=60)
    system = factories.system()
    Server.objects.create(system=system, name="n1", server_id="N1", state="in_sync", version="2.11.4", revision=1)
    lost = {"text": f"user `{known.nkey}` may no longer publish `orders.gone`", "removes_access": True}
    revision = Revision.objects.create(
        system=system, number=1, sha256="a", text_sha256="b", renderer=1, wanted=1, changes=[{"text": "added"}, lost]
    )
    hold = Hold.objects.create(system=system, account="ORDERS", reason="12 of 20 users would go.", changes=[lost])
    drift = Drift.objects.create(system=system, where="file", summary="Somebody edited accounts.conf.")
    QuerySet(Account).filter(name="FLEET").update(
        wanted=90, done=8, problem_kind="failed", problem="bad limit", problem_wanted=90
    )
    return {"account": accounts[0], "user": known, "revision": revision, "hold": hold, "drift": drift}


def pages(filled):
    account, user = filled["account"], filled["user"]
    lists = ("account", "natsuser", "role", "subjectpermission", "export", "import", "mapping", "server", "auditentry")
    return [
        "/admin/",
        *(of(f"accounts_app_{name}_changelist") for name in lists),
        *(of(f"provisioning_{name}_changelist") for name in ("revision", "hold", "drift")),
        *(change(row) for row in (account, user, account.roles.first(), account.exports.first())),
        *(change(filled[name]) for name in ("revision", "hold", "drift")),
        of("accounts_app_account_conf", account.pk),
        of("accounts_app_account_history", account.pk),
        of("accounts_app_account_delete", account.pk),
        of("accounts_app_natsuser_add"),
        f"/admin/accounts_app/natsuser/{user.pk}/rotate-with-overlap",
        f"/admin/accounts_app/natsuser/{user.pk}/connect",
    ]


@pytest.mark.long
def test_every_page_keeps_the_policy_fits_a_small_phone_and_can_be_read(site, filled):
    """One look at each page; what the policy forbids is a complaint, which the site does not let pass."""
    page = site.open("/admin/", theme="dark")
    wide, faint = {}, {}
    for path in pages(filled):
        page.set_viewport_size({"width": 360, "height": 900})
        page.emulate_media(color_scheme="dark")
        site.go(page, path)
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if over > 0:
            wide[path] = over
        page.set_viewport_size({"width": 1280, "height": 900})
        page.wait_for_selector("html.dark")
        dark = page.evaluate(CONTRAST)
        page.emulate_media(color_scheme="light")
        page.evaluate("document.documentElement.classList.remove('dark')")  # a page decides it once, as it loads
        light = page.evaluate(CONTRAST)
        if dark or light:
            faint[path] = (dark, light)
    assert not wide
    assert not faint
    assert not site.complaints


def test_chip_turns_without_reloading_and_says_why_it_failed(site, filled):
    account = filled["account"]
    page = site.open(change(account))
    chip = page.locator(".nu-head .nu-chip")
    assert chip.inner_text().endswith("pending")
    QuerySet(Account).filter(pk=account.pk).update(
        wanted=99, done=1, problem_kind="failed", problem_wanted=99, problem="nats-server: duplicate nkey"
    )
    page.wait_for_function("document.querySelector('.nu-head .nu-chip').dataset.nuState === 'failed'", timeout=6000)
    assert "duplicate nkey" in page.locator("[data-nu-problem] [data-nu-words]").text_content()
    assert page.locator("[data-nu-problem]").is_visible()
    QuerySet(Account).filter(pk=account.pk).update(done=99)
    page.wait_for_function("document.querySelector('.nu-head .nu-chip').dataset.nuState === 'applied'", timeout=6000)
    assert not page.locator("[data-nu-problem]").is_visible()


def test_chips_of_a_list_turn_together(site, filled):
    page = site.open(of("accounts_app_account_changelist"))
    asked = []
    page.on("request", lambda request: "states" in request.url and asked.append(request.url))
    QuerySet(Account).exclude(name="FLEET").update(done=7, wanted=7)
    page.wait_for_function("document.querySelectorAll('.result-list .nu-applied').length >= 9", timeout=6000)
    assert len(asked) <= 2


def test_start_page_shows_what_waits_as_it_comes(site, filled):
    page = site.open("/admin/")
    Hold.objects.create(system=factories.system(), account="BILLING", reason="Everybody would go.")
    page.wait_for_selector("text=Everybody would go.", timeout=6000)


@pytest.mark.long
def test_a_hidden_page_does_not_ask(site, filled):
    page = site.open("/admin/")
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => window.away, configurable: true});"
        "window.away = true; document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.wait_for_timeout(300)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2600)
    assert asked == []
    page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(1000)
    assert asked


def test_a_secret_is_shown_once(site, filled):
    page = site.open(of("accounts_app_natsuser_add") + f"?account={filled['account'].pk}")
    page.fill("[name=name]", "orders-mobile")
    page.click("[name=_save]")
    page.wait_for_selector("#nu-secret")
    seed = page.locator("#nu-secret").inner_text().strip()
    assert seed.startswith("SU")
    with page.expect_download() as taken:
        page.click("[data-nu-save=nu-secret]")
    assert Path(taken.value.path()).read_text().strip() == seed
    page.click("[data-nu-stored]")
    page.wait_for_selector(".nu-head .nu-chip")
    assert seed not in page.content()
    page.reload()
    assert seed not in page.content()
    stored = NatsUser.objects.get(name="orders-mobile")
    assert stored.nkey.startswith("U")


def test_leaving_before_it_is_stored_asks_first(site, filled):
    page = site.open(f"/admin/accounts_app/natsuser/{filled['user'].pk}/rotate", fresh=True)
    page.click("button.nu-main")
    page.wait_for_selector("#nu-secret")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.locator("#nu-secret").click()  # browsers ask only where a person has touched the page
    page.goto(site.address + "/admin/")
    assert asked == ["beforeunload"]


def test_words_of_people_stay_words(site, filled):
    user = filled["user"]
    user.description = NASTY
    user.save()
    user.account.description = NASTY
    user.account.save()
    page = site.open(change(user))
    assert page.input_value("[name=description]") == NASTY
    history = of("accounts_app_account_history", user.account_id)
    for path in (change(user.account), of("accounts_app_account_changelist"), history):
        site.go(page, path)
        assert page.title() != "broken"


def test_a_save_stays_where_the_chip_is(site, filled):
    page = site.open(change(filled["user"]))
    page.fill("[name=description]", "moved")
    page.click("[name=_save]")
    page.wait_for_selector("text=was changed successfully")
    assert page.url.split("?")[0].endswith(change(filled["user"]))
    assert page.locator(".nu-head .nu-chip").is_visible()


def test_fields_come_when_they_are_needed(site, filled):
    page = site.open(of("accounts_app_natsuser_add"))
    assert not page.locator("[name=own_nkey]").is_visible()
    page.check("[name=way][value=nkey_own]")
    page.locator("[name=own_nkey]").wait_for(state="visible")
    assert not page.locator("[name=own_password]").is_visible()
