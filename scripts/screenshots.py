"""Pictures of the product full of demo data, for the README: `python scripts/screenshots.py [FOLDER]`.

It starts the whole product on a state of its own, lets clients come and go (traffic.py, for TRAFFIC_S seconds), tells
a short story in rows and jobs (teams.py) meanwhile, looks at it with headless Chromium (CHROMIUM names another one) and
stops everything.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from by_hand import FOLDER, by_hand
from teams import teams
from traffic import CAST, STRANGERS

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
TALL, WIDE, FORM = (1440, 1362, 1.0), (1440, 800, 1.25), (1440, 900, 1.25)  # width, height, pixels to one of them
PHONE = (390, 990, 1.5)
PASSWORD = "correct-horse-battery"  # noqa: S105  of a system that lives for a few minutes
PATIENCE_S = 90
TRAFFIC_S = int(os.environ.get("TRAFFIC_S", "330"))  # a chart shows ten minutes
SETTLE_S = 2.5  # a live page asks again every two seconds
PICTURES = (  # (page, theme, size)
    ("overview", "light", TALL),
    ("overview", "dark", TALL),
    ("overview-phone", "light", PHONE),
    ("connections", "dark", WIDE),
    ("failures", "light", WIDE),
    ("jetstream", "light", WIDE),
    ("accounts", "dark", WIDE),
    ("events", "light", WIDE),
    ("user", "light", FORM),
    ("revision", "dark", FORM),
    ("held", "light", WIDE),
    ("catalogue", "light", WIDE),
    ("blueprint", "light", FORM),
    ("blueprint", "dark", FORM),
    ("job", "dark", WIDE),
    ("job-failed", "light", WIDE),
    ("jobs", "light", WIDE),
    ("handover", "light", WIDE),
    ("streams", "dark", WIDE),
    ("stream", "light", FORM),
    ("retire", "light", WIDE),
    ("takeover-choose", "light", WIDE),
    ("takeover-write", "light", WIDE),
    ("takeover-prove", "light", WIDE),
    ("takeover-done", "dark", WIDE),
)
ONLY = set(filter(None, os.environ.get("PICTURES", "").split(",")))  # names of pages; empty: all


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nunect-pictures-") as state, product(Path(state)) as address:
        secrets = people()
        with traffic(secrets):
            pages = teams(_until)
            others = {name for name in ONLY if not name.startswith("takeover-")}
            if not ONLY or not pages.keys() >= others:
                pages |= story()
            with by_hand((_free_port(), _free_port())) as steps, looking(address) as look:
                pages |= steps
                for name, theme, size in PICTURES:
                    if not ONLY or name in ONLY:
                        look(name, pages[name], theme, size, folder)
    return 0


# --- the product, on ports and folders of its own --------------------------------------------------


@contextlib.contextmanager
def product(state: Path) -> Iterator[str]:
    """Everything as `make up` starts it; the address of its web pages."""
    ports = {name: str(_free_port()) for name in ("NUNECT_PORT", "NATS_PORT", "NATS_HTTP_PORT", "NATS_WS_PORT")}
    os.environ.update(
        ports,
        NUNECT_STATE_DIR=str(state / "state"),
        NUNECT_CONFIG_DIR=str(state / "config"),
        NUNECT_ADMIN_PASSWORD=PASSWORD,
        NUNECT_TAKEOVER_DIRS=str(FOLDER),
        NATS_PUBLIC_URL="nats://nats.example.org:4222",
        DJANGO_SETTINGS_MODULE="nunect.settings",
    )
    address = f"http://127.0.0.1:{ports['NUNECT_PORT']}"
    running = subprocess.Popen([sys.executable, str(ROOT / "manage.py"), "up"], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        _until(lambda: _answers(f"{address}/readyz"), "the product did not start")
        yield address
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
        return bool(answer.status == 200)
    return False


def _until(true: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit(otherwise)
        time.sleep(0.3)


# --- the rows --------------------------------------------------------------------------------------


def people(users: int = 5000) -> dict[str, str | list[str]]:
    """Fill the system; {user of the traffic: password, or [nkey, seed]}, with what was checkout's as "former"."""
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from django.db import transaction

    from accounts_app import credentials, services
    from accounts_app.door import through
    from accounts_app.models import Account
    from tests import factories

    secrets: dict[str, str | list[str]] = {}

    def join(account: str, name: str, *rules: str, **fields: Any) -> None:
        if fields.get("credential") == "password":
            made = credentials.new_password()
            secrets[name] = made
            fields["password_hash"] = credentials.hash_password(made, chosen=False)
        factories.user(Account.objects.get(name=account), name, *rules, **fields)

    with through("admin", person=factories.admin("ada")), transaction.atomic():
        _, checkout = factories.demo(users=users)
        checkout.nkey, seed = credentials.new_nkey()
        checkout.save()
        secrets["former"] = [checkout.nkey, seed]
        for app in CAST:
            join(app.account, app.name, *app.rules, credential="password")
        for account, name, fields, *_ in STRANGERS:
            if account:
                join(account, name, f"subscribe {account.lower()}.>", **fields)
    followed()
    with through("admin", person=factories.admin("ada")):
        seed = services.rotate(checkout).secret
    secrets[checkout.name] = [checkout.nkey, seed]
    followed()
    return secrets


