"""A change that a server won't take: the account at fault waits, the others go on."""

import pytest

from accounts_app import services
from accounts_app.models import Account, AuditEntry, Export, ExportAccess, Import, Mapping, MappingDestination, NatsUser
from provisioning import decisions, steps
from provisioning.errors import ProvisioningError


def broken(account):
    """Make an account that the server refuses and our own checks let through: weights over 100."""
    mapping = Mapping.objects.create(account=account, source="a")
    for number in range(2):
        MappingDestination.objects.create(mapping=mapping, subject=f"b{number}", weight=80)


def test_the_account_at_fault_fails_and_the_others_go_on(world):
    bad, good = world.account("BAD"), world.account("GOOD")
    world.user(bad, "before", "publish a.>")
    world.apply()
    broken(bad)
    world.user(good, "svc", "publish a.>")
    world.apply()
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.state, good.state) == ("failed", "applied")
    assert "100" in bad.problem or "weight" in bad.problem
    assert world.may("a.b") is True
    assert world.may("a.b", user="before") is True  # as it was last enforced
    assert AuditEntry.objects.filter(act="account failed", object_name="BAD").count() == 1


def test_a_refused_change_is_not_tried_again_until_its_rows_change(world):
    bad = world.account("BAD")
    broken(bad)
    world.apply()
    before = world.reloads()
    for _ in range(3):
        world.apply(fresh=True)
    assert world.reloads() == before
    assert AuditEntry.objects.filter(act="account failed").count() == 1
    MappingDestination.objects.all().update(weight=50)
    world.apply()
    bad.refresh_from_db()
    assert bad.state == "applied"


def test_try_again_tries_the_same_rows(world):
    bad = world.account("BAD")
    broken(bad)
    world.apply()
    bad.refresh_from_db()
    decisions.try_again(bad)
    world.apply()
    bad.refresh_from_db()
    assert bad.state == "failed"


def test_an_import_without_its_export_fails_at_the_importer(world):
    giver, taker = world.account("GIVER"), world.account("TAKER")
    Import.objects.create(account=taker, kind="stream", from_account=giver, subject="ev.>")
    world.apply()
    taker.refresh_from_db()
    giver.refresh_from_db()
    assert (giver.state, taker.state) == ("applied", "failed")
    assert "GIVER" in taker.problem
    Export.objects.create(account=giver, kind="stream", subject="ev.>", public=True)
    taker.save()
    world.apply()
    taker.refresh_from_db()
    assert taker.state == "applied"


def test_an_export_to_an_account_that_is_disabled_does_not_break_the_file(world):
    giver, taker = world.account("GIVER"), world.account("TAKER")
    export = Export.objects.create(account=giver, kind="stream", subject="ev.>")
    ExportAccess.objects.create(export=export, account=taker)
    world.apply()
    taker.enabled = False
    taker.save()
    world.apply()
    giver.refresh_from_db()
    assert giver.state == "applied"
    taker.enabled = True
    taker.save()
    world.apply()
    assert '"TAKER"' in world.conf.read_text()


def test_over_commit_is_caught_before_it_is_written(world):
    world.account("SMALL", jetstream=True, jetstream_max_file=400_000_000)
    big = world.account("BIG", jetstream=True, jetstream_max_file=800_000_000)
    world.apply()
    big.refresh_from_db()
    states = set(Account.objects.filter(name__in=("BIG", "SMALL")).values_list("problem_kind", flat=True))
    assert "failed" in states
    world.restart()  # an over-commit on disk would be fatal here
    assert world.digest_on_disk()


def test_a_server_that_refuses_keeps_its_former_conf_and_says_why(world):
    account = world.account()
    world.user(account, "svc", "publish a.>")
    world.apply()
    former = world.conf.read_text()
    world.write_main("max_subscriptions: 77")  # "reload not supported": not the fault of any account
    world.user(account, "second", "publish b.>")
    on_disk = []

    def look(sender, step, **_):
        if step == "snapshot":
            on_disk.append(world.conf.read_text())

    steps.reached.connect(look)
    world.apply()
    steps.reached.disconnect(look)
    assert on_disk == [former, former], "the refused conf stayed on disk until the next round"
    account.refresh_from_db()
    assert account.state == "failed"
    assert "MaxSubs" in account.problem or "not supported" in account.problem
    assert world.conf.read_text() == former
    assert world.may("a.b") is True
    assert world.may("b.c", user="second") is None


def test_a_main_file_without_the_guard_is_not_touched(world):
    world.user(world.account())
    world.apply()
    main = world.folder / "nats-server.conf"
    main.write_text(main.read_text().replace("authorization", "# authorization"))
    world.account("LATER")
    with pytest.raises(ProvisioningError, match="guard"):
        world.apply()
    world.system.refresh_from_db()
    assert "guard" in world.system.problem


def test_a_fault_does_not_keep_a_disabled_user_in(world):
    bad = world.account("BAD")
    out, stays = world.user(bad, "out", "publish a.>"), world.user(bad, "stays", "publish a.>")
    world.apply()
    broken(bad)
    world.apply()
    assert world.may("a.b", user="out") is True
    services.disable_users(NatsUser.objects.filter(pk=out.pk))
    new = services.rotate(stays).secret
    world.apply()
    bad.refresh_from_db()
    assert bad.state == "failed"
    assert world.may("a.b", user="out") is None
    assert world.may("a.b", user="stays") is None
    assert world.may("a.b", user="stays", password=new) is True
    world.user(bad, "later", "publish a.>")
    world.apply()
    assert world.may("a.b", user="later") is None
    assert world.apply(fresh=True).number == world.apply().number
    MappingDestination.objects.all().update(weight=50)
    world.apply()
    assert world.may("a.b", user="later") is True
    assert world.may("a.b", user="out") is None


def test_a_disabled_account_is_gone_whatever_is_wrong_with_it(world):
    bad = world.account("BAD")
    world.user(bad, "svc", "publish a.>")
    world.apply()
    NatsUser.objects.update(connection_types=["PIGEON"])  # what no form lets through
    world.apply()
    assert world.may("a.b") is True
    Account.objects.filter(pk=bad.pk).update(enabled=False)
    world.apply()
    assert world.may("a.b") is None


def test_an_account_recovers_when_its_neighbour_is_mended(world):
    giver, taker = world.account("GIVER"), world.account("TAKER")
    Export.objects.create(account=giver, kind="stream", subject="e.>", public=True)
    Import.objects.create(account=taker, kind="stream", from_account=giver, subject="e.>")
    world.user(giver, "svc", "publish a.>")
    world.apply()
    Export.objects.all().delete()
    world.user(giver, "new", "publish a.>")
    world.apply()
    assert "failed" in {account.state for account in Account.objects.all()}
    Import.objects.all().delete()
    world.apply()
    assert {account.state for account in Account.objects.all()} == {"applied"}
    assert world.may("a.b", user="new") is True
