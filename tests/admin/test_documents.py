"""A document or a conf in the admin: looked at first, then done just so, and its secrets told once."""

import html
import json
import re
import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import QuerySet

from accounts_app.access import Narrowed
from accounts_app.admin import documents
from accounts_app.documents_text import TextError, read_text, read_texts
from accounts_app.models import Account, AuditEntry, NatsUser
from accounts_app.natsconf.document import DocumentError
from tests import factories
from tests.admin.test_users import everything_kept

PAGE = "/admin/accounts_app/account/apply/"
SEED = re.compile(r"SU[A-Z2-7]{56}")
SHOP = """
accounts:
  - name: SHOP
    users:
      - name: shop-api
        permissions: [allow publish orders.created]
      - name: shop-worker
        credential: password
        permissions: [allow subscribe orders.> workers]
"""


@pytest.fixture
def of(db):
    account = factories.account()
    factories.user(account, "svc", "publish orders.>")
    return account


def look(page, text, **more):
    return page.post(PAGE, {"step": "look", "kind": "document", "text": text, **more})


def sealed(answer):
    return answer.context["sealed"]


def problems(answer):
    assert answer.status_code == 200
    assert answer.templates[0].name == "accounts_app/document_form.html"
    return answer.context["problems"]


def words(answer):
    return html.unescape(answer.content.decode())


def test_it_is_shown_then_done_and_told_once(page, of, caplog):
    caplog.set_level("DEBUG")
    shown = look(page, SHOP)
    text = words(shown)
    assert "account <code>SHOP</code> is added with 2 users" in text
    assert "created: 1 × account" in text
    assert "‹new nkey of shop-api›" in text
    assert not SEED.search(text)
    assert "no-store" in shown["Cache-Control"]
    assert not Account.objects.filter(name="SHOP").exists()
    assert not AuditEntry.objects.filter(act="document applied").exists()

    done = page.post(PAGE, {"step": "apply", "sealed": sealed(shown)})
    assert "no-store" in done["Cache-Control"]
    seed = SEED.search(words(done))[0]
    password = re.search(r"shop-worker,password,(\S+)", words(done))[1]
    assert NatsUser.objects.filter(account__name="SHOP").count() == 2
    entry = AuditEntry.objects.get(act="document applied")
    assert entry.door == "admin"
    kept = everything_kept(page, caplog)
    assert seed not in kept
    assert password not in kept


def test_access_that_goes_is_told_first_and_hashes_are_masked(page, of):
    factories.user(of, "old", credential="password", password_hash="$2a$04$" + "b" * 53)
    shown = look(page, "accounts: [{name: ORDERS, users: [{name: new, password: a-long-enough-one}]}]")
    said = shown.context["said"]
    assert said[0]["danger"]
    assert [line["danger"] for line in said] == sorted((line["danger"] for line in said), reverse=True)
    assert "$2a$" not in words(shown)
    assert "a-long-enough-one" not in words(shown)
    assert NatsUser.objects.filter(name="old").exists()


def test_rows_that_moved_are_shown_again_and_nothing_is_done(page, of):
    text = "accounts: [{name: ORDERS, users: []}]"
    shown = look(page, text)
    factories.user(of, "late")
    again = page.post(PAGE, {"step": "apply", "sealed": sealed(shown)})
    assert again.context["moved"]
    assert "late" in words(again)
    assert NatsUser.objects.filter(account=of).count() == 2
    page.post(PAGE, {"step": "apply", "sealed": sealed(again)})
    assert not NatsUser.objects.filter(account=of).exists()


def test_the_same_yes_twice_is_done_once(page, of):
    shown = look(page, SHOP)
    page.post(PAGE, {"step": "apply", "sealed": sealed(shown)})
    before = NatsUser.objects.get(name="shop-api").nkey
    again = page.post(PAGE, {"step": "apply", "sealed": sealed(shown)})
    assert again.context["moved"]
    assert again.context["nothing"]
    assert NatsUser.objects.get(name="shop-api").nkey == before
    assert AuditEntry.objects.filter(act="document applied").count() == 1


def test_what_the_rows_say_already_asks_for_no_yes(page, of):
    shown = look(page, "accounts: [{name: ORDERS, users: [{name: svc, permissions: [allow publish orders.>]}]}]")
    assert shown.context["nothing"]
    assert 'value="apply"' not in words(shown)


def test_a_yes_is_only_its_own_person_s_and_not_for_ever(page, client, of, monkeypatch):
    shown = look(page, SHOP)
    client.force_login(factories.admin("grace"))
    assert "too old" in problems(client.post(PAGE, {"step": "apply", "sealed": sealed(shown)}))[0][1]
    client.force_login(factories.admin("ada"))
    monkeypatch.setattr(documents, "GOOD_FOR_S", -1)
    assert problems(client.post(PAGE, {"step": "apply", "sealed": sealed(shown)}))
    for forged in ("", "x", "gAAAAA", "\x00", "é"):
        assert problems(client.post(PAGE, {"step": "apply", "sealed": forged}))
    assert not Account.objects.filter(name="SHOP").exists()


