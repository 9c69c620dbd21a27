"""The tables are an outbox: every change of a row, through whichever way, asks for a run, once."""

import pytest
from django.db import connection, transaction
from django.db.models import F, RestrictedError
from django.utils import timezone

from accounts_app.door import through
from accounts_app.models import (
    Account,
    Export,
    ExportAccess,
    Mapping,
    MappingDestination,
    NatsUser,
    Role,
    SubjectPermission,
)
from accounts_app.wanted import wanted_committed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(rows):
    return rows.account("SHOP")


@pytest.fixture
def lab(rows):
    return rows.account("LAB")


@pytest.fixture
def asked():
    """The systems that a commit asked a run for."""
    heard = []

    def hear(sender, system_id, **kwargs):
        heard.append(system_id)

    wanted_committed.connect(hear)
    yield heard
    wanted_committed.disconnect(hear)


def test_a_save_counts_once_and_asks_once(rows, shop, asked):
    asked.clear()
    assert rows.moved(lambda: rows.user(shop)) == ({"SHOP"}, 1)
    assert asked == [rows.system.pk]


def test_many_changes_of_one_transaction_count_once(rows, shop, lab, asked):
    def act():
        with transaction.atomic():
            for number in range(5):
                rows.user(shop, f"u{number}", "publish a", "subscribe b")
            rows.user(lab, "l")

    asked.clear()
    assert rows.moved(act) == ({"SHOP", "LAB"}, 1)
    assert set(asked) == {rows.system.pk}
    assert Account.objects.get(name="SHOP").wanted == 2


def test_a_rolled_back_change_counts_nothing_and_asks_nothing(rows, shop, asked):
    def act():
        with pytest.raises(RuntimeError), transaction.atomic():
            rows.user(shop)
            raise RuntimeError

    asked.clear()
    assert rows.moved(act) == (set(), 0)
    assert asked == []


def test_what_follows_a_rolled_back_savepoint_counts_again(rows, shop, lab):
    def act():
        with transaction.atomic():
            with pytest.raises(RuntimeError), transaction.atomic():
                rows.user(shop, "gone")
                raise RuntimeError
            rows.user(shop, "stays")
            with pytest.raises(RuntimeError), transaction.atomic():
                rows.user(lab, "gone too")
                raise RuntimeError

    assert rows.moved(act) == ({"SHOP"}, 1)
    assert list(NatsUser.objects.values_list("name", flat=True)) == ["stays"]


def test_bulk_changes_count_and_are_remembered(rows, shop, lab):
    users = [
        NatsUser(system=rows.system, account=account, name=f"{account}-{n}", credential="none", enabled=False)
        for account in (shop, lab)
        for n in range(3)
    ]
    assert rows.moved(lambda: NatsUser.objects.bulk_create(users)) == ({"SHOP", "LAB"}, 1)
    assert NatsUser.history.filter(history_type="+").count() == 6
    for user in users[:3]:
        user.description = "x"
    assert rows.moved(lambda: NatsUser.objects.bulk_update(users[:3], ["description"])) == ({"SHOP"}, 1)
    some = NatsUser.objects.filter(account=lab)
    assert rows.moved(lambda: some.update(description="y")) == ({"LAB"}, 1)
    assert NatsUser.history.filter(history_type="~").count() == 6
    assert rows.moved(lambda: some.delete()) == ({"LAB"}, 1)
    assert NatsUser.history.filter(history_type="-").count() == 3


def test_what_goes_in_bulk_is_remembered_with_its_door(rows, shop, django_user_model):
    user = rows.user(shop, "svc", "publish x", "subscribe y")
    person = django_user_model.objects.create_user("olga")
    with through("rest", person=person, reason="tidied"):
        assert user.permissions.all().delete() == (2, {"accounts_app.SubjectPermission": 2})
    gone = SubjectPermission.history.filter(history_type="-")
    assert set(gone.values_list("door", "history_user", "history_change_reason")) == {("rest", person.pk, "tidied")}
    assert set(gone.values_list("subject", flat=True)) == {"x", "y"}
    assert not user.permissions.exists()
    assert not hasattr(NatsUser.objects, "delete")


