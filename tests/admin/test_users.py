"""Users in the admin: every credential, and a secret that is told once and kept nowhere."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core import serializers
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts_app import credentials
from accounts_app.models import Account, NatsUser, Role
from tests import factories

ADD = "/admin/accounts_app/natsuser/add/"
INLINE = {"permissions-TOTAL_FORMS": 0, "permissions-INITIAL_FORMS": 0}
SEED = re.compile(r"SU[A-Z2-7]{56}")


@pytest.fixture
def of(db):
    return factories.account()


def form(of, **more):
    base = {"account": of.pk, "name": "svc", "enabled": "on", "way": "nkey", "access": "own", "responses_max": 0}
    return {**base, **INLINE, **more}


def permission(number, **more):
    base = {"effect": "allow", "action": "publish", "subject": "orders.>", "queue": ""}
    return {f"permissions-{number}-{name}": value for name, value in {**base, **more}.items()}


def change(user, **more):
    base = {"name": user.name, "enabled": "on", "way": "keep", "access": user.access, "responses_max": 0}
    return f"/admin/accounts_app/natsuser/{user.pk}/change/", {**base, **INLINE, **more}


def everything_kept(client, caplog):
    """All that outlives the request: every table, the session, cookies and the log."""
    kept = [caplog.text, str(client.cookies), *(str(session.get_decoded()) for session in Session.objects.all())]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            kept.append(str(cursor.fetchall()))
    return "\n".join(kept)


def errors(answer):
    assert answer.status_code == 200, answer.status_code
    shown = answer.context["adminform"].form.errors
    for inline in answer.context["inline_admin_formsets"]:
        for one in inline.formset.errors:
            shown = {**shown, **one}
    return {name: " ".join(said) for name, said in shown.items()}


def test_generated_nkey_is_shown_once_and_kept_nowhere(page, of, caplog):
    caplog.set_level("DEBUG")
    answer = page.post(ADD, form(of))
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    seed = SEED.search(answer.content.decode())[0]
    user = NatsUser.objects.get(name="svc")
    assert user.nkey.startswith("U")
    page.get("/admin/")
    assert seed not in everything_kept(page, caplog)
    assert seed not in serializers.serialize("json", LogEntry.objects.all())
    for view in ("change", "history"):
        assert seed not in page.get(reverse(f"admin:accounts_app_natsuser_{view}", args=[user.pk])).content.decode()
    connect = page.get(f"/admin/accounts_app/natsuser/{user.pk}/connect/").content.decode()
    assert seed not in connect
    assert "nats://" in connect


def test_generated_password_is_shown_once_and_kept_as_a_hash(page, of, caplog):
    caplog.set_level("DEBUG")
    answer = page.post(ADD, form(of, way="password"))
    secret = answer.context["secret"]
    assert secret in answer.content.decode()
    assert secret not in everything_kept(page, caplog)
    assert NatsUser.objects.get().password_hash.startswith("$2a$04$")


def test_chosen_password_is_never_shown(page, of, caplog):
    caplog.set_level("DEBUG")
    answer = page.post(ADD, form(of, way="password_own", own_password="a-long-enough-password"))
    assert answer.status_code == 302
    assert "a-long-enough-password" not in everything_kept(page, caplog)
    assert NatsUser.objects.get().password_hash.startswith("$2a$11$")
    again = page.post(ADD, form(of, way="password_own", own_password="another-long-password", name=""))
    assert "another-long-password" not in again.content.decode()


def test_pasted_nkey_and_certificate(page, of):
    public, seed = credentials.new_nkey()
    assert page.post(ADD, form(of, way="nkey_own", own_nkey=f" {public} ")).status_code == 302
    assert NatsUser.objects.get().nkey == public
    refused = page.post(ADD, form(of, name="two", way="nkey_own", own_nkey=seed))
    assert "seed" in errors(refused)["own_nkey"]
    assert "already" in errors(page.post(ADD, form(of, name="two", way="nkey_own", own_nkey=public)))["own_nkey"]
    assert page.post(ADD, form(of, name="cn", way="certificate", own_certificate="CN=carol,OU=ops")).status_code == 302


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "nul\x00"}, "name"),
        ({"name": "x" * 500}, "name"),
        ({"description": "nul\x00"}, "description"),
        ({"account": "9" * 40}, "account"),
        ({"account": "x"}, "account"),
        ({"owner": "x"}, "owner"),
        ({"way": "magic"}, "way"),
        ({"way": "nkey_own"}, "own_nkey"),
        ({"way": "nkey_own", "own_nkey": "UABC"}, "own_nkey"),
        ({"way": "password_own"}, "own_password"),
        ({"way": "password_own", "own_password": "x" * 90}, "own_password"),
        ({"way": "certificate"}, "own_certificate"),
        ({"access": "role"}, "role"),
        ({"access": "role", "role": "9" * 40}, "role"),
        ({"access": "everything"}, "access"),
        ({"responses_max": "9" * 40}, "responses_max"),
        ({"responses_max": "many"}, "responses_max"),
        ({"responses_expires": "soon"}, "responses_expires"),
        ({"connection_types": '{"bad": 1}'}, "connection_types"),
        ({"connection_types": "CARRIER_PIGEON"}, "connection_types"),
        ({"expires_at_0": "tomorrow", "expires_at_1": ""}, "expires_at"),
        ({"permissions-TOTAL_FORMS": 1, **permission(0, subject="a..b")}, "subject"),
        ({"permissions-TOTAL_FORMS": 1, **permission(0, subject="a\x00b")}, "subject"),
        ({"permissions-TOTAL_FORMS": 1, **permission(0, subject="{{name()}}.>")}, "subject"),
        ({"permissions-TOTAL_FORMS": 1, **permission(0, queue="q")}, "queue"),
        ({"permissions-TOTAL_FORMS": 2, **permission(0), **permission(1)}, "subject"),
    ],
)
def test_bad_input_is_answered_at_its_field(page, of, more, field):
    answer = page.post(ADD, form(of, **more))
    said = errors(answer)
    assert field in said, said
    assert len(said[field]) < 300
    assert not SEED.search(answer.content.decode())
    assert not NatsUser.objects.exists()


def test_half_characters_never_break(page, of):
    body = b"name=%ED%A0%80&description=%FF&way=nkey"
    answer = page.generic("POST", ADD, body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200


def test_name_is_taken_once_in_a_system(page, of):
    factories.user(factories.account("BILLING"), "svc")
    assert "already" in errors(page.post(ADD, form(of)))["name"]


def test_role_of_another_account_is_refused(page, of):
    other = factories.role(factories.account("BILLING"))
    assert "role" in errors(page.post(ADD, form(of, access="role", role=other.pk)))


def test_change_keeps_the_credential_and_saves_permissions(page, of):
    user = factories.user(of, "svc", "publish orders.>")
    row = user.permissions.get()
    address, data = change(user, description="new words")
    data |= {"permissions-TOTAL_FORMS": 2, "permissions-INITIAL_FORMS": 1}
    data |= permission(0) | {"permissions-0-id": row.pk, "permissions-0-user": user.pk, "permissions-0-DELETE": "on"}
    data |= permission(1, effect="deny", subject="orders.secret") | {"permissions-1-user": user.pk}
    assert page.post(address, data).status_code == 302
    after = NatsUser.objects.get()
    assert (after.description, after.nkey) == ("new words", user.nkey)
    assert [str(one) for one in after.permissions.all()] == ["deny publish orders.secret"]


def test_change_of_the_credential_shows_the_new_secret(page, of):
    user = factories.user(of)
    address, data = change(user, way="nkey")
    assert SEED.search(page.post(address, data).content.decode())
    assert NatsUser.objects.get().nkey != user.nkey


def test_account_of_a_user_stays(page, of):
    user = factories.user(of)
    address, data = change(user, account=factories.account("BILLING").pk)
    assert page.post(address, data).status_code == 302
    assert NatsUser.objects.get().account == of


def test_rotate_replaces_at_once_and_a_stale_page_does_nothing(page, of):
    user = factories.user(of)
    address = f"/admin/accounts_app/natsuser/{user.pk}/rotate/"
    stamp = page.get(address).context["stamp"]
    assert SEED.search(page.post(address, {"stamp": stamp}).content.decode())
    first = NatsUser.objects.get().nkey
    assert first != user.nkey
    again = page.post(address, {"stamp": stamp})
    assert not SEED.search(again.content.decode())
    assert "meanwhile" in again.content.decode()
    assert NatsUser.objects.get().nkey == first


def test_rotate_with_overlap_asks_for_the_deadline(page, of):
    user = factories.user(of)
    address = f"/admin/accounts_app/natsuser/{user.pk}/rotate-with-overlap/"
    stamp = page.get(address).context["stamp"]
    past, later = timezone.now() - timedelta(hours=1), timezone.now() + timedelta(hours=3)
    for wrong in ({}, {"until_0": "x", "until_1": "y"}, {"until_0": f"{past:%Y-%m-%d}", "until_1": f"{past:%H:%M}"}):
        answer = page.post(address, {"stamp": stamp, **wrong})
        assert answer.context["form"].errors["until"]
    answer = page.post(address, {"stamp": stamp, "until_0": f"{later:%Y-%m-%d}", "until_1": f"{later:%H:%M}"})
    assert SEED.search(answer.content.decode())
    after = NatsUser.objects.get()
    assert after.retiring_nkey == user.nkey
    assert after.retiring_until > timezone.now()


def test_certificate_cannot_be_rotated(page, of):
    user = factories.user(of, credential="certificate", certificate="CN=carol")
    address = f"/admin/accounts_app/natsuser/{user.pk}/rotate/"
    answer = page.post(address, {"stamp": page.get(address).context["stamp"]})
    assert answer.status_code == 200
    assert answer.context["error"]


def test_bulk_disable_and_enable(page, of):
    users = [factories.user(of, f"svc{number}") for number in range(3)]
    address = "/admin/accounts_app/natsuser/"
    chosen = {"_selected_action": [user.pk for user in users[:2]]}
    page.post(address, {"action": "disable", **chosen})
    assert list(NatsUser.objects.values_list("enabled", flat=True)) == [False, False, True]
    page.post(address, {"action": "enable", **chosen})
    assert NatsUser.objects.filter(enabled=True).count() == 3
    factories.user(of, "bare", credential="none", enabled=False)
    bare = NatsUser.objects.get(name="bare")
    answer = page.post(address, {"action": "enable", "_selected_action": [bare.pk]}, follow=True)
    assert answer.status_code == 200
    assert "needs a credential" in answer.content.decode()


def test_only_who_may_change_can_rotate_or_disable(client, of):
    user = factories.user(of)
    client.force_login(factories.staff("vera", "accounts_app.view_natsuser"))
    for part in ("rotate", "rotate-with-overlap"):
        assert client.get(f"/admin/accounts_app/natsuser/{user.pk}/{part}/").status_code == 403
        assert client.post(f"/admin/accounts_app/natsuser/{user.pk}/{part}/").status_code == 403
    assert client.get(f"/admin/accounts_app/natsuser/{user.pk}/connect/").status_code == 200
    client.post("/admin/accounts_app/natsuser/", {"action": "disable", "_selected_action": [user.pk]})
    user.refresh_from_db()
    assert user.enabled


def test_stale_and_strange_objects_are_not_found(page, of):
    for wrong in ("0", "x", "9" * 30):
        for part in ("rotate", "rotate-with-overlap", "connect"):
            assert page.get(f"/admin/accounts_app/natsuser/{wrong}/{part}/").status_code in (302, 404)
    user = factories.user(of)
    address, data = change(user)
    user.delete()
    assert page.post(address, data).status_code in (302, 404)
    assert Account.objects.filter(pk=of.pk).exists()
    assert not Role.objects.exists()


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"way": "password_own", "own_password": "short"}, "own_password"),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}, "expires_at"),
        ({"name": "n" * 300}, "name"),
        ({"account": ""}, "account"),
    ],
)
def test_each_error_is_said_once_and_nothing_of_what_is_right(page, of, more, field):
    assert list(errors(page.post(ADD, form(of, **more)))) == [field]
    assert not NatsUser.objects.exists()


def test_nunects_own_nkeys_are_nobody_elses(page, of):
    key = of.system.control_nkey
    assert "nunect's own" in errors(page.post(ADD, form(of, way="nkey_own", own_nkey=key)))["own_nkey"]
    assert "nunect's own" in errors(page.post(ADD, form(of, name=of.system.guard_nkey)))["name"]


def test_own_rows_that_do_not_count_say_so(page, of):
    user = factories.user(of, "svc", "publish a.>", access="all")
    shown = page.get(reverse("admin:accounts_app_natsuser_change", args=[user.pk])).content.decode()
    assert "now it is “everything in its account”" in shown
