"""Pictures of the command line in a terminal, for the docs: `python scripts/terminal.py [FOLDER]`.

It starts the whole product on a state of its own, runs commands as a person does, in a pseudo-terminal, and lets
headless Chromium (CHROMIUM names another one) draw what stood there.
"""

from __future__ import annotations

import fcntl
import html
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from screenshots import ARGUMENTS, CHROMIUM, ROOT, product

COLUMNS, ROWS = 112, 40
PROMPT = "$ "
USERS = 10_000
COLOURS = {30: "#6e7681", 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#76e3ea"}
ORDERS = """\
accounts:
  - name: ORDERS
    description: The shop
    users:
      - name: checkout
        permissions: [publish orders.>, deny publish orders.admin.>, subscribe orders.events.> checkout]
      - name: clerk
        credential: password
        permissions: [subscribe orders.*]
      - name: intern
        permissions: [subscribe orders.*]
  - name: BILLING
    users:
      - name: ledger
        permissions: [publish invoices.>]
"""
PLANNED = (
    ORDERS.replace("      - name: intern\n        permissions: [subscribe orders.*]\n", "")
    .replace("[publish invoices.>]", "[publish invoices.>, subscribe orders.created]")
    .replace("name: BILLING", "name: BILLING\n    max_connections: 500")
)
FAULTY = ORDERS.replace("subscribe orders.events.> checkout", "listen orders.events").replace(
    "credential: password", "credential: passwort"
)
BROKEN = "accounts:\n  - name: ORDERS\n    users:\n      - name: checkout\n       permissions: []\n"


def main() -> int:
    folder = (Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images").absolute()
    with tempfile.TemporaryDirectory(prefix="nunect-terminal-") as place, product(Path(place) / "nunect") as address:
        work = Path(place) / "work"
        work.mkdir()
        for name, text in (("orders.yaml", ORDERS), ("faulty.yaml", FAULTY), ("broken.yaml", BROKEN)):
            (work / name).write_text(text)
        (work / "fleet.yaml").write_text(_fleet())
        token = _run(work, dict(os.environ), "nunect token create pipeline --scope admin 2> /dev/null")[-1].strip()
        there = {**os.environ, "NUNECT_URL": address, "NUNECT_TOKEN": token}
        _run(
            work,
            there,
            "nunect apply -f orders.yaml --yes --secrets-to told.json",
        )
        (work / "orders.yaml").write_text(PLANNED)
        pictures = {
            "cli-plan": _session(work, there, "nunect plan -f orders.yaml --conf; echo exit code $?"),
            "cli-error": _session(
                work,
                there,
                "nunect plan -f broken.yaml",
                "nunect apply -f faulty.yaml",
                "nunect aply -f orders.yaml",
                "nunect user add ORDERS checkout",
                "NUNECT_TOKEN=nun_0 nunect status",
                "NUNECT_URL=http://localhost:9 nunect holds; echo exit code $?",
            ),
            "cli-apply": _session(
                work,
                there,
                "nunect apply -f fleet.yaml --secrets-to secrets.json",
                "nunect apply -f fleet.yaml",
                "nunect list users account=REGION-3 --limit 4",
            ),
            "cli-doctor": _session(
                work, dict(os.environ), "REDIS_URL=redis://localhost:9 nunect doctor", "nunect doctor"
            ),
        }
    _draw(pictures, folder)
    return 0


def _fleet() -> str:
    """A document of USERS devices in ten accounts."""
    lines = ["accounts:"]
    for account in range(10):
        lines += [f"  - name: REGION-{account}", "    users:"]
        for number in range(USERS // 10):
            own = f"{account}.{number}"
            rules = f"publish telemetry.{own}.>, subscribe commands.{own}.>, deny publish telemetry.{own}.admin.>"
            lines += [f"      - name: device-{account}-{number:04d}", f"        permissions: [{rules}]"]
    return "\n".join(lines) + "\n"


# --- the terminal ----------------------------------------------------------------------------------


def _session(work: Path, env: dict[str, str], *commands: str) -> list[str]:
    """What a screen shows after some commands, with their prompts."""
    lines: list[str] = []
    for command in commands:
        lines += [f"\x1b[2m{PROMPT}\x1b[0m\x1b[1m{command}\x1b[0m", *_run(work, env, command), ""]
    return lines[:-1]


def _run(work: Path, env: dict[str, str], command: str) -> list[str]:
    """The lines that a command leaves on a screen; who is asked says yes."""
    script = f'nunect() {{ "{sys.executable}" -m nunect.cli "$@"; }}\ncd "{work}"\n{command}'
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    more = {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "XDG_CONFIG_HOME": str(work), "PYTHONSAFEPATH": "1"}
    running = subprocess.Popen(
        ["/bin/bash", "-c", script],
        env={**{key: value for key, value in env.items() if key != "NO_COLOR"}, **more},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said, answered, deadline = b"", False, time.monotonic() + 180
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 0.2)[0]:
            if running.poll() is not None:
                break
            continue
        try:
            more_said = os.read(ours, 65536)
        except OSError:  # the terminal is closed
            break
        said += more_said
        if said.endswith(b"[y/N]: ") and not answered:
            time.sleep(0.3)
            os.write(ours, b"y\n")
            answered = True
    running.wait(10)
    os.close(ours)
    return _screen(said.decode(errors="replace").replace(str(ROOT), "/srv/nunect"))


def _screen(text: str) -> list[str]:
    """The lines that stay, and before each the last progress that it took back."""
    lines = []
    for raw in text.replace("\r\n", "\n").split("\n"):
        drafts = [part.removeprefix("\x1b[K") for part in raw.split("\r")]
        lines += [f"\x1b[36m{draft}\x1b[0m" for draft in drafts[:-1] if draft.strip()][-1:]
        lines.append(drafts[-1])
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


# --- the picture -----------------------------------------------------------------------------------

STYLE = """
body { margin: 0; background: transparent }
main { display: inline-block; padding: 44px 22px 20px; border-radius: 10px; background: #0d1117; color: #e6edf3;
  font: 14px/1.45 "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre; width: COLUMNSch;
  position: relative }
main::before { content: "●  ●  ●"; position: absolute; left: 20px; top: 12px; color: #484f58; font-size: 12px }
"""


def _markup(lines: list[str]) -> str:
    """Lines with ANSI colours as HTML; a line that is too long is broken as a terminal does."""
    out = []
    for line in lines:
        state: dict[str, str] = {}
        column = 0
        for part in re.split(r"(\x1b\[[0-9;]*[A-Za-z])", line):
            if part.startswith("\x1b["):
                _apply(part, state)
            elif part:
                style = ";".join(f"{key}:{value}" for key, value in state.items())
                pieces = []
                for letter in part:
                    if column == COLUMNS:
                        pieces.append("\n")
                        column = 0
                    pieces.append(html.escape(letter))
                    column += 1
                out.append(f'<span style="{style}">{"".join(pieces)}</span>')
        out.append("\n")
    return "".join(out)


def _apply(code: str, state: dict[str, str]) -> None:
    if not code.endswith("m"):
        return
    for number in map(int, (code[2:-1] or "0").split(";")):
        if number == 0:
            state.clear()
        elif number == 1:
            state["font-weight"] = "600"
        elif number == 2:
            state["color"] = "#8b949e"
        elif number in COLOURS:
            state["color"] = COLOURS[number]


def _draw(pictures: dict[str, list[str]], folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1200, "height": 900}, device_scale_factor=1.5)
        for name, lines in pictures.items():
            style = STYLE.replace("COLUMNS", str(COLUMNS))
            page.set_content(f"<meta charset=utf-8><style>{style}</style><main>{_markup(lines)}</main>")
            page.locator("main").screenshot(path=folder / f"{name}.png", omit_background=True)
        browser.close()


if __name__ == "__main__":
    raise SystemExit(main())
