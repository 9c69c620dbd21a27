"""Pictures of the product full of demo data, for the README: `python scripts/screenshots.py [FOLDER]`.

It starts the whole product on a state of its own, tells a short story in rows, looks at it with headless
Chromium (CHROMIUM names another one) and stops everything again.
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

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
WIDE, PHONE = (1440, 900), (390, 844)
PASSWORD = "correct-horse-battery"  # noqa: S105  of a system that lives for a minute
PATIENCE_S = 90


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nunect-pictures-") as state, product(Path(state)) as address:
        with looking(address) as look:
            for theme in ("light", "dark"):
                look("empty", "/admin/", theme, WIDE, folder)
        pages = story()
        with looking(address) as look:
            for name, path in pages.items():
                for theme in ("light", "dark"):
                    look(name, path, theme, WIDE, folder)
            for name in ("start", "user", "users"):
                look(f"{name}-phone", pages[name], "light", PHONE, folder)
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


def story(users: int = 5000) -> dict[str, str]:
    """Fill the system, then change it as people do: {name of a picture: path of its page}."""
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from accounts_app import services
    from accounts_app.door import through
    from accounts_app.models import Account, NatsUser, Role, SubjectPermission, System
    from provisioning.models import Hold, Revision
    from tests import factories

    def followed() -> None:
        def settled() -> bool:
            system = System.objects.get()
            return system.wanted == system.done or bool(system.problem)

        _until(settled, "the servers did not follow")

    with through("admin", person=factories.admin("ada")):
        factories.demo(users=users)
    followed()
    grace = factories.admin("grace")
    with through("admin", person=grace):
        checkout = NatsUser.objects.get(name="orders-checkout")
        checkout.permissions.filter(subject="orders.cancelled").delete()
        SubjectPermission.objects.create(user=checkout, action="publish", subject="orders.refunded")
        worker = Role.objects.get(name="service", account__name="BILLING")
        SubjectPermission.objects.create(role=worker, action="publish", effect="deny", subject="billing.export.>")
    followed()
    shown = Revision.objects.first()
    with through("admin", person=factories.admin("ada")):
        ledger = Account.objects.get(name="LEDGER")
        ledger.max_connections = 200
        ledger.save()
    followed()
    with through("admin", person=grace):
        leaving = NatsUser.objects.filter(account__name="REPORTS").values_list("pk", flat=True)[:140]
        services.disable_users(NatsUser.objects.filter(pk__in=list(leaving)))
        greedy = Account.objects.get(name="TELEMETRY")
        greedy.jetstream_max_file = 64 * 1024**3
        greedy.save()
    followed()
    held = Hold.objects.filter(state="open").first()
    orders = Account.objects.get(name="ORDERS")
    admin = "/admin/accounts_app"
    pages = {
        "start": "/admin/",
        "accounts": f"{admin}/account/",
        "account": f"{admin}/account/{orders.pk}/change/",
        "conf": f"{admin}/account/{orders.pk}/conf/",
        "users": f"{admin}/natsuser/",
        "user": f"{admin}/natsuser/{checkout.pk}/change/",
        "secret": f"{admin}/natsuser/{checkout.pk}/rotate",
        "roles": f"{admin}/role/",
        "permissions": f"{admin}/subjectpermission/",
    }
    if shown is not None:
        pages["revision"] = f"/admin/provisioning/revision/{shown.pk}/change/"
    if held is not None:
        pages["held"] = f"/admin/provisioning/hold/{held.pk}/change/"
    return pages


# --- the eye ---------------------------------------------------------------------------------------

Look = Callable[[str, str, str, tuple[int, int], Path], None]


@contextlib.contextmanager
def looking(address: str) -> Iterator[Look]:
    """Take pictures as the administrator. What the console of the browser complains about ends the program."""
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        cookies = _signed_in(browser, address)

        def look(name: str, path: str, theme: str, size: tuple[int, int], folder: Path) -> None:
            options: dict[str, Any] = {"color_scheme": theme, "viewport": {"width": size[0], "height": size[1]}}
            context = browser.new_context(**options, device_scale_factor=1.5)
            context.add_cookies(cookies)
            page = context.new_page()
            page.on("console", lambda said: said.type == "error" and complaints.append(f"{path}: {said.text}"))
            page.on("pageerror", lambda error: complaints.append(f"{path}: {error}"))
            page.goto(address + path)
            if name == "secret":
                page.click("button.nu-main")
                page.wait_for_selector("#nu-secret")
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(300)
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
