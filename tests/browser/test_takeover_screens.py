"""“Take over a server” as a person meets it: on a small phone, in both themes, and by keyboard alone."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlencode

import pytest

from accounts_app.models import System
from tests.browser.test_live_front import CONTRAST
from tests.provisioning.taken_cluster import Plant
from tests.provisioning.taken_place import Member, Place

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.django_db(transaction=True)]
AT = "/admin/provisioning/difference/takeover/"
PICTURES = os.environ.get("TAKEOVER_PICTURES", "")  # a folder, to look at every page


@pytest.fixture
def place(tmp_path, settings, monkeypatch):
    settings.STATE_DIR = tmp_path / "state"
    settings.TAKEOVER_DIRS = [tmp_path / "shop"]
    (tmp_path / "shop").mkdir()
    made = Place(tmp_path / "shop", "parts")
    monkeypatch.setenv("HOST_NAME", "h1")
    try:
        yield made.start()
    finally:
        made.stop()


def judged(site, page, path, name):
    """(pixels that a page is too wide, texts that are too faint)"""
    if path:
        site.go(page, path)
    page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    if PICTURES:
        size = page.viewport_size["width"]
        theme = "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
        page.screenshot(path=Path(PICTURES) / f"{name}-{theme}-{size}.png", full_page=True)
    return page.evaluate("document.documentElement.scrollWidth - innerWidth"), page.evaluate(CONTRAST)


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280] if PICTURES else [360])
def test_every_step_can_be_read_and_fits_a_small_phone(site, place, settings, theme, width):
    asked = {"file": str(place.main), "system": "shop"}
    member = Member(place.port, "ops")
    assert member.alive()
    page = site.open(AT, width=width, theme=theme)
    found = {}
    for name in ("choose", "write", "prove", "do"):
        found[name] = judged(site, page, f"{AT}?{urlencode({'step': name, **asked})}", name)
    page.get_by_label("Type “shop” to take it over").fill("shop")
    page.get_by_role("button", name="Take it over").click()
    page.get_by_text("nats-server reports the digest that was judged").first.wait_for()
    found["done"] = judged(site, page, "", "done")
    found["again"] = judged(site, page, f"{AT}?{urlencode({'step': 'write', **asked})}", "refused")
    page = site.open(f"{AT}of/?{urlencode({'file': str(place.main)})}", width=width, theme=theme)
    page.get_by_label("Type “shop” to put the former files back").fill("shop")
    page.get_by_role("button", name="Put the former files back").click()
    page.get_by_role("link", name="Take it over again").wait_for()
    found["undone"] = judged(site, page, "", "undone")
    found["known"] = judged(site, page, AT, "known")
    found["systems"] = judged(site, page, "/admin/accounts_app/system/", "systems")
    url = {"url": "nats://127.0.0.1:1", "step": "do"}
    site.go(page, f"{AT}?{urlencode(asked | url)}")
    settings.NATS_REQUEST_TIMEOUT = settings.NATS_CONNECT_TIMEOUT = 0.2
    page.get_by_label("Type “shop” to take it over").fill("shop")
    page.get_by_role("button", name="Take it over").click()
    page.get_by_text("What was done, and put back").wait_for()
    found["failed"] = judged(site, page, "", "failed")
    settings.TAKEOVER_DIRS = []
    found["nowhere"] = judged(site, page, AT, "nowhere")
    assert found == dict.fromkeys(found, (0, {}))
    assert place.files() == place.before
    assert member.alive()


def test_it_is_done_by_keyboard_alone(site, place):
    page = site.open("/admin/accounts_app/system/")
    page.get_by_role("link", name="Take over a server").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{AT}")
    chosen = page.locator(f'input[value="{place.main}"]')
    chosen.focus()
    page.keyboard.press("Space")
    page.get_by_label("System").fill("shop")
    page.keyboard.press("Enter")
    for link in ("Next: what is proven", "Next: do it"):
        page.get_by_role("link", name=link).focus()
        page.keyboard.press("Enter")
    page.wait_for_selector("[name=confirm]:focus")
    page.keyboard.type("shop")
    page.keyboard.press("Enter")
    page.get_by_text("nats-server reports the digest that was judged").first.wait_for()
    assert System.objects.get(name="shop").stage == "managed"


@pytest.mark.long
@pytest.mark.parametrize("width", [360, 1280] if PICTURES else [360])
def test_several_servers_can_be_read_and_fit_a_small_phone(site, tmp_path, settings, width):
    settings.STATE_DIR, settings.TAKEOVER_DIRS = tmp_path / "state", [tmp_path / "plant"]
    (tmp_path / "plant").mkdir()
    plant = Plant(tmp_path / "plant")
    asked, found = {"file": str(plant.main), "system": "plant"}, {}
    try:
        plant.start()
        page = site.open(AT, width=width, theme="light")
        for name in ("choose", "write", "prove", "do"):
            found[name] = judged(site, page, f"{AT}?{urlencode({'step': name, **asked})}", f"several-{name}")
        page.get_by_label("Type “plant” to take it over").fill("plant")
        page.get_by_role("button", name="Take it over").click()
        page.get_by_text("nats-server reports the digest that was judged").first.wait_for()
        found["done"] = judged(site, page, "", "several-done")
        assert System.objects.get(name="plant").stage == "managed"
    finally:
        plant.stop()
    assert found == dict.fromkeys(found, (0, {}))
