"""A backup, and a machine that begins again from it: the same rows, and nothing applied."""

import contextlib
import os
import shutil
import signal
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from accounts_app.models import AuditEntry, NatsUser, Server, System, Token
from nunect import up
from nunect.backup import database, keys, making, rows, sealing
from nunect.backup.archive import Backup
from nunect.backup.errors import BackupError
from nunect.backup.making import make
from nunect.backup.restoring import restore
from nunect.install import CannotStart
from nunect.up import alone
from provisioning import managing
from provisioning.files import GENERATED, read_intent
from provisioning.models import Difference, Revision
from provisioning.observing import look_now
from tests import factories
from tests.api.conftest import token_of

PASSPHRASE = "a long and boring phrase"


@pytest.fixture(autouse=True)
def cheap(monkeypatch, settings, tmp_path, tables):
    """Tables are copied where they would be made by migrating, and a passphrase costs little."""
    monkeypatch.setattr(database, "begin", lambda path: shutil.copyfile(tables, path))
    monkeypatch.setattr(sealing, "COST", 10)
    settings.STATE_DIR = tmp_path / "state"


def rows_now():
    """{model: its pages}, but for what a restore adds to by itself."""
    return {
        model._meta.label: [data for _, data, _ in rows.pages(model)]
        for model in rows.kept_models()
        if model not in (AuditEntry, System, Server, Difference)
    }


def opened(path, passphrase=""):
    return Backup(path, lambda: passphrase)


def test_all_rows_come_back_and_nothing_is_applied(world, tmp_path, capsys):
    account = world.account("SHOP", jetstream=True)
    user = world.user(account, "svc", "publish orders.>", "deny publish orders.secret")
    mallory = world.user(account, "mallory", access="all")
    world.apply()
    seed, before = world.system.control_seed, rows_now()
    backup = tmp_path / "one.nunect"
    call_command("backup", str(backup))
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert "holds 2 users" in capsys.readouterr().out

    mallory.delete()
    world.user(account, "late", access="all")
    world.apply()
    last = Revision.objects.first().number
    text, reloads = world.conf.read_bytes(), world.reloads()
    with pytest.raises(CommandError, match="holds accounts already: --replace"):
        call_command("restore", str(backup))
    with pytest.raises(CommandError, match="Type the name of the system that is there: default"):
        call_command("restore", str(backup), "--replace", "--confirm", "defualt")
    assert NatsUser.objects.filter(name="late").exists()
    call_command("restore", str(backup), "--replace", "--confirm", "default")

    told = capsys.readouterr().out
    back, gone = told.index("It would give back"), told.index("It would take away")
    assert back < told.index("user `mallory` of account `SHOP` is added") < gone
    assert gone < told.index("user `late` of account `SHOP` is removed")
    assert "nunect system manage default" in told
    assert {label: pages for label, pages in rows_now().items() if pages} == {
        label: pages for label, pages in before.items() if pages
    }
    system = System.objects.get()
    assert (system.stage, system.control_seed) == ("observed", seed)
    assert (world.conf.read_bytes(), world.reloads()) == (text, reloads)
    world.apply()
    assert (world.conf.read_bytes(), world.reloads()) == (text, reloads)
    assert world.may("x", "mallory") is None

    NatsUser.objects.get(name="mallory").delete()
    managing.manage(system, "default")
    world.apply(fresh=True)
    assert Revision.objects.first().number > last, "numbers go on where the servers are"
    assert world.may("orders.new", user.name) is True
    assert world.may("x", "mallory") is None and world.may("x", "late") is None
    assert AuditEntry.objects.filter(act="backup restored").count() == 1


def test_numbers_given_since_the_backup_do_not_come_twice(world, tmp_path):
    world.user(world.account(), "svc", access="all")
    world.apply()
    make(tmp_path / "b")
    world.user(world.account("MORE"), "more", access="all")
    world.apply()
    given = read_intent(world.folder)
    restore(opened(tmp_path / "b"))
    system = System.objects.get()
    assert system.fence >= given.fence and system.last_number >= given.number > 1


def test_it_is_made_of_one_moment_while_rows_change(transactional_db, tmp_path, settings):
    settings.CONFIG_DIR = tmp_path
    account = factories.account("SHOP")
    made = []

    def change(name, data, count):
        if not made:
            made.append(factories.user(account, "late"))

    with changed_pages(change):
        make(tmp_path / "b")
    assert made and NatsUser.objects.count() == 1
    restore(opened(tmp_path / "b"))
    assert not NatsUser.objects.exists() and not NatsUser.history.exists()


@contextlib.contextmanager
def changed_pages(seen):
    """Let somebody act after each page that a backup has read, from another connection."""
    former = rows.pages

    def pages(model):
        for page in former(model):
            with ThreadPoolExecutor(1) as other:
                other.submit(elsewhere, seen, *page).result()
            yield page

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "pages", pages)
        yield


