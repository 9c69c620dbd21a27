"""Hypothesis strategies for valid snapshots: small worlds, so that names and subjects meet."""

from dataclasses import replace

from hypothesis import strategies as st

from accounts_app.natsconf import nkeys
from accounts_app.natsconf.names import CONNECTION_TYPES
from accounts_app.natsconf.specs import (
    AccountSpec,
    DestinationSpec,
    ExportSpec,
    IdentitySpec,
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


def key(number: int) -> str:
    return nkeys.encode_public("U", number.to_bytes(32, "big"))


def bcrypt_like(number: int) -> str:
    """A well-formed hash; nobody knows a password for it."""
    return f"$2b$04${number:053d}"


IDENTITY = IdentitySpec(key(1), key(2), key(3), key(4))

words = st.sampled_from(["a", "b", "orders", "$JS", "x-1", "é", '"q"'])
literals = st.lists(words, min_size=1, max_size=3).map(".".join)
subjects = st.tuples(
    st.lists(st.one_of(words, st.just("*")), min_size=1, max_size=3), st.sampled_from(["", "", ".>"])
).map(lambda parts: ".".join(parts[0]) + parts[1]) | st.just(">")
templates = subjects | st.sampled_from(["dev.{{account-name()}}.>", "inbox.{{name()}}.*"])

names = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), min_size=1, max_size=12)
user_names = names.filter(lambda name: name.strip())
tokens = st.text("abcdefgh0123_-", min_size=1, max_size=8)
descriptions = st.text(max_size=20)


def rules(subject=subjects):
    publish = st.builds(RuleSpec, st.just("publish"), st.sampled_from(["allow", "deny"]), subject, st.just(""))
    subscribe = st.builds(
        RuleSpec,
        st.just("subscribe"),
        st.sampled_from(["allow", "deny"]),
        subject,
        st.sampled_from(["", "", "v1", "*.dev"]),
    )
    return st.lists(publish | subscribe, max_size=5).map(tuple)


responses = st.none() | st.builds(
    ResponseSpec, st.integers(-1, 5), st.sampled_from(["", "2s", "1m30s", "-1s", "500ms"])
)
connection_types = st.lists(st.sampled_from(CONNECTION_TYPES), max_size=2, unique=True).map(tuple)


def roles(name):
    return st.builds(RoleSpec, st.just(name), rules(templates), responses, st.just(()), descriptions)


limits = st.builds(
    LimitsSpec,
    *[st.none() | st.integers(-1, 10_000)] * 4,
)
sizes = st.none() | st.integers(-1, 2**40)
jetstream = st.none() | st.builds(
    JetStreamSpec,
    *[sizes] * 7,
    st.none() | st.booleans(),
    st.sampled_from(["", "system", "owner"]),
)


@st.composite
def users(draw, number, name, named_roles):
    """A user that shares its login with no other: `number` is its own in the snapshot."""
    kind = draw(st.sampled_from(["password", "password", "nkey", "certificate", "none"]))
    identity = {
        "password": bcrypt_like(number),
        "nkey": key(1000 + number),
        "certificate": f"CN=user {number},O=Ä",
        "none": "",
    }[kind]
    access = draw(st.sampled_from(["inherit", "all", "own"] + ["role"] * 3 * bool(named_roles)))
    return UserSpec(
        name=name,
        secret=SecretSpec(kind, identity),
        access=access,
        role=draw(st.sampled_from(named_roles)) if access == "role" else "",
        rules=draw(rules()) if access == "own" else (),
        responses=draw(responses) if access == "own" else None,
        connection_types=draw(connection_types),
        enabled=draw(st.sampled_from([True, True, True, False])),
        retiring=draw(st.sampled_from([None, None, SecretSpec("nkey", key(5000 + number))])),
        description=draw(descriptions),
    )


