"""The history page: what happened to a row and to what belongs to it."""

from django.urls import reverse

from accounts_app.door import through
from accounts_app.models import NatsUser, SubjectPermission
from tests import factories


def page_of(user):
    return reverse("admin:accounts_app_natsuser_history", args=[user.pk])


def test_a_permission_that_goes_stands_in_the_history_of_its_user(page, db):
    with through("admin", person=factories.admin("grace")):
        user = factories.user(factories.account(), "svc", "publish orders.>", "subscribe jobs.* workers")
        user.permissions.get(subject="orders.>").delete()
        user.description = "moves orders"
        user.save()
    text = " ".join(page.get(page_of(user)).content.decode().split())
    assert "allow publish orders.&gt;</span> removed" in text
    assert "allow subscribe jobs.* workers</span> added" in text
    assert "<del>nothing</del> → <ins>moves orders</ins>" in text
    assert "grace" in text


def test_a_permission_that_changes_is_told_before_and_after(page, db):
    user = factories.user(factories.account(), "svc", "publish orders.>")
    rule = user.permissions.get()
    rule.effect = SubjectPermission.Effect.DENY
    rule.save()
    text = page.get(page_of(user)).content.decode()
    assert "<del>allow</del> → <ins>deny</ins>" in text


def test_history_outlives_its_row(page, db):
    user = factories.user(factories.account(), "short-lived")
    address = page_of(user)
    user.delete()
    text = page.get(address).content.decode()
    assert "short-lived" in text
    assert "removed" in text


def test_keys_are_shown_to_those_who_may_give_them(client, db):
    user = factories.user(factories.account(), "svc")
    client.force_login(factories.staff("vera", "accounts_app.view_natsuser"))
    assert user.nkey not in client.get(page_of(user)).content.decode()
    client.force_login(factories.staff("mona", "accounts_app.view_natsuser", "accounts_app.change_natsuser"))
    assert user.nkey in client.get(page_of(user)).content.decode()


def test_long_histories_stay_cheap(page, db, django_assert_max_num_queries):
    role = factories.role(factories.account(), "worker", *(f"publish orders.{number}" for number in range(300)))
    address = reverse("admin:accounts_app_role_history", args=[role.pk])
    page.get(address)
    with django_assert_max_num_queries(15):
        assert page.get(address).status_code == 200


def test_history_of_nothing_is_not_found(page, db):
    factories.system()
    assert page.get(reverse("admin:accounts_app_natsuser_history", args=[987654])).status_code == 404
    assert not NatsUser.objects.exists()
