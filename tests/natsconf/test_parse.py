"""Text → tree: the server's reading, its odd ones too; the same cases are put to a real server."""

import time
from datetime import UTC, datetime

import pytest
from conf_reader import ENVIRON, FILES, Reader, included
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import odd_texts, spelled, trees

from accounts_app.natsconf.emit import NotWritable, emit
from accounts_app.natsconf.errors import ConfSyntaxError
from accounts_app.natsconf.parse import MAX_LEVELS, Position, parse

ACCEPTED = [
    # keys, assignments, separators
    ("a: 1", {"a": 1}),
    ("a = 1\nb 2\nc: 3;d: 4,e: 5", {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}),
    ("a:1\r\nb:2\r\n", {"a": 1, "b": 2}),
    ("a\n\n = b", {"a": "b"}),
    ("a\n\n b", {"a": "b"}),
    ("'a b': 1, \"c'd\": 2", {"a b": 1, "c'd": 2}),
    ('"a\\n": 1', {"a\\n": 1}),
    ('"": 1', {"": 1}),
    ("a\"b'c: 1", {"a\"b'c": 1}),
    ("a: 1\na: 2", {"a": 2}),
    ("a { b: 1 }\na { c: 2 }", {"a": {"c": 2}}),
    ("\ufeffa: 1", {"\ufeffa": 1}),
    ("\xa0\u2028a\x0b:\u20031", {"a": "\u20031"}),
    ("\x1ca: 1", {"\x1ca": 1}),
    ("", {}),
    ("\n # nothing\n// at all", {}),
    ("a: b # c\n#d\nc: d // e\n", {"a": "b", "c": "d"}),
    ("a: #b", {"a": "#b"}),
    ("a: b#c", {"a": "b#c"}),
    ("a { # b\n c: d # e }\n }", {"a": {"c": "d"}}),
    # braces around everything, and the last one
    ('{"a": 1, "b": [true, null]}', {"a": 1, "b": [True, "null"]}),
    ("{ { a: 1 }, b: 2 }", {"a": 1, "b": 2}),
    ("{ a: 1\n", {"a": 1}),
    ("a: 1\n}", {"a": 1}),
    ("a: 1 } b: 2", {"a": 1, "b": 2}),
    ("}\0 nothing is read from here", {}),
    # strings
    ('a: "b \\"c\\" \\\\ \\t\\n\\r \\x41\\x0a"', {"a": 'b "c" \\ \t\n\r A\n'}),
    ('a: "$b", b: \'$c "d" \\n\'', {"a": "$b", "b": '$c "d" \\n'}),
    ('a: "b\nc"', {"a": "b\nc"}),
    ("a: b\\x41c\\td", {"a": "bAc\td"}),
    ("a: tr\\x75e", {"a": "true"}),
    ("a: \\x24b", {"a": "$b"}),
    ("a: b'\nc: true'", {"a": "b", "c": "true"}),
    ("a:\tb", {"a": "b"}),
    ("a:", {"a": ""}),
    ("a: ,b:}", {"a": "", "b": ""}),
    ("a: b\0c: d", {"a": "b", "c": "d"}),
    ("a: foo.*.>{b", {"a": "foo.*.>{b"}),
    ("a: (\nb\n  c )\n)\nd: 1", {"a": "\nb\n  c )\n", "d": 1}),
    ("a: (b\n)", {"a": "b\n)"}),
    ("a: (b\n)\0", {"a": "b\n"}),
    ('a: "\\xc3\\xa9\\xff\\xe2\\x82"', {"a": "é\udcff\udce2\udc82"}),
    ('a: "\udcc3\\xa9"', {"a": "é"}),
    ("\udc80: \udcff", {"\udc80": "\udcff"}),
    # numbers
    ("a: 0042, b: -7, c: -0", {"a": 42, "b": -7, "c": 0}),
    ("a: 1k, b: 1KB, c: 2Mi, d: 3gib, e: -1T", {"a": 1000, "b": 1024, "c": 2 << 20, "d": 3 << 30, "e": -(10**12)}),
    ("a: 1p, b: 1PB, c: 1e, d: 1EiB", {"a": 10**15, "b": 2**50, "c": 10**18, "d": 2**60}),
    ("a: 9223372036854775807, b: -9223372036854775808", {"a": 2**63 - 1, "b": -(2**63)}),
    ("a: 16EB, b: 8EB, c: 9223372036854775807k", {"a": 0, "b": -(2**63), "c": -1000}),
    ("a: 1.0, b: -0.0, c: 1.5", {"a": 1.0, "b": -0.0, "c": 1.5}),
    ("a: 5m, b: 5s, c: 1h30m, d: 1k5, e: 4e2abc", {"a": 5_000_000, "b": "5s", "c": "1h30m", "d": "1k5", "e": "4e2abc"}),
    ("a: 127.0.0.1:4222, b: 1.2.3-, c: -1.2.3", {"a": "127.0.0.1:4222", "b": "1.2.3-", "c": "-1.2.3"}),
    ("a: 12\\n, b: 1'x, c: 3\\x41\\x41", {"a": "12\\n", "b": "1'x", "c": "3\\x41A"}),
    ("a: 2026-01-31T23:59:59Z", {"a": datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)}),
    ("a: 0001-02-03T04:05:06Z", {"a": datetime(1, 2, 3, 4, 5, 6, tzinfo=UTC)}),
    ("a: true, b: ON, c: Yes, d: false, e: oFf, f: NO", {**dict.fromkeys("abc", True), **dict.fromkeys("def", False)}),
    # arrays
    ("a: [1, 2 ]", {"a": [1, 2]}),
    ("a: [1, 2\n]", {"a": [1, 2]}),
    ("a: [1k]", {"a": ["1k"]}),
    ("a: [1]\nb ]", {"a": ["1]", "b"]}),
    ("a: [-1, 1.5, true, b, $2a$11$c]", {"a": [-1, 1.5, True, "b", "$2a$11$c"]}),
    ("a: [b\n\n c # d\n e,\n // f\n]", {"a": ["b", "c", "e"]}),
    ('a: ["b" / "c"/]', {"a": ["b", "c"]}),
    ("a: [[], {}, [b, {c: d}], (\n)\n]", {"a": [[], {}, ["b", {"c": "d"}], "\n"]}),
    # maps
    ("a { b: 1, c { d: e }, }", {"a": {"b": 1, "c": {"d": "e"}}}),
    ("a: { b\n:\n 1 }", {"a": {"b": 1}}),
    ("a { b: c}}", {"a": {"b": "c"}}),
    ("a { b: 1,,c: 2 }", {"a": {"b": 1, ",c": 2}}),
    ("a { b: ;c: d }", {"a": {"b": "", "c": "d"}}),
    ('a { include: 1, "include" 2 }', {"a": {"include": 2}}),
    # readings nobody would guess
    ("a {b: }", {"b": {}}),
    ("a { b: 1kbb }", {"b": {}}),
    ("a: 1kbb\nb: 1", {"b": 1}),
    ('a { b: "1" /c: 2 }', {"a": {"b": "1", "c": 2}}),
    ("a { / b: 3, /=e 4 }", {"a": {" b": 3, "=e": 4}}),
    ("a: 1 / / ,b: 2", {"a": 1, "b": 2}),
    ('a: ["b", "', {}),
    ('a: ["b", "c\\n', {}),
    ('"', {}),
    ('"}": "', {}),
    # variables
    ("a: 1\nb: $a", {"a": 1, "b": 1}),
    ("a: 1\nb { a: 2, c { d: $a } }\ne: $a", {"a": 1, "b": {"a": 2, "c": {"d": 2}}, "e": 1}),
    ("a { x: 1 }\nb: [$a, $a]", {"a": {"x": 1}, "b": [{"x": 1}, {"x": 1}]}),
    ("b { c: 1, d: [$c] }", {"b": {"c": 1, "d": [1]}}),
    ('"": 1\na: $', {"": 1, "a": 1}),
    ("a: $2a$11$x.y/z", {"a": "$2a$11$x.y/z"}),
    ("a: $NUMBER, b: $WORD, c: $LIST, d: $MAP", {"a": 5, "b": "abc", "c": [1, 5], "d": {"a": "abc"}}),
    ("a: $EMPTY, b: $QUOTED, c: $TWO", {"a": "", "b": "x y", "c": 2}),
    ("NUMBER: 6, a: $NUMBER", {"NUMBER": 6, "a": 6}),
    # includes
    ('include "a.conf"', {"x": 1, "y": {"z": True}}),
    ("x: 2\nINCLUDE\t'./a.conf'; a: $x", {"x": 1, "y": {"z": True}, "a": 1}),
    ("m { include a.conf }", {"m": {"x": 1, "y": {"z": True}}}),
    ("include a.conf\nx: 2", {"x": 2, "y": {"z": True}}),
    ("m { /include a.conf }", {"m": {"x": 1, "y": {"z": True}}}),
    ("include /sub//b.conf", {"c": 5_000_000, "b": 5_000_000}),
    ("include up.conf\n\u0130nclude sub/c.conf", {"x": 1, "y": {"z": True}, "c": 5_000_000}),
]