def test_the_page_holds_no_password_between_look_and_yes(page, of):
    shown = look(page, "accounts: [{name: ORDERS, users: [{name: svc, password: a-long-enough-one}]}]")
    assert "a-long-enough-one" not in words(shown)
    assert "a-long-enough-one" in words(page.post(PAGE, {"step": "edit", "sealed": sealed(shown)}))


def test_prune_says_what_goes(page, of):
    factories.account("OLD")
    shown = look(page, "accounts: [{name: ORDERS}]", prune="1")
    assert "OLD" in words(shown)
    page.post(PAGE, {"step": "apply", "sealed": sealed(shown)})
    assert not Account.objects.filter(name="OLD").exists()
    assert Account.objects.filter(name="$SYS").exists()
    kept = look(page, "accounts: [{name: ORDERS}]")
    assert kept.context["nothing"]


def test_a_file_and_json_and_several_documents(page, of):
    several = b"accounts: [{name: ONE}]\n---\naccounts: [{name: TWO}]\n"
    shown = page.post(PAGE, {"step": "look", "kind": "document", "file": SimpleUploadedFile("a.yaml", several)})
    assert "<code>ONE</code>" in words(shown)
    assert "<code>TWO</code>" in words(shown)
    long = page.post(PAGE, {"step": "look", "text": SimpleUploadedFile("text", json.dumps({"accounts": []}).encode())})
    assert long.context["nothing"]
    as_file = {"step": "apply", "sealed": SimpleUploadedFile("sealed", sealed(shown).encode())}
    page.post(PAGE, as_file)
    assert Account.objects.filter(name__in=["ONE", "TWO"]).count() == 2


@pytest.mark.parametrize(
    ("text", "place", "sentence"),
    [
        ("", "", "Paste something"),
        ("accounts: [{name: A, users: [{}, {}, {name: 7}]}]", "accounts[0].users[2].name", "must be text"),
        ("accounts: [{name: A, colour: blue}]", "accounts[0].colour", "no such field"),
        ("accounts: [{name: A}]\n---\naccounts: [{users: 3}]", "accounts[1].users", "must be a list"),
        ("accounts: [{name: a.b}]", "Account “a.b”", ""),
        ("system: other\naccounts: []", "system", "no such system"),
        ("accounts:\n\t- x", "line 2, column 1", "no YAML"),
        ('{"accounts": [}', "line 1, column 15", "no JSON"),
        ("{}", "accounts", "names no accounts"),
        ("just words", "document", "must be a map"),
        ("accounts: &a [*a]", "line 1, column 15", "in itself"),
        ("accounts: [{name: A, name: B}]", "line 1, column 22", "twice"),
        ("accounts: [{name: A, users: [{name: u, expires_at: soon}]}]", "accounts[0].users[0].expires_at", "date"),
        ('accounts: [{name: A, description: "nul\\0"}]', "Account “A”", ""),
    ],
)
def test_what_is_wrong_is_said_with_its_place_as_rest_says_it(page, of, text, place, sentence):
    found = problems(look(page, text))
    assert any(where.startswith(place) and sentence in said for where, said in found), found
    assert set(Account.objects.values_list("name", flat=True)) == {"$SYS", "$NUNECT", "ORDERS"}
    try:
        document = read_text(text)
    except DocumentError:
        return
    rest = page.post("/api/v1/apply/?dry_run=true", document, content_type="application/json")
    if rest.status_code == 422:
        assert [(error["field"], error["detail"]) for error in rest.json()["errors"]] == found


def test_no_text_is_an_error_of_ours(page, of):
    for text in (
        "\x00",
        "[" * 100_000,
        "- " * 50_000,
        '{"a":' * 50_000,
        "x: " + "9" * 5000,
        "!!set {a}",
        "%",
        "&a",
    ):
        assert problems(look(page, text)), text[:20]
    bad = SimpleUploadedFile("a.yaml", b"\xff\xfe")
    assert "UTF-8" in problems(page.post(PAGE, {"step": "look", "file": bad}))[0][1]
    assert page.post(PAGE, {"step": "nonsense", "kind": "x\x00"}).status_code == 200
    assert page.get(PAGE, {"kind": "nonsense"}).status_code == 200


def test_too_much_is_refused(page, of, settings):
    settings.API_MAX_BYTES = 100
    for sent in ({"text": "#" * 101}, {"file": SimpleUploadedFile("a.yaml", b"#" * 101)}):
        assert "larger than the 100 bytes" in problems(page.post(PAGE, {"step": "look", **sent}))[0][1]


