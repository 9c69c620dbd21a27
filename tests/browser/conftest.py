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

    def __init__(self, browser, address, cookie):
        self.browser, self.address, self.cookie = browser, address, cookie
        self.complaints: list[str] = []
        self.contexts = []
        self.wire = Wire()

    def open(self, path, *, width=1280, theme="light"):
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
        )
        self.contexts.append(context)
        context.add_cookies([{"name": "sessionid", "value": self.cookie, "url": self.address}])
        page = context.new_page()
        page.on("console", lambda said: said.type == "error" and self.complaints.append(f"{page.url}: {said.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.route_web_socket("**/ws/live/**", self.wire.take)
        self.go(page, path)
        return page

    def go(self, page, path):
        self.wire.said = []
        answer = page.goto(self.address + path)
        assert answer.status == 200, (path, answer.status)
        page.wait_for_load_state("load")
        page.wait_for_selector("#page")


@pytest.fixture
def site(chromium, live_server, client, valkey):
    client.force_login(factories.admin())
    made = Site(chromium, live_server.url, client.cookies["sessionid"].value)
    yield made
    for context in made.contexts:
        context.close()
    assert not made.complaints
