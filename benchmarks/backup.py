"""Seconds and megabytes of a backup and of its restore: `python -m benchmarks.backup [USERS …]`.

Each size has a state folder of its own, and every command is a process as a person starts it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ACCOUNTS = 100
FILL = "import django; django.setup(); from benchmarks.filler import fill; print(fill({accounts}, {users}))"


def run(*command: str, env: dict[str, str]) -> tuple[float, float]:
    """(seconds, MiB that its process had at most) of a command that ends well."""
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.monotonic() - began, _mebibytes(used)


def _mebibytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def measure(folder: Path, users: int) -> str:
    """One line of the table."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUNECT_", "NATS_"))}

    def at(name: str) -> dict[str, str]:
        home = folder / name
        return {**kept, "NUNECT_STATE_DIR": str(home / "var"), "NUNECT_CONFIG_DIR": str(home / "config")}

    (folder / "passphrase").write_text("a long and boring phrase\n")
    old, new = at("old"), at("new")
    secrets = "from pathlib import Path; import sys; from nunect import install; state = Path(sys.argv[1]); "
    secrets += "state.mkdir(parents=True); install.make_secrets(state)"
    run(sys.executable, "-c", secrets, old["NUNECT_STATE_DIR"], env=old)
    run(sys.executable, "manage.py", "prepare", env=old)
    run(
        sys.executable,
        "-c",
        FILL.format(accounts=ACCOUNTS, users=users),
        env={**old, "DJANGO_SETTINGS_MODULE": "nunect.settings"},
    )
    nunect = (sys.executable, "-m", "nunect.cli")
    passphrase = ("--passphrase-file", str(folder / "passphrase"))
    plain = run(*nunect, "backup", str(folder / "plain"), env=old)
    sealed = run(*nunect, "backup", str(folder / "sealed"), *passphrase, env=old)
    back = run(*nunect, "restore", str(folder / "sealed"), *passphrase, env=new)
    size = (folder / "sealed").stat().st_size / 1e6
    cells = (f"{users:,}", f"{plain[0]:.1f}", f"{sealed[0]:.1f}", f"{size:.1f}", f"{sealed[1]:.0f}")
    return " | ".join(("", *cells, f"{back[0]:.1f}", f"{back[1]:.0f}", "")).strip()


def main() -> None:
    print("| users | backup (s) | sealed (s) | MB | MiB at most | restore (s) | MiB at most |")
    print("|---|---|---|---|---|---|---|")
    for users in map(int, sys.argv[1:] or ("10000", "100000")):
        with tempfile.TemporaryDirectory() as folder:
            print(measure(Path(folder), users), flush=True)


if __name__ == "__main__":
    main()
