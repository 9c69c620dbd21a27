"""Acts on users: whole or not at all, the same through every door, and no secret is told twice."""

import json
from datetime import timedelta

import bcrypt
import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.utils import timezone

from accounts_app import credentials, services
from accounts_app.door import through
from accounts_app.models import Account, AuditEntry, Import, NatsUser, System
from accounts_app.natsconf import nkeys
from accounts_app.natsconf.render import render_account
from accounts_app.snapshot import read_account
from tests.accounts_app.conftest import new_system

pytestmark = pytest.mark.django_db

BAD_SEED = credentials.new_nkey()[1]


def everything_written():
    """All text that any table of the database holds, history and audit among it."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found += [str(value) for row in cursor.fetchall() for value in row]
    return "\n".join(found)


def history_written():
    """All text of history and audit."""
    kept = [model for model in apps.get_models() if "Historical" in model.__name__ or model is AuditEntry]
    return json.dumps([list(model.objects.values()) for model in kept], default=str)


def field_of(refused):
    return set(refused.value.message_dict)


@pytest.fixture
def acme(rows):
    return rows.account()


# New credentials


def test_a_generated_password_is_shown_once_and_cheap_to_check(acme):
    user, secret = services.create_user(acme, "svc", credential="password")
    assert user.password_hash.startswith("$2a$04$")
    assert bcrypt.checkpw(secret.secret.encode(), user.password_hash.encode())
    assert len(secret.secret) >= 32


def test_a_chosen_password_is_dear_to_guess(acme):
    user, secret = services.create_user(acme, "svc", credential="password", password="correct horse")
    assert secret is None
    assert user.password_hash.startswith(f"$2a${credentials.CHOSEN_COST}$")
    assert bcrypt.checkpw(b"correct horse", user.password_hash.encode())


def test_a_generated_nkey_can_sign(acme):
    user, secret = services.create_user(acme, "svc")
    assert credentials.public_of(nkeys.decode_seed(secret.secret)[1]) == user.nkey


def test_a_pasted_nkey_is_kept_and_nothing_shown(acme):
    public, _ = credentials.new_nkey()
    user, secret = services.create_user(acme, "svc", nkey=public)
    assert (user.nkey, secret) == (public, None)


def test_a_certificate_has_no_secret(acme):
    user, secret = services.create_user(acme, "svc", credential="certificate", certificate="CN=svc")
    assert (user.certificate, secret) == ("CN=svc", None)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "a\x00b"}),
        ("name", {"name": "taken"}),
        ("nkey", {"nkey": "U123"}),
        ("nkey", {"nkey": BAD_SEED}),
        ("nkey", {"nkey": credentials.new_nkey("A")[0]}),
        ("password", {"credential": "password", "password": "x" * 73}),
        ("password", {"credential": "password", "password": "$2a$10$looks-like-one"}),
        ("certificate", {"credential": "certificate"}),
        ("certificate", {"credential": "certificate", "certificate": "CN=taken"}),
        ("certificate", {"credential": "certificate", "certificate": "pass"}),
        ("credential", {"credential": "charm"}),
        ("description", {"description": "\x00"}),
        ("description", {"description": "x" * 501}),
        ("access", {"access": "more"}),
        ("role", {"access": "role"}),
        ("connection_types", {"connection_types": ["PIGEON"]}),
        ("responses_expires", {"responses_expires": "soon"}),
        ("expires_at", {"expires_at": "soon"}),
        ("password_hash", {"password_hash": "x"}),
        ("colour", {"colour": "red"}),
    ],
)
def test_bad_input_is_refused_at_its_field_and_nothing_is_done(rows, acme, field, given):
    rows.user(acme, "taken")
    rows.user(acme, "cert", credential="certificate", certificate="CN=taken")
    rows.user(acme, "pass", credential="password", password_hash=credentials.hash_password("x", chosen=False))
    before = NatsUser.objects.count(), NatsUser.history.count(), rows.counters()
    with pytest.raises(ValidationError) as refused:
        services.create_user(acme, given.pop("name", "new"), **given)
    assert field_of(refused) == {field}
    assert (NatsUser.objects.count(), NatsUser.history.count(), rows.counters()) == before
    told = str(refused.value) + repr(refused.value)
    assert not [secret for secret in (BAD_SEED, "x" * 73, "looks-like") if secret in told]


def test_keys_of_others_and_nunects_own_are_refused(rows, acme, system):
    retiring, _ = credentials.new_nkey()
    other = rows.user(acme, "other", retiring_nkey=retiring, retiring_until=timezone.now() + timedelta(hours=1))
    for key in (other.nkey, retiring, system.control_nkey, system.guard_nkey, system.relay_nkey):
        with pytest.raises(ValidationError) as refused:
            services.create_user(acme, "svc", nkey=key)
        assert field_of(refused) == {"nkey"}
    elsewhere = Account.objects.create(system=new_system("elsewhere"), name="ACME")
    assert services.create_user(elsewhere, "svc", nkey=other.nkey)


def test_a_refused_credential_leaves_the_user_as_it_was(rows, acme):
    user = rows.user(acme)
    before = {field.attname: getattr(user, field.attname) for field in NatsUser._meta.fields}
    for given in ({"nkey": BAD_SEED}, {"nkey": "U"}):
        with pytest.raises(ValidationError):
            services.set_credential(user, "nkey", **given)
    assert before == {field.attname: getattr(user, field.attname) for field in NatsUser._meta.fields}


def test_no_secret_is_ever_written_or_shown(acme, caplog):
    user, seed = services.create_user(acme, "one")
    other, password = services.create_user(acme, "two", credential="password")
    chosen, _ = services.create_user(acme, "three", credential="password", password="correct-horse-battery")
    secrets = [seed.secret, password.secret, "correct-horse-battery", BAD_SEED]
    hashes = [other.password_hash, chosen.password_hash]
    secrets.append(services.rotate(user).secret)
    secrets.append(services.rotate(other).secret)
    until = timezone.now() + timedelta(hours=1)
    secrets.append(services.rotate_with_overlap(user, until).secret)
    secrets.append(services.rotate_with_overlap(chosen, until).secret)
    hashes.append(NatsUser.objects.get(name="two").password_hash)
    with pytest.raises(ValidationError):
        services.set_credential(user, "nkey", nkey=BAD_SEED)
    services.disable_users(NatsUser.objects.all())
    shown = everything_written() + caplog.text + repr([seed, password, user, services.connection_help(user, "s3cr3t")])
    assert not [secret for secret in [*secrets, "s3cr3t"] if secret in shown]
    kept = history_written()
    assert not [each for each in hashes if each in kept]
    assert "$2a$" not in kept


# Rotating


@pytest.mark.parametrize("kind", ["nkey", "password"])
def test_rotate_gives_another_secret_of_the_same_kind(rows, acme, kind):
    user, first = services.create_user(acme, "svc", credential=kind)
    moved, _ = rows.moved(lambda: None)
    second = services.rotate(user)
    user.refresh_from_db()
    assert (user.credential, second.kind) == (kind, kind)
    assert first.secret != second.secret
    assert moved == set()
    assert AuditEntry.objects.get(act="credential rotated").object_name == "svc"


def test_rotate_does_not_undo_what_others_did_meanwhile(rows, acme):
    user, _ = services.create_user(acme, "svc")
    NatsUser.objects.filter(pk=user.pk).update(enabled=False, description="leaked")
    services.rotate(user)
    services.rotate_with_overlap(user, timezone.now() + timedelta(hours=1))
    again = NatsUser.objects.get(pk=user.pk)
    assert (again.enabled, again.description) == (False, "leaked")


def test_rotate_forgets_what_an_import_remembered(acme):
    user, _ = services.create_user(acme, "svc", credential="password")
    NatsUser.objects.filter(pk=user.pk).update(fingerprint="f" * 64)
    services.rotate(user)
    assert NatsUser.objects.get().fingerprint == ""


@pytest.mark.parametrize("kind", ["nkey", "password"])
def test_with_overlap_both_work_and_both_are_rendered(acme, system, kind):
    user, _ = services.create_user(acme, "svc", credential=kind, access="all")
    old = user.nkey or user.password_hash
    services.rotate_with_overlap(user, timezone.now() + timedelta(hours=1))
    user.refresh_from_db()
    assert user.credential == "nkey"
    assert old in (user.retiring_nkey, user.retiring_password_hash)
    entries = render_account(read_account(acme)).tree["users"]
    assert {entry.get("nkey") or entry["password"] for entry in entries} == {old, user.nkey}


def test_a_chosen_credential_ends_an_overlap(acme):
    """An old password beside a new one can't be rendered: the account would be stuck."""
    user, _ = services.create_user(acme, "svc", credential="password")
    services.rotate_with_overlap(user, timezone.now() + timedelta(hours=1))
    services.set_credential(user, "password", password="correct-horse")
    user.save()
    assert (user.retiring_password_hash, user.retiring_until) == ("", None)
    render_account(read_account(acme))


