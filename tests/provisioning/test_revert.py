"""Back to a revision: configuration returns, credentials and disabled users do not."""

from datetime import timedelta

from django.utils import timezone

from accounts_app import services
from accounts_app.models import Account, AuditEntry, NatsUser, Role, SubjectPermission
from provisioning import decisions, tasks
from provisioning.models import Hold


def test_permissions_return_and_are_enforced(world):
    user = world.user(world.account(), "svc", "publish a.>")
    then = world.apply()
    user.permissions.all().delete()
    world.permit(user, "publish b.>")
    world.apply()
    decisions.revert_to(then)
    world.apply()
    assert world.may("a.b") is True
    assert world.may("b.c") is False
    assert AuditEntry.objects.filter(act="reverted").count() == 1


def test_a_revert_never_brings_back_a_credential(world):
    account = world.account()
    user = world.user(account, "svc", "publish a.>")
    world.user(account, "gone", "publish a.>")
    then = world.apply()
    fresh = services.rotate(user)
    NatsUser.objects.filter(name="gone").delete()
    world.apply()
    decisions.revert_to(then)
    world.apply()
    assert world.may("a.b") is None  # the old password
    assert world.may("a.b", password=fresh.secret) is True
    back = NatsUser.objects.get(name="gone")
    assert (back.credential, back.enabled) == ("none", False)
    assert world.may("a.b", user="gone") is None


def test_a_revert_never_enables_a_disabled_user(world):
    user = world.user(world.account(), "svc", "publish a.>")
    then = world.apply()
    services.disable_users(NatsUser.objects.filter(pk=user.pk))
    world.apply()
    decisions.revert_to(then)
    world.apply()
    assert world.may("a.b") is None


def test_accounts_and_roles_made_since_go_and_those_deleted_come_back(world):
    old = world.account("OLD", description="kept")
    role = Role.objects.create(system=world.system, account=old, name="reader")
    SubjectPermission.objects.create(role=role, action="subscribe", subject="r.>")
    shared = Role.objects.create(system=world.system, name="everyone")
    SubjectPermission.objects.create(role=shared, action="publish", subject="e.>")
    then = world.apply()
    old.delete()
    shared.permissions.all().delete()
    world.account("NEW")
    world.apply()
    decisions.revert_to(then)
    world.apply()
    assert set(Account.objects.values_list("name", flat=True)) == {"$SYS", "$NUNECT", "OLD"}
    assert Account.objects.get(name="OLD").description == "kept"
    assert Role.objects.get(name="reader").permissions.get().subject == "r.>"
    assert Role.objects.get(name="everyone").permissions.get().subject == "e.>"
    assert not Hold.objects.filter(state="open").exists()


def test_beat_takes_expired_users_and_ended_overlaps_away(world):
    account = world.account()
    short = world.user(account, "short", "publish a.>", expires_at=timezone.now() + timedelta(hours=1))
    svc = world.user(account, "svc", "publish a.>")
    services.rotate_with_overlap(svc, timezone.now() + timedelta(hours=1))
    world.apply()
    assert world.may("a.b", user="short") is True
    assert world.may("a.b") is True  # the old password, beside the new nkey
    services.expire_due(timezone.now())
    moment = timezone.now() + timedelta(hours=2)
    NatsUser._base_manager.filter(pk=short.pk).update(expires_at=timezone.now())
    NatsUser._base_manager.filter(pk=svc.pk).update(retiring_until=timezone.now())
    assert services.expire_due(moment) == 1
    world.apply()
    assert world.may("a.b", user="short") is None
    assert world.may("a.b") is None
    svc.refresh_from_db()
    assert svc.retiring_password_hash == ""
    wanted, done = world.state()
    assert wanted == done
    tasks.expire()
    assert world.state() == (wanted, done)


def test_rows_that_no_server_holds_survive_a_revert(world):
    account = world.account()
    world.user(account, "svc", "publish a.>")
    world.apply()
    Role.objects.create(system=world.system, account=account, name="for later")
    account.description = "told after its conf"
    account.save()
    world.account("OFF", enabled=False)
    then = world.apply()
    world.user(account, "new", "publish b.>")
    Account.objects.filter(name="OFF").update(description="still off")
    world.apply()
    decisions.revert_to(then)
    assert not NatsUser.objects.filter(name="new").exists()
    assert Role.objects.filter(name="for later").exists()
    assert Account.objects.get(name="ACME").description == "told after its conf"
    assert Account.objects.filter(name="OFF", enabled=False).exists()
