"""Tokens in the admin: shown once, listed for who may see them, revoked, and nothing else."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts_app import services
from accounts_app.models import AuditEntry, Token
from tests import factories
from tests.admin.test_users import everything_kept

LIST = "/admin/accounts_app/token/"
ADD = f"{LIST}add/"
BARE = re.compile(r"nun_[0-9a-f]{12}_[A-Za-z0-9_-]{43}")
RIGHTS = [f"accounts_app.{act}_token" for act in ("view", "add", "delete")]


def form(**more):
    return {"name": "ci", "scope": "read", **more}


def errors(answer):
    assert answer.status_code == 200, answer.status_code
    return {name: " ".join(said) for name, said in answer.context["adminform"].form.errors.items()}


def listed(client, **question):
    return {row.name for row in client.get(LIST, question).context["cl"].result_list}


def change(token):
    return reverse("admin:accounts_app_token_change", args=[token.pk])


@pytest.fixture
def of(db):
    return factories.account()


@pytest.fixture
def vera(db):
    return factories.staff("vera", *RIGHTS, "accounts_app.view_account")


def test_a_token_is_shown_once_and_kept_nowhere(page, ada, of, caplog):
    caplog.set_level("DEBUG")
    answer = page.post(ADD, form(scope="write", person=ada.pk, accounts=[of.pk]))
    assert "no-store" in answer["Cache-Control"]
    bare = BARE.search(answer.content.decode())[0]
    token = Token.objects.get()
    assert Token.find(bare) == token
    assert (token.scope, token.person, [*token.accounts.all()], token.restricted) == ("write", ada, [of], True)
    page.get("/admin/")
    secret = bare.split("_", 2)[2]
    assert secret not in everything_kept(page, caplog)
    for address in (LIST, change(token), reverse("admin:accounts_app_token_history", args=[token.pk])):
        assert secret not in page.get(address).content.decode()
    made = AuditEntry.objects.get(act="token created")
    assert (made.door, made.person, made.detail["prefix"]) == ("admin", ada, token.prefix)


@pytest.mark.parametrize(
    ("more", "field", "sentence"),
    [
        ({"name": ""}, "name", "required"),
        ({"name": "nul\x00"}, "name", ""),
        ({"name": "x" * 101}, "name", "100"),
        ({"scope": "everything"}, "scope", "everything"),
        ({"scope": ""}, "scope", "required"),
        ({"person": ""}, "person", "required"),
        ({"person": "9" * 30}, "person", ""),
        ({"accounts": ["77"]}, "accounts", "77"),
        ({"accounts": ["x"]}, "accounts", ""),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}, "expires_at", "This time is over already."),
        ({"expires_at_0": "soon", "expires_at_1": "x"}, "expires_at", ""),
    ],
)
def test_bad_input_is_answered_at_its_field(page, ada, more, field, sentence):
    said = errors(page.post(ADD, form(person=ada.pk) | more))
    assert sentence in said[field], said
    assert not Token.objects.exists()


def test_a_token_never_makes_one_that_does_more(page, ada, of, monkeypatch):
    from accounts_app.access import Narrowed

    monkeypatch.setattr(type(ada), "nunect_token", Narrowed("admin", frozenset([of.pk])), raising=False)
    said = errors(page.post(ADD, form(person=ada.pk)))
    assert said == {"person": said["person"]} or "Name the accounts" in said["accounts"]


def test_only_an_administrator_makes_one_for_another(client, page, vera, ada):
    assert page.post(ADD, form(person=vera.pk)).status_code == 200
    assert Token.objects.get().person == vera
    client.force_login(vera)
    assert "person" not in client.get(ADD).context["adminform"].form.fields
    assert client.post(ADD, form(name="mine", person=ada.pk)).status_code == 200
    assert Token.objects.get(name="mine").person == vera


def test_people_see_their_own_and_administrators_all(client, ada, vera):
    services.make_token(ada, "of ada")
    hers, _ = services.make_token(vera, "of vera")
    client.force_login(vera)
    assert listed(client) == {"of vera"}
    assert listed(client, q="of") == {"of vera"}
    of_ada = Token.objects.get(name="of ada")
    assert client.get(change(of_ada)).status_code == 302
    assert client.post(f"{LIST}{of_ada.pk}/revoke/").status_code == 404
    client.post(LIST, {"action": "revoke_selected", "_selected_action": [of_ada.pk, hers.pk]})
    assert [*Token.objects.filter(revoked_at=None)] == [of_ada]
    client.force_login(ada)
    assert listed(client) == {"of ada", "of vera"}
    assert listed(client, person__id__exact=vera.pk) == {"of vera"}


def test_states_are_told_and_filtered(page, ada, vera):
    services.make_token(ada, "alive", expires_at=timezone.now() + timedelta(days=1))
    old, _ = services.make_token(ada, "old")
    Token.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(days=1))
    gone, _ = services.make_token(ada, "gone")
    Token.objects.filter(pk=gone.pk).update(revoked_at=timezone.now())
    services.make_token(vera, "of nobody")
    vera.is_active = False
    vera.save()
    text = page.get(LIST).content.decode()
    for state in ("active", "expired", "revoked", "disabled"):
        assert f'data-nu-state="{state}"' in text, state
    assert listed(page, state="active") == {"alive"}
    assert listed(page, state="expired") == {"old"}
    assert listed(page, state="revoked") == {"gone"}
    assert listed(page, state="x") == {"alive", "old", "gone", "of nobody"}


def test_it_is_found_by_what_it_begins_with(page, ada):
    token, bare = services.make_token(ada, "ci")
    services.make_token(ada, "other")
    assert listed(page, q=token.prefix) == listed(page, q=bare) == {"ci"}


def test_revoking_asks_first_and_is_written_down(page, ada):
    token, bare = services.make_token(ada, "ci")
    address = f"{LIST}{token.pk}/revoke/"
    assert address in page.get(change(token)).content.decode()
    assert page.get(address).status_code == 200
    assert Token.find(bare)
    assert page.post(address).status_code == 302
    assert Token.find(bare) is None
    page.post(address)
    entry = AuditEntry.objects.get(act="token revoked")
    assert (entry.door, entry.object_name, entry.detail) == ("admin", "ci", {"prefix": token.prefix})
    assert address not in page.get(change(token)).content.decode()
    told = page.get(f"{LIST}{token.pk}/history/").context["entries"]
    assert [(one.act, one.who) for one in told] == [("token revoked", "ada"), ("token created", "a shell")]


def test_the_list_revokes_several(page, ada):
    tokens = [services.make_token(ada, name)[0] for name in ("a", "b", "c")]
    page.post(LIST, {"action": "revoke_selected", "_selected_action": [tokens[0].pk, tokens[1].pk]})
    assert [*Token.objects.filter(revoked_at=None)] == [tokens[2]]
    assert AuditEntry.objects.filter(act="token revoked").count() == 2


def test_it_is_neither_changed_nor_deleted(page, ada):
    token, _ = services.make_token(ada, "ci")
    assert page.post(change(token), form(name="other", scope="admin")).status_code == 403
    assert page.post(f"{LIST}{token.pk}/delete/", {"post": "yes"}).status_code == 403
    page.post(LIST, {"action": "delete_selected", "_selected_action": [token.pk], "post": "yes"})
    token.refresh_from_db()
    assert (token.name, token.scope) == ("ci", "read")


def test_who_may_only_look_gets_no_buttons(client, db):
    person = factories.staff("sam", RIGHTS[0])
    token, _ = services.make_token(person, "ci")
    client.force_login(person)
    text = client.get(change(token)).content.decode()
    assert "/revoke/" not in text
    assert 'name="_save"' not in text
    assert client.post(f"{LIST}{token.pk}/revoke/").status_code == 403
    assert client.get(ADD).status_code == 403


def test_who_has_no_right_sees_nothing(client, db):
    person = factories.staff()
    token, _ = services.make_token(person, "ci")
    client.force_login(person)
    for address in (LIST, change(token), f"{LIST}export.csv"):
        assert client.get(address).status_code == 403


def test_many_are_listed_with_few_queries(page, ada, of, django_assert_max_num_queries):
    for number in range(60):
        services.make_token(ada, f"t{number}", accounts=["ORDERS"])
    page.get(LIST)
    with django_assert_max_num_queries(12):
        page.get(LIST)


@pytest.mark.parametrize("strange", ["x", "9" * 30, "%00", "%ED%A0%80", "1%27--"])
def test_strange_addresses_are_answered(page, ada, strange):
    services.make_token(ada, "ci")
    for path in (f"{strange}/change/", f"{strange}/revoke/", f"?q={strange}", f"?person__id__exact={strange}"):
        assert page.get(LIST + path).status_code < 500, path
    for path in (
        f"?accounts__id__exact={strange}",
        f"?state={strange}",
        f"?scope__exact={strange}",
        f"{strange}/history/",
    ):
        assert page.get(LIST + path).status_code < 500, path
    assert page.get(f"{ADD}?person={strange}&accounts={strange}").status_code < 500
