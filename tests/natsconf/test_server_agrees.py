"""A real nats-server is asked whether it means what we mean."""

import itertools
import json
import random
import time

import bcrypt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from spec_strategies import IDENTITY

from accounts_app.natsconf import emit, names, nkeys, render
from accounts_app.natsconf.rights import open_stars
from accounts_app.natsconf.specs import (
    AccountSpec,
    DestinationSpec,
    ExportSpec,
    ImportSpec,
    MappingSpec,
    ResponseSpec,
    RoleSpec,
    RuleSpec,
    SecretSpec,
    Snapshot,
    UserSpec,
)
from accounts_app.natsconf.subjects import (
    InvalidValue,
    check_destination,
    check_import_to,
    check_subject,
    covers,
    overlaps,
)

pytestmark = pytest.mark.live

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
GUARD = f'authorization: {{ users: [ {{ nkey: "{IDENTITY.guard}" }} ] }}\n'
INCLUDE = 'include "accounts.conf"\n'


def may(action, subject, queue="", effect="allow"):
    return RuleSpec(action, effect, subject, queue)


def user(name, *rules, **more):
    return UserSpec(name, more.pop("secret", SecretSpec("password", HASH)), rules=rules, **more)


def text_of(*accounts, roles=()):
    return render.assemble(render.render_snapshot(Snapshot(IDENTITY, accounts, roles)), 1).text


def login(name):
    return {"user": name, "pass": "secret"}


def accepted(check, *arguments):
    try:
        check(*arguments)
    except InvalidValue:
        return False
    return True


def eventually(client):
    """What `client` hears, which may be a moment after the publisher's PONG."""
    until = time.monotonic() + 5
    while not (heard := client.heard()):
        assert time.monotonic() < until, "nothing came"
    return heard


# What we accept, the server accepts


SUBJECTS = [
    "a", "a.b", "*", ">", "a.*", "a.>", "*.>", "$SYS.REQ.>", "é.日本", "a/b", "a-b_c", "x=1", "a\\b", "#a", '"', "'",
    "", ".", "a.", ".a", "a..b", "a b", "a\tb", "a\n", "a.>.b", ">.a", "foo*", "*foo", "foo>", "a.b*.c", "a\u00a0b",
    "a\u200bb", "a\x01b", "a\x7f", "a.{{name()}}", "$1", "a.$1", "🎉",
]  # fmt: skip

# We refuse these although the server takes them, and why.
STRICTER = {
    "foo*": "a literal star, which people mean as a wildcard",
    "*foo": "a literal star, which parts of the server take for a wildcard",
    "foo>": "a literal >",
    "a.b*.c": "a literal star",
    "a\u00a0b": "a blank that looks like the one that is forbidden",
    "a\u200bb": "two subjects that look alike",
    "a\x01b": "cannot be seen",
    "a\x7f": "cannot be seen",
    "a.{{name()}}": "a template, which a conf would take literally",
}


def test_subjects(judge):
    def users(found):
        return [{"user": f"u{n}", "password": "x", "permissions": {"publish": [s]}} for n, s in enumerate(found)]

    fine = [s for s in SUBJECTS if accepted(check_subject, s)]
    digest, errors = judge(emit.emit({"accounts": {"A": {"users": users(fine)}}}))
    assert digest, errors
    refused = set(SUBJECTS) - set(fine)
    taken = {s for s in refused if judge(emit.emit({"accounts": {"A": {"users": users([s])}}}))[0]}
    assert taken == set(STRICTER)


