"""Differences in NATS's words: complete, grouped, without a secret."""

import json
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from spec_strategies import IDENTITY, bcrypt_like, key, rules, snapshots

from accounts_app.natsconf import render
from accounts_app.natsconf.account import account_tree
from accounts_app.natsconf.changes import a_or_an
from accounts_app.natsconf.diff import diff
from accounts_app.natsconf.rights import permissions_tree
from accounts_app.natsconf.specs import RuleSpec
from accounts_app.natsconf.subjects import covers


def conf(**accounts):
    return {"accounts": accounts}


def users(*entries):
    return {"users": list(entries)}


def u(name, permissions=None, **more):
    entry = {"user": name, "password": bcrypt_like(1), **more}
    return entry if permissions is None else {**entry, "permissions": permissions}


def texts(old, new, **more):
    return [str(change) for change in diff(old, new, **more)]


def pub(*allow, deny=(), **more):
    return {"publish": {"allow": list(allow), "deny": list(deny)}, "subscribe": {"deny": [">"]}, **more}


NONE = {"publish": {"deny": [">"]}, "subscribe": {"deny": [">"]}}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (pub("invoice.>", "x"), pub("x"), "may no longer publish `invoice.>`"),
        (pub("x"), pub("x", "y"), "may now publish `y`"),
        (pub("x"), NONE, "may no longer publish anything"),
        (NONE, pub("x"), "may now publish `x`"),
        (pub(">"), pub("a.>"), "may publish `a.>` only"),
        (pub("a.>"), pub(">"), "may now publish everything"),
        (pub("a.>"), pub("a.>", deny=["a.x"]), "may no longer publish `a.x` (denied)"),
        (pub("a.>", deny=["a.x"]), pub("a.>"), "may publish `a.x` (no longer denied)"),
        (pub("x"), pub("x", allow_responses=True), "may answer requests, 1 reply within 120 s"),
        (pub("x", allow_responses=True), pub("x"), "may no longer answer requests"),
        (
            pub("x", allow_responses={"max": 2}),
            pub("x", allow_responses={"max": -1, "expires": "1m"}),
            "may answer requests, without limit within 60 s (was 2 replies within 120 s)",
        ),
        (
            {**NONE, "subscribe": {"allow": ["q"]}},
            {**NONE, "subscribe": {"allow": ["q v1"]}},
            "may no longer subscribe `q`",
        ),
        (
            {**NONE, "subscribe": ["a.*"]},
            {**NONE, "subscribe": {"allow": ["a.*"], "deny": ["a.*.>"]}},
            "may no longer subscribe `a.>`, which the server read into `a.*`",
        ),
    ],
)
def test_rights(old, new, says):
    found = texts(conf(ACME=users(u("billing", old))), conf(ACME=users(u("billing", new))))
    assert f"user `billing` of account `ACME` {says}" in found


def test_the_same_rights_in_another_spelling_are_no_change():
    spelled = [
        pub("x"),
        {"pub": "x", "sub": {"deny": ">"}},
        {"Publish": ["x"], "SUBSCRIBE": {"Deny": [">", "b"]}},
        {"publish": {"allow": "x", "deny": []}, "subscribe": {"deny": [">"], "allow": ["z"]}},
    ]
    for one in spelled:
        for other in spelled:
            assert diff(conf(A=users(u("a", one))), conf(A=users(u("a", other)))) == []
    everything = [None, {}, {"publish": {}}, {"publish": [], "subscribe": ">"}, {"publish": {"allow": []}}]
    for one in everything:
        for other in everything:
            assert diff(conf(A=users(u("a", one))), conf(A=users(u("a", other)))) == []
    assert diff(conf(A=users(u("a", pub("x")))), conf(A={"default_permissions": pub("x"), "users": [u("a")]})) == []


