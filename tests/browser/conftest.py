"""A real browser in front of the admin. What its console complains about fails the test."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import factories

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "live"

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


class Wire:
    """The server's end of `/ws/live/`, as docs/protocol.md says it, played by a test: live_server has no sockets."""

    def __init__(self):
        self.said: list[dict] = []
        self.sockets: list = []
        self.tried = 0
        self.away = False  # nobody answers
        self.epoch = json.loads((EXAMPLES / "hello.json").read_text())["epoch"]

    def take(self, socket):
        self.tried += 1
        if self.away:
            socket.close(code=1011)
            return
        self.sockets.append(socket)
        said = self.said = []  # what an earlier page still says is not heard
        socket.on_message(lambda text: said.append(json.loads(text)))
        hello = json.loads((EXAMPLES / "hello.json").read_text())
        self.send({**hello, "epoch": self.epoch, "at": _now()})
        self.state(True)

    def send(self, frame):
        """To the page that came last. frame: as text, bytes or a dictionary."""
        text = json.dumps(frame) if isinstance(frame, dict) else frame
        self.sockets[-1].send(text if isinstance(text, str) else text.decode())

    def state(self, live, detail="", since=None):
        at = _now()
        self.send({"type": "state", "seq": 0, "at": at, "live": live, "since": since or at, "detail": detail})

    def heard(self, kind):
        """What the page said of a kind: "ack" or "watch"."""
        return [frame[kind] for frame in self.said if kind in frame]

    def close(self, code=1001):
        self.sockets[-1].close(code=code)


def _now():
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Site:
    """The site as one person sees it: `open(path)` gives a page, signed in."""

    def __init__(self, tab, address, cookie):
        self.tab, self.address, self.cookie = tab, address, cookie
        self.complaints: list[str] = []
        self.wire = Wire()

    def open(self, path, *, width=1280, theme="light", fresh=False):
        """fresh: a page of this test alone, which takes seconds; for one that listens to dialogs, or needs two."""
        cookie = {"name": "sessionid", "value": self.cookie, "url": self.address}
        page = self.tab.lend(self, cookie, fresh)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        self.go(page, path)
        return page

    def go(self, page, path):
        self.wire.said = []
        answer = page.goto(self.address + path)
        assert answer.status == 200, (path, answer.status)
        page.wait_for_load_state("load")
        page.wait_for_selector("#page")


class Tab:
    """The page that the tests of a file use one after the other: a new one would read every script and font anew."""

    def __init__(self, context):
        self.context, self.page, self.site = context, None, None

    def lend(self, site, cookie, fresh=False):
        self.context.clear_cookies()
        self.context.add_cookies([cookie])
        if fresh or self.site is not None:
            self.site = site
            return self._new()
        self.site = site
        self.page = self.page or self._new()
        return self.page

    def _new(self):
        page = self.context.new_page()
        page.on("console", lambda said: said.type == "error" and self._complain(page, said.text))
        page.on("pageerror", lambda error: self._complain(page, error))
        page.route_web_socket("**/ws/live/**", self._take)
        return page

    def _complain(self, page, text):
        if self.site is not None:
            self.site.complaints.append(f"{page.url}: {text}")

    def _take(self, socket):
        if self.site is None:
            socket.close(code=1011)
        else:
            self.site.wire.take(socket)

    def take_back(self):
        """Nothing that a test left is there for the next one."""
        from playwright.sync_api import Error

        self.site = None
        for page in self.context.pages:
            if page is not self.page:
                page.close()
        if self.page is not None:
            try:
                self.page.evaluate("localStorage.clear(); sessionStorage.clear()")
                self.page.unroute_all()
                self.page.mouse.move(0, 0)
                self.page.goto("about:blank")
            except Error:
                self.page.close()
                self.page = None


@pytest.fixture(scope="module")
def tab(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    yield Tab(context)
    context.close()


@pytest.fixture
def site(tab, live_server, client, valkey):
    client.force_login(factories.admin())
    made = Site(tab, live_server.url, client.cookies["sessionid"].value)
    yield made
    tab.take_back()
    assert not made.complaints
