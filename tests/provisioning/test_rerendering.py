"""An upgrade that writes the same rows in another form waits for a person, and for nobody who must go."""

import pytest
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from accounts_app.models import AuditEntry, SubjectPermission
from accounts_app.natsconf import render
from provisioning import decisions, recording, workshop
from provisioning.models import Hold, Revision, RevisionBlock

pytestmark = pytest.mark.live


@pytest.fixture
def upgraded(world, monkeypatch):
    """A system whose servers hold what an older renderer has written: no rights in common at the account."""
    acme = world.account("ACME")
    for name in ("till", "desk", "gone"):
        world.user(acme, name, "publish a.>", "subscribe a.>")
    written_by_an_older_nunect(world, monkeypatch)
    return world


def written_by_an_older_nunect(world, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(render, "compact", lambda tree: tree)
        older.setattr(recording, "RENDERER", render.RENDERER - 1)
        workshop.forget(world.system.pk)
        world.apply()
        assert "default_permissions" not in world.conf.read_text()
    workshop.forget(world.system.pk)


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
    assert Revision.objects.first().renderer == render.RENDERER
    upgraded.apply(fresh=True)
    assert upgraded.reloads() == before[0] + 1
    hold.refresh_from_db()
    assert hold.state == "applied"


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
    QuerySet(type(user)).filter(pk=user.pk).update(expires_at="2020-01-01T00:00:00Z")
    workshop.forget(upgraded.system.pk)
    upgraded.apply(fresh=True)
    assert upgraded.may("a.b", user="gone") is None


def test_rights_that_were_taken_past_every_signal_are_gone_at_the_next_sweep(upgraded):
    upgraded.apply(fresh=True)
    assert upgraded.may("a.b", user="till") is True
    QuerySet(SubjectPermission).filter(user__name="till").update(subject="b.>")
    upgraded.apply(fresh=True)
    assert upgraded.may("a.b", user="till") is False
    assert Hold.objects.get().state == "gone"


def test_words_that_no_server_reads_may_change_while_it_waits(upgraded):
    upgraded.apply(fresh=True)
    before = upgraded.reloads()
    upgraded.system.users.filter(name="till").update(description="the till at the door")
    upgraded.apply(fresh=True)
    assert upgraded.reloads() == before
    assert Hold.objects.get().state == "open"


def test_a_change_that_a_guard_holds_does_not_take_it_along(world, monkeypatch):
    acme = world.account("ACME")
    for number in range(12):
        world.user(acme, f"u{number}", "publish a.>")
    other = world.account("OTHER")
    for name in ("till", "desk"):
        world.user(other, name, "publish a.>")
    written_by_an_older_nunect(world, monkeypatch)
    before = world.reloads()
    acme.users.exclude(name="u0").delete()
    for _ in range(2):
        world.apply(fresh=True)
    assert set(Hold.objects.filter(state="open").values_list("account", flat=True)) == {"ACME", Hold.EVERY}
    assert world.reloads() == before
    decisions.approve(Hold.objects.get(account="ACME", state="open"))
    world.apply()
    assert world.may("a.b", user="u1") is None
    assert world.reloads() == before + 1


def test_where_it_is_not_kept_what_rows_said_their_counters_tell(upgraded):
    RevisionBlock.objects.update(spec=b"")
    upgraded.apply(fresh=True)
    before = upgraded.reloads()
    assert Hold.objects.get().state == "open"
    upgraded.user(upgraded.system.accounts.get(name="ACME"), "late", "publish a.>")
    upgraded.apply()
    assert upgraded.reloads() == before + 1


def test_the_same_tree_asks_for_nothing(world, monkeypatch):
    world.user(world.account("ACME"), "till", "publish a.>")
    with monkeypatch.context() as older:
        older.setattr(recording, "RENDERER", render.RENDERER - 1)
        world.apply()
    before = world.reloads()
    workshop.forget(world.system.pk)
    world.apply(fresh=True)
    assert (world.reloads(), Hold.objects.count()) == (before, 0)