DESTINATIONS = [
    "b", "b.$1", "$1", "b.$2.$1", "b.>", "b.$1.>", "{{wildcard(1)}}.x", "{{Wildcard(2)}}", "{{ wildcard(1) }}",
    "{{partition(3,1)}}", "{{partition(3,1,2)}}", "{{partition(5)}}", "{{split(1,-)}}", "{{splitFromLeft(1,2)}}",
    "{{splitFromRight(1, 2)}}", "{{sliceFromLeft(1,2)}}", "{{SliceFromRight(1,2)}}", "{{random(4)}}",
    "{{left(1,2)}}", "{{right(1,2)}}", "{{wildcard(9)}}", "{{wildcard()}}", "{{nothing(1)}}", "$9", "$0", "b.*",
    "{{wildcard(0)}}", "{{random(0)}}", "x{{wildcard(1)}}", "{{wildcard(1,2)}}", "{{split(1)}}", "b..c", "b c", "$x",
    "{{splitfromleft(1,2)}}", "b.{{", "",
]  # fmt: skip
SOURCES = ["a", "a.*", "a.*.*", "a.>", "a.*.>"]


def test_mapping_destinations(judge):
    cases = list(itertools.product(SOURCES, DESTINATIONS))
    fine = [case for case in cases if accepted(check_destination, *case)]
    accounts = {}
    for n, (source, destination) in enumerate(fine):
        accounts[f"A{n}"] = {"mappings": {source: destination}}
    digest, errors = judge(emit.emit({"accounts": accounts}))
    assert digest, errors
    assert len(fine) >= 40
    # $0 and below are another token's text or a constant, literal braces are typing mistakes
    stricter = {"$0", "{{wildcard(0)}}", "{{random(0)}}", "x{{wildcard(1)}}", "b.{{", "", "{{splitfromleft(1,2)}}"}
    for source, destination in cases:
        if (source, destination) not in fine and destination not in stricter:
            tree = {"accounts": {"A": {"mappings": {source: destination}}}}
            if judge(emit.emit(tree))[0]:
                # without a wildcard the server hashes the whole subject and ignores the rest
                assert (source, destination[:11]) == ("a", "{{partition"), (source, destination)


def test_import_destinations(judge):
    cases = list(
        itertools.product(
            ["a", "a.*", "a.*.*", "a.>", "a.*.>"], ["b", "b.*", "b.$1", "b.$2.$1", "b.>", "b.*.>", "b.*.*", "$1.b.>"]
        )
    )
    fine = [case for case in cases if accepted(check_import_to, *case)]
    accounts = {"X": {"exports": [{"stream": ">"}, {"service": "a.>"}, {"service": "a"}]}}
    for n, ((subject, to), kind) in enumerate(itertools.product(fine, ["stream", "service"])):
        accounts[f"A{n}"] = {"imports": [{kind: {"account": "X", "subject": subject}, "to": to}]}
    digest, errors = judge(emit.emit({"accounts": accounts}))
    assert digest, errors
    assert len(fine) >= 7


def test_user_names_and_nkeys(judge):
    given_ = ["a b", '"', "'", "\\", "$2a$04$", "日本", "a\nb", "$x", "123", "\x7f", "x\u2028", "\U0010ffff", "\ufeff"]
    assert all(accepted(names.check_user_name, name) for name in given_)
    users = [{"user": name, "password": HASH} for name in given_]
    users += [{"nkey": nkeys.encode_public("U", bytes([n]) * 32)} for n in range(50)]
    digest, errors = judge(emit.emit({"accounts": {"A": {"users": users}}}))
    assert digest, errors


DURATIONS = [
    "2s",
    "1h30m",
    ".5s",
    "1.5h",
    "2us",
    "2µs",
    "2μs",
    "1ns",
    "-1s",
    "2",
    "s",
    "1d",
    "2 s",
    "2562047h",
    "2562048h",
]


def test_durations(judge):
    for text in DURATIONS:
        tree = {"accounts": {"A": {"exports": [{"service": "a", "response_threshold": text}]}}}
        ours, servers = accepted(names.check_duration, text), bool(judge(emit.emit(tree))[0])
        assert ours == servers or text == "-1s", text


