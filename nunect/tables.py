"""The tables of the database, brought up to date. Needs no models: a benchmark reads it before Django is set up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from nunect import install

STAMP = "migrated"  # in the state folder
ROOT = Path(__file__).resolve().parent.parent


def current() -> bool:
    """Whether nothing is to be migrated: a stamp of the migration files saves the look."""
    database = settings.DATABASES["default"]
    present = not database["ENGINE"].endswith("sqlite3") or Path(database["NAME"]).exists()
    stamp = settings.STATE_DIR / STAMP
    return bool(present and stamp.exists() and stamp.read_text() == stamp_of(database))


def migrate() -> None:
    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
    install.write_private(settings.STATE_DIR / STAMP, stamp_of(settings.DATABASES["default"]))


def check_fit() -> None:
    """End this process with a sentence when the database is of a newer or an older nunect.

    A database that doesn't answer yet keeps nobody from starting. Asked in a thread, since a server of web pages may
    have its loop running when it loads nunect.
    """
    with ThreadPoolExecutor(1) as asking:
        wrong = asking.submit(_unfit).result()
    if wrong:
        raise SystemExit(f"nunect: {wrong}")


def _unfit() -> str:
    from accounts_app.migrated import unfit

    trusted = connection.vendor == "sqlite" and current()  # a shared database others may have migrated
    return "" if trusted else unfit()


def stamp_of(database: Mapping[str, Any]) -> str:
    """The migrations of this code, and where they were made."""
    files = sorted(path for room in ("accounts_app", "provisioning", "monitoring") for path in _migrations(room))
    told = "".join(f"{path.name}:{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files)
    return f"{told}{database['ENGINE']}:{database['NAME']}:{database.get('HOST', '')}\n"


def _migrations(room: str) -> Iterator[Path]:
    return (ROOT / room / "migrations").glob("0*.py")
