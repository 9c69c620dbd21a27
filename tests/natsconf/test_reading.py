"""Confs by anybody → rows that mean the same to the server, and a note for each thing that is none."""

import pytest
from hypothesis import HealthCheck, given, settings
from spec_strategies import IDENTITY, bcrypt_like, key, snapshots

from accounts_app.natsconf import render
from accounts_app.natsconf.diff import diff
from accounts_app.natsconf.parse import Parsed, parse
from accounts_app.natsconf.reading import read_accounts
from accounts_app.natsconf.specs import (
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
)

HASH = bcrypt_like(1)
OWN = IDENTITY.nkeys


def read(tree, **more):
    return read_accounts(Parsed(tree, {}, {}, ()), **more)


def one(tree, **top):
    """The only account of a conf that has no other."""
    reading = read({"accounts": {"A": tree}, **top})
    (account,) = reading.accounts
    return account, [note for note in reading.notes if note.verdict != "taken"]


def user_of(entry, **account):
    spec, notes = one({"users": [{"user": "a", "password": HASH, **entry}], **account})
    return spec.users[0], notes


def publish(subject, effect="allow"):
    return RuleSpec("publish", effect, subject)


def subscribe(subject, queue="", effect="allow"):
    return RuleSpec("subscribe", effect, subject, queue)


@pytest.mark.parametrize(
    ("permissions", "rules", "responses"),
    [
        ({"publish": "a"}, (publish("a"), subscribe(">")), None),
        ({"pub": ["b", "a"], "sub": {"deny": ">"}}, (publish("a"), publish("b")), None),
        ({"publish": {"deny": "x"}}, (publish(">"), publish("x", "deny"), subscribe(">")), None),
        ({"subscribe": ["q  v1"]}, (publish(">"), subscribe("q", "v1")), None),
        ({"allow_responses": True}, (subscribe(">"),), ResponseSpec()),
        ({"publish": {"deny": "x"}, "allow_responses": {"max": 2, "ttl": "1s"}}, None, ResponseSpec(2, "1s")),
        ({"publish": {"deny": ">"}, "subscribe": {"allow": [], "deny": [">"]}}, (), None),
        ({"subscribe": {"allow": "a.*", "deny": "a.*.>"}}, (publish(">"), subscribe("a.*")), None),
    ],
)
def test_rights_keep_the_servers_meaning(permissions, rules, responses):
    user, _ = user_of({"permissions": permissions})
    assert user.access == "own"
    assert user.responses == responses
    if rules is not None:
        assert user.rules == rules


@pytest.mark.parametrize("permissions", [{}, {"publish": {}}, {"publish": []}, {"publish": ">", "subscribe": []}])
def test_what_says_nothing_allows_everything(permissions):
    assert user_of({"permissions": permissions})[0].access == "all"
    assert user_of({})[0].access == "all"


def test_an_empty_block_keeps_the_default_away():
    block = {"publish": "a", "subscribe": {"deny": ">"}}
    assert user_of({"permissions": {}}, default_permissions=block)[0].access == "all"
    assert user_of({}, default_permissions=block)[0].access == "inherit"
    spec, _ = one({"users": [], "default_permissions": block})
    assert spec.roles == (RoleSpec(spec.default_role, (publish("a"),)),)


def test_users_with_the_same_rights_get_a_role_of_a_telling_name():
    block = {"publish": ["_INBOX.>", "orders.new.>"], "subscribe": "x"}
    spec, _ = one({"users": [{"user": n, "password": HASH, "permissions": block} for n in "abc"]})
    assert [role.name for role in spec.roles] == ["orders.new"]
    assert {user.access for user in spec.users} == {"role"}
    assert {user.role for user in spec.users} == {"orders.new"}


def test_passwords_in_clear_are_given_back_and_never_shown():
    user, notes = user_of({"password": "hunter2"})
    assert user.secret == SecretSpec("password", "hunter2", plain=True)
    assert "hunter2" not in repr(user) + repr(notes)
    assert [note.verdict for note in notes] == ["weak"]
    with pytest.raises(render.RenderError, match="not hashed"):
        render.account_tree(one({"users": [{"user": "a", "password": "hunter2"}]})[0])


@pytest.mark.parametrize("password", ["x" * 73, "$2a$10$short"])
def test_passwords_that_cannot_be_hashed_are_refused(password):
    user, notes = user_of({"password": password})
    assert user.secret.kind == "none"
    assert [note.verdict for note in notes] == ["refused"]
    assert password not in repr(notes)


