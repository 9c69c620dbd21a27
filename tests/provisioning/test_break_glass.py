"""Editing by hand while nunect is down, and its return: as docs/backup.md tells it."""

import re
import signal
import time

import pytest

from accounts_app import credentials
from accounts_app.models import NatsUser, System
from provisioning import bootstrap, managing, tasks
from provisioning.models import Difference, Drift
from tests.provisioning.world import PASSWORD, Intruder

RESCUE = '{ user: "rescue", password: "%s", permissions: { publish: ">", subscribe: ">" } }'


@pytest.fixture
def shop(world):
    account = world.account("SHOP")
    world.user(account, "svc", "publish orders.>")
    world.user(account, "mallory", access="all")
    world.apply()
    return account


def edit(world):
    """Nobody of nunect is there: turn mallory out, let somebody in, and have the server read it."""
    text, count = re.subn(
        r'\{[^{}]*"mallory"[^{}]*\}',
        lambda _: RESCUE % credentials.hash_password(PASSWORD, chosen=False),
        world.conf.read_text(),
    )
    assert count == 1
    former = world.reloads()
    world.conf.write_text(text)
    world.signal(signal.SIGHUP)
    end = time.monotonic() + 10
    while world.reloads() == former:
        assert time.monotonic() < end, "the server did not read it again"
        time.sleep(0.01)
    return text


def test_an_edit_by_hand_holds_until_a_person_has_brought_the_rows_to_it(world, shop):
    with Intruder(world):
        text = edit(world)
        assert world.may("orders.new", "rescue") is True and world.may("x", "mallory") is None
        managing.observe(System.objects.get())  # `nunect --local system observe`, before anything is started
        bootstrap.settle_files(System.objects.get())  # what a start of nunect does first
        tasks.sweep()
        assert world.conf.read_text() == text
        told = [word["text"] for word in Difference.objects.get().words]
        assert any("`mallory`" in line and "added" in line for line in told), told
        assert any("`rescue`" in line and "removed" in line for line in told), told
        NatsUser.objects.get(name="mallory").delete()
        managing.manage(System.objects.get(), "default")
        tasks.sweep()
    assert world.may("orders.new", "svc") is True
    assert world.may("x", "mallory") is None and world.may("x", "rescue") is None


def test_where_drift_is_left_for_a_person_the_edit_holds_and_is_asked_about(world, shop):
    world.system.drift_policy = System.DriftPolicy.ASK
    world.system.save()
    world.apply()
    text = edit(world)
    tasks.sweep()
    assert world.conf.read_text() == text and world.may("orders.new", "rescue") is True
    assert Drift.objects.filter(state=Drift.State.OPEN).exists()
