"""What clients are written against: the pinned calls, and each resource once around."""

import pytest

from accounts_app.models import Account, NatsUser, SubjectPermission
from tests import factories
from tests.api.conftest import errors


def test_an_account_needs_a_name_only(api):
    answer = api.post("accounts/", {"name": "ACME"})
    assert answer.status_code == 201
    assert answer.data["name"] == "ACME"
    assert answer.data["system"] == factories.system().name
    assert answer.data["sync"]["state"] == "pending"
    assert Account.objects.get(name="ACME").pk == answer.data["id"]


@pytest.mark.parametrize("kind, told", [("password", "password"), ("nkey", "seed")])
def test_a_user_comes_with_its_secret_once(api, acme, kind, told):
    rule = {"action": "publish", "effect": "allow", "subject": "orders.>"}
    body = {"account": "ACME", "name": "svc", "credential": kind, "role": None, "permissions": [rule]}
    answer = api.post("users/", body)
    assert answer.status_code == 201
    assert set(answer.data["secret"]) == {told}
    assert answer.data["permissions"] == [{**rule, "queue": ""}]
    assert answer.data["access"] == "own"
    assert answer.data["sync"]["state"] == "pending"
    again = api.get(f"users/{answer.data['id']}/")
    assert again.status_code == 200
    assert "secret" not in again.data
    assert answer.data["secret"][told] not in again.content.decode()
    user = NatsUser.objects.get(name="svc")
    assert (user.nkey != "") == (kind == "nkey")
    assert [str(row) for row in user.permissions.all()] == ["allow publish orders.>"]


def test_a_user_of_a_certificate_has_no_secret(api, acme):
    body = {"account": "ACME", "name": "carol", "credential": "certificate", "certificate": "CN=carol,OU=ops"}
    answer = api.post("users/", body)
    assert answer.status_code == 201
    assert "secret" not in answer.data


def test_what_is_given_says_the_kind(api, acme):
    for given, kind in (({"password": "a-long-password"}, "password"), ({"certificate": "CN=c"}, "certificate")):
        answer = api.post("users/", {"account": "ACME", "name": kind, **given})
        assert (answer.status_code, answer.data["credential"]) == (201, kind)
        assert "secret" not in answer.data


def test_what_was_made_says_where_it_is(api):
    answer = api.post("accounts/", {"name": "ACME"})
    assert answer.headers["Location"].endswith(f"/api/v1/accounts/{answer.data['id']}/")
    assert api.get(answer.headers["Location"]).headers["ETag"] == answer.headers["ETag"]


def test_history_is_there_when_the_row_is_not(api, acme):
    user = factories.user(acme, "svc")
    api.delete(f"users/{user.pk}/")
    assert api.get(f"users/{user.pk}/history/").data[0]["act"] == "removed"


def test_a_role_by_its_name_gives_its_permissions(api, acme):
    made = api.post(
        "roles/",
        {
            "account": "ACME",
            "name": "worker",
            "permissions": [{"action": "subscribe", "subject": "jobs.>", "queue": "w"}],
        },
    )
    assert made.status_code == 201
    assert made.data["permissions"] == [{"action": "subscribe", "effect": "allow", "subject": "jobs.>", "queue": "w"}]
    shared = api.post("roles/", {"name": "everywhere"})
    assert shared.status_code == 201
    assert shared.data["account"] is None
    mine = api.post("users/", {"account": "ACME", "name": "a", "role": "worker"})
    theirs = api.post("users/", {"account": "ACME", "name": "b", "role": "*/everywhere"})
    assert (mine.data["access"], mine.data["role"]) == ("role", "worker")
    assert (theirs.data["access"], theirs.data["role"]) == ("role", "*/everywhere")


def test_only_what_is_sent_changes(api, acme):
    user = factories.user(acme, "svc", "publish orders.>", description="before")
    answer = api.patch(f"users/{user.pk}/", {"description": "after"})
    assert answer.status_code == 200
    assert answer.data["description"] == "after"
    assert len(answer.data["permissions"]) == 1
    answer = api.patch(f"users/{user.pk}/", {"permissions": []})
    assert answer.data["permissions"] == []
    assert not SubjectPermission.objects.filter(user=user)


def test_what_is_deleted_is_gone(api, acme):
    user = factories.user(acme, "svc")
    answer = api.delete(f"users/{user.pk}/")
    assert answer.status_code == 200
    assert answer.data["id"] == user.pk
    entry = api.get("audit/?limit=1").data["results"][0]
    assert (entry["act"], entry["object_name"], entry["person"]) == ("user deleted", "svc", "ada")
    assert api.get(f"users/{user.pk}/").status_code == 404
    assert api.delete(f"users/{user.pk}/").status_code == 404


