"""The live pages as a person meets them: they move by themselves, say how old they are, and heal without a reload."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from django.urls import reverse

from accounts_app import units
from accounts_app.models import Account, NatsUser, Server
from monitoring import frames, store
from provisioning.models import Revision
from tests import factories
from tests.monitoring import pictures

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
NASTY = """'"><img src=x onerror="document.title='broken'"> `${1}` \\"""
PAGES = ("/admin/", "/admin/live/events/", "/admin/live/changes/")
DOT = "[data-nu-dot]"
WAIT_S = 30.0  # for what comes in a moment, on a machine with much to do


@pytest.fixture
def system(valkey):
    return factories.system()


def tell(site, picture, *topics):
    """Send the frames of a picture as it is now."""
    picture.seq += 1
    picture.at = time.time()
    told = picture.topics()
    for topic in topics or ("overview", "events", "changes"):
        frame = frames.snapshot(topic, picture.system.name, picture.epoch, picture.seq, picture.at, told[topic])
        site.wire.send(frame)


def greet(site, page, picture):
    """What a relay that lives does: the topics that the page asks for are answered at once."""
    until(page, lambda: site.wire.heard("watch"), "the page watched nothing")
    tell(site, picture)
    kind(page, "live")


def figure(page, name):
    return page.locator(f"[data-nu-figure={name}] [data-nu-value]").first