def test_users_without_a_password_are_certificates_or_a_hole():
    tree = {"users": [{"user": "CN=a"}]}
    spec, notes = one(tree, tls={"verify_and_map": True})
    assert spec.users[0].secret == SecretSpec("certificate", "CN=a")
    assert [note.verdict for note in notes] == ["left"]
    spec, notes = one(tree)
    assert spec.users[0].secret.kind == "none"
    assert "Anybody may log in" in notes[0].sentence


def test_nkeys_get_a_name():
    spec, _ = one({"users": [{"nkey": key(1)}, {"nkey": key(2)}]})
    assert all(user.name.startswith("nkey-") for user in spec.users)
    assert len({user.name for user in spec.users}) == 2
    reading = read({"accounts": {"A": {"users": [{"nkey": key(1)}]}}}, keys={key(1): "ann"})
    assert reading.accounts[0].users[0].name == "ann"


def test_the_parts_of_an_account():
    spec, notes = one(
        {
            "limits": {"max_conn": 5, "max_pay": 1024},
            "jetstream": {"store": 100, "mem": -1, "max_bytes": True},
            "exports": [
                {"service": "s.*", "response": "singleton", "threshold": "2s", "latency": "lat"},
                {"stream": "e", "accounts": []},
                {"stream": "t.*", "account_token_position": 2, "accounts": ["B"]},
            ],
            "imports": [
                {"service": {"account": "B", "subject": "x"}, "to": "x", "share": True},
                {"stream": {"account": "B", "subject": "y"}, "prefix": "p."},
            ],
            "maps": {"m": "n", "w": [{"dest": "a", "weight": "30%"}, {"destination": "b", "weight": 70}]},
        }
    )
    assert spec.limits == LimitsSpec(max_connections=5, max_payload=1024)
    assert spec.jetstream == JetStreamSpec(max_file=100, max_mem=-1, max_bytes_required=True)
    assert spec.exports == (
        ExportSpec("service", "s.*", None, None, "single", "2s", "lat"),
        ExportSpec("stream", "e"),
        ExportSpec("stream", "t.*", account_token_position=2),
    )
    assert spec.imports == (ImportSpec("service", "B", "x", share=True), ImportSpec("stream", "B", "y", prefix="p"))
    assert spec.mappings == (
        MappingSpec("m", (DestinationSpec("n"),)),
        MappingSpec("w", (DestinationSpec("a", 30), DestinationSpec("b", 70))),
    )
    assert [(note.path[2:], note.verdict) for note in notes] == [(("exports", 1), "weak"), (("exports", 2), "weak")]


@pytest.mark.parametrize(
    ("tree", "path", "part"),
    [
        ({"nkey": "AB"}, ("nkey",), "would be lost"),
        ({"trace_dest": "t"}, ("trace_dest",), "would be lost"),
        ({"users": [{"user": "a", "password": HASH, "proxy_required": True}]}, ("users", 0), "through a proxy"),
        ({"users": [{"password": "x"}]}, ("users", 0), "neither a name nor an nkey"),
        ({"users": [{"nkey": "UX"}]}, ("users", 0), "User key"),
        (
            {"users": [{"user": "a", "password": HASH, "permissions": {"publish": "foo*", "subscribe": ">"}}]},
            ("users", 0, "permissions"),
            "foo*",
        ),
        (
            {"users": [{"user": "a", "password": HASH, "permissions": "x"}]},
            ("users", 0, "permissions"),
            "must be a map",
        ),
        (
            {"users": [{"user": "a", "password": HASH}], "default_permissions": 5},
            ("default_permissions",),
            "can't be read",
        ),
        ({"exports": [{"stream": "a..b"}]}, ("exports", 0), "empty token"),
        ({"imports": [{"stream": {"account": "A", "subject": "a"}}]}, ("imports", 0), "from itself"),
        ({"mappings": {"a": "$1"}}, ("mappings", "a"), "wildcard 1"),
        ({"limits": {"max_conn": "5"}}, ("limits",), "whole number"),
        ({"jetstream": "perhaps"}, ("jetstream",), "must be a map"),
    ],
)
def test_what_cannot_be_rows_is_refused_where_it_stands(tree, path, part):
    spec, notes = one(tree)
    assert [(note.path, note.verdict) for note in notes] == [(("accounts", "A", *path), "refused")]
    assert part in notes[0].sentence
    assert all(user.access != "all" for user in spec.users)


def test_authorization_becomes_users_without_an_account():
    reading = read({"authorization": {"users": [{"user": "a", "password": HASH}, {"nkey": IDENTITY.guard}]}}, own=OWN)
    assert [(account.name, [user.name for user in account.users]) for account in reading.accounts] == [("$G", ["a"])]
    reading = read({"authorization": {"user": "a", "pass": HASH, "permissions": {"publish": "x"}}})
    assert reading.accounts[0].users[0].access == "all"
    reading = read({"authorization": {"token": "s3cr3t"}})
    assert [note.verdict for note in reading.notes] == ["refused"]
    assert "s3cr3t" not in repr(reading)


