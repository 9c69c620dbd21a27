"""An upgrade that writes the same rows in another form waits for a person, and for nobody who must go."""

import pytest
from django.core.exceptions import ValidationError

from accounts_app.models import AuditEntry
from accounts_app.natsconf import render
from provisioning import decisions, recording, workshop
from provisioning.models import Hold, Revision

pytestmark = pytest.mark.live


@pytest.fixture
def upgraded(world, monkeypatch):
    """A system whose servers hold what an older renderer has written: no rights in common at the account."""
    acme = world.account("ACME")
    for name in ("till", "desk", "gone"):
        world.user(acme, name, "publish a.>", "subscribe a.>")
    with monkeypatch.context() as older:
        older.setattr(render, "compact", lambda tree: tree)
        older.setattr(recording, "RENDERER", render.RENDERER - 1)
        workshop.forget(world.system.pk)
        world.apply()
        assert "default_permissions" not in world.conf.read_text()
    workshop.forget(world.system.pk)
    return world


def test_nothing_reloads_until_somebody_says_yes(upgraded):
    before = upgraded.reloads(), upgraded.conf.read_bytes()
    for _ in range(2):
        upgraded.apply(fresh=True)
    assert (upgraded.reloads(), upgraded.conf.read_bytes()) == before
    hold = Hold.objects.get()
    assert (hold.account, hold.state, hold.changes) == (Hold.EVERY, "open", [])
    assert "1 account in another form" in hold.reason
    assert AuditEntry.objects.filter(act="change held").count() == 1
    decisions.approve(hold)
    upgraded.apply()
    assert upgraded.reloads() == before[0] + 1
    assert "default_permissions" in upgraded.conf.read_text()
    assert upgraded.may("a.b", user="till") is True
    hold.refresh_from_db()
    assert hold.state == "applied"
    assert Revision.objects.first().renderer == render.RENDERER
    upgraded.apply(fresh=True)
    assert upgraded.reloads() == before[0] + 1


def test_no_is_for_this_form_until_rows_change(upgraded):
    upgraded.apply(fresh=True)
    before = upgraded.reloads()
    decisions.refuse(Hold.objects.get())
    upgraded.apply(fresh=True)
    assert (upgraded.reloads(), Hold.objects.count()) == (before, 1)
    with pytest.raises(ValidationError, match="answered"):
        decisions.approve(Hold.objects.get())
    upgraded.user(upgraded.system.accounts.get(name="ACME"), "late", "publish a.>")
    upgraded.apply()
    assert "default_permissions" in upgraded.conf.read_text()
    assert Revision.objects.first().renderer == render.RENDERER


def test_a_change_of_rows_takes_it_along_and_nobody_who_must_go_stays(upgraded):
    upgraded.apply(fresh=True)
    before = upgraded.reloads()
    user = upgraded.system.users.get(name="gone")
    user.enabled = False
    user.save()
    upgraded.apply()
    assert upgraded.may("a.b", user="gone") is None
    assert upgraded.reloads() == before + 1
    assert Hold.objects.get().state == "gone"
    assert "default_permissions" in upgraded.conf.read_text()


def test_who_expires_meanwhile_is_out_although_no_row_was_touched(upgraded):
    upgraded.apply(fresh=True)
    user = upgraded.system.users.get(name="gone")
    type(user).objects.filter(pk=user.pk).update(expires_at="2020-01-01T00:00:00Z")
    workshop.forget(upgraded.system.pk)
    upgraded.apply(fresh=True)
    assert upgraded.may("a.b", user="gone") is None


def test_the_same_tree_asks_for_nothing(world, monkeypatch):
    world.user(world.account("ACME"), "till", "publish a.>")
    with monkeypatch.context() as older:
        older.setattr(recording, "RENDERER", render.RENDERER - 1)
        world.apply()
    before = world.reloads()
    workshop.forget(world.system.pk)
    world.apply(fresh=True)
    assert (world.reloads(), Hold.objects.count()) == (before, 0)