def test_what_cannot_be_rotated_is_refused(rows, acme):
    certificate = rows.user(acme, "cert", credential="certificate", certificate="CN=x")
    later = timezone.now() + timedelta(hours=1)
    for act in (lambda: services.rotate(certificate), lambda: services.rotate_with_overlap(certificate, later)):
        with pytest.raises(ValidationError) as refused:
            act()
        assert field_of(refused) == {"credential"}
    user = rows.user(acme)
    for past in (timezone.now() - timedelta(seconds=1), timezone.now().replace(tzinfo=None) - timedelta(days=2)):
        with pytest.raises(ValidationError) as refused:
            services.rotate_with_overlap(user, past)
        assert field_of(refused) == {"until"}
    NatsUser.objects.filter(pk=user.pk).delete()
    with pytest.raises(ValidationError, match="gone"):
        services.rotate(user)
    assert not AuditEntry.objects.exists()


# Switching


@pytest.mark.django_db(transaction=True)
def test_disable_and_enable_count_each_account_once(rows):
    one, other = rows.account("ONE"), rows.account("OTHER")
    for number in range(3):
        rows.user(one, f"a{number}")
    rows.user(other, "b")
    moved, by = rows.moved(lambda: services.disable_users(NatsUser.objects.filter(account=one)))
    assert (moved, by) == ({"ONE"}, 1)
    assert NatsUser.history.filter(history_type="~", enabled=False).count() == 3
    assert services.disable_users(NatsUser.objects.all()) == 1
    moved, by = rows.moved(lambda: services.enable_users(NatsUser.objects.order_by("name")[:2]))
    assert (moved, by) == ({"ONE"}, 1)
    assert AuditEntry.objects.filter(act="users enabled").get().detail == {"count": 2, "users": ["a0", "a1"]}
    moved, by = rows.moved(lambda: services.enable_users(NatsUser.objects.filter(name="a0")))
    assert (moved, by) == (set(), 0)