REFUSED = [  # text, line, column
    ("a", 1, 1),
    ("a: 1\n  b\n", 2, 3),
    ("= 1", 1, 1),
    ("a: 1 b: 2", 1, 6),
    ("a: \n1", 1, 4),
    ("a: 1\n\0", 2, 1),
    ("# a\0", 1, 4),
    ("/ a: 1", 1, 1),
    ("a: 1 ]", 1, 6),
    ('"a: 1', 1, 1),
    ('a: "', 1, 4),
    ('a: "b', 1, 4),
    ('a: "b\0"', 1, 4),
    ("a: 'b", 1, 4),
    ('a: ["b", "c', 1, 10),
    ('a: "\\q"', 1, 5),
    ('a: "b\\x4"', 1, 6),
    ("a: b\\u0041", 1, 5),
    ("a: (b\nc )\n", 1, 4),
    ("a: (b\n)\r\n", 1, 4),
    ("a: (b\0\n)\n", 1, 4),
    ("a: .5", 1, 4),
    ("a: 1.", 1, 6),
    ("a: -x", 1, 5),
    ("a: 1.5k", 1, 7),
    ("a: -1x", 1, 6),
    ("a: 9223372036854775808", 1, 4),
    ("a: " + "9" * 5000, 1, 4),
    ("a: ٣", 1, 4),
    ("a: " + "9" * 400 + ".0", 1, 4),
    ("a: 2026-01-31", 1, 4),
    ("a: 2026-02-30T00:00:00Z", 1, 4),
    ("a: 26-02", 1, 4),
    ("a: [1, 2]", 1, 10),
    ("a: [b,, c]", 1, 7),
    ("a: [, b]", 1, 5),
    ("a: [b c]", 1, 7),
    ("a: [b\n, c]", 2, 1),
    ("a: [/]", 1, 5),
    ("a: [b", 1, 6),
    ("a {", 1, 4),
    ("a { b: 1", 1, 9),
    ("a { b", 1, 5),
    ("a {b}", 1, 4),
    ("a { ]", 1, 5),
    ("a { : 1 }", 1, 5),
    ("a { b: , c: 1 }", 1, 8),
    ('a { "b: 1 }', 1, 5),
    ("a { b: 1 c: 2 }", 1, 10),
    ("{ a: 1", 1, 7),
    ("{ {} a: 1 }", 1, 6),
    ("a: $b", 1, 4),
    ("a: $a", 1, 4),
    ("a { b: 1 }, c: $b", 1, 16),
    ("a: $2b$11$x", 1, 4),
    ("a: $SELF", 1, 4),
    ("a: [ $ROUND ]", 1, 6),
    ("a: $NOTHING", 1, 4),
    ("a: $BLANK", 1, 4),
    ("a: $OPEN", 1, 4),
    ("include", 1, 1),
    ("include\n'a.conf'", 1, 8),
    ("include 'a.conf", 1, 9),
    ("include [a.conf]", 1, 9),
    ("a: 1\n  include missing.conf", 2, 11),
    ("x: [ include a.conf ]", 1, 14),
]


