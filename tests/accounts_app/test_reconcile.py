"""Specs → rows: what differs is written, once, and nothing else; a restore brings no right to log in back."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts_app import credentials
from accounts_app.models import (
    CONFIG_MODELS,
    Account,
    Export,
    ExportAccess,
    Import,
    Mapping,
    NatsUser,
    Role,
    SubjectPermission,
)
from accounts_app.natsconf.specs import (
    AccountSpec,
    DestinationSpec,
    ExportSpec,
    ImportSpec,
    JetStreamSpec,
    LimitsSpec,
    MappingSpec,
    ResponseSpec,
    RoleSpec,
    RuleSpec,
    SecretSpec,
    UserSpec,
)
from accounts_app.reconcile import reconcile
from accounts_app.snapshot import take_snapshot
from accounts_app.wrong import ReconcileError

pytestmark = pytest.mark.django_db

KEYS = [credentials.new_nkey()[0] for _ in range(6)]
HASH = credentials.hash_password("correct horse", chosen=False)
READ = RuleSpec("subscribe", "allow", "orders.>", "v1")
WRITE = RuleSpec("publish", "allow", "orders.{{name()}}.new")


def nkey(number):
    return SecretSpec("nkey", KEYS[number])


ACME = AccountSpec(
    "ACME",
    users=(
        UserSpec("ann", nkey(0), "role", "writer"),
        UserSpec("bob", SecretSpec("password", HASH), rules=(READ,), responses=ResponseSpec(2, "2s")),
        UserSpec("carol", SecretSpec("certificate", "CN=carol"), "inherit", connection_types=("WEBSOCKET",)),
        UserSpec("dave", SecretSpec("none"), "role", "*/reader", enabled=False),
    ),
    roles=(RoleSpec("guest"), RoleSpec("writer", (WRITE,), ResponseSpec(), description="may write")),
    default_role="guest",
    limits=LimitsSpec(max_connections=10, max_payload=-1),
    jetstream=JetStreamSpec(max_file=1024, max_bytes_required=True),
    exports=(ExportSpec("service", "time.*", ("EDGE",)), ExportSpec("stream", "events.>")),
    mappings=(MappingSpec("old.*", (DestinationSpec("new.$1", 40), DestinationSpec("newer.$1", 60))),),
    description="The shop",
)
EDGE = AccountSpec(
    "EDGE",
    users=(UserSpec("edge", nkey(1), "all"),),
    imports=(ImportSpec("service", "ACME", "time.now"), ImportSpec("stream", "ACME", "events.>", prefix="acme")),
)
SHARED = (RoleSpec("reader", (READ,)),)


def said(system):
    return {spec.name: spec for spec in take_snapshot(system.pk).moved.values()}


def history_size():
    return {model.__name__: model.history.count() for model in CONFIG_MODELS}


@pytest.fixture
def full(system):
    reconcile(system, [EDGE, ACME], shared_roles=SHARED)
    return system


def test_rows_say_what_the_specs_said(full):
    assert said(full)["ACME"] == ACME
    assert said(full)["EDGE"] == EDGE
    assert take_snapshot(full.pk).shared == SHARED


def test_a_second_run_writes_nothing_and_counts_nothing(full, rows, django_assert_max_num_queries):
    before, history = rows.counters(), history_size()
    with django_assert_max_num_queries(40):
        changes = reconcile(full, [ACME, EDGE], shared_roles=SHARED)
    assert not changes
    assert (rows.counters(), history_size()) == (before, history)


@pytest.mark.django_db(transaction=True)
def test_each_account_counts_once_however_much_changes(system, rows):
    moved, by = rows.moved(lambda: reconcile(system, [ACME, EDGE], shared_roles=SHARED))
    assert (moved, by) == ({"ACME", "EDGE"}, 1)
    assert Account.objects.get(name="ACME").wanted == 1


@pytest.mark.parametrize(
    ("changed", "created", "updated", "deleted"),
    [
        (replace(ACME, users=ACME.users[1:]), {}, {}, {"user": 1}),
        (replace(ACME, default_role="writer"), {}, {"account": 1}, {}),
        (replace(ACME, default_role="writer", description="x"), {}, {"account": 1}, {}),
        (replace(ACME, jetstream=None, limits=LimitsSpec()), {}, {"account": 1}, {}),
        (replace(ACME, mappings=()), {}, {}, {"mapping": 1}),
        (replace(ACME, exports=(*ACME.exports, ExportSpec("stream", "x"))), {"export": 1}, {}, {}),
        (replace(ACME, roles=(RoleSpec("guest", (READ,)), *ACME.roles[1:])), {"permission": 1}, {}, {}),
    ],
)
def test_only_what_differs_is_written(full, changed, created, updated, deleted):
    changes = reconcile(full, [changed])
    assert changes.as_dict() == {"created": created, "updated": updated, "deleted": deleted}
    assert said(full)["ACME"] == changed
    assert not reconcile(full, [changed])


def test_a_role_goes_together_with_its_users_and_its_default(full):
    bare = replace(ACME, users=ACME.users[1:2], roles=(), default_role="")
    reconcile(full, [bare])
    assert said(full)["ACME"] == bare
    assert not Role.objects.filter(account__name="ACME").exists()


def test_a_user_changes_between_a_role_and_rules_of_its_own(full):
    ann, bob, *rest = ACME.users
    swapped = replace(
        ACME, users=(replace(ann, access="own", role="", rules=(READ,)), UserSpec("bob", bob.secret, "all"), *rest)
    )
    reconcile(full, [swapped])
    assert said(full)["ACME"] == swapped
    reconcile(full, [ACME])
    assert said(full)["ACME"] == ACME


def test_accounts_without_a_spec_stay_unless_pruned(full):
    assert not reconcile(full, [ACME])
    alone = replace(ACME, exports=ACME.exports[1:])
    changes = reconcile(full, [alone], prune=True)
    assert changes.deleted["account"] == 1
    assert set(said(full)) == {"$SYS", "$NUNECT", "ACME"}


def test_pruning_takes_accounts_whose_roles_are_in_use_and_which_share_with_each_other(full):
    third = replace(EDGE, name="LAB", users=(), imports=EDGE.imports[:1])
    reconcile(full, [third])
    changes = reconcile(full, [], shared_roles=(), prune=True)
    assert changes.deleted["account"] == 3
    assert set(said(full)) == {"$SYS", "$NUNECT"}
    assert not NatsUser.objects.exists()
    assert not Import.objects.exists()
    assert not Role.objects.exists()
    assert not reconcile(full, [], shared_roles=(), prune=True)


def test_the_servers_own_accounts_are_never_pruned(system, rows):
    system.system_account = "OPS"
    system.save()
    rows.account("OPS")
    rows.account("$G")
    rows.account("OLD")
    reconcile(system, [], prune=True)
    assert set(Account.objects.values_list("name", flat=True)) == {"$SYS", "$NUNECT", "$G", "OPS"}


def test_a_user_can_come_from_an_account_that_goes_or_stays(full):
    lab = AccountSpec("LAB", users=(EDGE.users[0],))
    reconcile(full, [replace(ACME, exports=()), lab], prune=True)
    assert NatsUser.objects.get(name="edge").account.name == "LAB"
    reconcile(full, [replace(lab, users=()), AccountSpec("EDGE", users=lab.users)])
    assert NatsUser.objects.get(name="edge").account.name == "EDGE"


def test_an_nkey_goes_from_one_user_to_another(full):
    edge = replace(EDGE, users=(UserSpec("edge-2", nkey(1), "all"),))
    reconcile(full, [edge])
    assert said(full)["EDGE"] == edge
    two = replace(EDGE, users=(UserSpec("a", nkey(1), "all"), UserSpec("b", nkey(2), "all")))
    swapped = replace(EDGE, users=(UserSpec("a", nkey(2), "all"), UserSpec("b", nkey(1), "all")))
    for each in (two, swapped, two):
        reconcile(full, [each])
        assert said(full)["EDGE"] == each


def test_owners_and_what_a_file_cannot_say_stay(full, django_user_model):
    owner = django_user_model.objects.create_user("olga")
    later = timezone.now() + timedelta(days=3)
    Account.objects.filter(name="ACME").update(owner=owner)
    NatsUser.objects.filter(name="ann").update(owner=owner, expires_at=later, description="Ann's")
    reconcile(full, [replace(ACME, description="", limits=LimitsSpec())])
    ann, acme = NatsUser.objects.get(name="ann"), Account.objects.get(name="ACME")
    assert (ann.owner, ann.expires_at, ann.description) == (owner, later, "Ann's")
    assert (acme.owner, acme.description) == (owner, "The shop")


# Restoring


def test_a_restore_brings_no_credential_back(full):
    old = KEYS[0]
    ann, bob = NatsUser.objects.get(name="ann"), NatsUser.objects.get(name="bob")
    ann.nkey, bob.password_hash = KEYS[4], credentials.hash_password("newer", chosen=False)
    ann.save()
    bob.save()
    changes = reconcile(full, [ACME, EDGE], shared_roles=SHARED, prune=True, restore=True)
    assert not changes
    assert not NatsUser.objects.filter(nkey=old).exists()
    assert NatsUser.objects.get(name="bob").password_hash == bob.password_hash


def test_a_restore_brings_users_back_without_a_way_in(full):
    NatsUser.objects.filter(name__in=["ann", "bob"]).delete()
    reconcile(full, [ACME, EDGE], shared_roles=SHARED, prune=True, restore=True)
    ann, bob = NatsUser.objects.get(name="ann"), NatsUser.objects.get(name="bob")
    assert {(each.credential, each.nkey, each.password_hash, each.enabled) for each in (ann, bob)} == {
        ("none", "", "", False)
    }
    assert ann.role.name == "writer"
    assert not reconcile(full, [ACME, EDGE], shared_roles=SHARED, prune=True, restore=True)


def test_a_restore_enables_nobody_and_revives_nobody(full):
    past = timezone.now() - timedelta(minutes=1)
    NatsUser.objects.filter(name="ann").update(enabled=False)
    NatsUser.objects.filter(name="bob").update(expires_at=past)
    later = (timezone.now() + timedelta(days=9)).isoformat()
    then = replace(ACME, users=tuple(replace(user, expires=later) for user in ACME.users), description="before")
    reconcile(full, [then], restore=True)
    assert not NatsUser.objects.get(name="ann").enabled
    assert NatsUser.objects.get(name="bob").expires_at == past
    assert not NatsUser.objects.get(name="bob").is_live()
    assert Account.objects.get(name="ACME").description == "before"


def test_a_restore_brings_permissions_back(full):
    SubjectPermission.objects.all().delete()
    Export.objects.filter(subject="time.*").delete()
    reconcile(full, [ACME, EDGE], shared_roles=SHARED, restore=True)
    assert said(full)["ACME"] == ACME
    assert take_snapshot(full.pk).shared == SHARED


def test_a_restore_keeps_an_overlap_that_runs(full):
    until = timezone.now() + timedelta(hours=1)
    NatsUser.objects.filter(name="ann").update(nkey=KEYS[4], retiring_nkey=KEYS[0], retiring_until=until)
    reconcile(full, [replace(ACME, description="x")], restore=True)
    ann = NatsUser.objects.get(name="ann")
    assert (ann.nkey, ann.retiring_nkey, ann.retiring_until) == (KEYS[4], KEYS[0], until)


def test_another_credential_ends_an_overlap(full):
    """Else a user would have its old password beside itself, which no server takes."""
    until = timezone.now() + timedelta(hours=1)
    NatsUser.objects.filter(name="bob").update(
        credential="nkey", nkey=KEYS[4], password_hash="", retiring_password_hash=HASH, retiring_until=until
    )
    reconcile(full, [ACME])
    bob = NatsUser.objects.get(name="bob")
    assert (bob.password_hash, bob.retiring_password_hash, bob.retiring_until) == (HASH, "", None)
    assert said(full)["ACME"] == ACME


# Refusals


@pytest.mark.parametrize(
    ("spec", "field", "said_of_it"),
    [
        (replace(ACME, name="a b"), "", "Account name"),
        (replace(ACME, users=(UserSpec("x\x00", nkey(3)),)), "", "NUL"),
        (replace(ACME, users=(UserSpec("x\x00", nkey(3), enabled=False),)), "name", "NUL"),
        (replace(ACME, users=(UserSpec("x", SecretSpec("nkey", "nonsense")),)), "", "User key"),
        (replace(ACME, users=(UserSpec("x", nkey(3), "role", "nobody"),)), "role", "does not exist"),
        (replace(ACME, users=(UserSpec("x", nkey(3), "role", "nobody", enabled=False),)), "role", "does not exist"),
        (replace(ACME, default_role="nobody"), "default_role", "does not exist"),
        (replace(ACME, users=(UserSpec("x", nkey(3), rules=(RuleSpec("publish", "allow", "a..b"),)),)), "", "empty"),
        (replace(ACME, roles=(*ACME.roles, RoleSpec("odd", (RuleSpec("publish", "allow", "a*"),)))), "subject", "a*"),
        (replace(ACME, roles=(*ACME.roles, RoleSpec("guest"))), "name", "Two roles"),
        (replace(ACME, users=(*ACME.users, ACME.users[0])), "name", "Two users"),
        (replace(ACME, users=(UserSpec("edge", nkey(3)),)), "name", "of this name"),
        (replace(ACME, users=(UserSpec("x", nkey(1)),)), "credential", "logs in"),
        (replace(ACME, users=(UserSpec("x", SecretSpec("password", "s3cret", True)),)), "", "hashed"),
        (replace(ACME, exports=(ExportSpec("stream", "a", ("NOBODY",)),)), "account", "does not exist"),
        (replace(ACME, imports=(ImportSpec("stream", "NOBODY", "a"),)), "from_account", "does not exist"),
        (replace(ACME, description="\x00"), "description", "can't be stored"),
        (replace(ACME, mappings=(MappingSpec("a", (DestinationSpec("b", 400),)),)), "", "400"),
        (replace(ACME, users=(UserSpec("ä" * 201, nkey(3), "all"),)), "name", "longer than 200"),
        (replace(ACME, description="x" * 501), "description", "longer than 500"),
    ],
)
def test_what_cannot_be_rows_is_refused_before_anything_is_written(full, rows, spec, field, said_of_it):
    before, history = rows.counters(), history_size()
    with pytest.raises(ReconcileError) as refused:
        reconcile(full, [spec, replace(EDGE, description="never written")])
    places = refused.value.places
    assert any(place.field == field and said_of_it in place.sentence for place in places), places
    assert "s3cret" not in str(refused.value)
    assert (rows.counters(), history_size()) == (before, history)


def test_names_and_logins_of_accounts_without_a_spec_are_taken(full):
    for user in (
        UserSpec("edge", nkey(3)),
        UserSpec("x", nkey(1)),
        UserSpec("CN=x", SecretSpec("certificate", "edge")),
    ):
        NatsUser.objects.filter(name="edge").update(
            credential="password" if user.secret.kind == "certificate" else "nkey", password_hash=HASH
        )
        with pytest.raises(ReconcileError, match="EDGE"):
            reconcile(full, [replace(ACME, users=(user,))])


def test_nunects_own_keys_are_not_for_users(full):
    with pytest.raises(ReconcileError, match="nunect itself"):
        reconcile(full, [replace(EDGE, users=(UserSpec("x", SecretSpec("nkey", full.control_nkey)),))])


def test_a_shared_role_in_use_is_kept_in_words(full):
    with pytest.raises(ReconcileError, match="dave"):
        reconcile(full, [EDGE], shared_roles=())
    assert Role.objects.filter(name="reader").exists()


def test_accesses_and_destinations_follow(full):
    other = replace(
        ACME,
        exports=(ExportSpec("service", "time.*", ("EDGE", "$SYS")), ACME.exports[1]),
        mappings=(MappingSpec("old.*", (DestinationSpec("new.$1", 50, "east"), DestinationSpec("newer.$1", 10))),),
    )
    reconcile(full, [other])
    assert ExportAccess.objects.count() == 2
    assert Mapping.objects.count() == 1
    assert said(full)["ACME"] == replace(other, exports=said(full)["ACME"].exports)
    assert not reconcile(full, [other])