def test_a_user_without_a_credential_is_not_enabled_and_neither_are_the_others(rows, acme):
    rows.user(acme, "fine", enabled=False)
    rows.user(acme, "bare", credential="none", enabled=False)
    with pytest.raises(ValidationError, match="“bare” needs a credential"):
        services.enable_users(NatsUser.objects.all())
    assert not NatsUser.objects.filter(enabled=True).exists()


def test_the_door_is_told(rows, acme, django_user_model):
    person = django_user_model.objects.create_user("olga")
    with through("rest", person=person, reason="leaked"):
        user, _ = services.create_user(acme, "svc")
        services.rotate(user)
        services.disable_users(NatsUser.objects.all())
    entries = AuditEntry.objects.all()
    assert {(entry.door, entry.person_name) for entry in entries} == {("rest", "olga")}
    told = NatsUser.history.values_list("door", "history_user", "history_change_reason")
    assert set(told) == {("rest", person.pk, "leaked")}


# Time


@pytest.mark.django_db(transaction=True)
def test_expiry_counts_the_accounts_it_moves_and_nothing_else(rows):
    now = timezone.now()
    System.objects.update(expiry_checked_at=now - timedelta(minutes=1))
    ended, old, other = rows.account("ENDED"), rows.account("OVERLAP"), rows.account("LATER")
    rows.user(ended, "a", expires_at=now)
    rows.user(old, "b", retiring_nkey=credentials.new_nkey()[0], retiring_until=now - timedelta(days=2))
    rows.user(other, "c", expires_at=now + timedelta(seconds=1))
    rows.user(other, "d", expires_at=now - timedelta(days=1))  # told long ago
    moved, by = rows.moved(lambda: services.expire_due(now))
    assert (moved, by) == ({"ENDED", "OVERLAP"}, 1)
    overlap = NatsUser.objects.get(name="b")
    assert (overlap.retiring_nkey, overlap.retiring_until) == ("", None)
    assert System.objects.get().expiry_checked_at == now
    history = System.history.count(), NatsUser.history.count()
    moved, by = rows.moved(lambda: services.expire_due(now))
    assert (moved, by) == (set(), 0)
    assert (System.history.count(), NatsUser.history.count()) == history
    moved, by = rows.moved(lambda: services.expire_due(now + timedelta(seconds=1)))
    assert (moved, by) == ({"LATER"}, 1)


