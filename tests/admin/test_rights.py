"""Every page lists, counts, finds and offers through `access.visible`, and every act asks `access.may`."""

import re
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts_app import access, services
from accounts_app.models import (
    Account,
    AuditEntry,
    Consumer,
    Export,
    ExportAccess,
    Import,
    Mapping,
    MappingDestination,
    NatsUser,
    Role,
    Server,
    Stream,
    SubjectPermission,
    Token,
    record,
)
from provisioning.models import Blueprint, Difference, Drift, Hold, Job, Revision
from tests import factories

ROOT = Path(__file__).parents[2]
OF_AN_ACCOUNT = {  # {model: the way to the name of its account}
    Account: ("name",),
    NatsUser: ("account__name",),
    Role: ("account__name",),
    SubjectPermission: ("role__account__name", "user__account__name"),
    Export: ("account__name",),
    ExportAccess: ("export__account__name",),
    Import: ("account__name",),
    Mapping: ("account__name",),
    MappingDestination: ("mapping__account__name",),
    Stream: ("account__name",),
    Consumer: ("stream__account__name",),
    Hold: ("account",),
}
OF_A_SYSTEM = (Revision, Drift, Difference, Server, AuditEntry)
FOUND_BY_TYPING = (Account, NatsUser, Role, Export, Mapping, Stream, get_user_model())
FILED = (Account, NatsUser, Role, SubjectPermission, Export, Import, Mapping, Stream, Consumer)
OFFERING = (Account, NatsUser, Role, Export, ExportAccess, Import, Mapping, Stream, Consumer)
_HOMES = ("account_name", "role_account_name", "user_account_name", "stream_account_name")


def names(model):
    return f"{model._meta.app_label}_{model._meta.model_name}"


def listing(model):
    return reverse(f"admin:{names(model)}_changelist")


def rows_of(model, account):
    where = Q()
    for way in OF_AN_ACCOUNT[model]:
        where |= Q(**{way: account})
    return set(model._base_manager.filter(where).values_list("pk", flat=True))


@pytest.fixture
def world(db):
    accounts, _ = factories.demo(users=30, names=("orders", "billing"))
    system = factories.system()
    Server.objects.create(system=system, name="n1", server_id="N1", state="in_sync")
    Revision.objects.create(
        system=system, number=1, sha256="a", text_sha256="b", renderer=1, wanted=1, snapshot_at=timezone.now()
    )
    Hold.objects.create(system=system, account="ORDERS", reason="many users would go")
    Hold.objects.create(system=system, account="BILLING", reason="nearly all would go")
    Drift.objects.create(system=system, where="file", summary="Somebody edited accounts.conf.")
    Difference.objects.create(system=system, checked_at=timezone.now())
    for account in accounts:
        factories.consumer(factories.stream(account, f"{account.name}-EVENTS"), "reader")
    record("something done", accounts[1])
    return {account.name: account for account in accounts}


@pytest.fixture
def narrow(monkeypatch):
    """Narrows whoever is signed in, as a token would."""

    def narrowed(scope="admin", *accounts):
        connection.run_on_commit.clear()  # as if what was made before had been committed
        pks = frozenset(account.pk for account in accounts) if accounts else None
        monkeypatch.setattr(get_user_model(), "nunect_token", access.Narrowed(scope, pks), raising=False)

    return narrowed


# --- lists, counts, search, objects -----------------------------------------


@pytest.mark.parametrize("model", OF_AN_ACCOUNT, ids=names)
def test_only_rows_within_reach_are_listed_counted_and_opened(page, world, narrow, model):
    theirs, others = rows_of(model, "ORDERS"), rows_of(model, "BILLING")
    assert theirs
    assert others
    assert page.get(listing(model)).context["cl"].result_count > len(theirs)
    narrow("admin", world["ORDERS"])
    shown = page.get(listing(model), {"all": ""}).context["cl"]
    assert {row.pk for row in shown.result_list} == theirs
    assert shown.result_count == len(theirs)
    for question in ({"q": "billing"}, {"q": "BILLING"}):
        assert {row.pk for row in page.get(listing(model), question).context["cl"].result_list} <= theirs
    for pk in others:
        for view in ("change", "delete", "history"):
            assert page.get(reverse(f"admin:{names(model)}_{view}", args=[pk])).status_code in (302, 403, 404), view
    assert page.get(reverse(f"admin:{names(model)}_change", args=[min(theirs)])).status_code == 200


