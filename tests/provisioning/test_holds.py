"""What waits for a person, and what a person then decides."""

import asyncio
import contextlib

import nats
import pytest
from django.core.exceptions import ValidationError

from accounts_app import services
from accounts_app.models import AuditEntry, NatsUser
from accounts_app.reconcile import reconcile
from provisioning import decisions, steps
from provisioning.models import Hold, Revision
from tests.provisioning.world import PASSWORD


def test_many_users_gone_wait_and_the_rest_goes_on(world):
    big, small = world.account("BIG"), world.account("SMALL")
    world.many_users(big, 30)
    world.apply()
    NatsUser.objects.filter(account=big, name__startswith="u1").delete()  # 11 of 30
    world.user(small, "svc", "publish a.>")
    world.apply()
    big.refresh_from_db()
    hold = Hold.objects.get(state="open")
    assert (big.state, hold.account) == ("held", "BIG")
    assert "11 of its users" in hold.reason
    assert world.may("a.b") is True
    assert world.conf.read_text().count("nkey:") >= 30


def test_ten_users_gone_do_not_wait(world):
    big = world.account("BIG")
    world.many_users(big, 30)
    world.apply()
    NatsUser.objects.filter(account=big, name__in=[f"u{n}" for n in range(10)]).update(enabled=False)
    world.apply()
    assert not Hold.objects.exists()


def test_a_yes_counts_for_what_was_shown_only(world):
    big = world.account("BIG")
    world.many_users(big, 30)
    world.apply()
    NatsUser.objects.filter(name__startswith="u1").delete()
    world.apply()
    shown = Hold.objects.get(state="open")
    NatsUser.objects.filter(name__startswith="u2").delete()  # more goes before the answer
    decisions.approve(shown)
    world.apply()
    big.refresh_from_db()
    assert big.state == "held"
    decisions.approve(Hold.objects.get(state="open"))
    world.apply()
    big.refresh_from_db()
    assert big.state == "applied"
    assert AuditEntry.objects.filter(act="held change approved").count() == 2
    with pytest.raises(ValidationError):
        decisions.approve(shown)


def test_a_run_ends_no_hold_that_is_newer_than_its_rows(world):
    world.account("BIG")
    world.apply()
    made = []

    def meanwhile(sender, step, **seen):
        if step == "snapshot" and not made:  # another run, with newer rows, has held something
            made.append(Hold.objects.create(system=world.system, account="BIG", reason="users would go"))

    steps.reached.connect(meanwhile)
    try:
        world.apply()
        assert Hold.objects.get().state == "open"
        world.apply()
        assert Hold.objects.get().state == "gone"
    finally:
        steps.reached.disconnect(meanwhile)


def test_a_yes_counts_once(world):
    big = world.account("BIG")
    world.many_users(big, 30)
    world.apply()
    first = decisions.contents_of(Revision.objects.latest("number"))[0]
    for held in (1, 2):
        NatsUser.objects.filter(name__startswith="u1").delete()
        world.apply()
        big.refresh_from_db()
        assert big.state == "held", held
        decisions.approve(Hold.objects.get(state="open"))
        world.apply()
        big.refresh_from_db()
        assert big.state == "applied"
        reconcile(world.system, first)  # they come back, and the same change is made once more
        world.apply()
    assert Hold.objects.filter(state="applied").count() == 2


def test_a_no_puts_the_rows_back_with_their_credentials(world):
    big = world.account("BIG")
    world.many_users(big, 30)
    svc = world.user(big, "svc", "publish a.>")
    world.apply()
    before = world.conf.read_text()
    NatsUser.objects.filter(account=big).delete()
    world.apply()
    assert world.may("a.b") is True
    decisions.refuse(Hold.objects.get(state="open"))
    world.apply()
    big.refresh_from_db()
    assert big.state == "applied"
    assert NatsUser.objects.filter(account=big).count() == 31
    assert NatsUser.objects.get(name="svc").password_hash == svc.password_hash
    assert world.conf.read_text() == before


def test_a_hold_that_is_no_longer_asked_for_goes_away(world):
    big = world.account("BIG")
    world.many_users(big, 30)
    world.apply()
    NatsUser.objects.filter(account=big).update(enabled=False)
    world.apply()
    assert Hold.objects.filter(state="open").exists()
    NatsUser.objects.filter(account=big).update(enabled=True)
    world.apply()
    assert not Hold.objects.filter(state="open").exists()
    big.refresh_from_db()
    assert big.state == "applied"


def test_expired_users_never_wait(world):
    from datetime import timedelta

    from django.utils import timezone

    big = world.account("BIG")
    world.many_users(big, 30)
    world.apply()
    NatsUser.objects.filter(account=big).update(expires_at=timezone.now() - timedelta(seconds=1))
    world.apply()
    assert not Hold.objects.exists()
    assert world.conf.read_text().count("nkey:") == 3  # nunect's own


def test_a_changed_identity_waits(world):
    from accounts_app.credentials import new_nkey

    world.apply()
    world.system.control_nkey, world.system.control_seed = new_nkey()
    former = world.conf.read_text()
    world.system.save()
    with contextlib.suppress(Exception):
        world.apply()
    assert Hold.objects.get(state="open").account == "$SYS"
    assert world.conf.read_text() == former


def with_stream(world, action):
    async def work():
        client = await nats.connect(f"nats://127.0.0.1:{world.port}", user="svc", password=PASSWORD)
        try:
            return await action(client.jetstream(timeout=20))
        finally:
            await client.close()

    return asyncio.run(work())


async def add_and_store(stream):
    with contextlib.suppress(Exception):
        await stream.add_stream(name="S", subjects=["s.>"])
    return (await stream.publish("s.x", b"kept")).seq


def test_an_account_with_streams_waits_goes_in_two_steps_and_stores_again(world):
    account = world.account("JS", jetstream=True)
    world.user(account, "svc", access="all")
    world.account("OTHER")
    world.apply()
    assert with_stream(world, add_and_store) == 1
    account.enabled = False
    account.save()
    world.apply()
    hold = Hold.objects.get(state="open")
    assert "1 stream" in hold.reason
    assert with_stream(world, add_and_store) == 2  # still there while it waits
    before = world.reloads()
    decisions.approve(hold)
    world.apply()
    assert world.reloads() == before + 2
    assert world.may("a.b") is None
    account.refresh_from_db()
    assert account.state == "applied"
    account.enabled = True
    account.save()
    world.apply()
    assert with_stream(world, add_and_store) == 3


def test_a_certificate_user_waits_for_a_main_file_that_maps_certificates(world):
    account = world.account()
    world.user(account, "carol", credential="certificate", certificate="CN=carol", password_hash="")
    world.apply()
    account.refresh_from_db()
    assert account.state == "failed"
    assert "verify_and_map" in account.problem
    assert world.may("a", user="CN=carol", password="") is None


def test_a_rotation_elsewhere_does_not_wait_behind_a_held_change(world):
    big, other = world.account("BIG"), world.account("OTHER")
    world.many_users(big, 30)
    rotated = world.many_users(other, 1, prefix="o")[0]
    world.apply()
    NatsUser.objects.filter(account=big, name__startswith="u1").delete()
    world.apply()
    services.rotate(rotated)
    world.apply()
    other.refresh_from_db()
    big.refresh_from_db()
    assert (other.state, big.state) == ("applied", "held")
    world.apply(fresh=True)
    assert Hold.objects.filter(state="open").count() == 1
