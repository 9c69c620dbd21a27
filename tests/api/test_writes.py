"""Writing: a look first, done once, and only what was seen."""

import pytest

from accounts_app.models import Account, Answer, AuditEntry, NatsUser, System, Token
from tests import factories
from tests.api.conftest import Api, errors, token_of

USER = {"account": "ACME", "name": "svc", "permissions": [{"action": "publish", "subject": "orders.>"}]}


def state():
    return (
        list(System.objects.values_list("wanted", flat=True)),
        *(model.objects.count() for model in (Account, NatsUser, Answer, AuditEntry)),
        *(model.history.count() for model in (Account, NatsUser)),
    )


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("POST", "accounts/", {"name": "SHOP"}),
        ("POST", "users/", USER),
        ("PATCH", "accounts/{acme}/", {"max_connections": 7}),
        ("DELETE", "accounts/{acme}/", None),
        ("POST", "users/{old}/rotate/", {}),
        ("POST", "users/{old}/disable/", None),
        ("POST", "apply/", {"accounts": [{"name": "SHOP", "users": [{"name": "a"}]}]}),
        ("POST", "import/", {"conf": "accounts { SHOP { users: [{user: a, password: abcdefghijkl}] } }"}),
        ("POST", "tokens/", {"name": "x"}),
    ],
)
def test_a_dry_run_says_what_it_would_do_and_does_nothing(api, acme, method, path, body):
    old = factories.user(acme, "old")
    before = state()
    answer = api.call(method, path.format(acme=acme.pk, old=old.pk) + "?dry_run=true", body)
    assert answer.status_code == 200, answer.data
    assert {"changes", "conf", "faults", "warnings", "rows"} == answer.data.keys()
    assert state() == before
    if "tokens" not in path:
        assert answer.data["changes"] or answer.data["conf"], answer.data


def test_a_preview_speaks_natss_words_and_tells_no_hash(api, acme):
    answer = api.post("users/?dry_run=true", {**USER, "credential": "password"})
    assert answer.data["changes"][0]["account"] == "ACME"
    assert "svc" in answer.data["changes"][0]["text"]
    assert "+" in answer.data["conf"]
    assert "$2a$" not in answer.data["conf"]
    gone = api.delete(f"accounts/{acme.pk}/?dry_run=true")
    assert gone.data["changes"][0]["removes_access"] is True


def test_the_same_look_again_says_the_same(api, acme):
    for path, body in (("users/", USER), ("apply/", {"accounts": [{"name": "SHOP", "users": [{"name": "a"}]}]})):
        first, second = (api.post(f"{path}?dry_run=true", body).data for _ in range(2))
        assert first == second
        assert "‹new nkey of " in first["conf"]


def test_a_dry_run_refuses_what_the_write_refuses(api, acme):
    said = [errors(api.post(f"users/{ask}", {**USER, "name": ""})) for ask in ("", "?dry_run=true")]
    assert said[0] == said[1]


def test_the_same_key_does_it_once(api, acme):
    first = api.post("users/", USER, Idempotency_Key="k1")
    second = api.post("users/", USER, Idempotency_Key="k1")
    assert first.status_code == second.status_code == 201
    assert first.data == second.data
    assert first.data["secret"]["seed"].startswith("SU")
    assert second.headers["Idempotent-Replayed"] == "true"
    assert NatsUser.objects.filter(name="svc").count() == 1


def test_the_same_key_with_another_body_is_refused(api, acme):
    api.post("users/", USER, Idempotency_Key="k1")
    answer = api.post("users/", {**USER, "name": "other"}, Idempotency_Key="k1")
    assert answer.status_code == 422
    assert errors(answer) == {"Idempotency-Key": "This key came with another request before: use a new one."}
    assert not NatsUser.objects.filter(name="other").exists()


def test_a_deletion_under_a_key_is_answered_again_though_the_row_is_gone(api, acme):
    path = f"users/{api.post('users/', USER).data['id']}/"
    first, again = (api.delete(path, Idempotency_Key="k1") for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200) and again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert api.delete(path).status_code == api.delete(path, Idempotency_Key="k2").status_code == 404