def test_people_and_what_they_prove_themselves_by():
    old = conf(A=users(u("a"), u("b"), {"nkey": key(1)}), B=users(u("z")))
    new = conf(A=users(u("a", password="$2b$04$" + "z" * 53), {"nkey": key(2)}), B=users(u("b")))
    assert texts(old, new, names={key(1): "n", key(2): "n"}) == [
        "user `b` of account `A` is moved to account `B`",
        "user `a` of account `A` proves itself by another password",
        "user `n` of account `A` proves itself by another nkey",
        "user `z` of account `B` is removed",
    ]
    both = conf(A=users(u("a"), {"nkey": key(7)}))
    assert texts(conf(A=users(u("a"))), both, names={key(7): "a"}) == [
        "user `a` of account `A` may also log in by an nkey"
    ]
    assert texts(both, conf(A=users({"nkey": key(7)})), names={key(7): "a"}) == [
        "user `a` of account `A` may no longer log in by its old password"
    ]
    assert texts(conf(A=users(u("a"))), conf(A=users({"nkey": key(7)})), names={key(7): "a"}) == [
        "user `a` of account `A` proves itself by an nkey instead of a password"
    ]


def test_many_users_are_one_change():
    named = [f"u{n:02d}" for n in range(12)]
    old = conf(A=users(*(u(n, pub("x", "y")) for n in named)))
    new = conf(A=users(*(u(n, pub("x")) for n in named)))
    (change,) = diff(old, new)
    assert str(change) == "12 users of account `A` may no longer publish `y`: `u00`, `u01`, `u02` and 9 more"
    assert change.removes_access
    assert change.users == tuple(named)
    assert change.lost == ("y",)
    (gone,) = diff(new, conf(A=users()))
    assert str(gone) == "12 users of account `A` are removed: `u00`, `u01`, `u02` and 9 more"


@pytest.mark.parametrize(
    ("old", "new", "said", "removes"),
    [
        ({}, {"jetstream": True}, "account `A` may now use JetStream", False),
        ({"jetstream": "enabled"}, {}, "account `A` may no longer use JetStream", True),
        (
            {"jetstream": {"max_file": 2**30}},
            {"jetstream": {"max_store": 2**31}},
            "JetStream of `A`: max_file 1 GiB → 2 GiB",
            False,
        ),
        (
            {"jetstream": {"max_file": 2**50}},
            {"jetstream": {"max_file": 2**63 - 1}},
            "JetStream of `A`: max_file 1 PiB → 8 EiB",
            False,
        ),
        ({}, {"limits": {"max_conn": 5}}, "limits of `A`: max_connections no limit → 5", True),
        ({}, {"exports": [{"stream": "a.>"}]}, "account `A` now exports stream `a.>` to everybody", False),
        ({"exports": [{"service": "s"}]}, {}, "account `A` no longer exports service `s`", True),
        (
            {"exports": [{"stream": "a", "accounts": ["B", "C"]}]},
            {"exports": [{"stream": "a", "accounts": ["C"]}]},
            "account `A` exports stream `a` to `C` (was `B`, `C`)",
            True,
        ),
        (
            {"exports": [{"service": "a"}]},
            {"exports": [{"service": "a", "threshold": "2s"}]},
            "export of service `a` by account `A`: response_threshold not set → `2s`",
            False,
        ),
        (
            {},
            {"imports": [{"stream": {"account": "B", "subject": "x"}, "prefix": "p"}]},
            "account `A` now imports stream `x` from account `B` as `p.x`",
            False,
        ),
        (
            {"mappings": {"a": "b"}},
            {"mappings": {"a": [{"destination": "c", "weight": "30%"}]}},
            "account `A` maps `a` to `c` (30 %) (was `b`)",
            False,
        ),
        ({}, {"msg_trace": "t"}, "setting `msg_trace` of account `A` changes: not set → `t`", False),
        ({}, {"nkey": "AB"}, "setting `nkey` of account `A` is added", False),
        (
            users(u("a")),
            users(u("a", clients=["mqtt"])),
            "user `a` of account `A` may connect by MQTT only (was any)",
            True,
        ),
    ],
)
def test_parts_of_an_account(old, new, said, removes):
    (change,) = diff(conf(A=old), conf(A=new))
    assert (str(change), change.removes_access) == (said, removes)


