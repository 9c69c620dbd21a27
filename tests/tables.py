"""A database with all tables and no rows but what migrating makes: made once for all tests of a checkout."""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def migrated(folder):
    """The SQLite file, in this folder; whoever asks first makes it, the others wait."""
    made = folder / f"{_told()[:24]}.sqlite3"
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            beside = folder / "half.sqlite3"
            beside.unlink(missing_ok=True)
            env = {
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.settings",
                "DATABASE_URL": f"sqlite:///{beside}",
            }
            subprocess.run([sys.executable, "-m", "django", "migrate", "-v", "0"], cwd=ROOT, env=env, check=True)
            beside.rename(made)
    return made


def _told():
    """All that decides what migrating makes."""
    ours = [path for room in ("accounts_app", "provisioning", "monitoring") for path in (ROOT / room).rglob("*.py")]
    files = [path for path in sorted(ours) if {"migrations", "models"} & set(path.parts)]
    told = hashlib.sha256()
    for path in (ROOT / "requirements" / "dev.txt", *files):
        told.update(f"{path.name}\0".encode() + path.read_bytes())
    return told.hexdigest()