@pytest.mark.parametrize("model", OF_A_SYSTEM, ids=names)
def test_what_concerns_the_whole_system_is_not_for_who_sees_one_account(page, world, narrow, model):
    row = model._base_manager.first()
    assert page.get(listing(model)).context["cl"].result_count
    narrow("admin", world["ORDERS"])
    assert page.get(listing(model)).context["cl"].result_count == 0
    assert page.get(reverse(f"admin:{names(model)}_change", args=[row.pk])).status_code in (302, 404)


def test_every_model_of_ours_is_in_the_tables_above():
    ours = {model for model in admin.site._registry if model._meta.app_label in ("accounts_app", "provisioning")}
    others = {model._meta.model_name for model in ours - OF_AN_ACCOUNT.keys() - set(OF_A_SYSTEM)}
    assert others == {"system", "token", "job", "blueprint"}


def test_jobs_are_seen_as_far_as_all_their_accounts_are(page, world, narrow):
    system = factories.system()
    both, mine, its = (
        Job.objects.create(system=system, kind="provision", title=title, accounts=names, door="admin")
        for title, names in (("both", ["ORDERS", "BILLING"]), ("mine", ["ORDERS"]), ("its", ["BILLING"]))
    )
    seen = lambda: {row.title for row in page.get(listing(Job)).context["cl"].result_list}  # noqa: E731
    assert seen() == {"both", "mine", "its"}
    narrow("admin", world["ORDERS"])
    assert seen() == {"mine"}
    assert page.get(listing(Job), {"q": "BILLING"}).context["cl"].result_count == 0
    for job in (both, its):
        assert page.get(reverse("admin:provisioning_job_change", args=[job.pk])).status_code == 404
        assert page.post(reverse("admin:provisioning_job_act", args=[job.pk, "cancel"])).status_code == 404
    assert page.get("/admin/provisioning/job/states/", {"ids": f"{both.pk},{mine.pk}"}).json()["jobs"].keys() == {
        str(mine.pk)
    }
    for address in ("/admin/provisioning/blueprint/provision/x/", "/admin/provisioning/blueprint/add/"):
        assert page.post(address).status_code == 403


@pytest.mark.parametrize(
    "model", [Account, NatsUser, Role, SubjectPermission, Export, Import, Mapping, Stream, Consumer], ids=names
)
def test_files_hold_what_is_within_reach(page, world, narrow, model):
    narrow("admin", world["BILLING"])
    rows = page.get(reverse(f"admin:{names(model)}_export", args=["json"])).json()
    assert rows
    for row in rows:
        homes = [row[key] for key in _HOMES if row.get(key)]
        assert (homes or [row["name"]]) == ["BILLING"]


@pytest.mark.parametrize("model", FOUND_BY_TYPING, ids=names)
def test_what_is_typed_finds_only_what_is_within_reach(page, world, narrow, model):
    field = {
        Account: (NatsUser, "account"),
        NatsUser: (SubjectPermission, "user"),
        Role: (NatsUser, "role"),
        Export: (ExportAccess, "export"),
        Mapping: (MappingDestination, "mapping"),
        Stream: (Consumer, "stream"),
    }.get(model, (Account, "owner"))
    asked = {"app_label": "accounts_app", "model_name": field[0]._meta.model_name, "field_name": field[1]}
    asked["term"] = "billing" if model in OF_AN_ACCOUNT else ""
    before = {int(hit["id"]) for hit in page.get("/admin/autocomplete/", asked).json()["results"]}
    narrow("admin", world["ORDERS"])
    after = {int(hit["id"]) for hit in page.get("/admin/autocomplete/", asked).json()["results"]}
    theirs = rows_of(model, "ORDERS") if model in OF_AN_ACCOUNT else set()
    assert after <= theirs
    assert after < before


