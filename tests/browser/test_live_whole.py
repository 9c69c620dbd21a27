"""The product as `make up` starts it, in a real browser: what happens at the servers is on the screen."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.monitoring.line import Line
from tests.provisioning.holders import Holder
from tests.whole.product import Product

pytestmark = pytest.mark.browser
PASSWORD = "correct-horse-battery"


class Eyes:
    """A person at the overview. `feed` and `figure` are what they read there."""

    def __init__(self, chromium, product):
        self.base = f"http://127.0.0.1:{product.ports['NUNECT_PORT']}"
        self.context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        self.page = self.context.new_page()
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{self.base}/admin/")
        self.page.fill("#id_username", "admin")
        self.page.fill("#id_password", PASSWORD)
        self.page.press("#id_password", "Enter")
        self.page.wait_for_url("**/admin/")
        self.is_live()

    def go(self, path):
        assert self.page.goto(f"{self.base}/admin/{path}").status == 200

    def sees(self, text, seconds=60.0):
        self.page.get_by_text(text).first.wait_for(timeout=seconds * 1000)

    def figure(self, name, value, seconds=60.0):
        place = self.page.locator(f'[data-nu-figure="{name}"] [data-nu-value]').get_by_text(value, exact=True)
        place.wait_for(timeout=seconds * 1000)

    def is_live(self, seconds=60.0):
        self.page.wait_for_selector("[data-nu-dot][data-kind=live]", timeout=seconds * 1000)

    def watch(self):
        """From now on the page remembers whether it was not live, however soon it was again."""
        self.page.evaluate(
            "window.wasNot = false; window.watching?.disconnect();"
            "const at = document.querySelector('[data-nu-dot]');"
            "window.watching = new MutationObserver(() => (window.wasNot ||= at.dataset.kind !== 'live'));"
            "window.watching.observe(at, { attributes: true })"
        )

    def was_not(self, seconds=60.0):
        self.page.wait_for_function("window.wasNot", timeout=seconds * 1000)

    def close(self):
        self.context.close()
        assert not self.errors


@pytest.fixture(scope="module")
def product(tmp_path_factory, tables):
    """One for all: what a test here breaks heals before it ends."""
    made = Product(tmp_path_factory.mktemp("screen"), python=sys.executable, tables=tables)
    try:
        yield made.start(NUNECT_ADMIN_PASSWORD=PASSWORD)
    finally:
        made.kill()


@pytest.fixture
def nats_port(product):
    return product.ports["NATS_PORT"]


@pytest.fixture(scope="module")
def svc(product):
    """The password of user `svc` of ACME, with a role."""
    product.nunect("create", "accounts", "name=ACME")
    rule = {"action": "publish", "effect": "allow", "subject": "orders.>"}
    product.nunect("create", "roles", "account=ACME", "name=maker", f"permissions={json.dumps([rule])}")
    made = product.nunect("user", "add", "ACME", "svc", "--password", "--role", "maker")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture
def eyes(chromium, product, svc):
    made = Eyes(chromium, product)
    yield made
    made.close()


def pid_of(product, words):
    end = time.monotonic() + 60
    while True:  # it may be started just now
        for pid, command in sorted(product.processes().items()):
            if words in command:
                return pid
        assert time.monotonic() < end, f"nobody runs {words}"
        time.sleep(0.1)


async def published(handed):
    """The stream that has stored what a client says who connects as it was handed over."""
    async with Holder(handed) as holder:
        ack = await holder.js.publish("shop.orders.created", b"1")
    return ack.stream, ack.seq


def test_a_team_comes_from_a_blueprint_in_three_clicks(eyes, chromium):
    """Start page, catalogue, form; then its job goes on by itself, and the owner's link opens what a client needs."""
    page = eyes.page
    page.get_by_role("link", name="New from a blueprint").first.click()
    page.get_by_role("link", name="Use it Event-driven team").click()
    for name, value in (("name", "SHOP"), ("prefix", "shop"), ("services", "orders, billing")):
        page.fill(f"[name=p-{name}]", value)
    page.get_by_role("button", name="Provision").click()
    link = page.locator("#nu-link").inner_text()
    job = page.url
    page.locator("[data-nu-job] > .nu-head .nu-chip", has_text="done").wait_for(timeout=120_000)
    assert page.url == job and page.locator("#nu-link").count() == 1  # it was not loaded again
    context = chromium.new_context()
    owner = context.new_page()
    owner.goto(link)
    owner.get_by_role("button", name="Show the credentials").click()
    with owner.expect_download() as download:
        owner.get_by_role("button", name="Download all as JSON").click()
    users = json.loads(Path(download.value.path()).read_text())
    context.close()
    with ThreadPoolExecutor(1) as aside:  # Playwright's loop runs in this thread
        assert aside.submit(asyncio.run, published(users["SHOP-orders"])).result() == ("EVENTS", 1)
    page.get_by_text("picked up", exact=True).wait_for(timeout=60_000)  # the page says so by itself
    page.get_by_role("link", name="I have stored it").click()
    page.wait_for_url("**/change/")