def parsed(text, **more):
    return parse(text, read=included, environ=ENVIRON, **more)


@pytest.mark.parametrize(("text", "tree"), ACCEPTED)
def test_text_is_read_as_the_server_reads_it(text, tree):
    assert repr(parsed(text).tree) == repr(tree)


@pytest.mark.parametrize(("text", "line", "column"), REFUSED)
def test_refusal_says_where(text, line, column):
    with pytest.raises(ConfSyntaxError) as error:
        parsed(text, file="f.conf")
    assert (error.value.file, error.value.line, error.value.column) == ("f.conf", line, column), error.value
    assert str(error.value) == f"f.conf:{line}:{column}: {error.value.reason}"


# Against the server


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return Reader(tmp_path_factory.mktemp("reader"))


@pytest.mark.live
def test_server_accepts_what_we_accept(reader):
    texts = [text for text, _ in ACCEPTED]
    different = [text for text in texts if reader.theirs(text) != reader.ours(text)]
    assert not different


@pytest.mark.live
def test_server_refuses_what_we_refuse(reader):
    assert not [text for text, _, _ in REFUSED if reader.theirs(text).startswith("sha256:")]


@pytest.mark.live
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(odd_texts, min_size=10, max_size=40))
def test_server_agrees_on_odd_texts(reader, texts):
    accepted, refused = [], []
    for text in texts:
        try:
            parsed(text)
            accepted.append(text)
        except ConfSyntaxError:
            refused.append(text)
    assert reader.theirs(*accepted) == reader.ours(*accepted)
    for text in refused[:6]:
        assert not reader.theirs(text).startswith("sha256:"), text


