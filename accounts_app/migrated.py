"""Whether the tables of the database are those of this code."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

ROOMS = ("accounts_app", "provisioning", "monitoring")


def mismatch() -> str:
    """What is wrong with the tables and what to do, in a sentence; "" when nothing is. Raises DatabaseError."""
    executor = MigrationExecutor(connection)
    loader = executor.loader
    if wrong := _newer(executor):
        return wrong
    if not any(app in ROOMS for app, _ in loader.applied_migrations):
        return "The database has no tables of nunect: `nunect up` or `manage.py migrate` makes them."
    if executor.migration_plan(loader.graph.leaf_nodes()):
        return "The database is of an older nunect: `nunect up` or `manage.py migrate` brings it up to date."
    return ""


def unfit() -> str:
    """The same for a process that is about to start: "" when nobody can tell, since the database may come later."""
    try:
        return mismatch()
    except DatabaseError:
        return ""
    finally:
        connection.close()


def newer() -> str:
    """What to do about tables that this code does not know; "" when there are none. Raises DatabaseError."""
    return _newer(MigrationExecutor(connection))


def _newer(executor: MigrationExecutor) -> str:
    loader = executor.loader
    unknown = sorted(key for key in loader.applied_migrations if key[0] in ROOMS and key not in loader.disk_migrations)
    if not unknown:
        return ""
    named = " ".join(unknown[-1])
    return f"The database is of a newer nunect ({named}): install that version, or restore a backup of before it."
