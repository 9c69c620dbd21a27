"""A preview says what an act changes, and every row stays as it was."""

import pytest
from django.core.exceptions import ValidationError

from accounts_app.models import Account, AuditEntry, NatsUser, SubjectPermission, System
from accounts_app.preview import preview
from accounts_app.services import create_user
from accounts_app.wanted import want
from tests import factories


@pytest.fixture
def of(db):
    account = factories.account()
    factories.user(account, "svc", "publish orders.>")
    return account


def counters():
    return list(System.objects.values_list("wanted")), list(Account.objects.values_list("name", "wanted"))


def test_a_new_permission_in_words_and_as_conf(of):
    before = counters()
    user = NatsUser.objects.get(name="svc")

    def act():
        return SubjectPermission.objects.create(user=user, action="publish", subject="invoice.>")

    seen = preview(of.system, act)
    assert [str(change) for change in seen.changes] == ["user `svc` of account `ORDERS` may now publish `invoice.>`"]
    assert seen.conf[0]["text"] == "accounts.ORDERS"
    assert any(line["kind"] == "plus" and "invoice.>" in line["text"] for line in seen.conf)
    assert not SubjectPermission.objects.filter(subject="invoice.>").exists()
    assert counters() == before


def test_a_deleted_account_is_gone_in_the_preview_alone(of):
    seen = preview(of.system, of.delete)
    assert [change.kind for change in seen.changes] == ["account_removed"]
    assert Account.objects.filter(name="ORDERS").exists()


def test_nothing_is_told_of_a_secret(of):
    seen = preview(of.system, lambda: create_user(of, "new", credential="password"))
    _, secret = seen.answer
    assert "$2a$" not in str(seen.as_dict())
    assert secret.secret not in str(seen.as_dict())
    assert not AuditEntry.objects.filter(object_name="new").exists()


def test_an_account_that_could_not_be_applied_says_why(of):
    user = NatsUser.objects.get(name="svc")

    def act():
        NatsUser.objects.filter(pk=user.pk).update(connection_types=["PIGEON"])

    assert "PIGEON" in preview(of.system, act).faults[0]


def test_a_refused_act_is_refused(of):
    before = counters()
    with pytest.raises(ValidationError):
        preview(of.system, lambda: create_user(of, "svc"))
    assert counters() == before


def test_an_act_without_effect_has_none(of):
    want(of.system_id, [of.pk])
    seen = preview(of.system, lambda: None)
    assert (seen.changes, seen.conf, seen.faults) == ((), (), ())
