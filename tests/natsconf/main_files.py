"""Hypothesis strategies for main files as people write them: order, separators, variables and includes at will."""

from hypothesis import strategies as st
from spec_strategies import bcrypt_like, key

RIGHTS = '{ publish: ["a.>"], subscribe: { deny: ["b.>"] } }'
# name: (its definitions, which may use others)
VARIABLES = {
    "N": "N: 25",
    "M": "M = $N",
    "RIGHTS": f"RIGHTS {RIGHTS}",
    "LIMITS": "LIMITS: { max_connections: $N, max_payload: 1K }",
    "WHO": 'WHO: "wu-tang"',
}
USES = {"M": {"N"}, "LIMITS": {"N"}}
SETTINGS = [
    ("server_name: office", set()),
    ("max_payload: 2MB", set()),
    ('"lame_duck_duration" = "45s"', set()),
    ("max_connections: $N", {"N"}),
    ("max_subscriptions: $M", {"M"}),
    ("server_tags: [$WHO, 'x:1']", {"WHO"}),
    ("cluster { name: c1, listen: '127.0.0.1:-1', no_advertise: on }", set()),
    ("debug: off", set()),
]
USERS = [
    (f'{{ user: ann, password: "{bcrypt_like(1)}" }}', set()),
    (f"{{ user: bob, password: '{bcrypt_like(2)}', permissions: $RIGHTS }}", {"RIGHTS"}),
    (f"{{nkey: {key(77)}, permissions: {RIGHTS}}}", set()),
    (f'{{ user: "accounts {{ }}", password: "{bcrypt_like(3)}" }}', set()),
    (f'{{ user: $WHO, password: "{bcrypt_like(4)}" }}', {"WHO"}),
]
GUESTS = [
    (f'{{ user: guest, password: "{bcrypt_like(5)}" }}', set()),
    (f'{{ user: gus, password: "{bcrypt_like(6)}", permissions: $RIGHTS }}', {"RIGHTS"}),
]
GAPS = ["", "", "", "# a comment\n", "  // accounts { }\n", "\n\n", "\t"]
ENDS = ["\n", "\n", " # behind\n", ";", ", ", "\r\n", " ;\n"]


def _text(item):
    return item[0]


@st.composite
def _accounts(draw):
    users = draw(st.lists(st.sampled_from(USERS), min_size=1, max_size=4, unique_by=_text))
    half = draw(st.integers(0, len(users)))
    limits = draw(st.sampled_from(["", "limits: $LIMITS\n", "limits { max_connections: $N }, "]))
    lists = [f"[\n{' '.join(f'{text},' for text, _ in part)}]" for part in (users[:half], users[half:])]
    word = draw(st.sampled_from(["accounts", "Accounts:", '"accounts" =']))
    text = f"{word} {{ A: {{ {limits}users: {lists[0]} }}\n B {{ users = {lists[1]} }} # mid\n}}"
    used = set().union(
        *(needs for _, needs in users), {"LIMITS"} if "$LIMITS" in limits else {"N"} if limits else set()
    )
    return text, used


@st.composite
def _authorization(draw):
    users = draw(st.lists(st.sampled_from(GUESTS), max_size=2, unique_by=_text))
    parts = [(f"users: [ {' '.join(f'{text},' for text, _ in users)} ]", set().union(*(n for _, n in users)))]
    parts += draw(
        st.lists(
            st.sampled_from([("timeout: 2", set()), (f"default_permissions: {RIGHTS}", set())]),
            max_size=2,
            unique_by=_text,
        )
    )
    if not draw(st.booleans()) and not users:
        parts = parts[1:]
    parts = draw(st.permutations(parts))
    text = "".join(draw(st.sampled_from(GAPS)) + part + draw(st.sampled_from(ENDS)) for part, _ in parts)
    return f"authorization {{{draw(st.sampled_from(['', ' ', chr(10)]))}{text}}}", set().union(*(n for _, n in parts))


@st.composite
def main_files(draw):
    """{file: text} of a main file `main.conf` and its includes, which a server can start with."""
    items = draw(st.lists(st.sampled_from(SETTINGS), max_size=5, unique_by=_text))
    items.append(draw(_accounts()))
    if draw(st.booleans()):
        items.append(draw(_authorization()))
    if draw(st.booleans()):
        items.append(('server_metadata: { hall: "2" }', set()))
    items = draw(st.permutations(items))
    needed = set().union(*(needs for _, needs in items))
    needed |= set().union(*(USES.get(name, set()) for name in needed))
    ordered = [name for name in VARIABLES if name in needed]
    return draw(
        _files([(VARIABLES[name], USES.get(name, set()), name) for name in ordered] + [(*i, "") for i in items])
    )


@st.composite
def _files(draw, items):
    """The items in one file, or some that stand by each other in an include, and of these some in another."""
    files, number = {}, 0

    @st.composite
    def file(draw, items, name):
        nonlocal number
        text = ""
        at = 0
        while at < len(items):
            run = items[at : at + draw(st.integers(1, 4))]
            defined = {item[2] for item in run}
            alone = all(need in defined for item in run for need in item[1])
            text += draw(st.sampled_from(GAPS))
            if alone and number < 4 and draw(st.integers(0, 2)) == 0:
                number += 1
                inner = f"part{number}.conf"
                folder = draw(st.sampled_from(["", "sub/", "./"])) if name == "main.conf" else ""
                text += draw(st.sampled_from(["include {} ", "include '{}'", 'INCLUDE  "{}"'])).format(folder + inner)
                place = ("sub/" if folder == "sub/" or name.startswith("sub/") else "") + inner
                draw(file(run, place))
                at += len(run)
            else:
                text += items[at][0]
                at += 1
            text += draw(st.sampled_from(ENDS))
        files[name] = text
        return text

    main = draw(file(items, "main.conf"))
    wrap = draw(st.integers(0, 5))
    if wrap == 0:
        main = "{ " + main.replace(" # behind\n", "\n") + "}"
    elif wrap == 1:
        main = main.rstrip("\r\n;, ")
    files["main.conf"] = main
    return files
