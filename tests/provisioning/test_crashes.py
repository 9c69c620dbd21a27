"""Whatever is killed, whenever: rows and servers agree again, and the door was never open."""

import os
import signal
import threading

import pytest

from provisioning import pipeline, steps
from provisioning.errors import Locked, NotWritten, ProvisioningError, Unreachable
from provisioning.files import sole_writer
from provisioning.models import Drift, Revision
from tests.provisioning.world import Intruder, dies_at, metadata


def agree(world, allowed, refused):
    """Rows = enforced: one more run, and clients see it; another run has nothing left to do."""
    world.apply(fresh=True)
    wanted, done = world.state()
    assert wanted == done
    assert world.digest_on_disk() == Revision.objects.first().config_digest
    assert metadata(world) == (Revision.objects.first().number, Revision.objects.first().sha256)
    assert world.may(allowed) is True
    assert world.may(refused) is False
    before = world.reloads()
    world.apply(fresh=True)
    assert world.reloads() == before
    assert not list(world.folder.glob(".accounts.conf.*.tmp"))


@pytest.mark.parametrize("restart", [False, True], ids=["server runs on", "server restarts"])
@pytest.mark.parametrize("step", steps.STEPS)
def test_a_worker_killed_between_two_steps(world, step, restart):
    user = world.user(world.account(), "svc", "publish orders.>")
    world.apply()
    user.permissions.all().delete()
    world.permit(user, "publish billing.>")
    with Intruder(world):
        died = dies_at(step, lambda: pipeline.apply(world.system.pk))
        assert died
        assert world.digest_on_disk(), "the server would refuse what stands on disk"
        if restart:
            world.restart()
        agree(world, "billing.x", "orders.x")
    assert not Drift.objects.exists(), "nunect took its own unfinished work for somebody else's"


def test_a_run_that_was_killed_after_the_reload_is_recorded_without_another(world):
    world.apply()
    world.user(world.account(), "svc", "publish a.>")
    assert dies_at("verify", lambda: pipeline.apply(world.system.pk))
    before = world.reloads()
    world.apply()
    assert world.reloads() == before
    assert Revision.objects.first().number == metadata(world)[0]


def test_a_save_that_was_rolled_back_changes_nothing(world):
    from django.db import transaction

    account = world.account()
    world.apply()
    before = world.state()
    with pytest.raises(RuntimeError), transaction.atomic():
        world.user(account, "svc")
        raise RuntimeError
    assert world.state() == before


@pytest.mark.parametrize("damage", ["", "accounts: {", "\x00\x01\x02", "accounts: {}\n", None])
def test_a_damaged_file_is_put_right_and_nobody_gets_in(world, damage):
    world.user(world.account(), "svc", "publish a.>", "deny publish b.>")
    world.apply()
    with Intruder(world):
        if damage is None:
            world.conf.unlink()
        else:
            world.conf.write_text(damage)
        world.signal(signal.SIGHUP)
        agree(world, "a.b", "b.c")
    assert Drift.objects.filter(state="repaired").exists()


def test_an_emptied_file_and_a_restarted_server_are_put_right_by_signal(world):
    world.user(world.account(), "svc", "publish a.>", "deny publish b.>")
    world.apply()
    world.conf.write_text("\n")
    with Intruder(world):
        world.restart()  # runs with the guard alone: nunect's own users are unknown to it
        assert world.may("a.b") is None
        agree(world, "a.b", "b.c")


def test_a_server_that_is_down_gets_it_at_its_start(world):
    user = world.user(world.account(), "svc", "publish a.>")
    world.apply()
    world.stop()
    world.permit(user, "deny publish b.>")
    with pytest.raises(Unreachable):
        world.apply()
    world.system.refresh_from_db()
    assert world.system.state == "failed"
    assert "answers" in world.system.problem
    world.start()
    agree(world, "a.b", "b.c")
    world.system.refresh_from_db()
    assert world.system.state == "applied"


