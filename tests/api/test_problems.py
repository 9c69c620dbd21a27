"""Bad input: one sentence at its field, the same as in the admin, and nothing half-done."""

import json

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from accounts_app.models import Account, AuditEntry, NatsUser
from tests import factories
from tests.api.conftest import errors


def said(answer, code=422):
    assert answer.status_code == code, (answer.status_code, answer.content[:500])
    return errors(answer)


@pytest.mark.parametrize(
    "body, field, sentence",
    [
        ({}, "name", "This field is required."),
        ({"name": "A B"}, "name", None),
        ({"name": "x" * 65}, "name", None),
        ({"name": 7}, "name", "This must be text."),
        ({"name": "A", "max_connections": "7"}, "max_connections", "This must be a whole number."),
        ({"name": "A", "max_connections": -2}, "max_connections", "Ensure this value is -1 (no limit) or more."),
        ({"name": "A", "max_connections": 2**70}, "max_connections", None),
        ({"name": "A", "enabled": "yes"}, "enabled", "This must be true or false."),
        ({"name": "A", "nmae": "B"}, "nmae", "There is no such field."),
        ({"name": "A", "owner": "nobody"}, "owner", "There is no person “nobody”."),
        ({"name": "A", "system": "other"}, "system", "There is no system “other”."),
        ({"name": "A", "description": "\x00"}, "description", None),
        ({"name": "A", "description": "\ud800"}, "description", None),
        ({"name": "A", "default_role": "x"}, "default_role", None),
    ],
)
def test_an_account_says_what_is_wrong_with_it(api, body, field, sentence):
    before = Account.objects.count()
    told = said(api.post("accounts/", body))
    assert list(told) == [field]
    assert sentence is None or told[field] == sentence
    assert Account.objects.count() == before


