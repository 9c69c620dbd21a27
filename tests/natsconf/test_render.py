"""Rows → the generated file: deterministic, proven against the server, and closed by construction."""

import time
from dataclasses import replace

import bcrypt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spec_strategies import IDENTITY, bcrypt_like, key, snapshots

from accounts_app.natsconf import render
from accounts_app.natsconf.digest import canonical, digest
from accounts_app.natsconf.parse import parse
from accounts_app.natsconf.render import RenderError
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
    Snapshot,
    UserSpec,
)

MAIN = f'authorization: {{ users: [ {{ nkey: "{IDENTITY.guard}" }} ] }}\ninclude "accounts.conf"\n'
HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


def may(action, subject, queue="", effect="allow"):
    return RuleSpec(action, effect, subject, queue)


def user(name, *rules, **more):
    more.setdefault("secret", SecretSpec("password", HASH))
    return UserSpec(name, rules=rules, **more)


def account(*users, name="A", **more):
    return AccountSpec(name, users, **more)


def conf(*accounts, roles=()):
    return render.assemble(render.render_snapshot(Snapshot(IDENTITY, accounts, roles)), 1).text


def tree_of(text):
    return parse(text).tree


def permissions(spec, name="a"):
    users = render.account_tree(spec)["users"]
    return next(entry for entry in users if entry.get("user") == name).get("permissions")


# Deterministic and proven


@given(snapshots(), st.randoms())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_row_order_does_not_change_the_text(snapshot, rnd):
    def mixed(rows):
        return tuple(rnd.sample(rows, len(rows)))

    def shuffled(each):
        return replace(
            each,
            users=mixed([replace(u, rules=mixed(u.rules)) for u in each.users]),
            roles=mixed([replace(r, rules=mixed(r.rules)) for r in each.roles]),
            exports=mixed(each.exports),
            imports=mixed(each.imports),
            mappings=mixed([replace(m, destinations=mixed(m.destinations)) for m in each.mappings]),
        )

    other = Snapshot(snapshot.identity, mixed([shuffled(a) for a in snapshot.accounts]), mixed(snapshot.roles))
    first = render.assemble(render.render_snapshot(snapshot), 7)
    assert render.assemble(render.render_snapshot(other), 7) == first


@given(snapshots())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_text_and_digests_say_the_same(snapshot):
    generated = render.assemble(render.render_snapshot(snapshot), 42)
    tree = tree_of(generated.text)
    assert set(tree) <= set(render.GENERATED_KEYS)
    own = {name: value for name, value in tree.items() if name != "server_metadata"}
    assert "sha256:" + generated.sha256 == digest(own)
    assert tree["server_metadata"] == {"nunect_revision": "42", "nunect_sha256": generated.sha256}
    main = {"port": 4222, "authorization": {"users": [{"nkey": IDENTITY.guard}]}, "accounts": {"X": {}}}
    assert render.file_digest(main, generated) == digest({**main, **tree})


@given(snapshots())
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_descriptions_and_disabled_accounts_never_reach_the_file(snapshot):
    plain = replace(
        snapshot,
        accounts=tuple(
            replace(
                a,
                description="",
                users=tuple(replace(u, description="") for u in a.users if u.enabled),
                roles=tuple(replace(r, description="") for r in a.roles),
            )
            for a in snapshot.accounts
            if a.enabled
        ),
    )
    assert render.render_snapshot(plain) == render.render_snapshot(snapshot)


@given(st.lists(snapshots(), min_size=4, max_size=8))
@settings(
    max_examples=6,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
    deadline=None,
)
def test_the_server_takes_what_is_rendered_and_has_the_same_digest(judge, many):
    for snapshot in many:
        blocks = render.render_snapshot(snapshot)
        generated = render.assemble(blocks, 1)
        (judge.folder / "accounts.conf").write_text(generated.text, encoding="utf-8", newline="\n")
        main = {"authorization": {"users": [{"nkey": IDENTITY.guard}]}}
        assert judge(MAIN) == (render.file_digest(main, generated), "")
        probe = {name: blocks[name] for name in blocks if name in ("B", "A")}
        assert judge(render.probe_conf(probe)) != ("", ""), judge(render.probe_conf(probe))
        assert judge(render.probe_conf(probe, whole=["B"]))[1] == ""


def test_the_empty_system_still_has_nunects_own_users():
    tree = tree_of(conf())
    assert list(tree["accounts"]) == ["$NUNECT", "$SYS"]
    keys = [entry["nkey"] for entry in tree["accounts"]["$SYS"]["users"]]
    assert keys == [IDENTITY.control, IDENTITY.relay]
    assert "authorization" not in tree


