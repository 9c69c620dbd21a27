"""Adding a system whose servers nunect didn't start, in the admin."""

import pytest
from django.urls import reverse

from accounts_app.models import AuditEntry, System
from tests import factories
from tests.provisioning.certificates import Authority

SECRET = "correct-horse-battery"
ADD = "/admin/accounts_app/system/add/"


@pytest.fixture
def page(client, db, settings):
    settings.NATS_CONNECT_TIMEOUT = 0.2
    factories.system()
    client.force_login(factories.admin())
    return client


def given(folder, **more):
    return {
        "name": "edge", "environment": "dev", "drift_policy": "repair", "conf_dir": str(folder),
        "nats_url": "nats://127.0.0.1:1", "public_url": "", "tls_ca": "", "tls_certificate": "", "tls_key": "",
        "login_user": "ops", "login_secret": SECRET, **more,
    }  # fmt: skip


def test_it_is_added_observed_and_the_way_is_tried(page, tmp_path):
    saved = page.post(ADD, given(tmp_path))
    row = System.objects.get(name="edge")
    assert (row.stage, row.login_secret) == ("observed", SECRET)
    assert AuditEntry.objects.get(act="system added").door == "admin"
    assert saved["Location"] == reverse("admin:provisioning_connection_of", args=[row.pk])
    shown = page.get(saved["Location"]).content.decode()
    assert "Nobody lets nunect in at 127.0.0.1:1" in shown
    form = page.get(f"/admin/accounts_app/system/{row.pk}/change/").content.decode()
    assert saved["Location"] in form and row.control_nkey in form
    assert SECRET not in shown + form


def test_the_way_is_tried_as_the_form_says_and_nothing_is_saved(page, tmp_path):
    form = page.get(ADD).content.decode()
    at = reverse("admin:provisioning_connection_try_new")
    assert f'formaction="{at}"' in form
    part = page.post(at, given(tmp_path, name=""), headers={"X-Requested-With": "fetch"})
    assert "Nobody lets nunect in at 127.0.0.1:1" in part.content.decode()
    assert "<html" not in part.content.decode() and "no-store" in part["Cache-Control"]
    whole = page.post(at, given(tmp_path)).content.decode()
    assert "nothing was saved" in whole and "The way to servers that are not added yet" in whole
    wrong = page.post(at, given(tmp_path, tls_ca="none", login_secret="")).content.decode()
    assert "no certificate in PEM" in wrong and "A user needs a password." in wrong
    assert not System.objects.filter(name="edge").exists()
    assert AuditEntry.objects.filter(act="connection tried").count() == 2
    assert SECRET not in part.content.decode() + whole + wrong + str(list(AuditEntry.objects.values()))
    assert page.get(at).status_code == 403


def test_a_change_of_the_way_is_tried_with_the_secret_that_is_kept(page, tmp_path):
    page.post(ADD, given(tmp_path))
    row = System.objects.get(name="edge")
    at = reverse("admin:provisioning_connection_try", args=[row.pk])
    change = f"/admin/accounts_app/system/{row.pk}/change/"
    assert at in page.get(change).content.decode()
    told = page.post(at, given(tmp_path, login_secret="", tls_first="on")).content.decode()
    assert "Nobody lets nunect in at 127.0.0.1:1" in told
    elsewhere = given(tmp_path, login_secret="", nats_url="nats://mine.example.org")
    for answer in (page.post(at, elsewhere), page.post(change, elsewhere)):
        assert "It was given for other servers: give it again with this URL." in answer.content.decode()
    row.refresh_from_db()
    assert (row.tls_first, row.nats_url) == (False, "nats://127.0.0.1:1")
    assert page.post(change, {**elsewhere, "login_secret": "another"}).status_code == 302
    row.refresh_from_db()
    assert row.login_secret == "another"


def test_a_secret_stays_until_another_comes_or_it_is_forgotten(page, tmp_path):
    certificate, key = Authority().sign("nunect")
    page.post(ADD, given(tmp_path, tls_certificate=certificate, tls_key=key))
    row = System.objects.get(name="edge")
    change = f"/admin/accounts_app/system/{row.pk}/change/"
    page.post(change, given(tmp_path, tls_certificate=certificate, login_secret="", environment="prod"))
    row.refresh_from_db()
    assert (row.environment, row.login_secret, row.tls_key) == ("prod", SECRET, key.strip())
    refused = page.post(change, given(tmp_path, login_user="other", login_secret=""))
    assert "A user needs a password." in refused.content.decode()
    page.post(change, given(tmp_path, login_secret="", forget_login="on"))
    row.refresh_from_db()
    assert (row.login_user, row.login_secret, row.tls_key) == ("", "", "")


def test_what_is_wrong_stands_at_its_field(page, tmp_path):
    answer = page.post(ADD, given(tmp_path, tls_ca="none", login_user="", login_secret="SUNOSEED"))
    errors = answer.context["adminform"].form.errors
    assert "no certificate in PEM" in errors["tls_ca"][0]
    assert "SUNOSEED" not in answer.content.decode()
    assert System.objects.count() == 1


def test_who_may_not_is_refused(client, db, tmp_path):
    system = factories.system()
    client.force_login(factories.staff("sam", "accounts_app.view_system"))
    assert client.get(ADD).status_code == 403
    tries = [reverse("admin:provisioning_connection_try_new")]
    tries.append(reverse("admin:provisioning_connection_try", args=[system.pk]))
    assert [client.post(at, given(tmp_path)).status_code for at in tries] == [403, 403]
    assert tries[1] not in client.get(f"/admin/accounts_app/system/{system.pk}/change/").content.decode()
    client.force_login(factories.staff("eve", "accounts_app.view_account"))
    assert client.get(reverse("admin:provisioning_connection_of", args=[system.pk])).status_code == 403
