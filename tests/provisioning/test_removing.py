"""A system that nunect doesn't manage can be forgotten; its servers and files are left alone."""

import pytest
from django.core.exceptions import ValidationError

from accounts_app.models import Account, AuditEntry, Export, Import, NatsUser, Role, Stream, System
from accounts_app.systems import new_system
from provisioning import managing, tasks
from provisioning.models import Job, Revision
from provisioning.removing import remove
from tests import factories
from tests.api.conftest import Api, token_of

pytestmark = pytest.mark.live


@pytest.fixture
def shop(world):
    """What runs, with something of each kind, beside another system."""
    new_system("other", stage=System.Stage.OBSERVED, conf_dir=str(world.folder.parent / "other"))
    acme, lab = world.account("ACME", jetstream=True), world.account("LAB")
    role = factories.role(acme, "reader", "subscribe orders.>")
    world.user(acme, "svc", "publish orders.>")
    factories.user(acme, "desk", access="role", role=role)
    Account.objects.filter(pk=acme.pk).update(default_role=role)
    factories.stream(acme, "ORDERS")
    Export.objects.create(account=acme, kind="stream", subject="orders.>")
    Import.objects.create(account=lab, kind="stream", from_account=acme, subject="orders.>")
    world.apply()
    return world


@pytest.mark.parametrize("stage", ["observed", "released"])
def test_its_rows_go_and_the_server_runs_on(shop, stage):
    managing.observe(shop.system) if stage == "observed" else managing.release(shop.system, "default")
    files, reloads = {path: path.read_bytes() for path in shop.folder.glob("*.conf")}, shop.reloads()
    remove(shop.system, "default")
    assert list(System.objects.values_list("name", flat=True)) == ["other"]
    assert set(Account.objects.values_list("name", flat=True)) == {"$SYS", "$NUNECT"}
    for model in (NatsUser, Role, Stream, Import, Revision):
        assert not model.objects.exists(), model
    assert {path: path.read_bytes() for path in shop.folder.glob("*.conf")} == files
    assert (shop.reloads(), shop.may("orders.new")) == (reloads, True)
    (entry,) = AuditEntry.objects.filter(act="system removed")
    assert (entry.detail["accounts"], entry.detail["users"]) == (4, 2)
    assert NatsUser.history.filter(name="svc", history_type="-").exists()
    tasks.apply(shop.system.pk)  # what a hint of before still asks for


def test_what_is_in_the_way_is_said(shop):
    with pytest.raises(ValidationError, match="nunect manages system “default”: release it first"):
        remove(shop.system, "default")
    managing.observe(shop.system)
    with pytest.raises(ValidationError, match="Type the name of the system: default"):
        remove(shop.system, "other")
    job = Job.objects.create(system=shop.system, kind="provision", title="A team", accounts=["ACME"], door="admin")
    with pytest.raises(ValidationError, match="A job of system “default” is under way"):
        remove(shop.system, "default")
    job.delete()
    remove(System.objects.get(name="other"), "other")
    with pytest.raises(ValidationError, match="“default” is the only system"):
        remove(shop.system, "default")
    assert Account.objects.filter(name="ACME").exists()


def test_page_and_rest_ask_for_the_right_and_the_name(shop, client):
    managing.observe(shop.system)
    looks = factories.staff("vera", "accounts_app.view_system", "accounts_app.change_system")
    client.force_login(looks)
    page = f"/admin/provisioning/difference/of/{shop.system.pk}/"
    assert 'value="remove"' not in client.get(page).content.decode()
    assert client.post(page, {"act": "remove", "confirm": "default"}).status_code == 403
    path = f"systems/{shop.system.pk}/remove/"
    assert Api(token_of(looks)).post(path, {"confirm": "default"}).status_code == 403
    api = Api(token_of(factories.admin("root")))
    assert api.post(path, {"confirm": "x"}).data["errors"][0]["field"] == "confirm"
    client.force_login(factories.admin())
    assert 'value="remove"' in client.get(page).content.decode()
    assert client.post(page, {"act": "remove", "confirm": "default"}).url == "/admin/accounts_app/system/"
    assert api.post(path, {"confirm": "default"}).status_code == 404
    other = System.objects.get()
    assert api.post(f"systems/{other.pk}/remove/", {"confirm": "other"}).status_code == 422


def test_nobody_knocks_where_no_way_leads_in(world):
    """Each try would be an error in the log of somebody else's server."""
    world.user(world.account(), "svc", "publish orders.>")
    world.apply()
    managing.observe(world.system)
    strange = "accounts: { ACME: { users: [ { user: svc, password: x } ] } }\n"
    (world.folder / "nats-server.conf").write_text(f"port: {world.port}\n{strange}")
    world.restart()
    for _ in range(2):
        tasks.apply(world.system.pk)
        tasks.assets(world.system.pk)
        tasks.sweep()
    assert "authentication error" not in (world.folder / "log").read_text()
    world.system.refresh_from_db()
    assert "no login" in world.system.difference.unasked