@pytest.mark.parametrize(
    "body, field",
    [
        ({"name": "a"}, "account"),
        ({"account": "NONE", "name": "a"}, "account"),
        ({"account": "ACME", "name": "svc"}, "name"),
        ({"account": "ACME", "name": ""}, "name"),
        ({"account": "ACME", "name": "a", "credential": "magic"}, "credential"),
        ({"account": "ACME", "name": "a", "nkey": "SUABC"}, "nkey"),
        ({"account": "ACME", "name": "a", "credential": "password", "password": "short"}, "password"),
        ({"account": "ACME", "name": "a", "expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"account": "ACME", "name": "a", "expires_at": "soon"}, "expires_at"),
        ({"account": "ACME", "name": "a", "role": "none"}, "role"),
        ({"account": "ACME", "name": "a", "access": "role"}, "role"),
        ({"account": "ACME", "name": "a", "permissions": "orders"}, "permissions"),
        ({"account": "ACME", "name": "a", "permissions": [{"subject": "a"}]}, "permissions[0].action"),
        (
            {"account": "ACME", "name": "a", "permissions": [{"action": "publish", "subject": "a..b"}]},
            "permissions[0].subject",
        ),
        (
            {"account": "ACME", "name": "a", "permissions": [{"action": "publish", "subject": "a", "queue": "q"}]},
            "permissions[0].queue",
        ),
        (
            {"account": "ACME", "name": "a", "permissions": [{"action": "publish", "subject": "a"}] * 2},
            "permissions[1]",
        ),
        (
            {"account": "ACME", "name": "a", "permissions": [{"action": "write", "subject": "a"}]},
            "permissions[0].action",
        ),
        (
            {"account": "ACME", "name": "a", "permissions": [{"action": "publish", "subjct": "a"}]},
            "permissions[0].subjct",
        ),
        ({"account": "ACME", "name": "a", "connection_types": ["PIGEON"]}, "connection_types"),
        ({"account": "ACME", "name": "a", "credential": "nkey", "password": "a-long-password"}, "password"),
        ({"account": "ACME", "name": "a", "certificate": "CN=a", "password": "a-long-password"}, "certificate"),
    ],
)
def test_a_user_says_what_is_wrong_with_it(api, acme, body, field):
    factories.user(acme, "svc")
    told = said(api.post("users/", body))
    assert field in told, told
    assert NatsUser.objects.count() == 1 or not NatsUser.objects.filter(name="a").exists()


@pytest.mark.parametrize(
    "body, code, sentence",
    [
        ("{", 400, "The body is no JSON: line 1, column 2: Expecting property name enclosed in double quotes."),
        (b"\xff", 400, "The body is no UTF-8 text."),
        ('{"name": NaN}', 400, "The body is no JSON: NaN is no number."),
        ('{"name": "a", "name": "b"}', 400, "The body is no JSON: “name” stands there twice."),
        ("[" * 200_000, 400, "The body is nested too deeply."),
        ("[]", 422, None),
        ("null", 422, None),
        ('"x"', 422, None),
        ("", 422, None),
    ],
)
def test_a_body_that_is_none_is_told(api, body, code, sentence):
    for path in ("accounts/", "apply/", "tokens/"):
        told = said(api.post(path, body), code)
        assert sentence is None or list(told.values()) == [sentence]


def test_a_body_of_another_type_is_told(api):
    answer = api.client.post(
        "/api/v1/accounts/", "name=A", content_type="text/plain", headers={"Authorization": f"Bearer {api.bare}"}
    )
    assert answer.status_code == 415


def test_a_body_that_is_too_large_is_told(api, settings):
    settings.API_MAX_BYTES = 1000
    told = said(api.post("accounts/", {"name": "A", "description": "x" * 1000}), 413)
    assert told == {"": "The body is larger than the 1,000 bytes that this server takes."}
    assert not Account.objects.filter(name="A").exists()


@pytest.mark.parametrize(
    "query, field",
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("ordering=colour", "ordering"),
        ("cursor=x", "cursor"),
        ("cursor=WyJuYW1lIiwgIngiLCAxXQ", "cursor"),
        ("fields=colour", "fields"),
        ("state=lost", "state"),
        ("enabled=perhaps", "enabled"),
        ("accout=ACME", "accout"),
        ("account=", "account"),
        ("account=A&account=B", "account"),
        ("search=%00", "search"),
    ],
)
def test_a_question_that_makes_no_sense_is_told(api, query, field):
    if query.startswith("account=A"):
        return
    told = said(api.get(f"users/?{query}"))
    assert list(told) == [field]


def test_what_may_be_said_is_told(api, acme):
    user = factories.user(acme, "svc")
    told = said(api.post("permissions/", {"user": "svc", "action": "write", "subject": "a"}))
    assert told == {"action": "This must be one of publish, subscribe."}
    assert said(api.get("users/?state=maybe")) == {"state": "This must be one of applied, pending, held, failed."}
    assert said(api.get("users/?enabled=maybe")) == {"enabled": "This must be true or false."}
    assert "PATCH" in said(api.call("PUT", f"users/{user.pk}/", {}), 405)[""]
    assert said(api.post("accounts/", []))[""] == "The body must be a map of fields."
    assert api.get("users/", Accept="image/png").data["errors"][0]["detail"].startswith("There is JSON here")


def test_a_change_of_the_kind_of_credential_is_said(api, acme):
    user = factories.user(acme, "svc")
    told = said(api.patch(f"users/{user.pk}/", {"password": "a-long-password"}))
    assert list(told) == ["credential"]
    changed = api.patch(f"users/{user.pk}/", {"password": "a-long-password", "credential": "password"})
    assert changed.data["credential"] == "password"


def test_a_slip_in_a_flag_never_writes(api):
    assert said(api.post("accounts/?dry_rnu=true", {"name": "A"})) == {"dry_rnu": "There is no such parameter here."}
    assert said(api.post("accounts/?dry_run=ja", {"name": "A"})) == {"dry_run": "This must be true or false."}
    assert not Account.objects.filter(name="A").exists()


def test_the_sentences_are_those_of_the_admin(api, client, ada, acme):
    client.force_login(ada)
    for name in ("A B", "$SYS", "x" * 65, "ACME"):
        rest = said(api.post("accounts/", {"name": name}))["name"]
        page = client.post(
            "/admin/accounts_app/account/add/", {"system": acme.system_id, "name": name, "enabled": "on"}
        )
        assert page.status_code == 200
        shown = page.context["adminform"].form.errors
        assert [rest] == [str(each) for each in shown.get("name", [])], (name, rest, shown)


def test_what_others_need_can_not_be_deleted(api, acme):
    role = factories.role(acme, "worker")
    factories.user(acme, "svc", access="role", role=role)
    told = said(api.delete(f"roles/{role.pk}/"), 409)
    assert "svc" in " ".join(told.values())
    system = Account.objects.get(name="$SYS")
    assert said(api.delete(f"accounts/{system.pk}/"))


def test_a_document_tells_all_places_at_once_and_writes_nothing(api):
    document = {
        "accounts": [
            {"name": "A", "users": [{"name": "u", "permissions": ["sing a song"]}, {"nmae": "x"}]},
            {"name": "B", "max_connections": "many"},
        ]
    }
    told = said(api.post("apply/", document))
    assert {
        "accounts[0].users[0].permissions[0]",
        "accounts[0].users[1].nmae",
        "accounts[0].users[1].name",
        "accounts[1].max_connections",
    } <= told.keys()
    assert not Account.objects.filter(name__in=("A", "B")).exists()


def test_a_document_that_the_rows_refuse_writes_nothing(api):
    document = {"accounts": [{"name": "GOOD"}, {"name": "BAD NAME"}]}
    assert said(api.post("apply/", document))
    assert not Account.objects.filter(name="GOOD").exists()


def test_a_conf_that_is_none_is_told_with_its_place(api):
    told = said(api.post("import/", {"conf": "accounts {\n  ACME { users: [ }\n"}))
    assert list(told) == ["conf"]
    assert "2" in told["conf"]


def test_no_answer_and_no_audit_entry_repeats_a_secret(api, acme):
    seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
    answers = [
        api.post("users/", {"account": "ACME", "name": "a", "nkey": seed}),
        api.post("users/", {"account": "ACME", "name": "a", "credential": "password", "password": "tiny-secret"}),
        api.post("accounts/", {"name": seed}),
    ]
    assert [answer.status_code for answer in answers[:1]] == [422]
    assert seed not in answers[0].content.decode()
    assert "tiny-secret" not in answers[1].content.decode()
    assert "tiny-secret" not in json.dumps(list(AuditEntry.objects.values_list("detail", flat=True)))


def test_a_fault_of_ours_is_a_problem_and_no_page(api, monkeypatch):
    from accounts_app.api import accounts

    def fails(*_):
        raise RuntimeError("boom")

    monkeypatch.setattr(accounts.Accounts, "make", fails)  # nothing of ours is known to fail
    answer = api.post("accounts/", {"name": "A"})
    assert answer.status_code == 500
    assert errors(answer) == {"": "nunect has failed at this; its log says why."}
    assert "boom" not in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_column_that_an_older_database_lacks_is_told_with_what_to_do(api):
    applied = MigrationRecorder(connection)
    newest = max(name for app, name in applied.applied_migrations() if app == "accounts_app")
    applied.record_unapplied("accounts_app", newest)
    rename("tls_ca", "gone")
    try:
        answer = api.get("systems/")
    finally:
        rename("gone", "tls_ca")
        applied.record_applied("accounts_app", newest)
    assert answer.status_code == 503
    assert errors(answer)[""].startswith("The database is of an older nunect: `nunect up` or `manage.py migrate`")
    assert api.get("systems/").status_code == 200


def rename(column, to):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE accounts_app_system RENAME COLUMN {column} TO {to}")