def test_line_one_says_who_wrote_it():
    assert conf().splitlines()[0].startswith("# Generated by nunect, revision 1:")


def test_global_users_bring_the_guard_along():
    tree = tree_of(conf(account(user("g", access="all"), name="$G")))
    assert tree["authorization"]["timeout"] == 2
    assert [entry.get("nkey") for entry in tree["authorization"]["users"]] == [IDENTITY.guard, None]


def test_assembling_costs_nothing_for_what_did_not_change():
    role = RoleSpec("r", (may("publish", "orders.>"), may("subscribe", "_INBOX.>")))
    one = render.render_account(account(*(user(f"u{n}", access="role", role="r") for n in range(10)), roles=(role,)))
    blocks = {f"A{n}": replace(one, account=f"A{n}") for n in range(2_000)}
    start = time.perf_counter()
    generated = render.assemble(blocks, 1)
    render.file_digest({"port": 4222}, generated)
    assert time.perf_counter() - start < 1.0  # 0.02 s on a quiet machine


# Rights


def test_own_with_no_rows_means_nothing():
    assert permissions(account(user("a"))) == {"publish": {"deny": [">"]}, "subscribe": {"deny": [">"]}}


def test_a_direction_without_allow_is_closed_whatever_is_denied():
    spec = account(user("a", may("publish", "x", effect="deny"), may("subscribe", "y")))
    assert permissions(spec) == {"publish": {"deny": [">"]}, "subscribe": {"allow": ["y"]}}


def test_everything_is_written_as_no_permissions():
    assert permissions(account(user("a", may("publish", ">"), may("subscribe", ">")))) is None
    assert permissions(account(user("a", access="all"))) is None


def test_queues_are_the_second_word():
    spec = account(user("a", may("subscribe", "foo", "v1"), may("subscribe", ">", "*.prod", "deny")))
    assert permissions(spec)["subscribe"] == {"allow": ["foo v1"], "deny": ["> *.prod"]}


@pytest.mark.parametrize(
    ("responses", "written"),
    [
        (ResponseSpec(), True),
        (ResponseSpec(2, "1s"), {"max": 2, "expires": "1s"}),
        (ResponseSpec(-1), {"max": -1}),
    ],
)
def test_responses(responses, written):
    tree = permissions(account(user("a", responses=responses)))
    assert tree == {"publish": {"deny": [">"]}, "subscribe": {"deny": [">"]}, "allow_responses": written}


def test_a_default_role_reaches_only_who_inherits():
    spec = account(
        user("a", access="inherit"),
        user("b", access="all"),
        user("c"),
        roles=(RoleSpec("r", (may("publish", "x"),)),),
        default_role="r",
    )
    tree = render.account_tree(spec)
    assert tree["default_permissions"] == {"publish": {"allow": ["x"]}, "subscribe": {"deny": [">"]}}
    assert permissions(spec, "a") is None
    assert permissions(spec, "b") == {"publish": {"allow": [">"]}, "subscribe": {"allow": [">"]}}
    assert permissions(spec, "c") == {"publish": {"deny": [">"]}, "subscribe": {"deny": [">"]}}


def test_a_default_role_that_names_its_user_is_written_out():
    role = RoleSpec("*ignored", (may("publish", "dev.{{name()}}.>"),))
    spec = account(user("a", access="inherit"), default_role="*/mine")
    tree = render.account_tree(spec, [replace(role, name="mine")])
    assert "default_permissions" not in tree
    assert tree["users"][0]["permissions"]["publish"] == {"allow": ["dev.a.>"]}


def test_a_name_that_would_widen_a_role_is_refused():
    roles = (RoleSpec("r", (may("publish", "dev.{{name()}}.x"),)),)
    with pytest.raises(RenderError) as wrong:
        render.account_tree(account(user("*", access="role", role="r"), roles=roles))
    assert wrong.value.account == "A"
    assert 'User name "*"' in wrong.value.reason


def test_connection_types_of_role_and_user_both_hold():
    roles = (RoleSpec("r", connection_types=("WEBSOCKET", "MQTT")),)
    both = user("a", access="role", role="r", connection_types=("STANDARD", "MQTT"))
    assert render.account_tree(account(both, roles=roles))["users"][0]["allowed_connection_types"] == ["MQTT"]
    with pytest.raises(RenderError, match="No connection type is left"):
        render.account_tree(account(replace(both, connection_types=("STANDARD",)), roles=roles))


