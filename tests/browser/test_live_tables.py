"""The live tables as a person meets them: what the relay wrote into a real Valkey, in a real browser."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connections
from django.test import Client

from accounts_app.models import NatsUser
from monitoring import store
from monitoring.events import moment
from provisioning.server import Fleet
from tests import factories
from tests.monitoring import pictures
from tests.provisioning.test_kick import Guest
from tests.provisioning.world import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
PAGES = ("servers/", "accounts/", "connections/", "failures/", "jetstream/", "jetstream/?tab=consumers")
READY = "document.querySelector('.nt-grid:not([aria-busy])') || document.querySelector('.nt-blank:not([hidden])')"
ROW = ".nt-body .nt-row"


class Live:
    """The live pages of one system."""

    def __init__(self, site, system):
        self.site, self.system = site, system

    def open(self, path, **options):
        page = self.site.open(f"/admin/live/{path}", **options)
        page.wait_for_function(READY)
        return page

    def go(self, page, path):
        self.site.go(page, f"/admin/live/{path}")
        page.wait_for_function(READY)

    def tell(self):
        """The relay has written: the socket says so."""
        self.site.wire.send(store.read_frame(self.system.pk, "tables"))


@pytest.fixture
def live(site, valkey):
    return Live(site, factories.system())


@pytest.fixture
def busy(live):
    return pictures.busy(live.system)


def cells(page, column):
    """The texts of a column in the order that one sees, top to bottom."""
    return page.evaluate(
        """(column) => [...document.querySelectorAll(".nt-body .nt-row")]
          .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
          .map((row) => row.querySelector(`[data-column="${column}"]`)?.textContent)""",
        column,
    )


def count_is(page, text):
    page.wait_for_function("(text) => document.querySelector('.nt-count').textContent === text", arg=text)


def best(picture, column, *, down=True):
    return sorted(picture.rows["connections"], key=lambda row: -row[column] if down else row[column])


def test_a_header_sorts_for_mouse_keyboard_and_address(live, busy):
    page = live.open("connections/")
    busiest = best(busy, "in_msgs_rate")[0]
    assert cells(page, "app")[0] == busiest["app"]
    assert page.locator("[role=grid]").get_attribute("aria-rowcount") == "501"
    page.locator("[data-sort=subscriptions]").press("Enter")
    page.wait_for_function(f"document.querySelector('{ROW} [data-column=subscriptions]').textContent === '23'")
    assert page.locator("[aria-sort=descending]").inner_text().split() == ["Subs", "arrow_downward"]
    page.locator("[data-sort=subscriptions]").press("Enter")
    page.wait_for_function(f"document.querySelector('{ROW} [data-column=subscriptions]').textContent === '1'")
    assert page.evaluate("location.search") == "?ordering=subscriptions"
    live.go(page, "connections/?ordering=app")
    shown = cells(page, "app")
    assert shown == sorted(row["app"] for row in busy.rows["connections"])[: len(shown)]


def test_the_address_filters_and_a_chip_takes_it_back(live, busy):
    here = [row for row in busy.rows["connections"] if row["account"] == "ORDERS"]
    page = live.open("connections/?account=ORDERS")
    count_is(page, f"{len(here)} of 500 connections")
    assert set(cells(page, "account")) == {"ORDERS"}
    page.fill(".nt-search", "west-1")
    count_is(page, f"{sum(row['server'] == 'west-1' for row in here)} of 500 connections")
    page.fill(".nt-search", "nobody is called so")
    page.wait_for_selector("text=No connection is like that.")
    page.click("text=Show all 500")
    count_is(page, "500 connections")
    assert not page.locator(".nt-chip").count() and page.evaluate("location.search") == ""


@pytest.mark.long
def test_ten_thousand_rows_scroll_with_few_in_the_document(live, busy):
    rows = busy.rows["connections"]
    rows += [{**rows[number % 500], "cid": number + 7, "own": False, "app": "many"} for number in range(500, 9_999)]
    rows.append({**rows[1], "cid": 99_999, "app": "the-last", "in_msgs_rate": 0.0})
    busy.write()
    page = live.open("failures/")
    began = time.perf_counter()
    live.go(page, "connections/")
    print(f"\nfirst rows of 10,000 after {time.perf_counter() - began:.2f} s")  # noqa: T201
    asked, since = [], time.monotonic()
    page.on("request", lambda request: "/live/connections/?" in request.url and asked.append(request.url))
    most = 0
    for step in (0.2, 0.5, 0.8, 1):
        page.evaluate(
            "(step) => { const box = document.querySelector('.nt-scroller'); box.scrollTop = box.scrollHeight * step }",
            step,
        )
        page.wait_for_function(
            """(least) => {
              const rows = [...document.querySelectorAll(".nt-body .nt-row")];
              const there = Math.max(...rows.map((row) => Number(row.ariaRowIndex)));
              return there >= least && !rows.some((row) => row.querySelector(".nt-bone"));
            }""",
            arg=min(10_001, round(10_000 * step)),
        )
        most = max(most, page.locator(ROW).count())
    assert most <= 60
    assert cells(page, "app")[-1] == "the-last"
    limits = {int(re.search(r"limit=(\d+)", url)[1]) for url in asked}
    assert limits <= {100, 200, 300, 400}  # what is read again while one scrolls has a page more at both ends
    assert len(asked) <= 8 + (time.monotonic() - since) / 2  # each two seconds what is in sight is read again
    page.locator(ROW).first.focus()
    page.keyboard.press("Home")
    page.wait_for_function("document.activeElement.ariaRowIndex === '2'")
    assert page.locator(ROW).count() <= 61


@pytest.mark.long
def test_rows_keep_their_place_under_the_pointer_and_move_when_it_leaves(live, busy):
    page = live.open("connections/")
    first, second = best(busy, "in_msgs_rate")[:2]
    names = cells(page, "app")
    page.hover(f"{ROW}:has-text('{second['app']}') >> nth=0")
    rows = busy.rows["connections"]
    second |= {"in_msgs_rate": 9000.0}
    first |= {"in_msgs_rate": 8000.0}
    rows.sort(key=lambda row: row["cid"])
    busy.seq += 1
    busy.write()
    live.tell()
    page.wait_for_function(f"document.querySelector('{ROW} [data-column=in_msgs_rate]').textContent === '8,000/s'")
    assert cells(page, "app") == names and cells(page, "in_msgs_rate")[1] == "9,000/s"
    page.locator(".nt-waits").wait_for()
    page.mouse.move(10, 10)
    page.wait_for_function(f"document.querySelector('{ROW} [data-column=in_msgs_rate]').textContent === '9,000/s'")
    page.locator(".nt-waits").wait_for(state="hidden")


@pytest.mark.long
def test_keys_lead_through_the_rows_and_back(live, busy):
    page = live.open("accounts/")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.className") == "nt-search"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.ariaRowIndex") == "3"
    name = page.evaluate("document.activeElement.querySelector('[data-column=account]').textContent")
    page.keyboard.press("Enter")
    drawer = page.locator("dialog[open]")
    assert drawer.locator("h2").first.inner_text() == name
    for _ in range(25):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    drawer.wait_for(state="detached")
    page.wait_for_function("document.activeElement.ariaRowIndex === '3'")


@pytest.mark.long
def test_chosen_columns_are_kept(live, busy):
    page = live.open("connections/")
    page.click("text=Columns")
    page.check(".nt-checks [value=rtt_ms]")
    page.uncheck(".nt-checks [value=address]")
    page.reload()
    page.wait_for_function(READY)
    heads = [head.split("\n")[0] for head in page.locator("[role=columnheader]").all_inner_texts()]
    assert "RTT" in heads and "Address" not in heads


def test_use_near_a_limit_is_said_in_words(live):
    pictures.trouble(live.system)
    page = live.open("accounts/?account=ORDERS")
    cell = page.locator(f"{ROW} [data-column=connections]")
    assert re.fullmatch(r"\d+ / \d+error\d+ %", cell.text_content())
    assert cell.get_attribute("title").endswith("%: at its limit")


def test_nothing_there_says_what_to_do_first(live):
    pictures.empty(live.system)
    page = live.open("connections/")
    assert "No client is connected." in page.locator(".nt-blank").inner_text()
    assert "nats --server nats://" in page.locator(".nt-blank pre").inner_text()
    live.go(page, "failures/")
    assert "Nobody has been refused." in page.locator(".nt-blank").inner_text()


@pytest.mark.long
def test_without_redis_the_rows_stay_with_a_sentence_and_it_heals(live, busy, settings, valkey):
    page = live.open("accounts/")
    busy.seq += 1
    busy.write()
    told = store.read_frame(live.system.pk, "tables")
    known, settings.REDIS_URL = settings.REDIS_URL, "unix:///nowhere/of/this/machine"
    live.site.wire.send(told)  # there is something to be read, and nobody who has it
    page.wait_for_selector(".nt-notice:has-text('Redis')")
    assert page.locator(ROW).count() > 10
    settings.REDIS_URL = known
    page.wait_for_selector(".nt-notice", state="hidden", timeout=90_000)
    assert all("503" in said for said in live.site.complaints)
    live.site.complaints.clear()


@pytest.mark.long
def test_every_table_fits_a_small_phone_and_opens_there(live):
    pictures.trouble(live.system)
    page = live.open("servers/", width=360)
    wide = {}
    for path in PAGES:
        live.go(page, path)
        widths = [page.evaluate("document.documentElement.scrollWidth - innerWidth")]
        page.locator(ROW).first.press("Enter")
        page.wait_for_selector("dialog[open]")
        widths.append(page.evaluate("document.querySelector('dialog').scrollWidth - innerWidth"))
        page.keyboard.press("Escape")
        if max(widths) > 0:
            wide[path] = widths
    assert not wide
    live.site.complaints[:] = [
        said for said in live.site.complaints if "Failed to load" not in said
    ]  # no server is there


@pytest.mark.long
def test_tables_and_drawers_can_be_read_in_light_and_dark(live):
    pictures.trouble(live.system)
    page = live.open("servers/")
    faint = {}

    def look(what):
        for theme in ("light", "dark"):
            page.evaluate("(dark) => document.documentElement.classList.toggle('dark', dark)", theme == "dark")
            if found := page.evaluate(CONTRAST):
                faint[f"{what} {theme}"] = found

    for path in PAGES:
        live.go(page, path)
        look(path)
        if "connections" not in path:  # whose server would be asked, and there is none
            page.locator(ROW).first.press("Enter")
            page.wait_for_selector("dialog[open]")
            look(f"{path} drawer")
    assert not faint


# --- acting on what is seen ----------------------------------------------------------------------------------


def elsewhere(act):
    """Run it in a thread that has no running loop, as Playwright's has."""

    def run():
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