def test_connection_types_are_the_servers(judge):
    users = [{"user": kind, "password": HASH, "allowed_connection_types": [kind]} for kind in names.CONNECTION_TYPES]
    assert judge(emit.emit({"accounts": {"A": {"users": users}}}))[0]


# covers() and overlaps()


WORDS = ["a", "b", "*", ">"]
ALL = [
    ".".join(found)
    for length in (1, 2, 3)
    for found in itertools.product(WORDS, repeat=length)
    if ">" not in found[:-1]
]


def test_covers_is_what_the_server_lets_through(nats_node):
    """A user that may subscribe one pattern may subscribe what it covers, no more; and a
    literal is delivered to whom the pattern covers it."""
    patterns = ["a", "*", ">", "a.*", "*.b", "a.>", "*.*", "*.>", "a.*.b", "a.*.>"]
    users = [user(f"u{n}", may("subscribe", p)) for n, p in enumerate(patterns)]
    node = nats_node(GUARD + INCLUDE, {"accounts.conf": text_of(AccountSpec("A", (*users, user("all", access="all"))))})
    publisher = node.connect(**login("all"))
    literals = [s for s in ALL if "*" not in s and ">" not in s]
    for n, pattern in enumerate(patterns):
        client = node.connect(**login(f"u{n}"))
        wider = [s for s in ALL if client.may_subscribe(s) and not covers(pattern, s)]
        # the server looks ">" up as a word: see the next test
        assert all(s[-1] == ">" and covers(pattern, f"{s[:-1]}x") for s in wider)
        assert all(client.may_subscribe(s) for s in ALL if covers(pattern, s))
        client.close()
        client = node.connect(**login(f"u{n}")).subscribe(pattern)
        publisher.say("".join(f"PUB {literal} 0\r\n\r\n" for literal in literals))
        heard = client.heard()
        while len(heard) < sum(covers(pattern, s) for s in literals):
            heard += client.heard()
        assert heard == [s for s in literals if covers(pattern, s)]
        assert heard == [s for s in literals if overlaps(pattern, s)]
        client.close()


def test_a_star_does_not_reach_below(nats_node):
    """Who may subscribe `a.*` may subscribe `a.>` on this server; what it must not see is kept away."""
    users = (
        user("s", may("subscribe", "a.*")),
        user("top", may("subscribe", "*")),
        user("queue", may("subscribe", "a.*", "v1")),
        user("open", may("subscribe", "a.*"), may("subscribe", "a.x.y")),
        user("all", access="all"),
    )
    node = nats_node(GUARD + INCLUDE, {"accounts.conf": text_of(AccountSpec("A", users))})
    publisher = node.connect(**login("all"))
    everything = ["a", "a.x", "a.x.y", "a.x.z", "a.x.y.z"]
    for name, pattern, queue, heard in (
        ("s", "a.>", "", ["a.x"]),
        ("s", "a.*", "", ["a.x"]),
        ("top", ">", "", ["a"]),
        ("queue", "a.>", "v1", ["a.x"]),
        ("open", "a.>", "", everything[1:]),  # should the server mend it, open_stars can go
    ):
        client = node.connect(**login(name)).subscribe(pattern, queue)
        publisher.say("".join(f"PUB {literal} 0\r\n\r\n" for literal in everything))
        assert eventually(client) == heard, name
        assert client.heard() == []
        client.close()
    assert open_stars(["a.*", "a.x.y"]) == ["a.>"]
    assert open_stars(["a.*"]) == open_stars(["a.*", "a.>"]) == open_stars(["a.*", "b.>"]) == []


# The traps of the server's reading, closed


