"""A real browser in front of the admin. What its console complains about fails the test."""

from __future__ import annotations

import os

import pytest

from tests import factories

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def chromium():
    """One browser a file: Playwright keeps a loop running in this thread, and the next file may need its own."""
    from playwright.sync_api import sync_playwright

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # because of that loop; nothing here awaits
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Site:
    """The site as one person sees it: `open(path)` gives a page, signed in."""

    def __init__(self, browser, address, cookie):
        self.browser, self.address, self.cookie = browser, address, cookie
        self.complaints: list[str] = []
        self.contexts = []

    def open(self, path, *, width=1280, theme="light"):
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
        )
        self.contexts.append(context)
        context.add_cookies([{"name": "sessionid", "value": self.cookie, "url": self.address}])
        page = context.new_page()
        page.on("console", lambda said: said.type == "error" and self.complaints.append(f"{page.url}: {said.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        self.go(page, path)
        return page

    def go(self, page, path):
        answer = page.goto(self.address + path)
        assert answer.status == 200, (path, answer.status)
        page.wait_for_load_state("load")
        page.wait_for_selector("#page")


@pytest.fixture
def site(chromium, live_server, client):
    client.force_login(factories.admin())
    made = Site(chromium, live_server.url, client.cookies["sessionid"].value)
    yield made
    for context in made.contexts:
        context.close()
    assert not made.complaints
