"""What streams cost: making them in many accounts, and looking at all of them.

python -m benchmarks.assets [ACCOUNTS]: one server and a throw-away database; prints seconds and statements.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import QuerySet  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from accounts_app.models import Account, Stream, System  # noqa: E402
from provisioning.jetstream.client import JetStream  # noqa: E402
from provisioning.jetstream.enforce import enforce  # noqa: E402
from provisioning.jetstream.observe import observe  # noqa: E402
from tests.provisioning.world import World  # noqa: E402


def main(count: int) -> None:
    logging.disable(logging.ERROR)
    name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), settings).start()
        try:
            Account.objects.bulk_create(
                Account(system=world.system, name=f"A{number:05}", jetstream=True) for number in range(count)
            )
            measure(f"a run with {count:,} new accounts", world.apply)
            ask_for("FIRST")
            measure(f"{count:,} new streams, one an account", lambda: enforce(world.system.pk))
            ask_for("SECOND", "THIRD")
            measure(f"{2 * count:,} more", lambda: enforce(world.system.pk))
            assert Stream.objects.filter(done=1).count() == 3 * count
            measure("nothing to do", lambda: enforce(world.system.pk))
            measure(f"a first look at {3 * count:,} managed streams", lambda: observe(world.system.pk))
            measure(f"a look at {3 * count:,} streams, all as they were", lambda: observe(world.system.pk))
            QuerySet(Stream).update(counts={})
            measure("the same by STREAM.LIST, without consumers", lambda: list_all(world.system))
            measure("a look when the numbers of all have changed", lambda: observe(world.system.pk))
            QuerySet(Stream)._raw_delete("default")
            measure(f"a first look at {3 * count:,} streams of tenants", lambda: observe(world.system.pk))
            assert Stream.objects.count() == 3 * count
        finally:
            world.stop()
            connection.creation.destroy_test_db(name, verbosity=0)


def ask_for(*names: str) -> None:
    """Rows of a managed stream of each name in every account."""
    accounts = Account.objects.filter(jetstream=True).values_list("pk", flat=True)
    rows = [
        Stream(account_id=account, name=name, wanted=1, config={"subjects": [f"{name.lower()}.>"]})
        for account in accounts
        for name in names
    ]
    QuerySet(Stream).bulk_create(rows, batch_size=500)


def list_all(system: System) -> None:
    """What `observe` doesn't do: ask each account for itself."""
    with JetStream(system) as client:
        for name in Account.objects.filter(jetstream=True).values_list("name", flat=True):
            client.streams(name)


def measure(what: str, act: Callable[[], object]) -> None:
    """Print how long it takes, of that on our own processor, and the statements of each kind. One that is executed
    for many rows at once is told as "many"."""
    began, used = time.monotonic(), time.process_time()
    with CaptureQueriesContext(connection) as queries:
        act()
    took, used = time.monotonic() - began, time.process_time() - used
    kinds: dict[str, int] = {}
    for query in queries:
        kind = query["sql"].split(" ", 1)[0]
        kind = "many" if kind.isdigit() else kind
        kinds[kind] = kinds.get(kind, 0) + 1
    statements = ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))
    print(f"{what}: {took:.2f} s ({used:.2f} s ours), {statements}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