def test_accounts_come_and_go():
    assert texts(conf(X=users(u("a"))), conf()) == ["account `X` is removed with 1 user"]
    assert texts(conf(), conf(X={})) == ["account `X` is added"]
    assert texts({}, {"accounts": ["X"]}) == ["account `X` is added"]


def test_nunects_own_metadata_is_no_change_and_the_rest_is():
    old = {"server_metadata": {"nunect_revision": "1", "nunect_sha256": "a"}, "port": 4222}
    new = {"server_metadata": {"nunect_revision": "2", "nunect_sha256": "b"}, "port": 4223}
    assert texts(old, new) == ["setting `port` changes: 4222 → 4223"]
    assert texts({"authorization": {"token": "t1"}}, {"authorization": {"token": "t2"}}) == [
        "setting `token` of authorization changes"
    ]


@given(snapshots(), snapshots())
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
def test_nothing_is_nothing_and_no_secret_is_told(one, other):
    def tree(snapshot):
        return {
            "accounts": {name: block.tree for name, block in render.render_snapshot(snapshot).items() if name != "$G"}
        }

    old, new = tree(one), tree(other)
    assert diff(old, old) == diff(old, json.loads(json.dumps(old))) == []
    expanded = {
        "accounts": {
            a.name: account_tree(a, one.roles, IDENTITY, old["accounts"])
            for a in one.accounts
            if a.name in old["accounts"]
        }
    }
    for own in ("$SYS", "$NUNECT"):
        expanded["accounts"].setdefault(own, old["accounts"][own])
    assert diff(old, expanded) == []
    changes = diff(old, new)
    assert bool(changes) or diff(new, old) == []
    assert "$2b$" not in json.dumps([change.as_dict() for change in changes])


LITERALS = ["a", "a.b", "a.b.orders", "orders", "orders.a", "$JS.x-1", "é", "b.b", "x-1.a.b.é", '"q"', "orders.orders"]


def allowed(row_rules, literal):
    def any_(effect):
        return any(r.action == "publish" and r.effect == effect and covers(r.subject, literal) for r in row_rules)

    return any_("allow") and not any_("deny")


@given(rules(), rules())
@settings(max_examples=300, deadline=None)
def test_whatever_gets_lost_or_won_is_told(before, after):
    old = conf(A=users(u("a", permissions_tree(before))))
    new = conf(A=users(u("a", permissions_tree(after))))
    changes = [change for change in diff(old, new) if change.kind == "publish"]
    for literal in LITERALS:
        if allowed(before, literal) and not allowed(after, literal):
            assert any(c.removes_access and any(covers(s, literal) for s in c.lost) for c in changes)
        if allowed(after, literal) and not allowed(before, literal):
            assert changes


def test_ten_thousand_users_are_compared_quickly():
    block = permissions_tree([RuleSpec("publish", "allow", "a.>")])
    old = conf(**{f"A{n}": users(*(u(f"u{n}-{m}", block) for m in range(100))) for n in range(100)})
    new = json.loads(json.dumps(old))
    new["accounts"]["A7"]["users"][3]["permissions"] = permissions_tree([RuleSpec("publish", "allow", "b")])
    start = time.perf_counter()
    found = diff(old, new)
    assert time.perf_counter() - start < 1.0  # 0.05 s on a quiet machine
    assert [str(c) for c in found] == [
        "user `u7-3` of account `A7` may no longer publish `a.>`",
        "user `u7-3` of account `A7` may now publish `b`",
    ]
    assert replace(found[0], users=()).user == ""


@pytest.mark.parametrize(
    ("noun", "said"),
    [
        ("account", "an account"),
        ("export", "an export"),
        ("nkey", "an nkey"),
        ("name", "a name"),
        ("user", "a user"),
        ("object bucket", "an object bucket"),
        ("KV bucket", "a KV bucket"),
    ],
)
def test_a_noun_has_the_article_that_it_sounds_like(noun, said):
    assert a_or_an(noun) == said