def test_permissions_are_a_list_of_their_own_too(api, acme):
    factories.user(acme, "svc", "publish orders.>")
    factories.role(acme, "worker", "subscribe jobs.>")
    listed = api.get("permissions/?ordering=subject").data["results"]
    assert [(row["subject"], row["user"], row["role"], row["account"]) for row in listed] == [
        ("jobs.>", None, "worker", "ACME"),
        ("orders.>", "svc", None, "ACME"),
    ]
    made = api.post("permissions/", {"user": "svc", "action": "subscribe", "subject": "answers.*"})
    assert made.status_code == 201
    assert api.get("permissions/?search=answers").data["results"][0]["id"] == made.data["id"]
    moved = api.patch(f"permissions/{made.data['id']}/", {"effect": "deny"})
    assert moved.data["effect"] == "deny"
    assert api.delete(f"permissions/{made.data['id']}/").status_code == 200


def test_sharing_between_accounts(api, acme):
    factories.account("SHOP")
    export = api.post("exports/", {"account": "ACME", "kind": "stream", "subject": "events.>", "public": False})
    assert export.status_code == 201
    refused = api.post("imports/", {"account": "SHOP", "from_account": "ACME", "kind": "stream", "subject": "events.>"})
    assert refused.status_code == 422
    offered = api.patch(f"exports/{export.data['id']}/", {"accounts": ["SHOP"]})
    assert offered.data["accounts"] == ["SHOP"]
    taken = api.post("imports/", {"account": "SHOP", "from_account": "ACME", "kind": "stream", "subject": "events.>"})
    assert taken.status_code == 201
    kept = api.delete(f"exports/{export.data['id']}/")
    assert kept.status_code in (409, 422)
    assert "SHOP" in " ".join(errors(kept).values())


def test_mappings_carry_their_destinations(api, acme):
    body = {"account": "ACME", "source": "v1.*", "destinations": [{"subject": "v2.$1", "weight": 90}]}
    made = api.post("mappings/", body)
    assert made.status_code == 201
    assert made.data["destinations"] == [{"subject": "v2.$1", "weight": 90, "cluster": ""}]
    over = api.patch(
        f"mappings/{made.data['id']}/",
        {"destinations": [{"subject": "v2.$1", "weight": 90}, {"subject": "v3.$1", "weight": 20}]},
    )
    assert errors(over) == {"destinations[1].weight": "The weights are 110 together; they may be 100 at most."}


def test_a_system_can_be_described_and_not_deleted(api):
    system = api.get("systems/").data["results"][0]
    answer = api.patch(f"systems/{system['id']}/", {"environment": "prod"})
    assert answer.data["environment"] == "prod"
    assert api.delete(f"systems/{system['id']}/").status_code == 405


def test_users_are_rotated_disabled_and_enabled(api, acme):
    user = factories.user(acme, "svc")
    rotated = api.post(f"users/{user.pk}/rotate/", {})
    assert rotated.status_code == 200
    assert rotated.data["secret"]["seed"].startswith("SU")
    assert rotated.data["nkey"] != user.nkey
    assert api.post(f"users/{user.pk}/disable/").data["enabled"] is False
    assert api.post(f"users/{user.pk}/enable/").data["enabled"] is True
    told = api.get(f"users/{user.pk}/connect/").data
    assert "<seed>" in told["snippet"]


def test_history_names_who_and_which_door(api, acme):
    user = factories.user(acme, "svc")
    api.patch(f"users/{user.pk}/", {"description": "after"})
    newest = api.get(f"users/{user.pk}/history/").data[0]
    assert (newest["who"], newest["door"]) == ("ada", "REST")
    assert newest["reason"].startswith("token admin of tests (nun_")
    assert {"name": "description", "before": "nothing", "after": "after"} in newest["steps"]


def test_acts_stand_in_the_audit_trail(api, acme):
    user = factories.user(acme, "svc")
    api.post(f"users/{user.pk}/disable/")
    entry = api.get("audit/?ordering=-id&limit=1").data["results"][0]
    assert (entry["act"], entry["door"], entry["person"]) == ("users disabled", "rest", "ada")
    assert entry["detail"]["token"].startswith("admin of tests (nun_")
    assert entry["detail"]["users"] == ["svc"]


def test_me_tells_whose_token_it_is(api):
    told = api.get("me/").data
    assert (told["person"], told["scope"], told["accounts"]) == ("ada", "admin", None)


def test_a_row_of_each_resource_can_be_read(api, acme):
    factories.demo(users=20, names=("orders", "billing"))
    for name in ("systems", "accounts", "roles", "users", "permissions", "exports", "imports", "mappings", "tokens"):
        listed = api.get(f"{name}/?limit=5")
        assert listed.status_code == 200, (name, listed.content)
        row = listed.data["results"][0]
        one = api.get(f"{name}/{row['id']}/")
        assert one.data == row, name
        assert one.headers["ETag"]
    for name in ("servers", "revisions", "holds", "drifts", "audit", "health", "doctor"):
        assert api.get(f"{name}/").status_code == 200, name
