"""Revisions, held changes and drift are events from the moment that their rows are there."""

import pytest
from django.db import DatabaseError, connection, transaction

from accounts_app import services
from accounts_app.door import through
from accounts_app.models import NatsUser, System
from accounts_app.preview import preview
from monitoring import archive
from monitoring.models import ArchivedEvent
from provisioning import decisions, drift_answers
from provisioning.models import Drift, Hold, Revision
from tests import factories
from tests.provisioning.world import World


@pytest.fixture
def world(transactional_db, tmp_path, settings):
    made = World(tmp_path, settings)
    try:
        yield made.start()
    finally:
        made.stop()


def texts(kind, account=None):
    found = ArchivedEvent.objects.filter(kind=kind).order_by("pk")
    return [row.text for row in (found if account is None else found.filter(account=account))]


def test_what_people_do_and_what_others_do_is_told(world):
    ada = factories.admin()
    acme = world.account("ACME", owner=ada)
    world.many_users(acme, 30)
    world.apply()
    before = archive.newest(world.system.pk)
    with through("admin", person=ada):
        NatsUser.objects.filter(name="u0").update(enabled=False)
    world.apply()
    number = Revision.objects.first().number
    (_, told), *more = archive.rows_since(world.system.pk, before)
    assert not more
    assert told.text == f"Revision {number} by ada: user `u0` of account `ACME` is removed."
    assert (told.kind, told.account, told.account_pk, told.owner) == ("revision", "ACME", acme.pk, "ada")
    assert (told.revision, told.detail["who"]) == (number, "ada")
    assert told.at == Revision.objects.first().created_at.timestamp()

    NatsUser.objects.filter(name__startswith="u1").delete()
    world.apply()
    hold = Hold.objects.get()
    with through("admin", person=ada):
        decisions.refuse(hold)
    waits, answer = texts("revision", "ACME")[-2:]
    assert waits.startswith("A change of `ACME` waits for a person's yes: 11 of its users would go")
    assert answer == f"ada said no to the held change of `ACME`: {hold.reason}"
    world.apply()

    System.objects.filter(pk=world.system.pk).update(drift_policy="ask")
    world.conf.write_text(world.conf.read_text() + "\n# mine\n")
    world.apply(fresh=True)
    world.apply(fresh=True)
    drift = Drift.objects.get()
    with through("admin", person=ada):
        drift_answers.revert(drift)
    world.apply(fresh=True)
    assert texts("drift") == [
        "accounts.conf was changed by hand. It waits for a person.",
        "ada asked for the repair of what others changed: accounts.conf was changed by hand.",
        "accounts.conf was changed by hand. nunect puts back what the rows say.",
    ]
    newest = archive.newest(world.system.pk)
    assert archive.rows_since(world.system.pk, newest) == []
    keys = [key for key, _ in archive.rows_since(world.system.pk, before)]
    assert keys == sorted(keys)
    assert keys[-1] <= newest


# --- without a server --------------------------------------------------------------


def revision(*changes, **fields):
    return Revision.objects.create(
        system=factories.system(),
        number=7,
        sha256="a",
        text_sha256="b",
        renderer=1,
        wanted=1,
        changes=[{"account": account, "text": text} for account, text in changes],
        **fields,
    )


def test_each_of_a_few_accounts_has_its_own_event(db):
    acme, shop = factories.account("ACME"), factories.account("SHOP")
    revision(("ACME", "a is so"), ("ACME", "b is so"), ("ACME", "c"), ("ACME", "d"), ("SHOP", "e"))
    assert texts("revision", "ACME") == ["Revision 7 by nunect itself: a is so; b is so; c; and 1 more."]
    assert texts("revision", "SHOP") == ["Revision 7 by nunect itself: e."]
    assert set(ArchivedEvent.objects.values_list("account_pk", flat=True)) == {acme.pk, shop.pk}


def test_many_accounts_have_one_event_for_all(db):
    revision(*((f"A{number}", f"account `A{number}` is added") for number in range(30)))
    (told,) = texts("revision")
    assert told.endswith("; and 27 more.")
    assert ArchivedEvent.objects.get().account == ""


def test_a_revision_that_changes_nothing_in_words_says_its_reason(db):
    revision(reason="nunect writes this conf in another way now.")
    assert texts("revision") == ["Revision 7 by nunect itself: nunect writes this conf in another way now."]


def test_a_key_is_told_by_its_user_s_name_and_no_hash_is_told(db):
    acme = factories.account("ACME")
    user = factories.user(acme, "svc")
    bcrypt = "$2a$11$" + "x" * 53
    revision(("ACME", f"user `{user.nkey}` of account `ACME` has the password {bcrypt}"))
    (row,) = ArchivedEvent.objects.all()
    assert "user `svc` of account" in row.text
    for secret in (user.nkey, bcrypt):
        assert secret not in row.text + str(row.detail)


def test_what_is_rolled_back_or_only_tried_never_happened(db):
    acme = factories.account("ACME")
    with pytest.raises(RuntimeError), transaction.atomic():
        revision(("ACME", "a"))
        raise RuntimeError
    preview(acme.system, lambda: Hold.objects.create(system=acme.system, account="ACME", reason="many would go"))
    assert not ArchivedEvent.objects.exists()


def test_an_archive_that_refuses_doesn_t_keep_a_revision_from_being_recorded(db):
    def refuse(execute, sql, params, many, context):
        if sql.startswith("INSERT") and "archivedevent" in sql:
            raise DatabaseError("no such column")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        revision(("ACME", "a"))
    assert Revision.objects.count() == 1
    assert not ArchivedEvent.objects.exists()


def test_other_acts_of_the_trail_are_no_events(db):
    acme = factories.account("ACME")
    services.rotate(factories.user(acme))
    assert not ArchivedEvent.objects.exists()
