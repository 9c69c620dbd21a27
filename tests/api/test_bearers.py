"""Tokens: never more than their person, never more than they say, and gone at once."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db.models import QuerySet
from django.utils import timezone

from accounts_app.models import Account, AuditEntry, NatsUser, System, Token
from tests import factories
from tests.api.conftest import Api, errors, token_of

SEES = ("accounts_app.view_account", "accounts_app.view_natsuser", "accounts_app.view_role")


@pytest.fixture
def two(ada):
    acme, shop = factories.account("ACME"), factories.account("SHOP")
    factories.user(acme, "mine", "publish a.>")
    factories.user(shop, "theirs", "publish b.>")
    factories.role(acme, "worker", "publish w.>")
    factories.role(shop, "clerk", "publish c.>")
    return acme, shop


def test_a_token_is_told_once_and_kept_as_a_hash(api):
    made = api.post("tokens/", {"name": "pipeline", "scope": "write"})
    assert made.status_code == 201
    bare = made.data["token"]
    assert bare.startswith(made.data["prefix"] + "_")
    assert "token" not in api.get(f"tokens/{made.data['id']}/").data
    row = Token.objects.values().get(pk=made.data["id"])
    assert bare not in str(row)
    assert bare.removeprefix(made.data["prefix"] + "_") not in str(list(AuditEntry.objects.values()))
    assert Api(bare).get("me/").data["scope"] == "write"


@pytest.mark.parametrize(
    "bare",
    ["", "x", "nun_", "nun_000000000000_" + "a" * 43, "Bearer", "nun_000000000000_" + "ä" * 43, "\x00", "a b c"],
)
def test_what_is_no_token_is_a_401(ada, bare):
    answer = Api().get("users/", Authorization=f"Bearer {bare}")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert Api().get("users/").status_code == 401


def test_a_name_in_use_is_refused_so_that_a_form_sent_twice_makes_one(api):
    assert api.post("tokens/", {"name": "pipeline"}).status_code == 201
    told = errors(api.post("tokens/", {"name": "pipeline"}))
    assert told == {"name": "A token of this name is in use already: revoke it, or choose another name."}
    Token.objects.filter(name="pipeline").update(revoked_at=timezone.now())
    assert api.post("tokens/", {"name": "pipeline"}).status_code == 201


def test_an_expired_token_and_one_of_somebody_who_left_are_refused(ada):
    bare = token_of(ada)
    assert Api(bare).get("me/").status_code == 200
    Token.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert Api(bare).get("me/").status_code == 401
    Token.objects.update(expires_at=None)
    ada.is_active = False
    ada.save()
    assert Api(bare).get("me/").status_code == 401


def test_somebody_who_is_no_staff_may_do_nothing(ada):
    ada.is_staff = False
    ada.save()
    told = errors(Api(token_of(ada)).get("users/"))
    assert told == {"": "You have no right to use nunect: ask an administrator to make you staff."}


def test_the_last_use_is_written_down(ada):
    bare = token_of(ada)
    assert Token.objects.get().last_used_at is None
    Api(bare).get("me/")
    assert timezone.now() - Token.objects.get().last_used_at < timedelta(minutes=1)


def test_a_token_to_read_changes_nothing(ada, two):
    reader = Api(token_of(ada, "read"))
    assert reader.get("users/").status_code == 200
    for method, path, body in (
        ("POST", "accounts/", {"name": "X"}),
        ("PATCH", f"accounts/{two[0].pk}/", {"max_connections": 1}),
        ("DELETE", f"accounts/{two[0].pk}/", None),
        ("POST", "apply/", {"accounts": []}),
        ("POST", "import/", {"conf": ""}),
        ("POST", "tokens/", {"name": "x"}),
        ("POST", "users/1/disable/", None),
        ("POST", "accounts/1/retry/", None),
    ):
        for ask in ("", "?dry_run=false", "?dry_run=perhaps"):
            answer = reader.call(method, path + ask, body)
            assert answer.status_code == 403, path
            assert answer.data["detail"].startswith("This token's scope is “read”"), answer.data


def test_a_token_to_read_may_ask_what_a_write_would_do(ada, two):
    reader = Api(token_of(ada, "read"))
    document = {"accounts": [{"name": "ACME", "users": []}]}
    tried = reader.post("apply/?dry_run=true", document)
    assert tried.status_code == 200
    assert tried.data["rows"]["deleted"]["user"] == 1
    assert NatsUser.objects.filter(name="mine").exists()
    assert reader.post("apply/?dry_run=1", {"accounts": [{"name": "SHOP"}]}).status_code == 200
    assert reader.get("me/?dry_run=true").status_code == 422
    sam = factories.staff("sam", *SEES)
    assert Api(token_of(sam, "admin")).post("apply/?dry_run=true", document).status_code == 403


def test_a_token_to_write_decides_nothing(ada, two):
    writer = Api(token_of(ada, "write"))
    assert writer.post("accounts/", {"name": "X"}).status_code == 201
    system = factories.system()
    for method, path, body in (
        ("PATCH", f"systems/{system.pk}/", {"environment": "prod"}),
        ("POST", "tokens/", {"name": "x"}),
        ("POST", "revisions/1/revert/", None),
        ("POST", "holds/1/yes/", None),
        ("POST", "drifts/1/repair/", None),
        ("POST", "drifts/1/adopt/", None),
        ("POST", "drifts/1/revert/", None),
        ("POST", "drifts/1/ignore/", {}),
        ("POST", f"systems/{system.pk}/retry/", None),
    ):
        assert writer.call(method, path, body).status_code == 403, path


def test_a_token_has_no_more_rights_than_its_person(two):
    sam = factories.staff("sam", *SEES)
    strong = Api(token_of(sam, "admin"))
    assert strong.get("users/").status_code == 200
    assert strong.post("accounts/", {"name": "X"}).status_code == 403
    assert strong.get("audit/").status_code == 403
    assert strong.post("tokens/", {"name": "x"}).status_code == 403


def test_what_belongs_to_a_row_needs_a_right_of_its_own(two):
    sam = factories.staff("sam", *SEES, "accounts_app.add_natsuser", "accounts_app.change_natsuser")
    strong = Api(token_of(sam, "admin"))
    mine = NatsUser.objects.get(name="mine")
    assert strong.post("users/", {"account": "ACME", "name": "plain"}).status_code == 201
    rules = [{"action": "publish", "subject": "x.>"}]
    refused = strong.post("users/", {"account": "ACME", "name": "more", "permissions": rules})
    assert errors(refused) == {"": "You have no right to add permissions."}
    assert not NatsUser.objects.filter(name="more").exists()
    kept = strong.patch(f"users/{mine.pk}/", {"permissions": [{"action": "publish", "subject": "a.>"}]})
    assert kept.status_code == 200
    assert strong.patch(f"users/{mine.pk}/", {"permissions": []}).status_code == 403
    assert strong.post("apply/", {"accounts": [{"name": "ACME"}]}).status_code == 403


def test_who_gives_no_credentials_sees_no_nkey(ada, two):
    key = NatsUser.objects.get(name="mine").nkey
    reader, writer = Api(token_of(ada, "read")), Api(token_of(ada, "write"))
    for path in ("users/?name=mine", f"users/{NatsUser.objects.get(name='mine').pk}/", "apply/"):
        assert key not in reader.get(path).content.decode(), path
    assert key in writer.get("users/?name=mine").content.decode()
    assert key not in writer.get("apply/").content.decode()
    assert key in writer.get("apply/?secrets=true").content.decode()
    assert key not in reader.get("apply/?secrets=true").content.decode()


def test_a_token_of_one_account_learns_nothing_of_another(ada, two):
    _acme, shop = two
    narrow = Api(token_of(ada, "admin", accounts=["ACME"]))
    theirs = NatsUser.objects.get(name="theirs")

    def names(path):
        return {row["name"] for row in narrow.get(path).data["results"]}

    assert names("accounts/") == {"ACME"}
    assert names("users/") == {"mine"}
    assert names("roles/") == {"worker"}
    assert {row["subject"] for row in narrow.get("permissions/").data["results"]} == {"a.>", "w.>"}
    for path in (
        f"accounts/{shop.pk}/",
        f"users/{theirs.pk}/",
        f"users/{theirs.pk}/history/",
        f"accounts/{shop.pk}/conf/",
    ):
        assert narrow.get(path).status_code == 404, path
    assert narrow.get("users/?search=theirs").data["results"] == []
    assert narrow.get("users/?account=SHOP").data["results"] == []
    assert narrow.get("audit/").data["results"] == []
    assert narrow.get("servers/").data["results"] == []
    assert narrow.get("revisions/").data["results"] == []
    assert set(narrow.get("apply/").data["accounts"][0]) >= {"name"}
    assert [each["name"] for each in narrow.get("apply/").data["accounts"]] == ["ACME"]
    told = [errors(narrow.get(f"apply/?account={name}")) for name in ("SHOP", "NONE")]
    assert [each["account"] for each in told] == ["There is no account “SHOP”.", "There is no account “NONE”."]
    assert narrow.get("me/").data["accounts"] == ["ACME"]
    assert "servers" not in narrow.get("health/").data["parts"]
    for path in ("doctor/", f"users/{theirs.pk + 1000}/history/"):
        assert narrow.get(path).status_code in (403, 404), path


@pytest.mark.django_db(transaction=True)  # what a request changes is told by its transaction
def test_a_token_of_one_account_changes_no_other(ada, two):
    _acme, _shop = two
    narrow = Api(token_of(ada, "admin", accounts=["ACME"]))
    theirs = NatsUser.objects.get(name="theirs")
    QuerySet(System).update(problem="Account SHOP is refused.")
    before = list(Account.objects.order_by("pk").values_list("wanted", flat=True))
    assert narrow.patch(f"users/{theirs.pk}/", {"description": "x"}).status_code == 404
    assert narrow.post(f"users/{theirs.pk}/disable/").status_code == 404
    assert errors(narrow.post("users/", {"account": "SHOP", "name": "x"})) == {"account": "There is no account “SHOP”."}
    assert narrow.post("accounts/", {"name": "NEW"}).status_code == 403
    document = {"accounts": [{"name": "SHOP", "users": []}]}
    for ask in ("", "?dry_run=true"):
        assert narrow.post(f"apply/{ask}", document).status_code == 403
    assert narrow.post("apply/?prune=true", {"accounts": [{"name": "ACME"}]}).status_code == 403
    assert list(Account.objects.order_by("pk").values_list("wanted", flat=True)) == before
    assert NatsUser.objects.filter(name="theirs").exists()
    made = narrow.post("users/", {"account": "ACME", "name": "new"})
    assert (made.status_code, made.data["sync"]["problem"]) == (201, "")
    everything = Api(token_of(ada)).post("users/", {"account": "ACME", "name": "newer"})
    assert "SHOP" in everything.data["sync"]["problem"]


def test_a_name_that_another_account_has_tells_only_that_it_is_taken(ada, two):
    narrow = Api(token_of(ada, "admin", accounts=["ACME"]))
    told = errors(narrow.post("users/", {"account": "ACME", "name": "theirs"}))
    assert "SHOP" not in str(told)


@pytest.mark.django_db(transaction=True)
def test_a_token_makes_none_that_does_more(ada, two):
    narrow = Api(token_of(ada, "admin", accounts=["ACME"]))
    assert "accounts" in errors(narrow.post("tokens/", {"name": "x"}))
    assert "accounts" in errors(narrow.post("tokens/", {"name": "x", "accounts": ["SHOP"]}))
    made = narrow.post("tokens/", {"name": "x", "accounts": ["ACME"]})
    assert made.status_code == 201
    assert {row["name"] for row in narrow.get("tokens/").data["results"]} == {"x", "admin of tests"}
    assert narrow.post("tokens/?dry_run=true", {"name": "x", "scope": "all", "accounts": ["ACME"]}).status_code == 422


def test_an_account_that_goes_takes_the_token_with_it_and_never_widens_it(ada, two):
    narrow = Api(token_of(ada, "read", accounts=["ACME"]))
    two[0].delete()
    assert narrow.get("accounts/").data["results"] == []


def test_people_see_their_own_tokens_and_administrators_all(ada, two):
    sam = factories.staff(
        "sam", "accounts_app.view_token", "accounts_app.add_token", "accounts_app.delete_token", *SEES
    )
    token_of(ada)
    theirs = Api(token_of(sam))
    assert {row["person"] for row in theirs.get("tokens/").data["results"]} == {"sam"}
    assert theirs.post("tokens/", {"name": "x", "person": "ada"}).status_code == 403
    mine = Token.objects.filter(person=ada).first()
    assert theirs.delete(f"tokens/{mine.pk}/").status_code == 404
    everybody = Api(token_of(ada))
    assert {row["person"] for row in everybody.get("tokens/").data["results"]} == {"ada", "sam"}
    made = everybody.post("tokens/", {"name": "service", "person": "sam"})
    assert Api(made.data["token"]).get("me/").data["person"] == "sam"


def test_a_session_of_the_admin_is_let_in_and_needs_a_csrf_token_to_write(ada):
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ada)
    assert browser.get("/api/v1/users/").status_code == 200
    answer = browser.post("/api/v1/accounts/", '{"name": "A"}', content_type="application/json")
    assert answer.status_code == 403


def test_who_asks_too_often_waits(ada, settings):
    settings.API_RATE = 3
    cache.clear()
    many = Api(token_of(ada))
    codes = [many.get("me/").status_code for _ in range(4)]
    if 429 not in codes:  # the minute ended in between
        codes = [many.get("me/").status_code for _ in range(4)]
    assert codes[-1] == 429
    answer = many.get("me/")
    assert 0 < int(answer.headers["Retry-After"]) <= 61
    assert Api(token_of(ada)).get("me/").status_code == 200


def test_no_header_makes_a_request_local(ada):
    for name in ("nunect.local", "Nunect-Local", "nunect_local"):
        assert Api().get("users/", **{name: "True"}).status_code == 401
