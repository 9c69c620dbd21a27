"""Databases of every state that people have run come forward with all their rows, and a server takes what they say.

tests/upgrades holds a backup of each, oldest first, made by the code of that day with rows in every table.
"""

import io
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from accounts_app.models import Account, Export, Import, Mapping, NatsUser, Role, SubjectPermission, System
from accounts_app.natsconf.render import logins, probe_conf
from monitoring.doctor import examine
from nunect import up
from nunect.backup.archive import Backup
from nunect.backup.restoring import restore
from nunect.install import CannotStart
from provisioning.binary import Judging
from provisioning.workshop import make_goal

KEPT = sorted((Path(__file__).parent / "upgrades").glob("*.nunect"))
FIRST, *LATER = KEPT
EDITED = (System, Account, Role, NatsUser, SubjectPermission, Export, Import, Mapping)


@pytest.mark.parametrize(
    "path", [FIRST, *(pytest.param(path, marks=pytest.mark.long) for path in LATER)], ids=lambda path: path.stem
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
    assert logins_of("SHOP") == {"till", "desk", "clerk", NatsUser.objects.get(name="device").nkey}
    assert logins_of("LAB") == {"eve", "bob"}
    goal = make_goal(System.objects.get().pk, fresh=True)
    assert goal.faults == {}
    with Judging(probe_conf(goal.blocks)) as judging:
        assert judging.digest()


def test_rows_and_migrations_say_the_same(db):
    told = io.StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=told)
    assert "No changes detected" in told.getvalue()


def logins_of(account):
    return logins(make_goal(System.objects.get().pk, fresh=True).blocks[account].tree)


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
    applied.record_unapplied("accounts_app", "0007_connection")
    with pytest.raises(CommandError, match=r"of an older nunect: `nunect up` or `manage.py migrate` brings it up"):
        call_command("backup", str(tmp_path / "b"))
    found = next(found for found in examine() if found.what == "Database")
    assert (found.detail, found.remedy) == (
        "The database is of an older nunect.",
        "`nunect up` or `manage.py migrate` brings it up to date.",
    )