def followed() -> None:
    from accounts_app.models import System

    def settled() -> bool:
        system = System.objects.get()
        return system.wanted == system.done or bool(system.problem)

    _until(settled, "the servers did not follow")


def story() -> dict[str, str]:
    """Change the system slowly, as people do: {name of a page: its path}."""
    from accounts_app import services
    from accounts_app.door import through
    from accounts_app.models import Account, NatsUser, Role, SubjectPermission
    from provisioning.models import Hold, Revision
    from tests import factories

    ada, grace = factories.admin("ada"), factories.admin("grace")
    time.sleep(TRAFFIC_S * 0.25)
    checkout = NatsUser.objects.get(name="orders-checkout")
    with through("admin", person=grace):
        checkout.permissions.filter(subject="orders.cancelled").delete()
        SubjectPermission.objects.create(user=checkout, action="publish", subject="orders.refunded")
        worker = Role.objects.get(name="service", account__name="BILLING")
        SubjectPermission.objects.create(role=worker, action="publish", effect="deny", subject="billing.export.>")
    followed()
    shown = Revision.objects.first()
    time.sleep(TRAFFIC_S * 0.3)
    with through("admin", person=ada):
        ledger = Account.objects.get(name="LEDGER")
        ledger.max_connections = 200
        ledger.save()
    followed()
    time.sleep(TRAFFIC_S * 0.2)
    with through("admin", person=ada):
        reader = Role.objects.get(name="reader", account__name="FLEET")
        SubjectPermission.objects.create(role=reader, action="subscribe", subject="fleet.position.>")
    followed()
    time.sleep(TRAFFIC_S * 0.2)
    with through("admin", person=grace):
        leaving = NatsUser.objects.filter(account__name="REPORTS").values_list("pk", flat=True)[:140]
        services.disable_users(NatsUser.objects.filter(pk__in=list(leaving)))
    followed()
    time.sleep(TRAFFIC_S * 0.05)
    held = Hold.objects.filter(state="open").first()
    if shown is None or held is None:
        raise SystemExit("the story went another way: no revision, or nothing held")
    live = {name: f"/admin/live/{name}/" for name in ("connections", "failures", "jetstream", "accounts", "events")}
    return {
        "overview": "/admin/",
        "overview-phone": "/admin/",
        **live,
        "jetstream": live["jetstream"] + "?tab=consumers",
        "user": f"/admin/accounts_app/natsuser/{checkout.pk}/change/",
        "revision": f"/admin/provisioning/revision/{shown.pk}/change/",
        "held": f"/admin/provisioning/hold/{held.pk}/change/",
    }


@contextlib.contextmanager
def traffic(secrets: dict[str, str | list[str]]) -> Iterator[None]:
    """The clients of scripts/traffic.py, while the block lasts."""
    told = {"url": f"nats://127.0.0.1:{os.environ['NATS_PORT']}", "secrets": secrets}
    command = [sys.executable, str(ROOT / "scripts" / "traffic.py")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdin is not None  # noqa: S101  asked for above
            running.stdin.write(json.dumps(told))
            running.stdin.close()
            yield
            if running.poll() is not None:
                raise SystemExit("the clients have gone")
        finally:
            running.terminate()


# --- the eye ---------------------------------------------------------------------------------------

Look = Callable[[str, str, str, tuple[int, int, float], Path], None]


@contextlib.contextmanager
def looking(address: str) -> Iterator[Look]:
    """Take pictures as the administrator. What the console of the browser complains about ends the program."""
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        cookies = _signed_in(browser, address)

        def look(name: str, path: str, theme: str, size: tuple[int, int, float], folder: Path) -> None:
            options: dict[str, Any] = {"color_scheme": theme, "viewport": {"width": size[0], "height": size[1]}}
            context = browser.new_context(**options, device_scale_factor=size[2])
            context.add_cookies(cookies)
            page = context.new_page()
            page.on("console", lambda said: complaints.extend([f"{path}: {said.text}"] * (said.type == "error")))
            page.on("pageerror", lambda error: complaints.append(f"{path}: {error}"))
            page.goto(address + path)
            page.wait_for_load_state("networkidle")
            if "/live/" in path or path == "/admin/":
                page.wait_for_selector("[data-nu-dot][data-kind=live]")
            if name == "connections":
                page.locator(".nt-row", has_text="orders-checkout").first.click(position={"x": 16, "y": 8})
            if name == "handover":
                page.get_by_role("button").first.click()
            if name == "takeover-done":
                page.get_by_label("Type “shop” to take it over").fill("shop")
                page.get_by_role("button", name="Take it over").click()
                page.get_by_text("nunect has taken it over").wait_for()
            if name == "user":
                rules = page.get_by_text("stands for one token").first
                rules.evaluate("here => { here.style.scrollMarginTop = '28px'; here.scrollIntoView() }")
            page.wait_for_timeout(SETTLE_S * 1000)
            page.screenshot(path=folder / f"{name}-{theme}.png")
            context.close()

        yield look
        browser.close()
    if complaints:
        raise SystemExit(json.dumps(sorted(set(complaints)), indent=2))


def _signed_in(browser: Any, address: str) -> Any:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}/admin/login/")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", PASSWORD)
    page.click("[type=submit]")
    page.wait_for_url(f"{address}/admin/")
    cookies = context.cookies()
    context.close()
    return cookies


if __name__ == "__main__":
    raise SystemExit(main())
