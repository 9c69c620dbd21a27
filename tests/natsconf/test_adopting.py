"""A conf edited by hand → rows that mean the same, with all that the hand did not touch as the rows had it."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spec_strategies import IDENTITY, bcrypt_like, key, snapshots

from accounts_app.natsconf import render
from accounts_app.natsconf.adopting import merged
from accounts_app.natsconf.diff import diff
from accounts_app.natsconf.parse import Parsed, parse
from accounts_app.natsconf.reading import read_accounts
from accounts_app.natsconf.specs import AccountSpec, LimitsSpec, RoleSpec, RuleSpec, SecretSpec, Snapshot, UserSpec

ROLE = RoleSpec("worker", (RuleSpec("publish", "allow", "a.>"),), description="who works")
WRITES, READS = RuleSpec("publish", "allow", "more.>"), RuleSpec("subscribe", "allow", "b.>")


def tree_of(snapshot):
    return parse(render.assemble(render.render_snapshot(snapshot), 1).text).tree


def read(tree, snapshot):
    keys = {user.secret.identity: user.name for account in snapshot.accounts for user in account.users}
    parsed = Parsed({**tree, "tls": {"verify_and_map": True}}, {}, {}, ())
    return {spec.name: spec for spec in read_accounts(parsed, own=IDENTITY.nkeys, keys=keys).accounts}


def adopted(rows, hand):
    """{account: what is merged} of two snapshots: what the rows say, and what a hand has made of the conf."""
    edited, before = read(tree_of(hand), rows), read(tree_of(rows), rows)
    return {
        spec.name: merged(
            edited.get(spec.name, AccountSpec(spec.name)),
            before.get(spec.name, AccountSpec(spec.name)),
            spec,
            rows.roles,
        )
        for spec in rows.accounts
        if spec.enabled and (spec.name in before or spec.name in edited)
    }


@st.composite
def edits(draw):
    """(rows, what a hand makes of them): users go, come, and may other things; limits and the default change.

    Without overlaps: a former credential goes when its time has come, whatever a hand did.
    """
    rows = draw(snapshots())
    alone = [replace(spec, users=tuple(replace(user, retiring=None) for user in spec.users)) for spec in rows.accounts]
    rows = replace(rows, accounts=tuple(alone))
    accounts = []
    for number, account in enumerate(rows.accounts):
        users = []
        for user in account.users:
            act = draw(st.sampled_from(["keep", "keep", "go", "all", "own", "inherit"]))
            if act == "keep":
                users.append(user)
            elif act != "go":
                users.append(replace(user, access=act, role="", rules=(WRITES, READS) if act == "own" else ()))
        if draw(st.booleans()):
            users.append(UserSpec(f"by-hand-{number}", SecretSpec("password", bcrypt_like(7)), "own", rules=(WRITES,)))
        names = ["", account.default_role, *(role.name for role in account.roles)]
        limits = draw(st.sampled_from([account.limits, LimitsSpec(max_connections=3)]))
        if account.name == "$G":
            limits = account.limits
        accounts.append(replace(account, users=tuple(users), default_role=draw(st.sampled_from(names)), limits=limits))
    return rows, Snapshot(IDENTITY, tuple(accounts), rows.roles)


@given(edits())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None)
def test_rows_that_took_an_edit_mean_what_the_edited_conf_does(pair):
    rows, hand = pair
    found = adopted(rows, hand)
    accounts = tuple(found[spec.name].spec if spec.name in found else spec for spec in rows.accounts)
    after = Snapshot(IDENTITY, accounts, rows.roles)
    seen = diff(tree_of(hand), tree_of(after))
    assert [str(change) for change in seen if change.account != "$G" or change.users] == []


@given(snapshots())
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_rows_that_took_no_edit_are_what_they_were(snapshot):
    for spec in snapshot.accounts:
        one = adopted(snapshot, snapshot).get(spec.name)
        if one is not None:
            assert replace(one.spec, users=frozenset(one.spec.users)) == replace(spec, users=frozenset(spec.users))
            assert one.lost == ()


def account(*users, **more):
    return AccountSpec("A", users, (ROLE,), **more)


def user(number, **more):
    more.setdefault("role", "worker" if more.setdefault("access", "role") == "role" else "")
    return UserSpec(f"u{number}", SecretSpec("password", bcrypt_like(number)), **more)


def one(rows, hand):
    return adopted(Snapshot(IDENTITY, (rows,)), Snapshot(IDENTITY, (hand,)))["A"]


def test_a_new_key_by_hand_leaves_the_role_and_ends_an_overlap():
    secrets = [SecretSpec("nkey", key(number)) for number in (51, 52, 53)]
    was = replace(user(1, description="of the team"), secret=secrets[0], retiring=secrets[1])
    hand = replace(was, secret=secrets[2], retiring=None)
    edited, before = account(hand), account(was)
    found = merged(edited, before, account(was))
    assert found.spec.users == (replace(was, secret=secrets[2], retiring=None),)
    assert found.lost == ()


def test_another_default_by_hand_is_a_role_more_and_who_inherits_goes_on():
    rows = account(user(1, access="inherit"), user(2), default_role="worker")
    hand = replace(rows, roles=(replace(ROLE, rules=(*ROLE.rules, WRITES)),), users=(rows.users[0],))
    found = one(rows, hand)
    assert [role.name for role in found.spec.roles] == ["worker", found.spec.default_role]
    assert found.spec.users == (rows.users[0],)
    assert found.spec.roles[0] == ROLE


def test_users_that_sleep_stay_and_are_told():
    asleep = user(3, enabled=False, expires="2020-01-01T00:00:00+00:00")
    found = one(account(user(1), asleep), account())
    assert found.spec.users == (asleep,)
    assert found.kept == ('user "u3" of account "A": only the rows know it.',)


def test_many_users_that_leave_their_role_are_counted():
    rows = account(*(user(number) for number in range(1, 9)))
    hand = account(*(replace(each, access="own", role="", rules=(WRITES,)) for each in rows.users))
    assert one(rows, hand).lost == ('8 users of account "A": permissions of its own instead of a role\'s.',)