# Properties


@given(st.data(), trees)
def test_every_spelling_says_the_same(data, tree):
    text = data.draw(spelled(tree))
    assert repr(parse(text).tree) == repr(tree)


@settings(max_examples=500)
@given(st.one_of(odd_texts, st.text()))
def test_any_text_is_read_or_refused_with_a_place_in_it(text):
    lines = text.split("\n")
    try:
        read = parsed(text, file="f.conf")
    except ConfSyntaxError as error:
        assert error.file in FILES or 1 <= error.column <= len(lines[error.line - 1]) + 1
        assert error.reason
        return
    assert set(read.positions) == set(paths(read.tree))
    assert len(read.positions) == len(list(paths(read.tree)))
    for place in read.positions.values():
        assert place.file in FILES or 1 <= place.column <= len(lines[place.line - 1]) + 1


@settings(max_examples=500)
@given(odd_texts)
def test_what_was_read_can_be_written(text):
    try:
        tree = parsed(text).tree
        again = emit(tree)
    except (ConfSyntaxError, NotWritable):
        return
    assert repr(parse(again).tree) == repr(tree)


def paths(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield (*path, step)
        yield from paths(item, (*path, step))


# Places, variables, includes


def test_positions_are_those_of_keys_and_items():
    text = 'a: {\n  "b": 1\n  é: [x,\n    { c: 2 }]\n}'
    assert dict(parse(text, file="f").positions) == {
        ("a",): Position("f", 1, 1),
        ("a", "b"): Position("f", 2, 3),
        ("a", "é"): Position("f", 3, 3),
        ("a", "é", 0): Position("f", 3, 7),
        ("a", "é", 1): Position("f", 4, 5),
        ("a", "é", 1, "c"): Position("f", 4, 7),
    }


@pytest.mark.parametrize("path", [(), ("b",), ("a", 2), ("a", -1), ("a", "b"), ("a", 0, 0), (0,), ("a", True, None)])
def test_positions_know_only_values(path):
    positions = parse("a: [1, 2 ]").positions
    assert path not in positions
    assert len(positions) == 3


def test_positions_lead_into_the_included_file():
    positions = parse(
        "a { include 'sub/b.conf' }\n b: 1", file="/etc/f.conf", read=lambda path: FILES[path[5:]]
    ).positions
    assert positions["a", "b"] == Position("/etc/sub/b.conf", 2, 1)
    assert positions["a", "c"] == Position("/etc/sub/c.conf", 1, 1)
    assert positions["b",] == Position("/etc/f.conf", 2, 2)


def test_value_of_a_variable_stands_where_it_is_used():
    read = parsed("a { b: 1 }\nc: $a\nd: $MAP", file="f")
    assert read.positions["c",] == Position("f", 2, 1)
    assert read.positions["c", "b"] == Position("f", 1, 5)
    assert read.positions["d", "a"] == Position("f", 3, 4)


def test_environment_variables_are_named_with_the_place_of_their_first_use():
    read = parsed("a: 1\nb: [$a, $LIST, $LIST]", file="f")
    assert read.variables == {"NUMBER": Position("f", 2, 9), "LIST": Position("f", 2, 9)}


def test_missing_variable_asks_for_a_value_from_the_environment():
    with pytest.raises(ConfSyntaxError, match=r"^f:1:4: .*\$NOPE.*from the server's environment"):
        parse("a: $NOPE", file="f")


def test_included_files_are_listed_once_each():
    text = "include up.conf\nm { include sub/b.conf\n include './up.conf' }"
    assert parsed(text).includes == ("up.conf", "a.conf", "sub/b.conf", "sub/c.conf")


@pytest.mark.parametrize(
    ("including", "path", "joined"),
    [
        ("f.conf", "a.conf", "a.conf"),
        ("f.conf", "/etc/a.conf", "etc/a.conf"),
        ("/etc/f.conf", "a.conf", "/etc/a.conf"),
        ("/etc/f.conf", "/a.conf", "/etc/a.conf"),
        ("/etc/f.conf", "../../a/./b//c.conf", "/a/b/c.conf"),
        ("/f.conf", "/a.conf", "/a.conf"),
        ("x/f.conf", "../../a.conf", "../a.conf"),
    ],
)
def test_path_is_joined_to_the_folder_of_the_including_file(including, path, joined):
    assert parse(f"include '{path}'", file=including, read={joined: ""}.__getitem__).includes == (joined,)


def test_include_without_a_reader_is_refused_with_its_place():
    with pytest.raises(ConfSyntaxError) as error:
        parse("a: 1\ninclude 'b.conf'", file="f")
    assert (error.value.line, error.value.column) == (2, 9)


def test_mistake_in_an_included_file_is_told_there():
    with pytest.raises(ConfSyntaxError) as error:
        parse("include b.conf", file="/etc/f", read=lambda path: "a: 1\nb: [")
    assert (error.value.file, error.value.line) == ("/etc/b.conf", 2)


@pytest.mark.parametrize("files", [{"f": "include f"}, {"f": "include g", "g": "\n include './f'"}])
def test_file_that_includes_itself_is_refused(files):
    with pytest.raises(ConfSyntaxError, match="f includes itself"):
        parse(files["f"], file="f", read=lambda path: files[path])


def test_files_that_go_on_forever_are_refused():
    with pytest.raises(ConfSyntaxError, match="include each other"):
        parse("include x", file="f", read=lambda path: f"include 'x{path}'")


# Limits


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ("{a:", "}"), ("[{a:[", "]}]")])
def test_deep_nesting_is_refused_not_a_crash(start, end):
    assert parse("a: " + "[" * MAX_LEVELS + "]" * MAX_LEVELS).tree
    with pytest.raises(ConfSyntaxError, match=r"^<conf>:1:\d+: .*levels"):
        parse("a: " + start * 100_000 + end * 100_000)


