"""An account that the main file needs can't go: it stays without users, others go on, and it is said once."""

import pytest

from accounts_app.models import Account, AuditEntry
from provisioning import mainfile
from tests.ports import free_ports

pytestmark = pytest.mark.live

BOUND = {
    "listens": 'port: {port}, authorization {{ users: [ {{ user: "site", password: "far-away", account: SHOP }} ] }}',
    "dials": 'remotes: [ {{ url: "nats://127.0.0.1:{port}", account: SHOP }} ]',
}


def main_with(world, more):
    """SHOP and LAB run, and the main file has more in it than nunect knows of."""
    shop, lab = world.account("SHOP"), world.account("LAB")
    world.user(shop, "till", "publish a.>")
    world.user(lab, "bench", "publish a.>")
    world.apply()
    world.write_main(more)
    world.restart()
    return shop, lab


@pytest.mark.parametrize("how", BOUND)
@pytest.mark.parametrize("leaves", ["disabled", "deleted"])
def test_account_that_leafnodes_are_bound_to_stays_without_users(world, how, leaves):
    (port,) = free_ports(1)
    shop, lab = main_with(world, f"leafnodes {{ {BOUND[how].format(port=port)} }}")
    if leaves == "disabled":
        shop.enabled = False
        shop.save()
    else:
        shop.delete()
    world.user(lab, "late", "publish a.>")
    before = world.reloads()
    world.apply()
    assert world.reloads() == before + 1
    assert world.may("a.b", user="till") is None
    assert world.may("a.b", user="late") is True
    told = Account.objects.get(name="SHOP").problem if leaves == "disabled" else problem_of(world)
    assert told == (
        "nats-server.conf:5 binds leafnodes to account “SHOP”: take that out first. It stays, without users."
    )
    assert world.digest_on_disk()
    world.apply(fresh=True)
    assert world.reloads() == before + 1
    world.write_main()
    world.restart()
    world.apply()
    assert "SHOP" not in world.conf.read_text()
    assert problem_of(world) == ""


@pytest.mark.parametrize("leaves", ["user disabled", "user deleted", "account deleted"])
def test_user_that_the_main_file_names_stays_alone(world, leaves):
    (port,) = free_ports(1)
    shop, lab = main_with(world, f'websocket {{ listen: "127.0.0.1:{port}", no_tls: true, no_auth_user: "till" }}')
    world.user(shop, "other", "publish a.>")
    world.apply()
    if leaves == "account deleted":
        shop.delete()
    elif leaves == "user deleted":
        shop.users.all().delete()
    else:
        for user in shop.users.all():
            user.enabled = False
            user.save()
    world.user(lab, "late", "publish a.>")
    world.apply()
    assert (world.may("a.b", user="late"), world.may("a.b", user="other")) == (True, None)
    told = problem_of(world) if leaves == "account deleted" else Account.objects.get(name="SHOP").problem
    assert told == "nats-server.conf:5 names user “till” as no_auth_user: take that out first."
    world.restart()
    world.write_main()
    world.restart()
    world.apply(fresh=True)
    assert world.may("a.b", user="till") is None
    assert problem_of(world) == ""


@pytest.mark.parametrize("leaves", ["disabled", "deleted"])
def test_account_kept_by_a_server_for_a_reason_unknown_to_nunect_is_asked_about_twice(
    world, leaves, monkeypatch, caplog
):
    monkeypatch.setattr(mainfile, "needs_of", lambda parsed: ())
    shop, lab = main_with(world, f"leafnodes {{ {BOUND['dials'].format(port=free_ports(1)[0])} }}")
    if leaves == "disabled":
        shop.enabled = False
        shop.save()
    else:
        shop.delete()
    world.user(lab, "late", "publish a.>")
    world.apply()
    assert refusals(caplog) == 1
    assert (world.may("a.b", user="late"), world.may("a.b", user="till")) == (True, None)
    told = Account.objects.get(name="SHOP").problem if leaves == "disabled" else problem_of(world)
    assert told.startswith("Account “SHOP” can't go: n1: ")
    world.apply()
    assert AuditEntry.objects.filter(act__in=("account failed", "run failed")).count() == 1
    assert refusals(caplog) == 1 + (leaves == "deleted")


def problem_of(world):
    world.system.refresh_from_db()
    return world.system.problem


def refusals(caplog):
    return [record.getMessage() for record in caplog.records].count("the servers refuse a change")