def test_bulk_update_writes_every_kind_of_column(rows, shop):
    when = timezone.now()
    users = [rows.user(shop, f"u{n}") for n in range(3)]
    for number, user in enumerate(users):
        user.connection_types, user.expires_at, user.responses_max = ["MQTT"] * number, when, number
    fields = ["connection_types", "expires_at", "responses_max", "enabled"]
    users[2].enabled = False
    assert NatsUser.objects.bulk_update(users, fields) == 3
    assert list(NatsUser.objects.order_by("name").values_list(*fields)) == [
        ([], when, 0, True),
        (["MQTT"], when, 1, True),
        (["MQTT", "MQTT"], when, 2, False),
    ]
    users[0].responses_max = F("responses_max") + 7
    NatsUser.objects.bulk_update(users[:1], ["responses_max"])
    assert NatsUser.objects.get(name="u0").responses_max == 7
    assert NatsUser.history.filter(name="u0", history_type="~").count() == 2


def test_a_shared_role_counts_for_those_who_use_it(rows, shop, lab):
    role = rows.role(None, "reader")
    rows.user(shop, access="role", role=role)
    assert rows.moved(lambda: rows.permit("subscribe x", role=role)) == ({"SHOP"}, 1)
    lab.default_role = role
    lab.save()
    assert rows.moved(lambda: role.save()) == ({"SHOP", "LAB"}, 1)
    assert rows.moved(lambda: SubjectPermission.objects.all().delete()) == ({"SHOP", "LAB"}, 1)


def test_a_rule_that_moves_counts_where_it_was_and_where_it_goes(rows, shop, lab):
    """Else the servers would go on allowing what the row says no more."""
    one, other = rows.role(shop, "one", "publish x"), rows.role(lab, "other")
    assert rows.moved(lambda: SubjectPermission.objects.update(role=other)) == ({"SHOP", "LAB"}, 1)
    rule = SubjectPermission.objects.get()
    rule.role = one

    assert rows.moved(rule.save) == ({"SHOP", "LAB"}, 1)


def test_what_goes_with_an_account_counts_for_those_who_stay(rows, shop, lab):
    export = Export.objects.create(account=shop, kind="stream", subject="x")
    ExportAccess.objects.create(export=export, account=lab)
    assert rows.moved(lambda: lab.delete()) == ({"SHOP"}, 1)
    assert not ExportAccess.objects.exists()


def test_an_account_goes_with_the_roles_that_its_own_users_have(rows, shop):
    role = rows.role(shop, "service")
    rows.user(shop, "svc", access="role", role=role)
    Account.objects.filter(pk=shop.pk).update(default_role=role)
    with pytest.raises(RestrictedError):
        role.delete()
    Account.objects.get(pk=shop.pk).delete()
    assert not NatsUser.objects.filter(name="svc").exists() and not Role.objects.filter(name="service").exists()


@pytest.mark.parametrize("model", [SubjectPermission, NatsUser, Role, MappingDestination, Mapping])
def test_a_deleted_row_counts_for_its_account(rows, shop, model):
    rows.user(shop, "svc", "publish x")
    rows.role(shop, "worker", "publish y")
    MappingDestination.objects.create(mapping=Mapping.objects.create(account=shop, source="a"), subject="b")
    assert rows.moved(lambda: model.objects.first().delete()) == ({"SHOP"}, 1)


def test_nothing_counts_when_nothing_is_touched(rows, shop):
    assert rows.moved(lambda: NatsUser.objects.filter(name="nobody").update(enabled=False)) == (set(), 0)
    assert rows.moved(lambda: NatsUser.objects.none().delete()) == (set(), 0)
    assert rows.moved(lambda: NatsUser.objects.bulk_create([])) == (set(), 0)
    assert connection.run_on_commit == []