def test_users_by_every_credential():
    spec = account(
        user("b", secret=SecretSpec("nkey", key(9))),
        user("c", secret=SecretSpec("certificate", "CN=c")),
        user("d", secret=SecretSpec("none")),
        user("e", enabled=False),
        user("a", retiring=SecretSpec("nkey", key(8)), access="all"),
    )
    assert [{k: v for k, v in u.items() if k != "permissions"} for u in render.account_tree(spec)["users"]] == [
        {"user": "a", "password": HASH},
        {"nkey": key(8)},
        {"nkey": key(9)},
        {"user": "CN=c"},
    ]
    assert render.certificate_users(render.account_tree(spec)) == ["CN=c"]


@pytest.mark.parametrize(
    ("wrong", "where", "part"),
    [
        ({"users": (user("a", may("publish", "foo*")),)}, 'user "a"', "inside a token"),
        ({"users": (user("a", may("publish", "foo", "q")),)}, 'user "a"', "no queue"),
        ({"users": (user("a", may("publish", "{{name()}}")),)}, 'user "a"', "placeholder"),
        ({"users": (user("a", access="role", role="x"),)}, 'user "a"', 'Role "x" does not exist'),
        ({"users": (user("a", secret=SecretSpec("password", "plain")),)}, 'user "a"', "not a bcrypt hash"),
        ({"users": (user("a"), user("a"))}, 'user "a"', "Two users"),
        (
            {"users": (user("a", retiring=SecretSpec("password", bcrypt_like(1))),)},
            'user "a"',
            "one password",
        ),
        ({"users": (user("a", responses=ResponseSpec(1, "soon")),)}, 'user "a"', "is not a duration"),
        ({"name": "a b"}, "name", "letters"),
        ({"limits": LimitsSpec(max_payload=2**31)}, "limits", "max_payload"),
        ({"jetstream": JetStreamSpec(max_file=-2)}, "JetStream", "max_file"),
        ({"exports": (ExportSpec("stream", "a.>", account_token_position=2),)}, 'export "a.>"', "position 2"),
        ({"exports": (ExportSpec("stream", "a", response_type="single"),)}, 'export "a"', "services only"),
        ({"exports": (ExportSpec("service", "a.*", ("B",), 2),)}, 'export "a.*"', "ignore the list"),
        ({"imports": (ImportSpec("stream", "A", "a"),)}, 'import "a" from "A"', "from itself"),
        ({"imports": (ImportSpec("stream", "B", "a", "b", "c"),)}, 'import "a" from "B"', "only one"),
        ({"imports": (ImportSpec("service", "B", "a.*", "b"),)}, 'import "a.*" from "B"', "wildcard 1"),
        ({"mappings": (MappingSpec("a", ()),)}, 'mapping "a"', "no destination"),
        (
            {"mappings": (MappingSpec("a", (DestinationSpec("b", 60), DestinationSpec("c", 60))),)},
            'mapping "a"',
            "120 percent",
        ),
    ],
)
def test_a_wrong_row_is_named(wrong, where, part):
    with pytest.raises(RenderError) as caught:
        render.account_tree(AccountSpec(**{"name": "A", **wrong}))
    assert caught.value.where == where
    assert part in caught.value.reason
    assert HASH not in str(caught.value)


def test_an_export_to_nobody_is_not_written():
    spec = account(exports=(ExportSpec("stream", "a", ()), ExportSpec("stream", "b", ("B", "C"))))
    assert render.account_tree(spec, present={"C"})["exports"] == [{"stream": "b", "accounts": ["C"]}]
    assert render.account_tree(spec, present=set()).get("exports") is None
    assert render.listed_accounts(spec) == {"B", "C"}


# Sharing


def test_sharing_names_both_ends():
    accounts = [
        account(exports=(ExportSpec("stream", "pub.>", ("C",)), ExportSpec("service", "own.*", None, 2))),
        account(
            name="B",
            imports=(
                ImportSpec("stream", "A", "pub.x"),
                ImportSpec("service", "A", "own.C"),
                ImportSpec("service", "A", "own.B"),
                ImportSpec("service", "X", "y"),
                ImportSpec("service", "OFF", "y"),
                ImportSpec("service", "A", "pub.x"),
            ),
        ),
        account(name="C", imports=(ImportSpec("stream", "A", "pub.>"),)),
        account(name="OFF", enabled=False, exports=(ExportSpec("service", "y"),)),
    ]
    assert [(e.account, e.reason) for e in render.check_sharing(accounts)] == [
        ("B", 'Export "pub.>" is not offered to this account.'),
        ("B", 'Export "own.*" wants the importing account\'s name as token 2.'),
        ("B", "That account does not exist, or is disabled."),
        ("B", "That account does not exist, or is disabled."),
        ("B", "That account exports no service that covers it and is offered to this one."),
    ]