def until(page, true, otherwise, seconds=WAIT_S):
    """Let the page live until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, otherwise
        page.wait_for_timeout(25)


def shows(page, selector, text, seconds=WAIT_S):
    place = page.locator(selector).first
    until(page, lambda: text in (place.text_content() or ""), f"{selector} never said “{text}”", seconds)


def counts(page, places, number):
    until(page, lambda: places.count() == number, f"there were never {number} of {places}")


def kind(page, word, seconds=WAIT_S):
    page.wait_for_selector(f'{DOT}[data-kind="{word}"]', timeout=seconds * 1000)


# --- by socket ---------------------------------------------------------------------------------------------


def test_figures_move_and_frames_are_acknowledged(site, system):
    picture = pictures.busy(system)
    began = time.monotonic()
    page = site.open("/admin/")
    greet(site, page, picture)
    assert set(site.wire.heard("watch")[-1]["topics"]) == {"overview", "events", "changes"}
    shows(page, "[data-nu-figure=connections]", "500")
    picture.figures |= {"connections": 501, "auth_failures": 4}
    picture.happen("auth_error", "`walter` was refused at east-1: the password is wrong.", level="error", user="walter")
    tell(site, picture)  # measured on an idle machine: 0.6 s until all of it is seen, of which 0.5 s are a pause
    shows(page, "[data-nu-figure=connections]", "501")
    shows(page, "[data-nu-figure=refused]", "4")
    shows(page, "[data-nu-feed]", "walter was refused")
    for _ in range(5):
        tell(site, picture, "overview")
    until(page, lambda: picture.seq in site.wire.heard("ack"), "the last frame was not acknowledged")
    assert len(site.wire.heard("ack")) <= time.monotonic() - began + 1  # once a second
    assert site.wire.heard("ack") == sorted(site.wire.heard("ack"))


@pytest.mark.long
def test_numbers_change_at_most_twice_a_second(site, system):
    picture = pictures.empty(system)
    page = site.open("/admin/")
    greet(site, page, picture)
    page.evaluate(
        "const at = document.querySelector('[data-nu-figure=connections] [data-nu-value]');"
        "window.changes = 0; new MutationObserver(() => window.changes++).observe(at, {childList: true})"
    )
    began = time.monotonic()
    while time.monotonic() - began < 2:
        picture.figures["connections"] += 1
        tell(site, picture, "overview")
        page.wait_for_timeout(50)
    shows(page, "[data-nu-figure=connections]", str(picture.figures["connections"]))
    assert 1 <= page.evaluate("window.changes") <= 2 * (time.monotonic() - began) + 2


def test_a_new_epoch_starts_over_and_old_frames_are_ignored(site, system):
    picture = pictures.empty(system)
    page = site.open("/admin/")
    greet(site, page, picture)
    picture.figures["connections"] = 777
    picture.epoch, picture.seq = "a new one", 3  # lower than what was
    tell(site, picture, "overview")
    shows(page, "[data-nu-figure=connections]", "777")
    picture.figures["connections"], picture.seq = 1, 0
    tell(site, picture, "overview")
    page.wait_for_timeout(700)
    assert figure(page, "connections").text_content() == "777"


def test_it_says_since_when_it_is_stale_and_why_and_heals(site, system):
    picture = pictures.empty(system)
    page = site.open("/admin/")
    greet(site, page, picture)
    since = pictures.moment(time.time() - 100)
    site.wire.state(False, "No server answers at nats://127.0.0.1:4222.", since)
    kind(page, "stale")
    shows(page, "[data-nu-age]", "since ")
    shows(page, "[data-nu-why]", "No server answers at nats://127.0.0.1:4222.")
    first = page.locator("[data-nu-age]").text_content()
    until(page, lambda: page.locator("[data-nu-age]").text_content() != first, "the age did not tick")
    site.wire.state(True)
    tell(site, picture)
    kind(page, "live")
    page.locator("[data-nu-why]").wait_for(state="hidden")


def test_a_relay_that_falls_silent_is_stale_by_itself(site, system):
    picture = pictures.empty(system)
    page = site.open("/admin/")
    greet(site, page, picture)
    kind(page, "stale")
    tell(site, picture)
    kind(page, "live")


def test_a_refused_topic_is_told_once(site, system):
    picture = pictures.empty(system)
    page = site.open("/admin/")
    greet(site, page, picture)
    error = json.loads((Path(__file__).parents[2] / "docs/examples/live/error.json").read_text())
    for _ in range(3):
        site.wire.send(error)
    shows(page, "[data-nu-errors]", error["detail"])
    assert page.locator("[data-nu-errors] p").count() == 1
    site.wire.close()
    until(page, lambda: len(site.wire.sockets) >= 2, "the socket did not come back")
    until(page, lambda: not page.locator("[data-nu-errors]").is_visible(), "a new socket did not begin anew")


# --- without a socket ----------------------------------------------------------------------------------------


def test_a_closed_socket_comes_back_and_polling_helps_while_there_is_none(site, system):
    picture = pictures.empty(system)
    page = site.open("/admin/")
    greet(site, page, picture)
    site.wire.said = []
    site.wire.close(4408)
    greet(site, page, picture)
    assert len(site.wire.sockets) >= 2
    site.wire.away = True
    site.wire.close()
    picture.figures["connections"] = 612

    def polls():
        picture.tick(time.time() - picture.at)  # the relay lives
        return page.locator(f'{DOT}[data-kind="polling"]').count() == 1

    until(page, polls, "polling did not help out", 60)
    shows(page, "[data-nu-figure=connections]", "612")
    site.wire.away = False
    site.wire.said = []
    page.evaluate("dispatchEvent(new Event('online'))")
    picture.figures["connections"] = 613
    greet(site, page, picture)
    shows(page, "[data-nu-figure=connections]", "613")


def test_an_ended_session_says_so_and_leads_to_the_log_in(site, system):
    picture = pictures.empty(system)
    page = site.open("/admin/")
    greet(site, page, picture)
    site.wire.away = True
    page.route("**/api/v1/live/**", lambda route: route.fulfill(status=401, json={"detail": "Who are you?"}))
    site.wire.close(4401)
    kind(page, "out")
    shows(page, "[data-nu-why]", "You are no longer signed in.")
    assert page.locator("[data-nu-signin]").get_attribute("href").endswith("?next=/admin/")
    site.complaints = [said for said in site.complaints if "401" not in said]


# --- overview ------------------------------------------------------------------------------------------------


def test_each_line_leads_to_its_object(site, system):
    picture = pictures.busy(system)
    known = NatsUser.objects.select_related("account").first()
    about = {"account": known.account.name, "account_pk": known.account_id, "user": known.name, "user_pk": known.pk}
    picture.happen("connect", "clerk connected to east-1.", server="east-1", **about, revision=42)
    Server.objects.create(system=system, name="east-1", server_id="N1", state="in_sync")
    picture.write()
    page = site.open("/admin/")
    line = page.locator("[data-nu-feed] li", has_text="clerk connected").first
    line.get_by_role("link", name="r42").wait_for()
    ways = {row.get_attribute("href") for row in line.get_by_role("link").all()}
    change = reverse("admin:accounts_app_natsuser_change", args=[known.pk])
    assert {change, "/admin/live/revision/42/"} <= ways
    busiest = page.locator("[data-nu-accounts] tr", has_text="ORDERS")
    account = Account.objects.get(name="ORDERS")
    assert {row.get_attribute("href") for row in busiest.get_by_role("link").all()} == {
        reverse("admin:accounts_app_account_change", args=[account.pk]),
        "/admin/live/connections/?account=ORDERS",
    }
    server = page.locator("[data-nu-servers] a", has_text="east-1")
    assert server.get_attribute("href") == "/admin/live/servers/?server=east-1"
    line.get_by_role("link", name="r42").click()
    page.wait_for_url(f"**{reverse('admin:provisioning_revision_change', args=[Revision.objects.get(number=42).pk])}")


def test_rows_keep_their_places_while_the_pointer_is_over_them(site, system):
    picture = pictures.busy(system)
    page = site.open("/admin/")
    page.locator("[data-nu-accounts] tr").first.wait_for()

    def names():
        return page.locator("[data-nu-accounts] tr").evaluate_all("(rows) => rows.map((row) => row.dataset.key)")

    before = names()
    page.locator("[data-nu-accounts] tr").nth(3).hover()
    loud = next(row for row in picture.rows["accounts"] if row["account"] == before[4])
    loud["in_msgs_rate"] = 99_000.0
    tell(site, picture, "overview")
    shows(page, f"[data-nu-accounts] tr[data-key={before[4]}]", "99 k/s")
    assert names() == before
    page.mouse.move(5, 5)
    tell(site, picture, "overview")
    until(page, lambda: names()[0] == before[4], "the rows were never sorted again")


def test_what_clients_call_themselves_never_becomes_markup(site, system):
    picture = pictures.empty(system)
    page = site.open("/admin/")
    greet(site, page, picture)
    picture.happen("connect", f"{NASTY} connected.", app=NASTY, account=NASTY, user=NASTY, server=NASTY, address=NASTY)
    picture.add("accounts", account=NASTY, owner=NASTY)
    picture.rows["servers"][0] |= {"server": NASTY, "detail": NASTY, "state": NASTY}
    picture.changes["problem"] = NASTY
    picture.marks = [{"number": 9, "at": pictures.moment(time.time() - 5), "who": NASTY, "text": NASTY}]
    picture.write()
    for path in PAGES:
        site.go(page, path)
        greet(site, page, picture)
        page.wait_for_timeout(700)
        assert page.locator("img[src=x]").count() == 0, path
        assert "broken" not in page.title()


@pytest.mark.long
def test_a_system_without_a_relay_fills_by_itself(site, system):
    page = site.open("/admin/")
    page.get_by_text("Nothing has been seen yet").wait_for()
    picture = pictures.busy(system)
    tell(site, picture)
    shows(page, "[data-nu-figure=connections]", "500")
    page.locator("[data-nu-figures]").wait_for()
    page.get_by_text("Nothing has been seen yet").wait_for(state="hidden")


# --- charts --------------------------------------------------------------------------------------------------


def test_a_revision_is_a_mark_that_leads_to_it(site, system):
    picture = pictures.busy(system)
    page = site.open("/admin/")
    chart = page.locator("[data-nu-chart-messages]")
    chart.locator(".nu-mark").first.wait_for()
    new = {"number": 43, "at": pictures.moment(time.time() - 2), "who": "ada", "text": "user `svc` was narrowed"}
    picture.marks.append(new)
    tell(site, picture, "changes")  # measured on an idle machine: the mark is there after 0.1 to 0.6 s
    mark = chart.locator('.nu-mark[data-number="43"]')
    mark.wait_for()
    numbers = chart.locator(".nu-mark").evaluate_all("(marks) => marks.map((mark) => mark.dataset.number)")
    assert len(numbers) == len(set(numbers)) > 1
    assert mark.get_attribute("href") == "/admin/live/revision/43/"
    mark.hover(position={"x": 6, "y": 60})
    mark.locator(".nu-marktip", has_text="user `svc` was narrowed").wait_for()
    summary = chart.locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    chart.locator("details[open] li").first.wait_for()
    page.keyboard.press("Tab")
    page.wait_for_function("document.activeElement.getAttribute('href') === '/admin/live/revision/43/'")


@pytest.mark.long
def test_a_chart_shows_more_time_other_colours_and_its_last_value(site, system):
    picture = pictures.busy(system)
    page = site.open("/admin/")
    chart = page.locator("[data-nu-chart-messages]")
    greet(site, page, picture)
    page.locator("[data-nu-chart-messages] canvas").wait_for()

    def says_the_last():  # a relay speaks all the while: one frame may come before the past, which takes its place
        tell(site, picture, "overview")
        return units.rate(picture.figures["out_msgs_rate"]) in (chart.locator(".nu-legend").text_content() or "")

    until(page, says_the_last, "the legend never said the last value")
    with page.expect_request(lambda request: "span=1d" in request.url):
        chart.get_by_role("button", name="1 day").click()
    chart.get_by_role("button", name="1 day", pressed=True).wait_for()
    page.wait_for_function(
        "document.querySelector('[data-nu-chart-messages] .nu-plot').ariaLabel.includes('last 1 day')"
    )
    pixels = "document.querySelector('[data-nu-chart-connections] canvas').toDataURL()"
    light = page.evaluate(pixels)
    page.evaluate("document.documentElement.classList.add('dark')")
    page.wait_for_function(f"{pixels} !== {json.dumps(light)}")
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_function(
        "[...document.querySelectorAll('.uplot')].every((one) => one.offsetWidth <= one.parentElement.clientWidth)"
    )


# --- events --------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_feed_waits_while_it_is_paused_and_says_how_much_came(site, system):
    picture = pictures.busy(system)
    page = site.open("/admin/live/events/")
    greet(site, page, picture)
    page.get_by_role("button", name="Pause").click()
    for number in range(3):
        picture.happen("connect", f"late-{number} connected to east-1.")
    tell(site, picture, "events")
    shows(page, "[data-nu-paused]", "3 new")
    assert page.get_by_text("late-2 connected").count() == 0
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("late-2 connected").wait_for()
    until(page, lambda: page.locator("[data-nu-paused]").text_content() == "", "it still says how much waits")


def test_filters_reach_the_feed_the_archive_and_the_address(site, system):
    picture = pictures.busy(system)
    page = site.open("/admin/live/events/")
    greet(site, page, picture)
    page.get_by_role("button", name="Refusals").click()
    until(page, lambda: page.locator("[data-nu-feed] > li").count() == 1, "the feed was not filtered")
    page.get_by_label("User").fill("svc-report")
    page.wait_for_function("location.search === '?kind=auth_error&user=svc-report'")
    page.reload()
    page.locator("[data-nu-feed] > li").first.wait_for()
    until(page, lambda: page.locator("[data-nu-feed] > li").count() == 1, "the address was not read")
    page.get_by_role("button", name="Refusals", pressed=True).wait_for()
    asked = []
    page.on("request", lambda request: "/live/events/?" in request.url and asked.append(request.url))
    page.get_by_role("button", name="Show older events").click()
    shows(page, "[data-nu-more-note]", "nothing older")
    assert "kind=auth_error" in asked[0]
    assert "user=svc-report" in asked[0]
    page.get_by_role("button", name="Clear filters").click()
    until(page, lambda: page.locator("[data-nu-feed] > li").count() == len(picture.events), "not all came back")
    page.get_by_label("Search the text").fill("nothing is called so")
    shows(page, "[data-nu-none]", "None of the last events")


@pytest.mark.long
def test_older_events_come_from_the_archive_page_by_page(site, system):
    picture = pictures.busy(system)
    page = site.open("/admin/live/events/")
    greet(site, page, picture)
    page.locator("[data-nu-feed] > li").first.wait_for()
    results = [
        {**picture.events[0].as_dict(), "id": f"old-{number}", "at": f"2026-01-0{5 - number}T10:00:00.000Z",
         "text": f"old-{number} connected.", "preceded_by": {"number": 41, "at": "", "text": "user `svc` was narrowed"}}
        for number in range(4)
    ]  # fmt: skip
    asked = []

    def answer(route):
        asked.append(route.request.url)
        first = "cursor" not in route.request.url
        route.fulfill(json={"results": results[:2] if first else results[2:], "next": "c2" if first else None})

    page.route("**/api/v1/live/events/?*", answer)
    page.get_by_role("button", name="Show older events").click()
    page.get_by_text("old-1 connected").wait_for()
    counts(page, page.get_by_text("user `svc` was narrowed"), 2)
    page.get_by_role("button", name="Show older events").click()
    page.get_by_text("old-3 connected").wait_for()
    assert "cursor=c2" in asked[1]
    page.get_by_role("button", name="Show older events").wait_for(state="hidden")
    counts(page, page.locator("[data-nu-older] .nu-day"), 4)


# --- changes -------------------------------------------------------------------------------------------------


def test_changes_move_by_themselves(site, system):
    picture = pictures.busy(system)
    page = site.open("/admin/live/changes/")
    greet(site, page, picture)
    picture.changes |= {"state": "failed", "problem": "east-2 does not answer.", "wanted": 60, "holds": 2}
    picture.marks.append({"number": 44, "at": pictures.moment(time.time()), "who": "grace", "text": "role `r` removed"})
    tell(site, picture)
    shows(page, "[data-nu-problem-text]", "east-2 does not answer.")
    shows(page, "[data-nu-state]", "failed")
    shows(page, "[data-nu-behind]", "3")
    shows(page, "[data-nu-holds]", "2")
    shows(page, "[data-nu-revisions] > li", "r44")
    shows(page, "[data-nu-revisions] > li", "role `r` removed")
    counts(page, page.locator('.nu-mark[data-number="44"]'), 4)  # in four charts, each drawn when its past is there


# --- the look ------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_fit_every_screen_and_can_be_read(site, system, theme):
    picture = pictures.trouble(system)
    page = site.open("/admin/", width=360, theme=theme)
    found = {}
    for path in PAGES:
        for width in (360, 768, 1280, 2560):
            page.set_viewport_size({"width": width, "height": 900})
            if width == 360:
                site.go(page, path)
                greet(site, page, picture)
                page.locator("[data-nu-feed] li, .nu-mark").first.wait_for()
            page.wait_for_timeout(60)
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            faint = page.evaluate(CONTRAST) if width in (360, 1280) else []
            if over > 0 or faint:
                found[path, width] = (over, faint)
    assert not found


def test_browser_and_server_say_numbers_alike(site, system):
    page = site.open("/admin/live/events/")
    values = [0, 1, 9.94, 9.96, 12.5, 99.5, 100.4, 812.5, 1023, 1024, 9999, 10_000, 123_456, 1.5e6, 10_485_760, 2.25e9]
    told = page.evaluate(
        "async (values) => { const f = await import('/static/monitoring/format.js');"
        "return [...values, null].map((v) => [f.count(v), f.rate(v), f.bytes(v), f.bytesRate(v), f.percent(v)]) }",
        values,
    )
    says = (units.count, units.rate, units.size, units.size_rate, units.percent)
    assert told == [[say(value) for say in says] for value in (*values, None)]


def test_a_page_asks_nothing_of_others_and_evaluates_nothing(site, system):
    pictures.busy(system)
    for module in (Path(__file__).parents[2] / "monitoring/static/monitoring").rglob("*.js"):
        text = module.read_text()
        for word in ("eval(", "new Function", "innerHTML", "insertAdjacentHTML", "document.write("):
            assert word not in text or "vendor" in str(module), (module.name, word)
    page = site.open("/admin/")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    site.go(page, "/admin/live/changes/")
    page.locator("canvas").first.wait_for()
    assert all(url.startswith((site.address, "data:", "blob:")) for url in asked)
    assert store.read_pulse(system.pk).connected
