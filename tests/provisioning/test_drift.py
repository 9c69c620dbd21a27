"""Changes by others are found within a sweep, told in NATS's words, and repaired or left for a person."""

import signal
import time

import pytest

from accounts_app.models import AuditEntry
from provisioning import drift_answers
from provisioning.models import Drift, Revision
from tests.ports import free_ports
from tests.provisioning.taken_place import make_certificate
from tests.provisioning.world import PASSWORD


def edit(world):
    """A person gives a user more than its rows do, and reloads."""
    text = world.conf.read_text()
    changed = text.replace('allow: ["a.>"]', 'allow: ["a.>", "everything.>"]')
    assert changed != text
    world.conf.write_text(changed)
    world.signal(signal.SIGHUP)
    deadline = time.monotonic() + 3
    while world.may("everything.x") is not True and time.monotonic() < deadline:
        time.sleep(0.05)


def test_a_hand_edit_is_repaired_at_once_when_the_system_says_so(world):
    world.user(world.account(), "svc", "publish a.>")
    world.apply()
    edit(world)
    world.apply(fresh=True)
    assert world.may("everything.x") is False
    drift = Drift.objects.get()
    assert drift.state == "repaired"
    assert any("everything.>" in change["text"] for change in drift.changes)
    assert AuditEntry.objects.filter(act="drift found").count() == 1


def test_a_hand_edit_waits_for_a_person_when_the_system_says_so(world):
    world.system.drift_policy = "ask"
    world.system.save()
    account = world.account()
    world.user(account, "svc", "publish a.>")
    world.apply()
    edit(world)
    world.apply(fresh=True)
    world.user(account, "later", "publish b.>")
    world.apply()
    assert world.may("everything.x") is True
    assert world.may("b.c", user="later") is None
    assert Drift.objects.filter(state="open").count() == 1
    world.system.refresh_from_db()
    assert world.system.problem_step == "drift"
    drift_answers.revert(Drift.objects.get())
    world.apply()
    assert world.may("everything.x") is False
    assert world.may("b.c", user="later") is True
    assert Drift.objects.get().state == "repaired"


@pytest.mark.parametrize("there", [True, False])
def test_a_hand_edit_is_not_blamed_for_other_files_of_the_server(world, monkeypatch, there):
    """The main file names a certificate by a path that starts where the server was started; it may be gone since."""
    world.system.drift_policy = "ask"
    world.system.save()
    world.user(world.account(), "svc", "publish a.>")
    world.apply()
    make_certificate(world.folder)
    leaves = f'port: {free_ports(1)[0]}, tls {{ cert_file: "server.pem", key_file: "server-key.pem" }}'
    world.write_main(f"leafnodes {{ {leaves} }}")
    world.stop()
    with monkeypatch.context() as elsewhere:
        elsewhere.chdir(world.folder)
        world.start()
    world.apply()
    edit(world)
    if not there:
        (world.folder / "server.pem").unlink()
    world.apply(fresh=True)
    assert Drift.objects.get().state == "open"
    assert world.may("everything.x") is True


def test_an_unusable_file_is_repaired_whatever_the_system_says(world):
    world.system.drift_policy = "ask"
    world.system.save()
    world.user(world.account(), "svc", "publish a.>")
    world.apply()
    world.conf.write_text("accounts: {{{")
    world.apply(fresh=True)
    assert world.digest_on_disk() == Revision.objects.first().config_digest


def test_an_older_conf_put_back_and_reloaded_is_found(world):
    user = world.user(world.account(), "svc", "publish a.>")
    world.apply()
    older = world.conf.read_text()
    user.permissions.all().delete()
    world.apply()
    world.conf.write_text(older)
    world.signal(signal.SIGHUP)
    deadline = time.monotonic() + 3
    while world.may("a.b") is not True and time.monotonic() < deadline:
        time.sleep(0.05)
    world.apply(fresh=True)
    assert world.may("a.b") is False
    assert Drift.objects.filter(where="file").exists()


def test_a_server_that_was_reloaded_with_something_else_is_found(world):
    world.user(world.account(), "svc", "publish a.>")
    world.apply()
    right = world.conf.read_text()
    world.conf.write_text(right.replace("a.>", "z.>").replace("nunect_revision", "other_mark"))
    world.signal(signal.SIGHUP)
    deadline = time.monotonic() + 3
    while world.may("z.b") is not True and time.monotonic() < deadline:
        time.sleep(0.05)
    world.conf.write_text(right)  # the file is as it should be, what runs is not
    world.apply(fresh=True)
    assert Drift.objects.filter(where="server", state="repaired").exists()
    assert world.may("a.b") is True


def test_no_drift_row_holds_a_secret(world):
    user = world.user(world.account(), "svc", "publish a.>")
    world.apply()
    world.conf.write_text(world.conf.read_text().replace(user.password_hash, PASSWORD))
    world.apply(fresh=True)
    row = Drift.objects.get()
    assert PASSWORD not in str(row.changes) + row.summary
    assert user.password_hash not in str(row.changes) + row.summary