@pytest.fixture
def trapped(nats_node):
    role = RoleSpec(
        "shared", (may("publish", "shared.{{account-name()}}"), may("subscribe", "shared.>")), responses=None
    )
    own = (
        user("nothing"),
        user("deny_only", may("publish", "x", effect="deny"), may("subscribe", "x", effect="deny")),
        user("deny_role", access="role", role="denies"),
        user("pub_only", may("publish", "p")),
        user("sub_only", may("subscribe", "s")),
        user("queue", may("subscribe", "q", "v1"), may("subscribe", "w.>", "*.dev")),
        user("q_denied", may("subscribe", ">"), may("subscribe", ">", "*.prod", "deny")),
        user("replier", may("subscribe", "req"), responses=ResponseSpec(2, "10s")),
        user("reply_deny", may("subscribe", "req"), may("publish", "x", effect="deny"), responses=ResponseSpec()),
        user("all", access="all"),
        user("off", access="all", enabled=False),
        user("none", access="all", secret=SecretSpec("none")),
        user("templated", access="role", role="mine"),
    )
    many = tuple(user(f"m{n}", access="role", role="*/shared") for n in range(9))
    account = AccountSpec(
        "A",
        own,
        (
            RoleSpec("denies", (may("publish", "x", effect="deny"),)),
            RoleSpec("mine", (may("publish", "dev.{{name()}}.>"),)),
        ),
    )
    compacted = AccountSpec("C", (*many, user("c_pub", may("publish", "p")), user("c_all", access="all"), user("c_no")))
    text = text_of(account, compacted, roles=(role,))
    assert "default_permissions" in text
    return nats_node(GUARD + INCLUDE, {"accounts.conf": text})


@pytest.mark.parametrize(
    ("name", "publish", "subscribe"),
    [
        ("nothing", "", ""),
        ("deny_only", "", ""),
        ("deny_role", "", ""),
        ("pub_only", "p", ""),
        ("sub_only", "", "s"),
        ("queue", "", ""),
        ("replier", "", ""),
        ("all", "p x s shared.C dev.templated.x shared.A", "p x s shared.C dev.templated.x shared.A"),
        ("templated", "dev.templated.x", ""),
        ("m0", "shared.C", "shared.C shared.A"),
        ("c_pub", "p", ""),
        ("c_all", "p x s shared.C dev.templated.x shared.A", "p x s shared.C dev.templated.x shared.A"),
        ("c_no", "", ""),
    ],
)
def test_rows_mean_what_they_say(trapped, name, publish, subscribe):
    client = trapped.connect(**login(name))
    tried = ["p", "x", "s", "shared.C", "dev.templated.x", "shared.A"]
    assert [s for s in tried if client.may_publish(s)] == publish.split()
    assert [s for s in tried if client.may_subscribe(s)] == subscribe.split()


def test_queue_rights_hold(trapped):
    client = trapped.connect(**login("queue"))
    assert client.may_subscribe("q", "v1")
    assert not client.may_subscribe("q", "v2")
    assert not client.may_subscribe("q")
    assert client.may_subscribe("w.x", "a.dev")
    client = trapped.connect(**login("q_denied"))
    assert client.may_subscribe("x", "a.dev")
    assert not client.may_subscribe("x", "a.prod")


@pytest.mark.parametrize(("name", "count"), [("replier", 2), ("reply_deny", 1)])
def test_only_replies_and_only_so_many(trapped, name, count):
    client = trapped.connect(**login(name)).subscribe("req")
    asker = trapped.connect(**login("all"))
    asker.subscribe("answers")
    asker.say("PUB req answers 0\r\n\r\n")
    while not client.heard():
        pass
    assert [client.may_publish("answers") for _ in range(3)] == [n < count for n in range(3)]
    assert not client.may_publish("elsewhere")


def test_disabled_and_unset_users_are_not_there(trapped):
    assert not trapped.lets_in(**login("off"))
    assert not trapped.lets_in(**login("none"))
    assert not trapped.lets_in(user="none", **{"pass": ""})


