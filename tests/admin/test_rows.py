"""Accounts, roles, sharing and mappings in the admin: what is refused says so at its field."""

import pytest
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from accounts_app.models import Account, AuditEntry, Export, ExportAccess, Import, Mapping, NatsUser, Role
from tests import factories


@pytest.fixture
def of(db):
    return factories.account()


def formset(prefix, *rows):
    data = {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": 0}
    for number, row in enumerate(rows):
        data |= {f"{prefix}-{number}-{name}": value for name, value in row.items()}
    return data


def errors(answer):
    assert answer.status_code == 200, answer.status_code
    shown = dict(answer.context["adminform"].form.errors)
    for inline in answer.context["inline_admin_formsets"]:
        for one in inline.formset.errors:
            shown |= one
    return shown


def account_form(**more):
    return {"system": factories.system().pk, "name": "BILLING", "enabled": "on", **more}


# --- accounts ---------------------------------------------------------------


def test_account_is_made(page, of):
    assert page.post("/admin/accounts_app/account/add/", account_form(max_payload="1024")).status_code == 302
    made = Account.objects.get(name="BILLING")
    assert made.max_payload == 1024
    assert made.history.get().door == "admin"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "ORDERS"}, "name"),
        ({"name": "a.b"}, "name"),
        ({"name": "nul\x00"}, "name"),
        ({"name": "x" * 100}, "name"),
        ({"system": "x"}, "system"),
        ({"system": "9" * 40}, "system"),
        ({"max_payload": "-2"}, "max_payload"),
        ({"max_payload": "9" * 40}, "max_payload"),
        ({"jetstream": "on", "jetstream_max_file": "much"}, "jetstream_max_file"),
        ({"default_role": "77"}, "default_role"),
    ],
)
def test_bad_account_is_refused_at_its_field(page, of, more, field):
    assert field in errors(page.post("/admin/accounts_app/account/add/", account_form(**more)))


def test_name_stays_once_a_server_has_enforced_it(page, of):
    QuerySet(Account).filter(pk=of.pk).update(done=1)
    page.post(f"/admin/accounts_app/account/{of.pk}/change/", account_form(name="OTHER", description="new"))
    of.refresh_from_db()
    assert (of.name, of.description) == ("ORDERS", "new")


def test_the_servers_own_account_can_be_neither_deleted_nor_disabled(page, of):
    own = Account.objects.get(name="$SYS")
    assert page.post(f"/admin/accounts_app/account/{own.pk}/delete/", {"name": "$SYS"}).status_code == 403
    page.post(f"/admin/accounts_app/account/{own.pk}/change/", {"description": "x"})
    own.refresh_from_db()
    assert own.enabled
    assert own.name == "$SYS"
    page.post("/admin/accounts_app/account/", {"action": "delete_selected", "_selected_action": [own.pk, of.pk]})
    assert set(Account.objects.values_list("name", flat=True)) == {"$SYS", "$NUNECT", "ORDERS"}


def test_deleting_an_account_asks_for_its_name(page, of):
    made = factories.role(of, "worker", "publish a.>")
    factories.user(of, "svc", access="role", role=made)
    Account.objects.filter(pk=of.pk).update(default_role=made)
    address = f"/admin/accounts_app/account/{of.pk}/delete/"
    assert "1 users" in page.get(address).content.decode()
    assert "not the account" in page.post(address, {"name": "ORDER"}).content.decode()
    assert page.post(address, {"name": "ORDERS"}).status_code == 302
    assert not Account.objects.filter(name="ORDERS").exists()
    assert not NatsUser.objects.exists()


def test_an_imported_account_stays(page, of):
    Export.objects.create(account=of, kind="stream", subject="a.>", public=True)
    other = factories.account("BILLING")
    Import.objects.create(account=other, from_account=of, kind="stream", subject="a.>")
    answer = page.post(f"/admin/accounts_app/account/{of.pk}/delete/", {"name": "ORDERS"})
    assert "BILLING" in answer.content.decode()
    assert Account.objects.filter(pk=of.pk).exists()


def test_raw_conf_masks_password_hashes(page, client, of):
    hashed = "$2a$04$" + "a" * 53
    factories.user(of, "svc", "publish a.>", credential="password", password_hash=hashed)
    address = f"/admin/accounts_app/account/{of.pk}/conf/"
    text = page.get(address).content.decode()
    assert "publish" in text
    assert hashed not in text
    assert hashed not in page.get(address, {"download": 1}).content.decode()
    assert hashed in page.get(address, {"secrets": 1}).content.decode()
    assert AuditEntry.objects.filter(act="password hashes shown").count() == 1
    client.force_login(factories.staff("vera", "accounts_app.view_account"))
    assert hashed not in client.get(address, {"secrets": 1, "download": 1}).content.decode()