def test_aliases_are_read_and_bombs_are_not():
    found = read_texts("a: &a [1, 2]\nb: *a\nc: {<<: {d: 1}}")
    assert found == [{"a": [1, 2], "b": [1, 2], "c": {"d": 1}}]
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 30):
        bomb += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    began = time.process_time()
    with pytest.raises(TextError) as refused:
        read_texts(bomb)
    assert refused.value.line == 6
    assert time.process_time() - began < 1


def test_dates_and_answers_stay_text():
    text = "a: 2027-01-31T12:00:00Z\nb: no\nc: 012\nd: 12:30\ne: 1_000\nf: true\ng: 12"
    assert read_texts(text) == [
        {"a": "2027-01-31T12:00:00Z", "b": "no", "c": "012", "d": "12:30", "e": "1_000", "f": True, "g": 12}
    ]


def test_who_may_not_change_everything_has_no_page(client, of):
    models = ("account", "role", "natsuser", "subjectpermission", "export", "import", "mapping")
    rights = [f"accounts_app.{act}_{model}" for act in ("add", "change", "delete") for model in models]
    client.force_login(factories.staff("vera", "accounts_app.view_account", *rights[:-1]))
    assert client.get(PAGE).status_code == 403
    assert look(client, SHOP).status_code == 403
    assert PAGE not in client.get("/admin/accounts_app/account/").content.decode()
    client.force_login(factories.staff("mona", "accounts_app.view_account", *rights))
    assert client.get(PAGE).status_code == 200
    assert PAGE in client.get("/admin/accounts_app/account/").content.decode()


def test_nobody_reaches_further_than_by_other_doors(page, of, monkeypatch):
    factories.account("BILLING")
    connection.run_on_commit.clear()  # as if what was made before had been committed
    monkeypatch.setattr(type(factories.admin()), "nunect_token", Narrowed("write", frozenset([of.pk])), raising=False)
    assert look(page, "accounts: [{name: ORDERS, max_connections: 5}]").status_code == 200
    assert look(page, "accounts: [{name: BILLING, max_connections: 5}]").status_code == 403
    assert look(page, "accounts: [{name: ORDERS}]", prune="1").status_code == 403
    assert look(page, CONF, kind="conf", variables="PASSWORD=hunter2hunter2").status_code == 403


# --- a conf -------------------------------------------------------------------

CONF = """listen: 0.0.0.0:4222
accounts {
  LEGACY {
    users: [{ user: old, password: $PASSWORD, permissions: { publish: "a.>", subscribe: "b" } }]
  }
}
"""


def test_a_conf_is_shown_line_by_line_then_taken(page, of, caplog):
    caplog.set_level("DEBUG")
    given = {"kind": "conf", "variables": "PASSWORD=hunter2hunter2\n"}
    shown = look(page, CONF, **given)
    notes = {(note["line"], note["verdict"]) for note in shown.context["notes"]}
    assert (1, "left") in notes
    assert (3, "taken") in notes
    assert "account <code>LEGACY</code> is added with 1 user" in words(shown)
    assert "hunter2" not in words(shown)
    assert not Account.objects.filter(name="LEGACY").exists()
    done = page.post(PAGE, {"step": "apply", "sealed": sealed(shown)})
    assert done.context["notes"]
    assert NatsUser.objects.get(name="old").password_hash.startswith("$2a$")
    assert AuditEntry.objects.get(act="imported").door == "admin"
    assert "hunter2" not in everything_kept(page, caplog)
    assert look(page, CONF, **given).context["nothing"]


def test_a_conf_that_can_t_be_taken_says_why(page, of):
    refused = look(page, "operator: /x.jwt\nresolver: MEMORY\n", kind="conf")
    if refused.templates[0].name == "accounts_app/document_preview.html":
        assert refused.context["refused"]
        assert 'value="apply"' not in words(refused)
        assert any(note["verdict"] == "refused" for note in refused.context["notes"])
    broken = problems(look(page, "accounts { A { users: [ }", kind="conf"))
    assert broken[0][0] == "conf"
    assert "conf:1:" in broken[0][1]
    assert problems(look(page, "include other.conf", kind="conf"))
    assert problems(look(page, CONF, kind="conf"))[0][0] == "conf"
    assert problems(look(page, CONF, kind="conf", variables="PASSWORD"))[0][0] == "env"


def test_many_new_users_are_shown_and_applied(page, of):
    users = [{"name": f"u{number}", "permissions": ["allow publish a.>"]} for number in range(500)]
    shown = look(page, json.dumps({"accounts": [{"name": "BIG", "users": users}]}))
    assert shown.context["new_secrets"] == 500
    assert len(sealed(shown)) < 50_000
    done = page.post(PAGE, {"step": "apply", "sealed": sealed(shown)})
    assert len(SEED.findall(words(done))) == 500
    assert QuerySet(NatsUser).filter(account__name="BIG").count() == 500