@pytest.fixture
def world(transactional_db, tmp_path, settings):
    made = World(tmp_path, settings)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def place(world, valkey, settings):
    """A real server with a user of ACME, whose connection the relay has seen."""

    settings.NATS_CONNECT_TIMEOUT = settings.NATS_REQUEST_TIMEOUT = settings.NATS_RELOAD_TIMEOUT = 20.0

    def begin():
        world.user(world.account("ACME"), "svc", "subscribe a.>")
        world.apply()
        with Fleet(world.system) as fleet:
            return fleet.see(1)[0].server_id

    world.server_id = elsewhere(begin)
    return world


def seen(place, guest, **more):
    picture = pictures.Picture(place.system)
    user = NatsUser.objects.get(name="svc")
    row = {"server": "n1", "server_id": place.server_id, "cid": guest.cid, "account": "ACME", "app": "svc-app"}
    picture.add("connections", **row, user="svc", user_pk=user.pk, started_at=moment(picture.at), **more)
    return picture.write()


def answer_of(page):
    """What the drawer says of the act."""
    page.wait_for_selector(".nt-said p", timeout=90_000)
    return page.locator(".nt-said p span:last-child").inner_text()


@pytest.mark.parametrize("width", [1280, 360])
def test_who_is_kicked_is_out_and_the_drawer_says_so(site, place, width):
    live = Live(site, place.system)
    with Guest(place.port, "svc") as guest:
        seen(place, guest)
        page = live.open("connections/", width=width)
        page.click(ROW)
        page.wait_for_selector("dialog .nt-subjects code:has-text('a.b')")
        page.click("[data-act=kick]")
        assert "a client that reconnects by itself is back at once" in page.locator(".nt-ask").inner_text()
        page.click("text=Kick it")
        assert answer_of(page) == "Kicked: n1 has closed the connection of svc-app."
        assert guest.is_out()
        assert page.locator("[data-act=kick]").is_disabled()


