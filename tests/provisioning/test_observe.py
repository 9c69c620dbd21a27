"""A system that nunect only observes: nothing is written, and what it would write is told."""

import pytest
from django.core.exceptions import ValidationError

from provisioning import managing
from provisioning.models import Difference


def on_disk(world):
    """{name: bytes} of every file in the folder, the server's own log left out."""
    return {path.name: path.read_bytes() for path in world.folder.iterdir() if path.is_file() and path.name != "log"}


def test_nothing_is_written_while_it_is_observed(world):
    user = world.user(world.account(), "svc", "publish orders.>")
    world.apply()
    managing.observe(world.system)
    before, reloads = on_disk(world), world.reloads()
    user.permissions.all().delete()
    world.account("OTHER")
    world.apply()
    world.apply(fresh=True)
    assert on_disk(world) == before
    assert world.reloads() == reloads
    assert Difference.objects.filter(system=world.system).exists()
    managing.manage(world.system, "default")
    world.apply()
    assert world.reloads() == reloads + 1
    assert world.may("orders.new") is False
    assert world.state()[0] == world.state()[1]


def test_a_released_system_is_only_there_to_be_read(world):
    account = world.account()
    world.apply()
    managing.release(world.system, "default")
    before = on_disk(world)
    with pytest.raises(ValidationError, match="has released system “default”"):
        world.user(account)
    world.conf.write_text("# by hand\naccounts: {}\n")
    before = on_disk(world)
    assert world.apply(fresh=True) is not None
    assert on_disk(world) == before