def test_no_snapshot_opens_the_server_to_anybody(nats_node):
    node = nats_node(GUARD + INCLUDE, {"accounts.conf": text_of()})
    assert not node.lets_in()
    for accounts in (
        (AccountSpec("A"),),
        (AccountSpec("A", (user("a"),)),),
        (),
        (AccountSpec("$G", (user("g", access="all"),)),),
        (AccountSpec("$G"),),
        (AccountSpec("$G", (user("g", access="all", enabled=False),)),),
        (),
    ):
        assert node.reload(files={"accounts.conf": text_of(*accounts)})
        assert not node.lets_in()
        assert not node.lets_in(nkey=IDENTITY.guard)


def test_users_without_an_account_keep_the_guard(nats_node):
    node = nats_node(GUARD + INCLUDE, {"accounts.conf": text_of(AccountSpec("$G", (user("g", may("publish", "x")),)))})
    client = node.connect(**login("g"))
    assert client.may_publish("x")
    assert not client.may_publish("y")
    assert not node.lets_in()


def test_a_guard_below_the_include_would_take_the_users_away(nats_node):
    """Includes merge shallowly and the last key wins: that is why the guard stands above."""
    global_users = text_of(AccountSpec("$G", (user("g", access="all"),)))
    node = nats_node(GUARD + INCLUDE, {"accounts.conf": global_users})
    assert node.lets_in(**login("g"))
    assert node.reload(INCLUDE + GUARD)
    assert not node.lets_in(**login("g"))


# Sharing and nunect's own users


def test_sharing_is_delivered(nats_node):
    exporter = AccountSpec(
        "A",
        (user("a", access="all"),),
        exports=(
            ExportSpec("stream", "ev.>", ("B",)),
            ExportSpec("stream", "no.>", ()),
            ExportSpec("service", "own.*.op", None, 2),
        ),
        mappings=(MappingSpec("old.*", (DestinationSpec("ev.$1"),)),),
    )
    importer = AccountSpec(
        "B",
        (user("b", access="all"),),
        imports=(ImportSpec("stream", "A", "ev.>", prefix="from.a"), ImportSpec("service", "A", "own.B.op", to="op")),
    )
    node = nats_node(GUARD + INCLUDE, {"accounts.conf": text_of(exporter, importer)})
    a = node.connect(**login("a")).subscribe("own.*.op")
    b = node.connect(**login("b")).subscribe("from.a.>")
    a.say("PUB old.x 0\r\n\r\nPUB no.x 0\r\n\r\n")
    assert eventually(b) == ["from.a.ev.x"]
    b.say("PUB op 0\r\n\r\n")
    assert eventually(a) == ["own.B.op"]


def test_whoever_imports_without_a_right_is_refused_by_both(judge):
    """Our verdict on imports is the server's, for every pair of a small world."""
    exports = [
        ExportSpec("stream", "a.>"),
        ExportSpec("stream", "a.>", ("C",)),
        ExportSpec("stream", "a.*", ("B",)),
        ExportSpec("service", "a.*", None, 2),
        ExportSpec("service", "a.x"),
    ]
    imports = [ImportSpec(k, "A", s) for k in ("stream", "service") for s in ("a.x", "a.*", "a.B", "a.>", "b", "a.x.y")]
    for export, each in itertools.product(exports, imports):
        accounts = [AccountSpec("A", exports=(export,)), AccountSpec("B", imports=(each,)), AccountSpec("C")]
        blocks = {spec.name: render.render_account(spec) for spec in accounts}
        valid, errors = judge(render.probe_conf(blocks))
        assert bool(valid) == (render.check_sharing(accounts) == []), (export, each, errors)


@pytest.fixture
def signers():
    return {
        name: Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)
        for n, name in enumerate(("guard", "control", "relay", "jetstream"), 1)
    }


def public(signer):
    raw = signer.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return nkeys.encode_public("U", raw)