def elsewhere(seen, *page):
    try:
        seen(*page)
    finally:
        connection.close()


@pytest.fixture
def small(transactional_db, tmp_path, settings):
    """A system with an account and two users, and no server."""
    settings.CONFIG_DIR = tmp_path / "config"
    settings.NATS_CONNECT_TIMEOUT = 0.2
    account = factories.account("SHOP")
    factories.user(account, "svc", "publish orders.>")
    factories.user(account, "clerk", "subscribe orders.*")
    return account


def test_a_sealed_one_opens_with_its_passphrase_alone(small, tmp_path):
    path = tmp_path / "sealed"
    make(path, PASSPHRASE)
    text = path.read_bytes()
    assert b"SHOP" not in text and text.startswith(sealing.MAGIC)
    assert opened(path, PASSPHRASE).check()["counts"]["accounts_app.NatsUser"] == 2
    with pytest.raises(BackupError, match="This is not the passphrase"):
        opened(path, PASSPHRASE + " ")
    with pytest.raises(CommandError, match="Nobody is here to be asked for the passphrase"):
        call_command("restore", str(path), "--check")
    (tmp_path / "phrase").write_text("short\n")
    with pytest.raises(CommandError, match="fewer than 10 characters"):
        call_command("backup", str(tmp_path / "other"), "--passphrase-file", str(tmp_path / "phrase"))


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_one_that_is_torn_or_altered_is_told_before_anything_is_written(small, tmp_path, monkeypatch, passphrase):
    monkeypatch.setattr(sealing, "CHUNK", 1000)
    path = tmp_path / "b"
    make(path, passphrase)
    whole = path.read_bytes()
    damaged = [whole[:cut] for cut in (1, 40, 2000, len(whole) // 2, len(whole) - 16, len(whole) - 1)]
    damaged += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in (30, 700, len(whole) // 2)]
    before = NatsUser.objects.count()
    for number, data in enumerate(damaged):
        path.write_bytes(data)
        with pytest.raises(BackupError, match=r"torn|altered|no backup|not the passphrase"):
            restore(opened(path, passphrase))
        assert NatsUser.objects.count() == before, number
    assert not list(tmp_path.glob("**/*.restoring*"))


def test_chunks_can_not_be_cut_off_or_changed_about(small, tmp_path, monkeypatch):
    monkeypatch.setattr(sealing, "CHUNK", 1000)
    path = tmp_path / "b"
    make(path, PASSPHRASE)
    whole, head, size = path.read_bytes(), sealing._HEAD.size, 1000 + sealing.TAG
    first, second, rest = whole[head : head + size], whole[head + size : head + 2 * size], whole[head + 2 * size :]
    for data in (first, second + first + rest, first + rest):
        path.write_bytes(whole[:head] + data)
        with pytest.raises(BackupError, match="torn or was altered"):
            opened(path, PASSPHRASE).check()


def test_a_file_that_is_there_stays_and_a_failed_one_leaves_nothing(small, tmp_path, monkeypatch):
    (tmp_path / "b").write_text("somebody's")
    with pytest.raises(BackupError, match="is there already"):
        make(tmp_path / "b")
    assert (tmp_path / "b").read_text() == "somebody's"

    def full(model):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rows, "pages", full)
    with pytest.raises(BackupError, match="can't be written: No space left on device"):
        make(tmp_path / "c")
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["b"]


def test_tokens_and_links_are_shut_unless_they_shall_stay(small, tmp_path):
    token_of(factories.admin())
    make(tmp_path / "b")
    done = restore(opened(tmp_path / "b"), keep_tokens=True)
    assert (done.tokens, Token.objects.alive().count(), done.people) == (0, 1, ["ada"])
    done = restore(opened(tmp_path / "b"))
    assert (done.tokens, Token.objects.alive().count()) == (1, 0)


def test_a_machine_with_nothing_gets_keys_and_files(small, tmp_path, settings, monkeypatch):
    system = small.system
    system.folder.mkdir()
    conf = f'accounts: {{ SHOP: {{ users: [ {{ nkey: "{NatsUser.objects.get(name="svc").nkey}" }} ] }} }}\n'
    (system.folder / GENERATED).write_text(conf)
    up.write_main(system)
    further = 'listen: 127.0.0.1:24222\ninclude "../accounts.conf"\n'
    (system.folder / "n2").mkdir()
    (system.folder / "n2" / "n2.conf").write_text(further)
    secret, sealed = settings.SECRET_KEY, System.objects.get().control_seed
    held = list(settings.NUNECT_ENCRYPTION_KEYS)
    make(tmp_path / "b")
    settings.STATE_DIR, settings.CONFIG_DIR = tmp_path / "new" / "var", tmp_path / "new" / "config"
    settings.SECRET_KEY_MISSING, settings.NUNECT_ENCRYPTION_KEYS, settings.NATS_PORT = True, [], 14222
    done = restore(opened(tmp_path / "b"))
    secrets = settings.STATE_DIR / "secrets.env"
    assert secrets.read_text().splitlines() == [f"SECRET_KEY={secret}", f"NUNECT_ENCRYPTION_KEYS={','.join(held)}"]
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert System.objects.get().control_seed == sealed
    assert (settings.CONFIG_DIR / GENERATED).read_text() == conf
    assert (settings.CONFIG_DIR / "n2" / "n2.conf").read_text() == further
    assert "14222" in (settings.CONFIG_DIR / "nats-server.conf").read_text(), "written for this machine"
    assert any("nothing here says what was revoked" in note for note in done.notes)
    texts = [word["text"] for word in look_now(System.objects.get()).words]
    assert any("`clerk`" in text and "added" in text for text in texts), texts


def test_one_of_an_older_nunect_is_brought_up_to_date(small, tmp_path, monkeypatch):
    """What the version before stages would have written, from its own models."""
    then = [("accounts_app", "0005_streams_and_consumers"), ("provisioning", "0004_jobs_and_blueprints")]
    loader = MigrationExecutor(connection).loader
    others = [leaf for leaf in loader.graph.leaf_nodes() if leaf[0] in set(rows.KEPT) - {app for app, _ in then}]
    state = loader.project_state(then + others).apps
    of_then = [model for model in state.get_models(include_auto_created=True) if model._meta.app_label in rows.KEPT]
    with monkeypatch.context() as patch:
        patch.setattr(rows, "kept_models", lambda: of_then)
        patch.setattr(making, "_migrations", lambda: [list(one) for one in then + others])
        make(tmp_path / "old")
    named = {name for name, _ in opened(tmp_path / "old").parts()}
    assert any("accounts_app.system/" in name for name in named)
    seed = System.objects.get().control_seed
    restore(opened(tmp_path / "old"))
    system = System.objects.get()
    assert (system.stage, system.control_seed) == ("observed", seed)
    assert sorted(NatsUser.objects.values_list("name", flat=True)) == ["clerk", "svc"]
    assert not MigrationExecutor(connection).migration_plan(loader.graph.leaf_nodes())
    factories.user(small, "next")  # primary keys go on


def test_other_keys_in_the_environment_are_told(small, tmp_path, settings):
    make(tmp_path / "b")
    settings.NUNECT_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(BackupError, match="NUNECT_ENCRYPTION_KEYS comes from the environment and lacks"):
        restore(opened(tmp_path / "b"))


def test_a_backup_of_a_newer_nunect_is_refused(small, tmp_path, monkeypatch):
    monkeypatch.setattr(making, "_migrations", lambda: [["accounts_app", "9999_from_the_future"]])
    make(tmp_path / "b")
    with pytest.raises(BackupError, match="which is newer than this one"):
        restore(opened(tmp_path / "b"))


of_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps no file that another replaces")


@of_sqlite
def test_it_is_refused_while_somebody_else_has_the_database(small, tmp_path, settings):
    make(tmp_path / "b")
    settings.STATE_DIR.mkdir(parents=True, exist_ok=True)
    with alone(settings.STATE_DIR / "up.lock"), pytest.raises(CannotStart, match="nunect runs already"):
        restore(opened(tmp_path / "b"))
    other = sqlite3.connect(connection.settings_dict["NAME"])
    other.execute("SELECT count(*) FROM accounts_app_account").fetchall()
    try:
        with pytest.raises(BackupError, match="Another process uses"):
            restore(opened(tmp_path / "b"))
    finally:
        other.close()
    assert NatsUser.objects.count() == 2


SWAPPED = pytest.param("it is in its place", marks=of_sqlite)


@pytest.mark.parametrize("moment", ["the rows are loaded", "the keys are written", SWAPPED])
def test_killed_at_any_moment_it_leaves_the_former_state_or_the_restored_one(small, tmp_path, moment):
    make(tmp_path / "b")
    factories.user(small, "late")
    connections.close_all()
    if (child := os.fork()) == 0:
        try:
            with pytest.MonkeyPatch.context() as patch:
                die_at(moment, patch)
                restore(opened(tmp_path / "b"))
        finally:
            os._exit(7)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    restored = moment == "it is in its place"
    assert NatsUser.objects.filter(name="late").exists() is not restored
    system = System.objects.get()
    assert system.stage == ("observed" if restored else "managed")
    assert system.control_seed.startswith("SU")
    restore(opened(tmp_path / "b"))
    assert sorted(NatsUser.objects.values_list("name", flat=True)) == ["clerk", "svc"]


def die_at(moment, patch):
    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    if moment == "the rows are loaded":
        patch.setattr(rows, "go_on_counting", die)
    elif moment == "the keys are written":
        former = keys.Putting.before
        patch.setattr(keys.Putting, "before", lambda self: (former(self), die()))
    else:
        patch.setattr(database, "sync_folder", die)