@pytest.mark.parametrize(
    "tree", [{"operator": "x", "accounts": {}}, {"authorization": {"auth_callout": {}}}, {"resolver": "MEMORY"}]
)
def test_confs_of_another_kind_are_refused_whole(tree):
    reading = read(tree)
    assert reading.refused
    assert not reading.accounts
    assert {note.verdict for note in reading.notes} == {"refused"}


def test_the_main_files_keys_are_left():
    reading = read({"port": 4222, "no_auth_user": "a", "system_account": "SYS", "accounts": {"SYS": {}, "A": {}}})
    assert reading.system_account == "SYS"
    assert [(note.path, note.verdict) for note in reading.notes] == [
        (("port",), "left"),
        (("no_auth_user",), "weak"),
        (("system_account",), "left"),
        (("accounts", "SYS"), "taken"),
        (("accounts", "A"), "taken"),
    ]


def test_jetstream_without_accounts_is_not_taken_over():
    reading = read({"jetstream": {}, "authorization": {"users": [{"user": "a", "password": HASH}]}})
    assert any(note.verdict == "refused" and note.path == ("jetstream",) for note in reading.notes)


def test_bad_account_names_are_refused():
    reading = read({"accounts": {"a b": {}, "A": {}, "NUMBER": 5}})
    assert [account.name for account in reading.accounts] == ["A"]
    assert [note.verdict for note in reading.notes] == ["refused", "taken", "left"]


@given(snapshots())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_what_we_wrote_comes_back_as_rows_that_mean_the_same(snapshot):
    def tree(snapshot):
        return parse(render.assemble(render.render_snapshot(snapshot), 1).text).tree

    before = tree(snapshot)
    reading = read({**before, "tls": {"verify_and_map": True}}, own=OWN)
    assert {note.verdict for note in reading.notes} <= {"taken", "left", "weak"}
    after = tree(Snapshot(IDENTITY, reading.accounts))
    assert [change for change in diff(before, after) if change.account != "$G" or change.users] == []


BY_HAND = """
# an ordinary conf
port: 4222
ORDERS: { publish: "orders.>", subscribe: ["_INBOX.>"] }
accounts {
  ACME {
    users = [
      { user: ann, password: hunter2, permissions: $ORDERS }
      { user: bob, password: "$2a$04$0000000000000000000000000000000000000000000000000000 1", permission: $ORDERS }
      { user: eve, password: x, permissions: { subscribe: "foo*" } }
    ]
    msg_trace: "trace.here"
  }
}
"""


@pytest.mark.parametrize(
    ("permissions", "said"),
    [
        ({"subscribe": "a"}, "publish"),
        ({"publish": "a"}, "subscribe"),
        ({"pub": {"allow": ["a"], "deny": ["b"]}}, "subscribe"),
        ({"publish": {"deny": "a"}}, ""),
        ({"publish": "a", "subscribe": ">"}, ""),
        ({"publish": "a", "subscribe": {}}, ""),
        ({"subscribe": "a", "allow_responses": True}, ""),
        ({}, ""),
    ],
)
def test_a_direction_that_nobody_named_is_pointed_at(permissions, said):
    _, notes = user_of({"permissions": permissions})
    assert [note.sentence.partition(",")[0] for note in notes] == [
        f"These permissions don't name `{action}`" for action in [said] if action
    ]
    assert {note.verdict for note in notes} <= {"weak"}


def test_a_value_that_is_used_elsewhere_is_told_from_a_setting():
    reading = read_accounts(parse("port: 4222\nPASS: pw\naccounts { A { users: [{user: a, password: $PASS}] } }"))
    assert "belongs to the main file" in reading.notes[0].sentence
    assert "as a variable its value is taken where it is used" in reading.notes[1].sentence


def test_notes_say_where():
    reading = read_accounts(parse(BY_HAND, file="nats.conf"))
    (account,) = reading.accounts
    assert [(user.name, user.access, user.role) for user in account.users] == [
        ("ann", "role", "orders"),
        ("bob", "role", "orders"),
        ("eve", "own", ""),
    ]
    assert [(note.verdict, note.position.line) for note in reading.notes] == [
        ("left", 3),
        ("left", 4),
        ("refused", 12),
        ("weak", 8),
        ("refused", 9),
        ("weak", 10),
        ("refused", 10),
        ("weak", 10),
        ("taken", 6),
    ]
    assert "hunter2" not in repr(reading)