def test_nunects_own_users_may_do_their_work_and_no_more(nats_node, signers):
    identity = render.IdentitySpec(*(public(signers[name]) for name in ("guard", "control", "relay", "jetstream")))
    text = render.assemble(render.render_snapshot(Snapshot(identity)), 5).text
    node = nats_node(
        f'authorization: {{ users: [ {{ nkey: "{identity.guard}" }} ] }}\n{INCLUDE}', {"accounts.conf": text}
    )
    control = node.connect(nkey=identity.control, signer=signers["control"])
    assert control.subscribe("_INBOX_nunect.1").may_publish("$SYS.REQ.SERVER.PING.IDZ", "_INBOX_nunect.1")
    assert control.may_publish("$JS.API.ACCOUNT.PURGE.A")
    assert not control.may_publish("orders")
    assert not control.may_subscribe("$SYS.>")
    relay = node.connect(nkey=identity.relay, signer=signers["relay"])
    for subject in ("$SYS.ACCOUNT.*.CONNECT", "$SYS.ACCOUNT.*.DISCONNECT", "$SYS.SERVER.*.STATSZ", "_INBOX_relay.1"):
        assert relay.may_subscribe(subject)
    assert not relay.may_subscribe("_INBOX_nunect.>")
    for word in ("VARZ", "CONNZ", "JSZ", "ACCOUNTZ"):
        assert relay.may_publish(f"$SYS.REQ.SERVER.PING.{word}")
        assert relay.may_publish(f"$SYS.REQ.SERVER.N1.{word}")
    for word in ("RELOAD", "KICK", "LDM", "PROFILEZ", "EXPVARZ"):
        assert not relay.may_publish(f"$SYS.REQ.SERVER.N1.{word}")
    assert not relay.may_publish("$SYS.REQ.SERVER.PING.PROFILEZ")
    assert not relay.may_publish("$SYS.REQ.CLAIMS.UPDATE")
    assert not relay.may_publish("$JS.API.ACCOUNT.PURGE.A")


def test_the_revision_is_in_what_the_server_says(nats_node, signers):
    identity = render.IdentitySpec(*(public(signers[name]) for name in ("guard", "control", "relay", "jetstream")))
    generated = render.assemble(render.render_snapshot(Snapshot(identity)), 5)
    node = nats_node(
        f'authorization: {{ users: [ {{ nkey: "{identity.guard}" }} ] }}\n{INCLUDE}', {"accounts.conf": generated.text}
    )
    relay = node.connect(nkey=identity.relay, signer=signers["relay"]).subscribe("_INBOX_relay.1")
    relay.socket.sendall(b"PUB $SYS.REQ.SERVER.PING.VARZ _INBOX_relay.1 0\r\n\r\n")
    line = relay._line()
    data = json.loads(relay.file.read(int(line.rsplit(" ", 1)[1])))
    assert data["server"]["metadata"] == {"nunect_revision": "5", "nunect_sha256": generated.sha256}
    main = {"authorization": {"users": [{"nkey": identity.guard}]}}
    assert data["data"]["config_digest"] == render.file_digest(main, generated)


def test_random_rules_are_enforced_as_covers_says(nats_node):
    """Publishing: some allow covers it and no deny does, for random rules."""
    rnd = random.Random(7)
    cases = [
        [(rnd.choice(["allow", "allow", "deny"]), rnd.choice(ALL)) for _ in range(rnd.randint(0, 4))] for _ in range(40)
    ]
    users = [user(f"r{n}", *(may("publish", s, effect=e) for e, s in case)) for n, case in enumerate(cases)]
    node = nats_node(GUARD + INCLUDE, {"accounts.conf": text_of(AccountSpec("A", tuple(users)))})
    literals = [s for s in ALL if "*" not in s and ">" not in s]
    for n, case in enumerate(cases):
        client = node.connect(**login(f"r{n}"))
        for literal in literals:
            wanted = any(e == "allow" and covers(s, literal) for e, s in case) and not any(
                e == "deny" and covers(s, literal) for e, s in case
            )
            assert client.may_publish(literal) == wanted, (case, literal)
        client.close()