def test_a_server_that_hangs_gets_it_when_it_wakes(world):
    user = world.user(world.account(), "svc", "publish a.>")
    world.apply()
    world.permit(user, "deny publish b.>")
    world.signal(signal.SIGSTOP)
    with pytest.raises(Unreachable):
        world.apply()
    world.signal(signal.SIGCONT)
    agree(world, "a.b", "b.c")


def test_a_read_only_folder_is_said_and_nothing_is_lost(world):
    if os.getuid() == 0:
        target = world.folder / ".nunect.lock"
        target.unlink()
        target.mkdir()  # root writes through mode bits, not through this
        mend = target.rmdir
    else:
        world.folder.chmod(0o500)
        mend = lambda: world.folder.chmod(0o700)  # noqa: E731
    world.user(world.account(), "svc", "publish a.>", "deny publish b.>")
    with pytest.raises(NotWritten):
        world.apply()
    world.system.refresh_from_db()
    assert str(world.folder) in world.system.problem
    mend()
    agree(world, "a.b", "b.c")


def test_a_full_disk_is_said_and_nothing_is_torn(world):
    import resource

    account = world.account()
    world.user(account, "svc", "publish a.>", "deny publish b.>")
    world.apply()
    former = world.conf.read_bytes()
    world.user(account, "second", "publish c.>")

    def on_a_full_disk():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with sole_writer(world.folder, 10**9, 1) as writer:
            resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
            try:
                writer.replace("x" * 5000, writer.intent)
            except NotWritten:
                os._exit(3)

    child = os.fork()
    if child == 0:
        on_a_full_disk()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert world.conf.read_bytes() == former
    agree(world, "a.b", "b.c")


def test_an_old_run_that_is_resumed_writes_nothing(world):
    """A run that read its rows, slept, and wakes after a later one: the fence turns it away."""
    user = world.user(world.account(), "svc", "publish orders.>")
    world.apply()
    slept, go_on, written = threading.Event(), threading.Event(), []

    def pause(sender, step, **_):
        if step == "plan" and threading.current_thread() is old:
            slept.set()
            go_on.wait(10)

    def old_run():
        from django.db import connection

        pipeline.apply(world.system.pk)
        connection.close()

    old = threading.Thread(target=old_run)
    steps.reached.connect(pause)
    world.permit(user, "publish extra.>")
    old.start()
    assert slept.wait(10)
    user.permissions.filter(subject="extra.>").delete()
    world.permit(user, "publish billing.>")
    world.apply()
    newest = metadata(world)

    def watch(sender, step, **_):
        if step == "write":
            written.append(world.conf.read_text())

    steps.reached.connect(watch)
    go_on.set()
    old.join(20)
    steps.reached.disconnect(pause)
    steps.reached.disconnect(watch)
    assert not [text for text in written if "extra" in text], "the old run wrote its old rows"
    assert metadata(world) == newest
    agree(world, "billing.x", "extra.x")


def test_two_writers_at_once_lose_nothing(world):
    """Threads save and apply at the same time; whatever order they get, the last rows win everywhere."""
    from django.db import connection

    account = world.account()
    failures = []

    def save_and_apply(number):
        try:
            for turn in range(3):
                world.user(account, f"w{number}-{turn}", f"publish w{number}.t{turn}")
                pipeline.apply(world.system.pk)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=save_and_apply, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    world.user(account, "svc", "publish a.>", "deny publish b.>")
    agree(world, "a.b", "b.c")
    for number in range(3):
        assert world.may(f"w{number}.t2", user=f"w{number}-2") is True


def test_a_lock_that_is_held_is_waited_for_and_then_said(world, settings):
    settings.PROVISIONING_LOCK_TIMEOUT = 0.2
    world.account()
    with sole_writer(world.folder, 10**6, 1), pytest.raises(Locked):
        world.apply()


def test_a_failed_run_shows_on_the_system_and_goes_away_with_the_next(world):
    world.account()
    (world.folder / "nats-server.conf").rename(world.folder / "away")
    with pytest.raises(ProvisioningError):
        world.apply()
    world.system.refresh_from_db()
    assert world.system.problem_step == "validate"
    (world.folder / "away").rename(world.folder / "nats-server.conf")
    world.apply()
    world.system.refresh_from_db()
    assert world.system.problem == ""
