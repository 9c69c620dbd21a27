"""Backups that are kept: by the clock, over REST and in the admin, for superusers alone."""

import os
import stat
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts_app.models import AuditEntry
from nunect.backup import sealing, shelf
from nunect.backup.archive import Backup
from nunect.backup.errors import BackupError
from nunect.tasks import backup
from tests import factories
from tests.api.conftest import Api, token_of

PASSPHRASE = "a long and boring phrase"


@pytest.fixture
def folder(ada, tmp_path, settings, monkeypatch):
    monkeypatch.setattr(sealing, "COST", 10)
    system = factories.system()
    system.conf_dir = str(tmp_path / "conf")
    system.folder.mkdir()
    system.save()
    settings.BACKUP_DIR, settings.BACKUP_KEEP = str(tmp_path / "kept"), 2
    return tmp_path / "kept"


@pytest.fixture
def sealed(folder, tmp_path, settings):
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    settings.BACKUP_PASSPHRASE_FILE = str(tmp_path / "passphrase")
    return folder


def acts():
    return list(AuditEntry.objects.filter(act__startswith="backup").values_list("act", flat=True))


def made_hours_ago(folder, hours):
    at = timezone.now() - timedelta(hours=hours)
    path = folder / f"nunect-{at:%Y%m%d-%H%M%S}.backup"
    path.write_bytes(b"\x1f\x8b")
    return path


def test_made_listed_and_taken_away_sealed(api, sealed):
    assert api.get("backups/").data["results"] == []
    tried = api.post("backups/?dry_run=true")
    assert (tried.status_code, tried.data["changes"], api.get("backups/").data["results"]) == (200, [], [])
    made = api.post("backups/", Idempotency_Key="tonight")
    assert made.status_code == 201, made.data
    again = api.post("backups/", Idempotency_Key="tonight")
    assert (again.status_code, again.data) == (201, made.data)
    told = api.get("backups/").data
    assert told["results"] == [made.data]
    assert (told["problem"], told["keep"]) == ("", 2)
    assert (made.data["sealed"], made.data["by"]) == (True, "ada")
    assert stat.S_IMODE((sealed / made.data["name"]).stat().st_mode) == 0o600
    got = api.get(f"backups/{made.data['name']}/")
    taken = sealed / "taken"
    taken.write_bytes(b"".join(got.streaming_content))
    assert taken.stat().st_size == made.data["bytes"]
    assert Backup(taken, lambda: PASSPHRASE).check()["counts"]["auth.User"] == 1
    assert AuditEntry.objects.filter(act="backup taken away", person_name="ada").exists()
    for name in ("nunect-20200101-000000.backup", "taken", ".lock", "..%2Fpassphrase"):
        assert api.get(f"backups/{name}/").status_code == 404, name


def test_one_in_clear_stays_where_it_is(api, folder):
    made = api.post("backups/").data
    assert made["sealed"] is False
    refused = api.get(f"backups/{made['name']}/")
    assert refused.status_code == 409
    assert "isn't sealed and holds nunect's own keys" in refused.data["detail"]


def test_the_newest_few_are_kept_and_nothing_else_is_touched(api, folder):
    folder.mkdir()
    old = [made_hours_ago(folder, hours) for hours in (30, 20, 10)]
    own, left, fresh = (
        folder / name for name in ("mine.backup", ".nunect-20200101-000000.backup.x.tmp", ".nunect-1.tmp")
    )
    for path in (own, left, fresh):
        path.write_text("x")
    os.utime(left, (0, 0))
    made = api.post("backups/").data
    assert {path.name for path in folder.glob("nunect-*")} == {old[2].name, made["name"]}
    assert own.exists() and fresh.exists() and not left.exists()
    assert AuditEntry.objects.get(act="backups removed").detail["files"] == [old[0].name, old[1].name]