def test_the_command_search_the_start_page_and_chips_tell_no_more(page, world, narrow):
    orders, billing = world["ORDERS"], world["BILLING"]
    narrow("admin", orders)
    hidden = NatsUser.objects.filter(account=billing).first().name
    assert hidden not in page.get("/admin/search/", {"s": hidden, "extended": "1"}).content.decode()
    start = page.get("/admin/").content.decode()
    assert "many users would go" in start
    for secret in ("nearly all would go", "Somebody edited", "BILLING", ">n1<"):
        assert secret not in start, secret
    assert page.get("/admin/").context["systems"][0]["accounts"] == 1
    keys = f"account-{orders.pk},account-{billing.pk}"
    assert page.get("/admin/accounts_app/account/states/", {"keys": keys}).json()["states"].keys() == {
        f"account-{orders.pk}"
    }


@pytest.mark.parametrize("path", ["account/{account}/conf/", "natsuser/{user}/connect/", "natsuser/{user}/rotate/"])
def test_own_pages_of_rows_beyond_reach_are_not_there(page, world, narrow, path):
    user = NatsUser.objects.filter(account=world["BILLING"]).first()
    address = "/admin/accounts_app/" + path.format(account=world["BILLING"].pk, user=user.pk)
    assert page.get(address).status_code == 200
    narrow("admin", world["ORDERS"])
    assert page.get(address).status_code == 404
    assert page.post(address).status_code == 404


def test_actions_reach_only_what_is_within_reach(page, world, narrow):
    narrow("admin", world["ORDERS"])
    everybody = list(NatsUser.objects.values_list("pk", flat=True))
    page.post(listing(NatsUser), {"action": "disable", "_selected_action": everybody, "select_across": "1"})
    assert not NatsUser.objects.filter(account=world["ORDERS"], enabled=True).exists()
    assert NatsUser.objects.filter(account=world["BILLING"], enabled=True).exists()


def test_history_of_a_row_beyond_reach_is_not_there_before_and_after_it_is_gone(page, world, narrow):
    user = NatsUser.objects.filter(account=world["BILLING"]).first()
    past = reverse("admin:accounts_app_natsuser_history", args=[user.pk])
    entry = reverse("admin:accounts_app_natsuser_simple_history", args=[user.pk, user.history.first().pk])
    narrow("admin", world["ORDERS"])
    assert page.get(past).status_code == page.get(entry).status_code == 404
    user.delete()
    assert page.get(past).status_code == page.get(entry).status_code == 404
    narrow("admin")
    assert page.get(past).status_code == page.get(entry).status_code == 200


# --- what a form offers -------------------------------------------------------


def form_fields(answer):
    form = answer.context["adminform"].form
    return {name: field.queryset for name, field in form.fields.items() if hasattr(field, "queryset")}


@pytest.mark.parametrize(
    "model", [Account, NatsUser, Role, Export, ExportAccess, Import, Mapping, Stream, Consumer], ids=names
)
def test_a_form_offers_only_what_is_within_reach(page, world, narrow, model):
    narrow("admin", world["ORDERS"])
    offered = form_fields(page.get(reverse(f"admin:{names(model)}_add")))
    assert offered
    for field, rows in offered.items():
        if rows.model in OF_AN_ACCOUNT:
            assert set(rows.values_list("pk", flat=True)) <= rows_of(rows.model, "ORDERS"), field
        elif rows.model is get_user_model():
            assert not rows.exists(), field


def test_a_related_row_beyond_reach_is_refused_at_its_field(page, world, narrow):
    narrow("admin", world["ORDERS"])
    data = {"account": world["BILLING"].pk, "name": "x", "way": "nkey", "access": "own", "responses_max": 0}
    inline = {"permissions-TOTAL_FORMS": 0, "permissions-INITIAL_FORMS": 0}
    answer = page.post(reverse("admin:accounts_app_natsuser_add"), data | inline)
    assert "account" in answer.context["adminform"].form.errors
    assert not NatsUser.objects.filter(name="x").exists()


