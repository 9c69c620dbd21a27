"""Databases of every state that people have run come forward with all their rows, and a server takes what they say.

tests/upgrades holds a backup of each, oldest first, made by the code of that day with rows in every table.
"""

import io
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from accounts_app.models import (
    Account,
    Export,
    Import,
    Mapping,
    NatsUser,
    Role,
    SubjectPermission,
    System,
)
from accounts_app.natsconf.render import RENDERER, logins, probe_conf
from monitoring.doctor import examine
from nunect import up
from nunect.backup.archive import Backup
from nunect.backup.restoring import restore
from nunect.install import CannotStart
from provisioning import decisions
from provisioning.binary import Judging
from provisioning.models import Hold, Revision
from provisioning.workshop import make_goal
from tests.provisioning.world import World
from tests.whole.product import ROOT

KEPT = sorted((Path(__file__).parent / "upgrades").glob("*.nunect"))
FIRST, *LATER = KEPT
EDITED = (System, Account, Role, NatsUser, SubjectPermission, Export, Import, Mapping)


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.long] * (path != LATER[-1])) for path in (FIRST, *LATER)],
    ids=lambda path: path.stem,
)
def test_rows_of_former_days_come_forward(transactional_db, path, tmp_path, settings):
    settings.STATE_DIR, settings.CONFIG_DIR = tmp_path / "state", tmp_path / "config"
    settings.NATS_CONNECT_TIMEOUT = 0.2
    backup = Backup(path, lambda: "")
    restore(backup)
    for label, count in backup.check()["counts"].items():
        assert apps.get_model(label)._default_manager.count() >= count or label.startswith("auth."), label
    for model in EDITED:
        for row in model._default_manager.all():
            row.full_clean()
    for revision in Revision.objects.all():
        specs, _ = decisions.contents_of(revision)
        assert "SHOP" in {spec.name for spec in specs}, "nobody could go back to it"
    assert logins_of("SHOP") == {"till", "desk", "clerk", NatsUser.objects.get(name="device").nkey}
    assert logins_of("LAB") == {"eve", "bob"}
    goal = make_goal(System.objects.get(name="default").pk, fresh=True)
    assert goal.faults == {}
    with Judging(probe_conf(goal.blocks)) as judging:
        assert judging.digest()


@pytest.fixture
def servers_of_the_first_day(transactional_db, tmp_path, settings):
    """A server that runs what the oldest nunect has written, beside its database, brought forward in place."""
    settings.STATE_DIR, settings.CONFIG_DIR = tmp_path / "state", tmp_path / "config"
    settings.NATS_CONNECT_TIMEOUT = 0.2
    restore(Backup(FIRST, lambda: ""))
    System.objects.update(stage=System.Stage.MANAGED, nats_url="")
    folder = tmp_path / "server"
    folder.mkdir()
    world = World(folder, settings)
    try:
        yield world.start()
    finally:
        world.stop()


@pytest.mark.long
def test_servers_of_the_first_day_reload_when_somebody_says_so(servers_of_the_first_day):
    world = servers_of_the_first_day
    assert Revision.objects.first().renderer < RENDERER
    before = world.conf.read_bytes()
    for _ in range(2):
        world.apply(fresh=True)
    assert (world.reloads(), world.conf.read_bytes()) == (0, before)
    decisions.approve(Hold.objects.get(account=Hold.EVERY, state="open"))
    world.apply()
    assert world.reloads() == 1
    newest = Revision.objects.first()
    assert (newest.renderer, "$NUNECT" in world.conf.read_text()) == (RENDERER, True)
    assert newest.servers[0]["proof"] == "digest"


def test_rows_and_migrations_say_the_same(db):
    told = io.StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=told)
    assert "No changes detected" in told.getvalue()


def logins_of(account):
    return logins(make_goal(System.objects.get(name="default").pk, fresh=True).blocks[account].tree)


def test_every_table_has_rows_in_the_newest_backup():
    told = Backup(KEPT[-1], lambda: "").check()["counts"]
    ours = {
        model._meta.label
        for room in ("accounts_app", "provisioning", "monitoring")
        for model in apps.get_app_config(room).get_models()
        if model._meta.managed
    }
    assert ours <= told.keys()


@pytest.fixture
def applied(db):
    return MigrationRecorder(connection)


def test_a_database_of_a_newer_nunect_is_told_and_not_touched(applied, settings, tmp_path, capsys):
    settings.STATE_DIR, settings.CONFIG_DIR = tmp_path / "state", tmp_path / "conf"
    applied.record_applied("accounts_app", "9999_of_the_future")
    told = "The database is of a newer nunect (accounts_app 9999_of_the_future): install that version"
    with pytest.raises(CannotStart) as refused:
        up.prepare()
    assert str(refused.value).startswith(told)
    with pytest.raises(CommandError) as refused:
        call_command("backup", str(tmp_path / "b"))
    assert str(refused.value).startswith(told)
    assert "newer nunect" in next(found.detail for found in examine() if found.what == "Database")


def test_a_database_of_an_older_nunect_is_told_with_what_to_do(applied, tmp_path):
    newest = max(name for app, name in applied.applied_migrations() if app == "accounts_app")
    applied.record_unapplied("accounts_app", newest)
    with pytest.raises(CommandError, match=r"of an older nunect: `nunect up` or `manage.py migrate` brings it up"):
        call_command("backup", str(tmp_path / "b"))
    found = next(found for found in examine() if found.what == "Database")
    assert (found.detail, found.remedy) == (
        "The database is of an older nunect.",
        "`nunect up` or `manage.py migrate` brings it up to date.",
    )


@pytest.fixture
def of_tomorrow(tables, tmp_path):
    """The environment of a process whose database is of a newer nunect."""
    database = tmp_path / "newer.sqlite3"
    shutil.copyfile(tables, database)
    with closing(sqlite3.connect(database)) as opened, opened:
        row = ("accounts_app", "9999_of_the_future", "2030-01-01")
        opened.execute("INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, ?)", row)
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": f"sqlite:///{database}"}


@pytest.mark.parametrize(
    "command",
    [
        ("django", "relay"),
        pytest.param(("daphne", "-p", "0", "nunect.asgi:application"), marks=pytest.mark.long),
        pytest.param(("celery", "-A", "nunect", "worker", "--concurrency", "1"), marks=pytest.mark.long),
    ],
    ids=lambda command: command[0],
)
def test_processes_end_with_one_sentence_beside_a_database_of_a_newer_nunect(of_tomorrow, command):
    ended = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=of_tomorrow, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "The database is of a newer nunect (accounts_app 9999_of_the_future)" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