def test_a_key_is_the_callers_own(api, acme, ada):
    first = api.post("users/", USER, Idempotency_Key="k1")
    other = Api(token_of(ada)).post("users/", {**USER, "name": "other"}, Idempotency_Key="k1")
    assert (first.status_code, other.status_code) == (201, 201)


def test_what_was_refused_may_be_tried_again_with_its_key(api, acme):
    assert api.post("users/", {**USER, "account": "NONE"}, Idempotency_Key="k1").status_code == 422
    assert api.post("users/", USER, Idempotency_Key="k1").status_code == 201


def test_no_secret_of_an_answer_can_be_read_in_the_table(api, acme):
    seed = api.post("users/", USER, Idempotency_Key="k1").data["secret"]["seed"]
    kept = Answer.objects.get()
    assert seed.encode() not in bytes(kept.body)
    assert "k1" not in (kept.key, kept.caller, kept.request)


def test_answers_are_forgotten_after_a_day(api, acme):
    from datetime import timedelta

    from accounts_app.services import forget_answers

    api.post("users/", USER, Idempotency_Key="k1")
    kept = Answer.objects.get()
    assert forget_answers() == 0
    Answer.objects.filter(pk=kept.pk).update(created_at=kept.created_at - timedelta(hours=25))
    assert forget_answers() == 1


def test_if_match_keeps_from_overwriting_what_was_not_seen(api, acme):
    seen = api.get(f"accounts/{acme.pk}/").headers["ETag"]
    first = api.patch(f"accounts/{acme.pk}/", {"max_connections": 7}, If_Match=seen)
    assert first.status_code == 200
    assert first.headers["ETag"] != seen
    second = api.patch(f"accounts/{acme.pk}/", {"max_connections": 8}, If_Match=seen)
    assert second.status_code == 412
    assert errors(second) == {"": "The row is not what If-Match says: read it again."}
    assert api.delete(f"accounts/{acme.pk}/", If_Match=seen).status_code == 412
    assert Account.objects.get(pk=acme.pk).max_connections == 7
    third = api.patch(f"accounts/{acme.pk}/", {"max_connections": 9}, If_Match=first.headers["ETag"])
    assert third.status_code == 200


def test_an_unchanged_row_needs_no_second_reading(api, acme):
    seen = api.get(f"accounts/{acme.pk}/")
    again = api.get(f"accounts/{acme.pk}/", If_None_Match=seen.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")


def test_a_row_that_was_read_can_be_sent_back_whole(api, acme):
    user = factories.user(acme, "svc", "publish orders.>")
    row = api.get(f"users/{user.pk}/")
    before = state()
    answer = api.patch(f"users/{user.pk}/", row.data)
    assert answer.status_code == 200, answer.data
    assert answer.headers["ETag"] == row.headers["ETag"]
    assert state()[1:4] == before[1:4]


def test_permissions_that_would_mean_nothing_are_refused(api, acme):
    user = factories.user(acme, "svc", access="all")
    rule = {"action": "publish", "effect": "allow", "subject": "b.>", "queue": ""}
    sentence = "They mean nothing while the access of user “svc” is “all”: make it “own”, too."
    asked = {"permissions": [rule]}
    assert errors(api.patch(f"users/{user.pk}/", asked)) == {"permissions": sentence}
    assert errors(api.post("permissions/", {"user": "svc", **rule})) == {"permissions": sentence}
    assert api.patch(f"users/{user.pk}/", {**asked, "access": "own"}).data["permissions"] == [rule]


def test_a_token_row_is_revoked_not_lost(api, ada):
    made = api.post("tokens/", {"name": "x"})
    gone = api.delete(f"tokens/{made.data['id']}/")
    assert gone.status_code == 200
    assert Token.objects.get(pk=made.data["id"]).revoked_at is not None
    assert Api(made.data["token"]).get("me/").status_code == 401