def test_a_filter_doesn_t_name_what_is_beyond_reach(page, world, narrow):
    narrow("admin", world["ORDERS"])
    shown = page.get(listing(NatsUser), {"account__id__exact": world["BILLING"].pk})
    assert shown.context["cl"].result_count == 0
    assert "BILLING" not in shown.content.decode()


def test_a_row_keeps_what_it_has_and_they_could_not_choose(page, world, narrow):
    orders = world["ORDERS"]
    shared = Role.objects.create(system=orders.system, name="everywhere")
    orders.default_role, orders.owner = shared, factories.admin("grace")
    orders.save()
    narrow("admin", orders)
    address = reverse("admin:accounts_app_account_change", args=[orders.pk])
    data = {"name": "ORDERS", "description": "new", "enabled": "on", "default_role": shared.pk}
    assert page.post(address, data | {"owner": orders.owner_id}).status_code == 302
    orders.refresh_from_db()
    assert (orders.description, orders.default_role, orders.owner.username) == ("new", shared, "grace")


# --- acts -----------------------------------------------------------------------


def acts(world):
    """(what is sent, what a scope must be to do it)"""
    user = NatsUser.objects.filter(account=world["ORDERS"]).first()
    hold, drift, revision = Hold.objects.first(), Drift.objects.first(), Revision.objects.first()
    rows, orders = "/admin/accounts_app", world["ORDERS"]
    yield f"{rows}/account/add/", "write"
    yield f"{rows}/account/{orders.pk}/change/", "write"
    yield f"{rows}/account/{orders.pk}/delete/", "write"
    yield f"{rows}/account/apply/", "write"
    stream = Stream.objects.get(account=orders)
    for address in ("change", "delete", "answer", "outlook"):
        yield f"{rows}/stream/{stream.pk}/{address}/", "write"
    yield f"{rows}/stream/outlook/", "write"
    models = ("natsuser", "role", "subjectpermission", "export", "exportaccess", "import", "mapping")
    for model in (*models, "stream", "consumer"):
        yield f"{rows}/{model}/add/", "write"
    yield f"{rows}/natsuser/{user.pk}/change/", "write"
    yield f"{rows}/natsuser/{user.pk}/delete/", "write"
    yield f"{rows}/natsuser/{user.pk}/rotate/", "write"
    yield f"{rows}/natsuser/{user.pk}/rotate-with-overlap/", "write"
    yield f"/admin/provisioning/hold/try-again/account/{orders.pk}/", "write"
    yield f"/admin/provisioning/hold/try-again/system/{orders.system_id}/", "admin"
    yield f"{rows}/system/{orders.system_id}/change/", "admin"
    yield f"{rows}/token/add/", "admin"
    yield f"{rows}/token/{Token.objects.get().pk}/revoke/", "admin"
    yield f"/admin/provisioning/hold/{hold.pk}/decide/", "admin"
    yield f"/admin/provisioning/drift/{drift.pk}/decide/", "admin"
    yield f"/admin/provisioning/drift/{drift.pk}/adopt/", "admin"
    yield f"/admin/provisioning/revision/{revision.pk}/decide/", "admin"
    yield f"/admin/provisioning/revision/{revision.pk}/revert/", "admin"
    job = Job.objects.create(system=orders.system, kind="provision", title="x", accounts=["ORDERS"], door="admin")
    yield f"/admin/provisioning/job/{job.pk}/act/cancel/", "write"
    yield f"/admin/provisioning/job/retire/{orders.pk}/", "write"
    blueprint = Blueprint.objects.create(name="team", version=job.pk, text="blueprint: team")
    yield "/admin/provisioning/blueprint/provision/team/", "write"
    yield "/admin/provisioning/blueprint/add/", "admin"
    yield f"/admin/provisioning/blueprint/{blueprint.pk}/switch/", "admin"


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
def test_every_act_asks_the_one_check(page, ada, world, narrow, scope):
    services.make_token(ada, "ci")
    narrow(scope)
    order = ["read", "write", "admin"]
    for address, needed in acts(world):
        refused = page.post(address, {}).status_code == 403
        assert refused == (order.index(scope) < order.index(needed)), address