exports = st.lists(
    st.one_of(
        st.builds(ExportSpec, st.just("stream"), subjects, st.sampled_from([None, (), ("B",), ("A", "B")])),
        st.builds(
            ExportSpec,
            st.just("service"),
            subjects,
            st.sampled_from([None, (), ("B",), ("A", "B")]),
            response_type=st.sampled_from(["", "single", "stream", "chunked"]),
            response_threshold=st.sampled_from(["", "2s"]),
            allow_trace=st.none() | st.booleans(),
        ),
        st.just(ExportSpec("service", "lat.x", latency_subject="lat.results", latency_sampling="20")),
        st.just(ExportSpec("service", "to.*.x", account_token_position=2)),
        st.just(ExportSpec("service", "$JS.API.>", ("B",))),
        st.just(ExportSpec("service", "$JS.API.>")),
        st.just(ExportSpec("stream", "$JS.EVENT.>", ())),
    ),
    max_size=3,
    unique_by=lambda export: (export.kind, export.subject),
).filter(lambda found: all(e.kind == "stream" or e.subject not in (">", "*.>", "*.*") for e in found))

mappings = st.lists(
    st.one_of(
        st.builds(MappingSpec, literals, st.tuples(st.builds(DestinationSpec, literals, st.integers(1, 100)))),
        st.just(MappingSpec("m.*.>", (DestinationSpec("n.$1.>", 30), DestinationSpec("o.{{wildcard(1)}}.>", 70)))),
        st.just(MappingSpec("p.*", (DestinationSpec("p.{{partition(3,1)}}.$1", 100, "east"),))),
    ),
    max_size=2,
    unique_by=lambda mapping: mapping.source,
)


@st.composite
def snapshots(draw):
    """A snapshot that renders: two to four accounts, "$G" and the system account at times."""
    shared = draw(st.lists(tokens, max_size=1).flatmap(lambda found: st.tuples(*[roles(n) for n in found])))
    found = ["A", "B", *draw(st.lists(st.sampled_from(["C-1", "$G", "$SYS"]), max_size=2, unique=True))]
    accounts = []
    number = 0
    for name in found:
        own_names = draw(st.lists(tokens, max_size=2, unique=True))
        own = tuple(draw(roles(role)) for role in own_names)
        usable = [*own_names, *(f"*/{role.name}" for role in shared)]
        wanted = [f"{draw(tokens)}-{number + i}" for i in range(draw(st.integers(0, 5)))]
        found_users = []
        for each in wanted:
            number += 1
            free = draw(st.booleans()) and not any("name()" in r.subject for role in own + shared for r in role.rules)
            found_users.append(draw(users(number, f"{draw(user_names)}#{number}" if free else each, usable)))
        account = AccountSpec(
            name=name,
            users=tuple(found_users),
            roles=own,
            default_role=draw(st.sampled_from(["", "", *usable])),
            description=draw(descriptions),
        )
        if name != "$G":
            account = replace(
                account,
                limits=draw(limits),
                jetstream=None if name == "$SYS" else draw(jetstream),
                jetstream_control=draw(st.booleans()),
                exports=tuple(draw(exports)),
                mappings=tuple(draw(mappings)),
                enabled=name in ("A", "B", "$SYS") or draw(st.booleans()),
            )
        accounts.append(account)
    if draw(st.booleans()):
        narrow = tuple(export for export in accounts[0].exports if export.subject[0] not in "*>")
        accounts[0] = replace(accounts[0], exports=(*narrow, *SHARED_EXPORTS))
        accounts[1] = replace(accounts[1], imports=IMPORTS)
    return Snapshot(IDENTITY, tuple(accounts), shared)


SHARED_EXPORTS = (
    ExportSpec("stream", "zz.ev.*.>", ("B",)),
    ExportSpec("service", "zz.op", response_threshold="1s"),
    ExportSpec("service", "zz.own.*.op", account_token_position=3),
)
IMPORTS = (
    ImportSpec("stream", "A", "zz.ev.*.>", to="here.$1.>", allow_trace=True),
    ImportSpec("stream", "A", "zz.ev.x.>", prefix="from.a"),
    ImportSpec("service", "A", "zz.op", to="op", share=True),
    ImportSpec("service", "A", "zz.own.B.op"),
)