def test_the_reason_stands_where_one_saves(page, of):
    QuerySet(Account).filter(pk=of.pk).update(
        wanted=5, done=4, problem_kind="failed", problem="nats-server: <bad> limit", problem_wanted=5
    )
    user = factories.user(of)
    QuerySet(Account).filter(pk=of.pk).update(wanted=5)
    for address in (f"account/{of.pk}", f"natsuser/{user.pk}"):
        text = page.get(f"/admin/accounts_app/{address}/change/").content.decode()
        assert "nats-server: &lt;bad&gt; limit" in text
        assert f"/try-again/account/{of.pk}/" in text
        assert 'data-nu-state="failed"' in text


# --- roles ------------------------------------------------------------------


def role_form(of, *rules, **more):
    return {
        "account": of.pk if of else "",
        "name": "worker",
        "responses_max": 0,
        **formset("permissions", *rules),
    } | more


RULE = {"effect": "allow", "action": "subscribe", "subject": "jobs.{{name()}}.>", "queue": "workers"}


def test_role_with_permissions_is_made(page, of):
    assert page.post("/admin/accounts_app/role/add/", role_form(of, RULE, connection_types="MQTT")).status_code == 302
    made = Role.objects.get()
    assert (made.system, made.connection_types) == (of.system, ["MQTT"])
    assert made.permissions.get().queue == "workers"


@pytest.mark.parametrize(
    ("rules", "more", "field"),
    [
        ((), {"name": "taken"}, "name"),
        ((), {"account": "x"}, "account"),
        ((), {"responses_expires": "a while"}, "responses_expires"),
        ((), {"responses_max": "9" * 30}, "responses_max"),
        ((), {"connection_types": ["[]", "{}"]}, "connection_types"),
        (({**RULE, "action": "publish"},), {}, "queue"),
        (({**RULE, "subject": "{{nobody()}}"},), {}, "subject"),
        (({**RULE, "subject": "a b"},), {}, "subject"),
        (({**RULE, "effect": "maybe"},), {}, "effect"),
        ((RULE, RULE), {}, "subject"),
    ],
)
def test_bad_role_is_refused_at_its_field(page, of, rules, more, field):
    factories.role(of, "taken")
    assert field in errors(page.post("/admin/accounts_app/role/add/", role_form(of, *rules, **more)))


def test_shared_role_needs_a_system_and_its_name_once(page, of):
    system = of.system_id
    assert page.post("/admin/accounts_app/role/add/", role_form(None, RULE, system=system)).status_code == 302
    assert "name" in errors(page.post("/admin/accounts_app/role/add/", role_form(None, system=system)))
    assert "system" in errors(page.post("/admin/accounts_app/role/add/", role_form(None, name="two")))


def test_role_in_use_is_not_deleted(page, of):
    made = factories.role(of)
    factories.user(of, "svc", access="role", role=made)
    assert page.post(f"/admin/accounts_app/role/{made.pk}/delete/", {"post": "yes"}).status_code == 200
    chosen = {"action": "delete_selected", "_selected_action": [made.pk], "post": "yes"}
    assert page.post("/admin/accounts_app/role/", chosen).status_code in (200, 302)
    assert Role.objects.filter(pk=made.pk).exists()


def test_one_permission_on_its_own_page(page, of):
    made = factories.role(of)
    rule = {**RULE, "role": made.pk, "user": ""}
    assert page.post("/admin/accounts_app/subjectpermission/add/", rule).status_code == 302
    assert "subject" in errors(page.post("/admin/accounts_app/subjectpermission/add/", rule))
    assert errors(page.post("/admin/accounts_app/subjectpermission/add/", {**RULE, "role": "", "user": ""}))


# --- sharing and mappings ---------------------------------------------------


def export_form(of, *listed, **more):
    base = {"account": of.pk, "kind": "stream", "subject": "orders.>", **formset("accesses", *listed)}
    return {**base, **more}


def test_export_with_listed_accounts(page, of):
    other = factories.account("BILLING")
    assert page.post("/admin/accounts_app/export/add/", export_form(of, {"account": other.pk})).status_code == 302
    assert Export.objects.get().accesses.get().account == other


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"subject": "a..b"}, "subject"),
        ({"kind": "parcel"}, "kind"),
        ({"account_token_position": "9"}, "account_token_position"),
        ({"account_token_position": "9" * 30}, "account_token_position"),
        ({"response_type": "single"}, "response_type"),
        ({"kind": "service", "latency_sampling": "200"}, "latency_subject"),
        ({"account": "x"}, "account"),
    ],
)
def test_bad_export_is_refused_at_its_field(page, of, more, field):
    assert field in errors(page.post("/admin/accounts_app/export/add/", export_form(of, **more)))


def test_account_is_listed_once(page, of):
    other = factories.account("BILLING")
    twice = export_form(of, {"account": other.pk}, {"account": other.pk})
    assert "account" in errors(page.post("/admin/accounts_app/export/add/", twice))