def test_no_act_reaches_further_than_its_person(page, world, narrow):
    orders = world["ORDERS"]
    shared = Role.objects.create(system=orders.system, name="everywhere")
    factories.user(world["BILLING"], "theirs", access="role", role=shared)
    narrow("write", orders)
    role = {"system": orders.system_id, "name": "mine", "responses_max": 0}
    inline = {"permissions-TOTAL_FORMS": 0, "permissions-INITIAL_FORMS": 0}
    assert page.post(reverse("admin:accounts_app_role_add"), role | inline | {"account": orders.pk}).status_code == 302
    new = {"system": orders.system_id, "name": "NEW", "enabled": "on"}
    assert page.post(reverse("admin:accounts_app_account_add"), new).status_code == 403
    assert not Account.objects.filter(name="NEW").exists()
    used = reverse("admin:accounts_app_role_change", args=[shared.pk])
    assert page.post(used, role | inline).status_code == 403
    mine = Role.objects.get(name="mine")
    page.post(listing(Role), {"action": "delete_selected", "_selected_action": [mine.pk], "post": "yes"})
    assert not Role.objects.filter(name="mine").exists()


def test_actions_of_lists_ask_it_too(page, ada, world, narrow):
    token, _bare = services.make_token(ada, "ci")
    narrow("read")
    users = list(NatsUser.objects.values_list("pk", flat=True))
    for name in ("disable", "enable", "delete_selected"):
        page.post(listing(NatsUser), {"action": name, "_selected_action": users, "post": "yes"})
    assert NatsUser.objects.filter(pk__in=users, enabled=True).exists()
    page.post(listing(Token), {"action": "revoke_selected", "_selected_action": [token.pk]})
    token.refresh_from_db()
    assert token.revoked_at is None


def test_who_may_do_nothing_gets_no_menu(page, world, monkeypatch):
    monkeypatch.setattr(get_user_model(), "has_perm", lambda *_: False)
    text = page.get("/admin/").content.decode()
    assert not re.search(r'href="/admin/(accounts_app|provisioning|auth)/', text)


def test_no_page_knows_a_rule_of_its_own():
    pages = [
        *(ROOT / "accounts_app/admin").glob("*.py"),
        *(ROOT / "provisioning/admin").glob("*.py"),
        ROOT / "monitoring/dashboard.py",
    ]
    for path in pages:
        assert not re.search(r"has_perm\(|has_module_perms\(|\.visible_to\(|nunect_token", path.read_text()), path.name


def test_a_changed_rule_is_every_page_s(page, world, monkeypatch):
    """As a later issue will: the rule of a row changes, and the pages follow."""
    hidden = NatsUser.objects.filter(account=world["ORDERS"]).first()
    kind = type(NatsUser.objects.all())
    known = kind.visible_to

    def visible_to(self, person):
        rows = known(self, person)
        return rows.exclude(pk=hidden.pk) if self.model is NatsUser else rows

    before = page.get(listing(Account)).context["cl"].result_list
    total = next(row.user_total for row in before if row.name == "ORDERS")
    monkeypatch.setattr(kind, "visible_to", visible_to)
    after = page.get(listing(Account)).context["cl"].result_list
    assert next(row.user_total for row in after if row.name == "ORDERS") == total - 1
    tabs = page.get(reverse("admin:accounts_app_account_change", args=[world["ORDERS"].pk])).context["nu_tabs"]
    assert next(tab["count"] for tab in tabs if "natsuser" in tab["url"]) == total - 1
    shown = page.get("/admin/").context["systems"][0]["users"]["all"]
    assert shown == QuerySet(NatsUser).count() - 1
    assert page.get(listing(NatsUser), {"q": hidden.name}).context["cl"].result_count == 0


def test_who_is_told_no_leaves_a_line_in_the_log_and_no_traceback(client, db, caplog):
    factories.system()
    client.force_login(factories.staff("few", "accounts_app.view_account"))
    with caplog.at_level("WARNING", logger="django.request"):
        assert client.get("/admin/live/connections/").status_code == 403
    (said,) = [record for record in caplog.records if record.name == "django.request"]
    assert said.exc_info is None and "Forbidden" in said.getMessage()