def waits_longer(route):
    """The page waits five seconds for the servers, which a machine with much to do may need."""
    asked = route.request.headers
    assert asked["prefer"] == "wait=5"
    route.continue_(headers={**asked, "prefer": "wait=60"})


def test_a_disabled_credential_is_out_and_the_drawer_says_that_it_is_enforced(site, place):
    live = Live(site, place.system)

    def follow():  # as the worker does, who isn't here
        end = time.monotonic() + 60
        while NatsUser.objects.get(name="svc").enabled and time.monotonic() < end:
            time.sleep(0.02)
        place.apply()
        connections.close_all()

    with Guest(place.port, "svc") as guest, ThreadPoolExecutor(1) as pool:
        seen(place, guest)
        page = live.open("connections/")
        page.click(ROW)
        page.click("[data-act=disable]")
        page.route("**/api/v1/users/*/", waits_longer)
        said = page.locator(".nt-ask").inner_text()
        assert "Every connection of svc is closed and it can't sign in again" in said
        followed = pool.submit(follow)
        page.click("text=Disable svc")
        assert re.fullmatch(r"svc is disabled, and the servers enforce it \(r\d+\)\.", answer_of(page))
        followed.result(60)
        assert guest.is_out()
    live.site.complaints[:] = [
        said for said in live.site.complaints if "404" not in said
    ]  # the drawer asked once more for the connection


def test_who_has_no_right_to_change_users_gets_no_buttons(site, place):
    looks = Client()
    looks.force_login(factories.staff("looks", "accounts_app.view_natsuser", "accounts_app.view_system"))
    site.cookie = looks.cookies["sessionid"].value
    with Guest(place.port, "svc") as guest:
        seen(place, guest)
        page = Live(site, place.system).open("connections/")
        page.click(ROW)
        page.wait_for_selector("dialog .nt-subjects code")
        assert not page.locator("[data-act]").count()


def test_own_connections_are_marked_and_can_not_be_kicked(site, place):
    with Guest(place.port, "svc") as guest:
        seen(place, guest, own=True)
        page = Live(site, place.system).open("connections/")
        assert page.locator(f"{ROW} .nt-tag").inner_text() == "nunect"
        page.click(ROW)
        assert "it can't be kicked" in page.locator(".nt-drawer-foot").inner_text()
        assert not page.locator("[data-act]").count()
