"""“Test connection” beside the form of a system: real servers, on a small phone and on a desk, in both themes."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from accounts_app.models import System
from accounts_app.systems import new_system
from provisioning.binary import binary
from tests.browser.test_live_front import CONTRAST
from tests.ports import free_ports

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.django_db(transaction=True)]
ADD = "/admin/accounts_app/system/add/"
PICTURES = os.environ.get("CONNECTION_PICTURES", "")  # a folder, to look at every page
PASSWORD = "correct-horse-battery"


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Of a server that has a user of the system account, and one of another."""
    folder = tmp_path_factory.mktemp("theirs")
    (at,) = free_ports(1)
    users = (f'{{ user: "{name}", password: "{PASSWORD}" }}' for name in ("ops", "app"))
    users = f'accounts {{ "$SYS": {{ users: [ {next(users)} ] }}, APP: {{ users: [ {next(users)} ] }} }}'
    (folder / "theirs.conf").write_text(f'listen: "127.0.0.1:{at}"\n{users}\n')
    process = subprocess.Popen([binary(), "-c", folder / "theirs.conf", "-l", folder / "log"])
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", at), 0.5):
            break
        assert time.monotonic() < deadline and process.poll() is None, (folder / "log").read_text()
        time.sleep(0.02)
    yield at
    process.kill()
    process.wait()


def judged(page, name):
    """(pixels that a page is too wide, texts that are too faint)"""
    if PICTURES:
        size = page.viewport_size["width"]
        theme = "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
        page.screenshot(path=Path(PICTURES) / f"{name}-{theme}-{size}.png", full_page=True)
    return page.evaluate("document.documentElement.scrollWidth - innerWidth"), page.evaluate(CONTRAST)


@pytest.mark.parametrize(
    ("width", "theme"),
    [
        (360, "light"),
        *(pytest.param(*each, marks=pytest.mark.long) for each in ((1280, "dark"), (1280, "light"), (360, "dark"))),
    ],
)
def test_the_steps_are_told_beside_the_form(site, port, tmp_path, settings, theme, width):
    settings.NATS_CONNECT_TIMEOUT, settings.NATS_REQUEST_TIMEOUT = 2.0, 1.0
    found = {}
    page = site.open(ADD, width=width, theme=theme)
    found["empty"] = judged(page, "empty")
    page.locator("[name=nats_url]").fill(f"nats://127.0.0.1:{port}")
    page.locator("[name=login_user]").fill("ops")
    tell = page.get_by_role("button", name="Test connection")
    tell.click()
    page.get_by_text("A user needs a password.").wait_for()
    found["wrong"] = judged(page, "wrong")
    page.locator("[name=login_secret]").fill(PASSWORD)
    tell.click()
    page.get_by_text("nunect gets there").wait_for()
    found["good"] = judged(page, "good")
    assert System.objects.count() == 0
    (tmp_path / "edge").mkdir()
    system = new_system(
        "edge",
        stage="observed",
        conf_dir=str(tmp_path / "edge"),
        nats_url=f"nats://127.0.0.1:{port},nats://127.0.0.1:1",
    )
    page = site.open(f"/admin/accounts_app/system/{system.pk}/change/", width=width, theme=theme)
    page.locator("[name=login_user]").fill("app")
    page.locator("[name=login_secret]").fill(PASSWORD)
    page.get_by_role("button", name="Test connection").click()
    page.get_by_text("which is not the system account").wait_for()
    page.get_by_text("Nobody lets nunect in at 127.0.0.1:1").wait_for()
    found["lines"] = judged(page, "lines")
    site.go(page, f"/admin/provisioning/difference/connection/{system.pk}/")
    found["page"] = judged(page, "page")
    assert found == dict.fromkeys(found, (0, {}))


def test_it_is_done_by_keyboard_alone(site, port):
    page = site.open(ADD)
    page.locator("[name=nats_url]").fill(f"nats://127.0.0.1:{port}")
    page.get_by_role("button", name="Test connection").focus()
    page.keyboard.press("Enter")
    page.get_by_text("It knows no key of nunect's").wait_for()
    assert page.url.endswith(ADD)
    page.locator("[name=login_user]").fill("ops")
    assert page.locator("[data-nu-tried].nu-old").count() == 1
