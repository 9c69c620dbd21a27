"""The page of what a system runs, its buttons, and rows of a system that nunect doesn't manage."""

import pytest

from accounts_app.models import Account, System
from provisioning.files import MAIN
from tests import factories
from tests.api.test_stage_rest import CONF


@pytest.fixture
def system(ada, tmp_path, settings):
    settings.NATS_CONNECT_TIMEOUT = 0.2
    made = factories.system()
    made.conf_dir, made.nats_url = str(tmp_path), "nats://127.0.0.1:1"
    made.save()
    (tmp_path / MAIN).write_text(CONF)
    return made


def test_the_page_says_what_nunect_would_change_and_turns_the_stage(page, system):
    address = f"/admin/provisioning/difference/of/{system.pk}/"
    assert address in page.get(f"/admin/accounts_app/system/{system.pk}/change/").content.decode()
    shown = page.get(address).content.decode()
    assert "nunect would change 1 thing." in shown
    assert "account <code>SHOP</code> is removed with 1 user" in shown
    assert 'value="observe"' in shown and 'value="manage"' not in shown
    assert page.post(address, {"act": "observe"}, follow=True).status_code == 200
    assert System.objects.get().stage == "observed"
    refused = page.post(address, {"act": "manage", "confirm": "defualt"}).content.decode()
    assert "Type the name of the system: default." in refused
    page.post(address, {"act": "manage", "confirm": "default"})
    assert System.objects.get().stage == "managed"


def test_a_row_says_that_nothing_is_written(page, system):
    account = factories.account("ACME")
    page.post(f"/admin/provisioning/difference/of/{system.pk}/", {"act": "observe"})
    shown = page.get(f"/admin/accounts_app/account/{account.pk}/change/").content.decode()
    assert "nunect only observes system “default”: nothing is written." in shown
    for name, there in (("", True), ("observed", True), ("pending", False), ("released", False)):
        listed = page.get("/admin/accounts_app/account/", {"state": name}).content.decode()
        assert (f'data-nu-key="account-{account.pk}" data-nu-state="observed"' in listed) is there, name
    turned = page.get("/admin/accounts_app/account/states/", {"keys": f"account-{account.pk}"}).json()
    assert turned["states"][f"account-{account.pk}"]["word"] == "observed"


@pytest.mark.django_db(transaction=True)  # a change counts by what its transaction has counted already
def test_rows_of_a_released_system_stay_as_they_are(page, system):
    account = factories.account("ACME")
    user, role = factories.user(account, "svc"), factories.role(account)
    page.post(f"/admin/provisioning/difference/of/{system.pk}/", {"act": "release-keep", "confirm": "default"})
    shown = page.get(f"/admin/provisioning/difference/of/{system.pk}/").content.decode()
    assert "nunect has let go of this system" in shown
    why = "nunect has released system “default”: nothing is written."
    for path, data in (
        (f"role/{role.pk}/delete/", {"post": "yes"}),
        (f"account/{account.pk}/delete/", {"post": "yes", "name": "ACME"}),
        ("natsuser/", {"action": "disable", "_selected_action": [user.pk]}),
    ):
        answer = page.post(f"/admin/accounts_app/{path}", data, follow=True)
        assert why in answer.content.decode(), path
    user.refresh_from_db()
    assert user.enabled and Account.objects.filter(name="ACME").exists()


def test_the_page_is_for_who_may_see_systems(client, system):
    address = f"/admin/provisioning/difference/of/{system.pk}/"
    client.force_login(factories.staff("eve", "accounts_app.view_account"))
    assert client.get(address).status_code == 403
    client.force_login(factories.staff("sam", "accounts_app.view_system"))
    shown = client.get(address)
    assert shown.status_code == 200 and 'value="observe"' not in shown.content.decode()
    assert client.post(address, {"act": "observe"}).status_code == 403
    assert System.objects.get().stage == "managed"
