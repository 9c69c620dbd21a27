"""The live pages open for who may see them, with and without a relay, and say no where they should."""

import json
import re

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from accounts_app import access, units
from accounts_app.models import Account, Server, System
from monitoring import store
from monitoring.live_views import PAGES
from provisioning.models import Revision
from tests import factories
from tests.monitoring import pictures

pytestmark = pytest.mark.django_db
NASTY = '<img src=x onerror="alert(1)">'


@pytest.fixture
def system(valkey):
    return factories.system()


@pytest.fixture
def narrow(monkeypatch):
    """Narrows whoever is signed in to some accounts, as a token would."""

    def narrowed(*accounts):
        reach = access.Narrowed("admin", frozenset(account.pk for account in accounts))
        monkeypatch.setattr(get_user_model(), "nunect_token", reach, raising=False)

    return narrowed


def text_of(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def live(name):
    return reverse("live:page", args=[name])


def found(client, term):
    return client.get("/admin/search/", {"s": term, "extended": "1"}).content.decode()


def test_pages_open_whatever_the_relay_has_seen(page, system):
    for picture in (None, pictures.empty, pictures.trouble):
        if picture:
            picture(system)
        for name in PAGES:
            assert page.get(live(name)).status_code == 200, (name, picture)


def test_who_is_not_signed_in_is_asked_to(client, system):
    for name in ("events", "nowhere"):
        answer = client.get(live(name))
        assert answer.status_code == 302
        assert answer.url.startswith(reverse("admin:login"))


def test_what_is_not_there_is_not_found(page, system):
    for path in ("nowhere/", "events/?system=NOWHERE", "revision/99/", "server/nowhere/", "account/NOWHERE/"):
        assert page.get(f"/admin/live/{path}").status_code == 404, path
    assert page.get("/admin/?system=NOWHERE").status_code == 404


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_the_right_to_its_rows_and_no_other(client, system, name):
    model = PAGES[name].model
    right = f"{model._meta.app_label}.view_{model._meta.model_name}"
    client.force_login(factories.staff("sam", right))
    assert client.get(live(name)).status_code == 200
    menu = client.get("/admin/").content.decode()
    assert live(name) in menu
    others = {other for other, one in PAGES.items() if one.model is not model}
    for other in others:
        assert client.get(live(other)).status_code == 403, other
        assert f'href="{live(other)}"' not in menu, other


def test_who_sees_single_accounts_sees_nothing_of_the_whole_system(page, system, narrow):
    picture = pictures.busy(system)
    narrow(Account.objects.get(name="ORDERS"))
    for name, one in PAGES.items():
        assert page.get(live(name)).status_code == (403 if one.whole else 200), name
    shown = page.get("/admin/")
    assert shown.context["topics"] == []
    assert shown.context["seen"].frames == {}
    for path in ("/admin/", live("accounts"), live("connections")):
        text = page.get(path).content.decode()
        assert picture.events[0].text not in text
        assert "nu-frame-" not in text


def test_the_first_paint_shows_what_was_seen_last(page, system):
    picture = pictures.busy(system)
    shown = page.get("/admin/")
    text = text_of(shown)
    for words in ("500", "5,949 subscriptions", "720 MiB", "east-1", "west-1"):
        assert words in text, words
    assert units.rate(picture.figures["out_msgs_rate"]) in text
    assert "was refused at east-1: the password is wrong." in text
    assert shown.context["seen"].state == {"live": True, "since": None, "detail": ""} | {
        "since": shown.context["seen"].state["since"]
    }
    assert "was refused at east-1" in text_of(page.get(live("events")))
    assert "may no longer publish" in text_of(page.get(live("changes")))


def test_it_says_since_when_nothing_new_came(page, system):
    pictures.dead(pictures.empty(system), for_s=40)
    state = page.get("/admin/").context["seen"].state
    assert state["live"] is False
    assert "relay is not running" in state["detail"]
    pictures.dead(pictures.empty(system), for_s=40, problem="No server answers at nats://127.0.0.1:4222.")
    shown = page.get("/admin/")
    assert shown.context["seen"].state["detail"] == "No server answers at nats://127.0.0.1:4222."
    assert "No server answers at nats://127.0.0.1:4222." in text_of(shown)


def test_who_never_had_a_relay_is_told_what_to_do(page, system):
    for path in ("/admin/", live("events")):
        assert "manage.py relay" in text_of(page.get(path)), path


def test_without_redis_each_page_opens_and_search_finds_the_rest(page, settings, db):
    settings.REDIS_URL = "unix:///nonexistent/valkey.sock"
    factories.user(factories.account("ORDERS"), "orders-checkout")
    for path in ("/admin/", *(live(name) for name in PAGES)):
        answer = page.get(path)
        assert answer.status_code == 200, path
        assert "Redis does not answer" in text_of(answer), path
    assert "orders-checkout" in found(page, "orders-check")


def test_what_clients_call_themselves_is_text(page, system):
    picture = pictures.empty(system)
    picture.happen("connect", f"{NASTY} connected as `{NASTY}`.", app=NASTY, account=NASTY, address=NASTY)
    picture.add("accounts", account=NASTY, owner=NASTY)
    picture.rows["servers"][0] |= {"server": NASTY, "detail": NASTY, "state": NASTY}
    picture.changes["problem"] = NASTY
    picture.write()
    for path in ("/admin/", live("events"), live("changes")):
        assert "<img src=x" not in page.get(path).content.decode(), path


def test_frames_reach_the_modules_as_they_are(page, system):
    picture = pictures.busy(system)
    text = page.get(live("events")).content.decode()
    script = re.search(r'<script id="nu-frame-events" type="application/json">(.*?)</script>', text, re.S)
    frame = json.loads(script[1])
    assert (frame["topic"], frame["seq"], frame["epoch"]) == ("events", picture.seq, picture.epoch)
    assert frame["data"] == json.loads(json.dumps(picture.topics()["events"]))


def test_names_and_numbers_lead_to_their_objects(page, system):
    pictures.busy(system)
    server = Server.objects.create(system=system, name="east 1/a", server_id="N1", state="in_sync")
    ways = {
        "/admin/live/revision/42/": Revision.objects.get(number=42),
        "/admin/live/account/ORDERS/": Account.objects.get(name="ORDERS"),
    }
    for path, row in ways.items():
        meta = row._meta
        change = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
        assert page.get(path).url == change, path
    Server.objects.filter(pk=server.pk).update(name="east-1")
    assert page.get("/admin/live/server/east-1/").url == reverse("admin:accounts_app_server_change", args=[server.pk])


def test_a_system_is_chosen_by_name(page, system):
    pictures.empty(system)
    other = System.objects.create(name="stage", environment="stage")
    shown = page.get("/admin/", {"system": "stage"})
    assert shown.context["system"] == other
    assert shown.context["seen"].ever is False
    text = shown.content.decode()
    assert '?system=stage" aria-current="true"' in text
    assert 'data-many="yes"' in text
    assert page.get("/admin/").context["seen"].ever is True


def test_objects_lead_to_their_live_view(page, system):
    account = factories.account("ORDERS")
    user = factories.user(account, "svc & co")
    server = Server.objects.create(system=system, name="n1", server_id="N1", state="in_sync")
    ways = {
        account: f"{live('connections')}?account=ORDERS&amp;system={system.name}",
        user: f"{live('connections')}?user=svc%20%26%20co&amp;system={system.name}",
        server: f"{live('servers')}?server=n1&amp;system={system.name}",
    }
    for row, way in ways.items():
        change = reverse(f"admin:accounts_app_{row._meta.model_name}_change", args=[row.pk])
        assert f'href="{way}"' in page.get(change).content.decode(), row


def test_the_parts_of_the_start_page_are_asked_for_alone(page, system):
    pictures.busy(system)
    facts = page.get("/admin/", {"fragment": "facts"}).content.decode()
    cards = page.get("/admin/", {"fragment": "cards"}).content.decode()
    assert "nu-facts" in facts
    assert "nu-facts" not in cards
    assert "may no longer publish" in cards
    assert "nu-live" not in facts + cards


# --- ⌘K ------------------------------------------------------------------------------------------------------


def test_search_finds_pages_subjects_servers_and_connections(page, system):
    pictures.busy(system)
    Server.objects.create(system=system, name="east-1", server_id="N1", state="in_sync")
    factories.user(Account.objects.get(name="ORDERS"), "clerk", "publish invoice.paid")
    assert live("failures") in found(page, "refused")
    assert "publish invoice.paid" in found(page, "invoice.pa")
    assert "/admin/accounts_app/server/" in found(page, "east-1")
    for term in ("fleet-gateway-2", "10.0.2.2"):
        answer = found(page, term)
        assert f"{live('connections')}?account=ORDERS" in answer, term
        assert "fleet-gateway-2" in answer
    assert found(page, "10.0.").count(live("connections")) <= 9


def test_search_finds_only_connections_of_accounts_within_reach(page, system, narrow):
    pictures.busy(system)
    narrow(Account.objects.get(name="BILLING"))
    answer = found(page, "10.0.")
    assert f"{live('connections')}?account=BILLING" in answer
    assert "account=ORDERS" not in answer


def test_search_of_who_may_see_no_users_finds_no_connection(client, system):
    pictures.busy(system)
    client.force_login(factories.staff("sam", "accounts_app.view_account"))
    assert live("connections") not in found(client, "10.0.")


# --- first paint ---------------------------------------------------------------------------------------------


def test_the_first_paint_needs_little_time_with_ten_thousand_connections(page, system, monkeypatch):
    picture = pictures.busy(system)
    picture.rows["connections"] *= 20
    picture.write()
    assert len(store.read_table(system.pk, "connections").rows) == 10_000
    page.get("/admin/")
    read = []
    table = store.read_table
    monkeypatch.setattr(store, "read_table", lambda system, name: read.append(name) or table(system, name))
    assert page.get("/admin/").status_code == 200  # measured: 0.05 s of the processor
    assert read == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, ("0", "0/s", "0 B")),
        (9.96, ("10", "10/s", "10 B")),
        (1.25, ("1", "1.3/s", "1.3 B")),
        (1023, ("1,023", "1,023/s", "1023 B")),
        (12_345.6, ("12,346", "12 k/s", "12 KiB")),
        (10_485_760, ("10,485,760", "10 M/s", "10 MiB")),
        (None, ("–", "–", "–")),
    ],
)
def test_numbers_have_their_units(value, words):
    assert (units.count(value), units.rate(value), units.size(value)) == words