def test_what_happens_is_on_the_screen_a_moment_later(eyes, product, nats_port, svc):
    """Two clients and a wrong password; a kick; from the client to its user, its role, and the mark of the change."""
    page = eyes.page
    eyes.figure("connections", "0")
    first = Line(nats_port, password=svc, name="orders-api")
    assert first.read() == "PONG"
    eyes.sees("orders-api connected to nunect-1")
    eyes.figure("connections", "1")
    second = Line(nats_port, password=svc, name="reporter")
    assert second.read() == "PONG"
    eyes.figure("connections", "2")
    stranger = Line(nats_port, password="wrong", name="intruder")
    assert "Authorization Violation" in stranger.read()
    eyes.sees("nunect-1 refused")
    eyes.figure("refused", "1")
    second.close()
    eyes.sees("left nunect-1: it closed the connection")
    eyes.figure("connections", "1")

    eyes.go("live/connections/")
    page.get_by_role("row").filter(has_text="orders-api").click()
    page.click("[data-act=kick]")
    page.get_by_role("button", name="Kick it").click()
    eyes.sees("has closed the connection of orders-api")
    assert first.is_out()
    page.get_by_role("dialog").get_by_role("link", name="User", exact=True).click()
    page.wait_for_url("**/natsuser/*/change/")
    eyes.go("accounts_app/role/")
    page.get_by_role("link", name="maker").click()
    page.fill("#id_permissions-0-subject", "orders.new")
    with page.expect_navigation():
        page.press("#id_permissions-0-subject", "Enter")
    eyes.go("")
    page.wait_for_selector(".nu-marks:not([hidden])")
    marks = page.locator(".nu-marks").first
    marks.locator("summary").click()
    marks.get_by_text("may no longer publish").first.wait_for()


def test_the_page_says_what_is_gone_and_heals_by_itself(eyes, product, nats_port, svc):
    """The relay, Redis, the server and the network between them, one after the other; never a reload of the page."""
    page = eyes.page
    page.evaluate("window.begun = 'once'")

    relay = pid_of(product, "django relay")
    eyes.watch()
    os.kill(relay, signal.SIGSTOP)
    eyes.was_not()
    os.kill(relay, signal.SIGKILL)
    eyes.is_live()

    valkey = pid_of(product, "valkey-server")
    eyes.watch()
    os.kill(valkey, signal.SIGKILL)
    eyes.was_not()
    eyes.is_live()

    server = pid_of(product, "nats-server -c")
    eyes.watch()
    os.kill(server, signal.SIGSTOP)  # as a network that lets nothing through
    eyes.was_not()
    os.kill(server, signal.SIGCONT)
    eyes.is_live()
    eyes.watch()
    os.kill(server, signal.SIGKILL)
    eyes.was_not()
    eyes.is_live()

    client = Line(nats_port, password=svc, name="after-all")
    assert client.read() == "PONG"
    eyes.sees("after-all connected to nunect-1")
    client.close()
    assert page.evaluate("window.begun") == "once"
