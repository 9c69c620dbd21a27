"""The owner of an account in a document: given by name, kept where nothing is said, told before it is done."""

import pytest

from accounts_app.applying import apply_document, export_document
from accounts_app.models import Account
from accounts_app.natsconf.document import DocumentError, read_document, write_document
from accounts_app.preview import preview
from accounts_app.reconcile import ReconcileError
from tests import factories


@pytest.fixture
def system(db):
    factories.admin("ada")
    factories.admin("grace")
    return factories.system()


def said(**fields):
    return read_document({"accounts": [{"name": "ACME", **fields}]})


def owner():
    return getattr(Account.objects.select_related("owner").get(name="ACME").owner, "username", None)


def test_a_document_gives_an_account_to_a_person(system):
    assert apply_document(system, said(owner="ada")).changes.as_dict()["created"] == {"account": 1}
    assert owner() == "ada"
    assert not apply_document(system, said(owner="ada")).changes
    assert apply_document(system, said(owner="grace")).changes.as_dict()["updated"] == {"account": 1}
    assert owner() == "grace"
    assert Account.history.filter(name="ACME").count() == 2


@pytest.mark.parametrize("fields", [{}, {"owner": ""}, {"owner": None}, {"description": "new"}])
def test_who_owns_it_stays_where_nothing_is_said(system, fields):
    apply_document(system, said(owner="ada"))
    apply_document(system, said(**fields))
    assert owner() == "ada"


@pytest.mark.parametrize("name", ["nobody", "Ada", "a\x00b", "\ud800", "x" * 300])
def test_who_is_nobody_is_refused_at_the_field(system, name):
    with pytest.raises(ReconcileError) as refused:
        apply_document(system, said(owner=name))
    (place,) = refused.value.places
    assert (place.where, place.field) == ("Account “ACME”", "owner")
    assert place.sentence.startswith("There is no person “")
    assert not Account.objects.filter(name="ACME").exists()


def test_an_owner_is_text(system):
    with pytest.raises(DocumentError) as refused:
        said(owner=["ada"])
    assert refused.value.places == (("accounts[0].owner", "This must be text."),)


def test_what_is_exported_says_the_owner_and_changes_nothing(system):
    apply_document(system, said(owner="ada", description="The shop"))
    written = export_document(system, Account.objects.filter(name="ACME"))
    assert written["accounts"] == [{"name": "ACME", "description": "The shop", "owner": "ada"}]
    assert not apply_document(system, read_document(written)).changes
    document = read_document(written)
    assert write_document(document.accounts, owners=document.owners)["accounts"] == written["accounts"]


@pytest.mark.parametrize(
    ("before", "told"),
    [({"owner": "grace"}, "account `ACME` is owned by `ada` (was `grace`)"), ({}, "account `ACME` is owned by `ada`")],
)
def test_another_owner_is_told_before(system, before, told):
    apply_document(system, said(**before))
    seen = preview(system, lambda: apply_document(system, said(owner="ada")))
    assert [str(change) for change in seen.changes] == [told]
    assert not any(change.removes_access for change in seen.changes)
    assert owner() == before.get("owner")