def test_deep_nesting_by_variables_and_includes_is_refused():
    chain = "a0: [1 ]\n" + "".join(f"a{number + 1}: [$a{number}]\n" for number in range(200))
    with pytest.raises(ConfSyntaxError, match="levels"):
        parse(chain)
    with pytest.raises(ConfSyntaxError, match="levels"):
        parse("a { b: 1, include f }", read=lambda path: "a: " + "[" * MAX_LEVELS + "]" * MAX_LEVELS)


def test_values_multiplied_by_variables_are_refused():
    with pytest.raises(ConfSyntaxError, match="repeat"):
        parse("a0: [1 ]\n" + "".join(f"a{n + 1}: [{', '.join([f'$a{n}'] * 10)}]\n" for n in range(20)))


def test_character_that_no_file_holds_is_refused():
    with pytest.raises(ConfSyntaxError, match=r"^<conf>:2:4: "):
        parse("a: 1\nb: \ud800")


def test_thousands_of_users_are_read_in_seconds():
    rights = {"publish": {"allow": ["orders.>", "$JS.API.>"], "deny": ["a.b"]}, "subscribe": {"allow": ["_INBOX.>"]}}
    user = {"password": "$2b$11$" + "x" * 53, "permissions": rights, "allowed_connection_types": ["STANDARD"]}
    tree = {"accounts": {"A": {"users": [{"user": f"user-{number}", **user} for number in range(3_000)]}}}
    text = emit(tree)
    started = time.process_time()
    assert parse(text).tree == tree
    assert time.process_time() - started < 3