def test_import_of_what_is_not_exported_is_refused(page, of):
    other = factories.account("BILLING")
    data = {"account": other.pk, "from_account": of.pk, "kind": "stream", "subject": "orders.>"}
    assert "subject" in errors(page.post("/admin/accounts_app/import/add/", data))
    Export.objects.create(account=of, kind="stream", subject="orders.>", public=True)
    assert page.post("/admin/accounts_app/import/add/", data).status_code == 302
    assert "subject" in errors(page.post("/admin/accounts_app/import/add/", data))
    assert errors(page.post("/admin/accounts_app/import/add/", {**data, "to": "a", "prefix": "b"}))


def mapping_form(of, *parts, **more):
    return {"account": of.pk, "source": "orders.*", **formset("destinations", *parts), **more}


def test_mapping_with_destinations(page, of):
    parts = ({"subject": "a.$1", "weight": 60, "cluster": ""}, {"subject": "b.$1", "weight": 40, "cluster": ""})
    assert page.post("/admin/accounts_app/mapping/add/", mapping_form(of, *parts)).status_code == 302
    assert Mapping.objects.get().destinations.count() == 2


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        (({"subject": "a.$2", "weight": 100},), "subject"),
        (({"subject": "a b", "weight": 100},), "subject"),
        (({"subject": "a.$1\x00", "weight": 100},), "subject"),
        (({"subject": "a.$1", "weight": "9" * 30},), "weight"),
        (({"subject": "a.$1", "weight": 0},), "weight"),
        (({"subject": "a.$1", "weight": 60}, {"subject": "b.$1", "weight": 60}), "weight"),
        (({"subject": "a.$1", "weight": 10}, {"subject": "a.$1", "weight": 10}), "subject"),
    ],
)
def test_bad_mapping_is_refused_at_its_field(page, of, parts, field):
    parts = [{"cluster": "", **part} for part in parts]
    assert field in errors(page.post("/admin/accounts_app/mapping/add/", mapping_form(of, *parts)))


def shared_with_shop(of):
    shop = factories.account("SHOP")
    export = Export.objects.create(account=of, kind="stream", subject="e.>", public=False)
    ExportAccess.objects.create(export=export, account=shop)
    Import.objects.create(account=shop, kind="stream", from_account=of, subject="e.new")
    return export


def test_an_imported_export_stays(page, of):
    export = shared_with_shop(of)
    for address in (f"export/{export.pk}", f"exportaccess/{export.accesses.get().pk}"):
        shown = page.post(f"/admin/accounts_app/{address}/delete/", {"post": "yes"}).content.decode()
        assert "SHOP: import of stream e.new" in shown
    bulk = {"action": "delete_selected", "_selected_action": [export.pk], "post": "yes"}
    page.post("/admin/accounts_app/export/", bulk)
    assert ExportAccess.objects.filter(export=export).exists()
    with pytest.raises(ValidationError, match="SHOP"):
        Export(pk=export.pk, account=of, kind="stream", subject="f.>").full_clean()
    Import.objects.all().delete()
    page.post(f"/admin/accounts_app/export/{export.pk}/delete/", {"post": "yes"})
    assert not Export.objects.exists()


def test_an_export_that_another_one_covers_may_go(page, of):
    export = shared_with_shop(of)
    Export.objects.create(account=of, kind="stream", subject=">", public=True)
    page.post(f"/admin/accounts_app/export/{export.pk}/delete/", {"post": "yes"})
    assert not Export.objects.filter(pk=export.pk).exists()


def test_an_account_that_imports_stays_listed(page, of):
    export = shared_with_shop(of)
    access = export.accesses.get()
    data = {
        "account": of.pk, "kind": "stream", "subject": "e.>", "accesses-TOTAL_FORMS": 1,
        "accesses-INITIAL_FORMS": 1, "accesses-0-id": access.pk, "accesses-0-export": export.pk,
        "accesses-0-account": access.account_id, "accesses-0-DELETE": "on",
    }  # fmt: skip
    shown = page.post(f"/admin/accounts_app/export/{export.pk}/change/", data).content.decode()
    assert "Other accounts import this: SHOP (e.new)." in shown
    assert ExportAccess.objects.filter(pk=access.pk).exists()


def test_a_mapping_to_nowhere_is_refused(page, of):
    answer = page.post("/admin/accounts_app/mapping/add/", mapping_form(of))
    assert answer.status_code == 200
    assert not Mapping.objects.exists()


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"conf_dir": "/nonexistent/dir"}, "conf_dir"),
        ({"conf_dir": "relative"}, "conf_dir"),
        ({"nats_url": "garbage"}, "nats_url"),
        ({"nats_url": "nats://host:99999"}, "nats_url"),
        ({"nats_url": "nats://host:4222,nats://me:secret@host:4222"}, "nats_url"),
        ({"public_url": "http://host"}, "public_url"),
    ],
)
def test_a_system_that_nobody_could_reach_is_refused(page, of, more, field):
    data = {"name": "main", "environment": "dev", "drift_policy": "repair", **more}
    assert field in errors(page.post(f"/admin/accounts_app/system/{of.system_id}/change/", data))