def test_the_clock_makes_one_when_the_newest_is_old_enough(api, folder, settings):
    backup()
    backup()
    assert [one.by for one in shelf.kept()] == ["nunect itself"]
    for path in folder.glob("nunect-*"):
        path.unlink()
    made_hours_ago(folder, 23)
    backup()
    assert len(shelf.kept()) == 1
    settings.BACKUP_EVERY_HOURS = 6.0
    assert "does the worker run?" in shelf.problem()
    backup()
    assert len(shelf.kept()) == 2
    assert shelf.problem() == ""
    settings.BACKUP_EVERY_HOURS, settings.BACKUP_KEEP = 0.0, 14
    made_hours_ago(folder, 1)
    backup()
    assert len(shelf.kept()) == 3


def test_a_failure_is_told_until_one_succeeds(api, folder, settings, tmp_path, client, ada):
    settings.BACKUP_PASSPHRASE_FILE = str(tmp_path / "gone")
    backup()
    backup()
    assert acts() == ["backup failed"], "tried again an hour later"
    problem = f"The last backup failed: {tmp_path / 'gone'} can't be read as a passphrase."
    assert api.get("backups/").data["problem"] == problem
    client.force_login(ada)
    start = client.get("/admin/").content.decode()
    assert "The last backup failed:" in start
    refused = api.post("backups/")
    assert (refused.status_code, refused.data["detail"]) == (409, f"{tmp_path / 'gone'} can't be read as a passphrase.")
    settings.BACKUP_PASSPHRASE_FILE = ""
    assert api.post("backups/").status_code == 201
    later = AuditEntry.objects.filter(act="backup failed").first().at + timedelta(seconds=2)
    for path in folder.glob("nunect-*"):
        path.rename(folder / f"nunect-{later:%Y%m%d-%H%M%S}.backup")
    assert shelf.problem() == ""
    assert "The last backup failed:" not in client.get("/admin/").content.decode()


def test_two_at_once_are_one(api, folder, settings):
    folder.mkdir()
    with shelf._alone(folder), pytest.raises(BackupError, match="is being made already"):
        shelf.back_up()
    with shelf._alone(folder):
        backup()
    assert acts() == [], "the other one may well succeed"
    settings.BACKUP_DIR = ""
    nowhere = api.get("backups/")
    assert (nowhere.status_code, nowhere.data["problem"], nowhere.data["results"]) == (200, shelf.NO_FOLDER, [])
    assert api.post("backups/").data["detail"] == shelf.NO_FOLDER


def test_only_superusers_by_whole_tokens(sealed, ada, client):
    made = shelf.back_up()
    factories.account("ACME")
    sam = factories.staff("sam", "accounts_app.change_system", "accounts_app.view_auditentry")
    others = [
        Api(token_of(sam)),
        Api(token_of(ada, "write")),
        Api(token_of(ada, "read")),
        Api(token_of(ada, "admin", accounts=["ACME"])),
    ]
    for one in others:
        answers = [one.get("backups/"), one.post("backups/"), one.get(f"backups/{made.name}/")]
        assert [answer.status_code for answer in answers] == [403, 403, 403]
    client.force_login(sam)
    assert client.get("/admin/backups/").status_code == 403
    assert client.post("/admin/backups/").status_code == 403
    assert client.get(f"/admin/backups/{made.name}/").status_code == 403
    assert "/admin/backups/" not in client.get("/admin/").content.decode()
    assert len(shelf.kept()) == 1


def test_the_page_lists_makes_and_hands_out(sealed, ada, client, settings):
    client.force_login(ada)
    assert "There is none yet." in client.get("/admin/backups/").content.decode()
    shown = client.post("/admin/backups/", follow=True).content.decode()
    made = shelf.kept()[0]
    assert f"{made.name} is there." in shown
    assert "yes, with a passphrase" in shown and ">ada</td>" in shown
    assert AuditEntry.objects.get(act="backup made").door == "admin"
    got = client.get(f"/admin/backups/{made.name}/")
    assert len(b"".join(got.streaming_content)) == made.bytes
    assert "/admin/backups/" in client.get("/admin/").content.decode()
    settings.BACKUP_DIR = ""
    assert "Nothing is backed up from here" in client.get("/admin/backups/").content.decode()