def test_overlapping_exports_are_not_left_to_chance():
    accounts = [
        account(exports=(ExportSpec("stream", "a.>"), ExportSpec("stream", "a.*", ("C",)))),
        account(name="B", imports=(ImportSpec("stream", "A", "a.b"),)),
        account(name="C"),
    ]
    (error,) = render.check_sharing(accounts)
    assert "by chance" in error.reason


def test_a_login_of_two_accounts_is_both_accounts_error():
    accounts = [account(user("x")), account(user("x"), name="B"), account(user("x", enabled=False), name="C")]
    assert [error.account for error in render.check_logins(accounts, IDENTITY)] == ["A", "B"]
    own = account(user("x", secret=SecretSpec("nkey", IDENTITY.control)))
    assert "nunect itself" in render.check_logins([own], IDENTITY)[0].reason


def test_closure_is_what_the_server_has_to_see():
    accounts = {
        "A": account(exports=(ExportSpec("stream", "a", ("B", "Z")),)),
        "B": account(name="B", imports=(ImportSpec("stream", "A", "a"), ImportSpec("service", "D", "d"))),
        "C": account(name="C"),
        "D": account(name="D", exports=(ExportSpec("service", "d"),)),
    }
    assert render.closure(["A"], accounts) == {"A", "B", "D"}
    assert render.closure(["C"], accounts) == {"C"}
    assert render.closure(["D"], accounts) == {"A", "B", "D"}


# Steps


def test_an_account_with_jetstream_leaves_in_two_steps():
    target = render.render_snapshot(Snapshot(IDENTITY))
    running = {"A": {"jetstream": True, "users": []}, "B": {"jetstream": "disabled"}, "C": {}}
    step = render.next_step(running, target)
    assert set(step) == {"$NUNECT", "$SYS", "A"}
    assert step["A"].tree == {}
    assert render.next_step({name: block.tree for name, block in step.items()}, target) is target


def test_canonical_of_a_block_is_that_of_its_tree():
    block = render.render_account(account(user("a", may("publish", "<&.>"))))
    assert block.canonical == canonical(block.tree)


@given(snapshots(), snapshots())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
def test_what_was_rendered_before_changes_no_letter(one, other):
    """Rendered on top of any former state, an account is just what it is when rendered from nothing."""
    formers = {}
    for snapshot in (one, other, one, replace(one, roles=other.roles)):
        for account in snapshot.accounts:
            try:
                fresh = render.render_account(account, snapshot.roles, snapshot.identity)
            except render.RenderError:
                continue
            on_top = render.render_account(account, snapshot.roles, snapshot.identity, former=formers.get("last"))
            formers["last"] = on_top
            assert (on_top, on_top.tree, on_top.text, on_top.canonical) == (
                fresh,
                fresh.tree,
                fresh.text,
                fresh.canonical,
            )
            again = render.render_account(account, snapshot.roles, snapshot.identity, former=on_top)
            assert (again.text, again.canonical) == (fresh.text, fresh.canonical)


def test_only_the_user_that_changed_is_rendered_again():
    one = account(*(user(f"u{n}", may("publish", f"a.{n}")) for n in range(5)))
    former = render.render_account(one)
    users = (*one.users[:4], replace(one.users[4], rules=(may("publish", "b"),)))
    block = render.render_account(replace(one, users=users), former=former)
    kept = [now is then for now, then in zip(block.tree["users"], former.tree["users"], strict=True)]
    assert kept == [True] * 4 + [False]


def test_the_binary_is_asked_only_about_users_that_do_not_run_yet():
    before = render.render_account(account(*(user(f"u{n}", may("publish", f"a.{n}")) for n in range(3))))
    changed = account(*(user(f"u{n}", may("publish", f"a.{n}" if n else "changed")) for n in range(4)))
    text = render.probe_conf({"A": render.render_account(changed)}, ["A"], {"A": before.tree})
    assert "changed" in text and "a.3" in text
    assert '"a.1"' not in text and '"a.2"' not in text
