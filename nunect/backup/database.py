"""A database that takes the place of the present one at once: a new file for SQLite, one transaction elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.db import DatabaseError, OperationalError, connection, transaction
from redis.exceptions import RedisError

from accounts_app.models import Account, NatsUser, System
from accounts_app.natsconf.specs import CONTROL_ACCOUNT
from nunect.backup.archive import sync_folder
from nunect.backup.errors import BackupError
from provisioning.heartbeat import worker_age

KEPT = ".before-restore"  # what the former file is called afterwards
AT_WORK_S = 20.0  # a worker says more often than this that it works


def name_of_what_is_there() -> str:
    """The name of the first system, when the database holds what people made; "" otherwise. Raises BackupError."""
    if connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).exists():
        return ""
    try:
        if System._meta.db_table not in connection.introspection.table_names():
            return ""
        own = [*System.objects.values_list("system_account", flat=True).distinct(), CONTROL_ACCOUNT]
        if not Account.objects.exclude(name__in=own).exists() and not NatsUser.objects.exists():
            return ""
        return System.objects.order_by("pk").values_list("name", flat=True).first() or "default"
    except DatabaseError as error:
        reason = str(error).strip().partition("\n")[0]
        raise BackupError(
            f"The database can't be read ({reason}): move it away first. Nothing was restored."
        ) from error


@contextmanager
def replacing() -> Iterator[None]:
    """Within the block the default connection is to an empty database without tables; after it that is the one.

    When the block fails, or its process is killed, the former database is there as it was.
    """
    _check_unused()
    if connection.vendor == "sqlite":
        yield from _new_file()
    else:
        yield from _one_transaction()


def _new_file() -> Iterator[None]:
    path = Path(connection.settings_dict["NAME"])
    new = path.with_name(f".{path.name}.restoring")
    connection.close()
    _remove(new)
    begin(new)
    connection.settings_dict["NAME"] = str(new)
    try:
        yield
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        with new.open("rb") as file:
            os.fsync(file.fileno())
        if path.exists():
            kept = path.with_name(path.name + KEPT)
            kept.unlink(missing_ok=True)
            os.link(path, kept)
        new.replace(path)
        sync_folder(path.parent)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = str(path)
        _remove(new)


def begin(path: Path) -> None:
    """Make an SQLite file without tables, readable by this user alone."""
    path.touch(mode=0o600)


def _one_transaction() -> Iterator[None]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '10s'")
            try:
                for table in connection.introspection.django_table_names(only_existing=True, include_views=False):
                    cursor.execute(f"DROP TABLE {connection.ops.quote_name(table)} CASCADE")
                cursor.execute("DROP TABLE IF EXISTS django_migrations CASCADE")
            except OperationalError as error:
                raise BackupError("Somebody else uses the database: stop all processes of nunect first.") from error
        yield


def _check_unused() -> None:
    """Raise BackupError when another process has the database at hand, as far as that can be seen."""
    with suppress(RedisError):
        age = worker_age()
        if age is not None and age < AT_WORK_S:
            raise BackupError(f"A worker was at work {age:.0f} s ago: stop all processes of nunect first.")
    if connection.vendor != "sqlite":
        return
    path = Path(connection.settings_dict["NAME"])
    if connection.in_atomic_block or "memory" in str(path):
        raise BackupError("Only a database in a file can be replaced.")
    if path.exists():
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    deadline = time.monotonic() + 2
    while Path(f"{path}-wal").exists():  # the last one who closes the file removes it
        if time.monotonic() > deadline:
            raise BackupError(f"Another process uses {path}: stop all processes of nunect first.")
        time.sleep(0.05)


def _remove(path: Path) -> None:
    for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        each.unlink(missing_ok=True)