# Help and refusals


def test_help_is_complete_and_its_python_compiles(rows, acme):
    secret = 'p"a$s\\s 😀'
    users = [
        rows.user(acme, 'odd "name" 😀', credential="password", password_hash="x"),
        rows.user(acme, "key"),
        rows.user(acme, "cert", credential="certificate", certificate="CN=x"),
    ]
    for user in users:
        told = services.connection_help(user, secret if user.credential == "password" else "")
        compile(told.snippet, "snippet", "exec")
        context = json.loads(told.context_json)
        assert context["url"] == told.url == acme.system.client_url
        assert f"NATS_URL={told.url}" in told.env
    first = services.connection_help(users[0], secret)
    assert json.loads(first.context_json)["password"] == secret
    names = {}
    exec(f"said = {json.dumps(secret, ensure_ascii=False)}", names)
    assert names["said"] == secret
    assert "<seed>" in services.connection_help(users[1]).snippet


def test_clients_of_a_system_elsewhere_are_sent_there(rows, acme, settings):
    user = rows.user(acme, "svc")
    user.system.nats_url = ""
    assert services.connection_help(user).url == settings.NATS_PUBLIC_URL
    user.system.nats_url = "nats://far.example:4222"
    assert services.connection_help(user).url == "nats://far.example:4222"
    user.system.public_url = "tls://edge.example:4222"
    assert services.connection_help(user).url == "tls://edge.example:4222"


def test_what_cannot_be_deleted_is_said_by_name(rows, system):
    shop, edge, lab = rows.account("SHOP"), rows.account("EDGE"), rows.account("LAB")
    for importer in (edge, lab):
        Import.objects.create(account=importer, kind="stream", from_account=shop, subject="x")
    with pytest.raises(ValidationError, match="imported by EDGE, LAB"):
        services.check_deletable(shop)
    with pytest.raises(ValidationError, match="imported by LAB"):
        services.check_deletable([shop, edge])
    services.check_deletable([shop, edge, lab])
    with pytest.raises(ValidationError, match="servers' own"):
        services.check_deletable(Account.objects.filter(name="$SYS"))


def test_every_secret_column_is_out_of_history():
    for model in (NatsUser, System):
        kept = {field.name for field in model.history.model._meta.fields}
        assert not kept & {"password_hash", "retiring_password_hash", "fingerprint", "control_seed", "relay_seed"}
    assert isinstance(NatsUser._meta.get_field("password_hash"), models.CharField)
