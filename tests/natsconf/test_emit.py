"""Tree → text that is read back as the same tree, and that a person likes to read."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import scalars, trees

from accounts_app.natsconf.emit import WIDTH, NotWritable, emit, emit_value, quote, quote_key
from accounts_app.natsconf.parse import parse


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees)
def test_text_is_read_back_as_the_same_tree(tree):
    text = emit(tree)
    assert repr(parse(text).tree) == repr(tree)
    assert emit(parse(text).tree) == text
    text.encode("utf-8", "surrogateescape")


@given(st.lists(scalars, min_size=1, max_size=30), st.integers(0, 6))
def test_array_is_read_back_however_it_is_broken_into_lines(items, level):
    assert repr(parse(f"a: {emit_value(items, level)}\n").tree) == repr({"a": items})


@given(st.dictionaries(st.sampled_from("abcdef"), st.text("xyz", max_size=40)), st.integers(0, 3))
def test_map_stands_on_one_line_when_it_fits(tree, level):
    lines = emit_value(tree, level).splitlines()
    if len(lines) > 1:
        one = ", ".join(f'{key}: "{value}"' for key, value in tree.items())
        assert len(f"{{ {one} }}") + 2 * level > WIDTH
    assert all(len(line) + 2 * level <= WIDTH for line in lines[:1])


def test_conf_is_laid_out_for_reading():
    users = [{"user": f"user-{name}", "password": "$2b$11$" + "x" * 53} for name in "ab"]
    assert emit({"port": 4222, "accounts": {"A": {"users": users, "limits": {"max_payload": -1}}, "B": {}}}) == (
        "port: 4222\n"
        "accounts: {\n"
        "  A: {\n"
        "    users: [\n"
        f'      {{ user: "user-a", password: "{users[0]["password"]}" }}\n'
        f'      {{ user: "user-b", password: "{users[1]["password"]}" }}\n'
        "    ]\n"
        "    limits: { max_payload: -1 }\n"
        "  }\n"
        "  B: {}\n"
        "}\n"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, 2], "[1, 2 ]"),  # 2] would be a string
        ([1, "2"], '[1, "2"]'),
        ([-1, True], "[-1, true]"),
        ([], "[]"),
        ({}, "{}"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e21, "1000000000000000000000.0"),
        (1e-7, "0.0000001"),
        (False, "false"),
        (datetime(987, 1, 2, tzinfo=UTC), "0987-01-02T00:00:00Z"),
    ],
)
def test_value_is_written_as_the_server_can_read_it(value, text):
    assert emit_value(value, 0).startswith(text)
    assert repr(parse(f"a: {emit_value(value, 0)}").tree) == repr({"a": value})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", '""'),
        ("é😀\u2028", '"é😀\u2028"'),
        ('"\\\n\r\t', '"\\"\\\\\\n\\r\\t"'),
        ("\x00\x1f\x7f\x0b", '"\\x00\\x1f\\x7f\\x0b"'),
        ("é\udcff", '"é\\xff"'),
        ("$2b$11$x", '"$2b$11$x"'),
    ],
)
def test_string_is_quoted(value, text):
    assert quote(value) == text


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("users", "users"),
        ("include", '"include"'),
        ("INCLUDE", '"INCLUDE"'),
        ("a.b", '"a.b"'),
        ("", '""'),
        ("}", '"}"'),
        ('a"b', "'a\"b'"),
        ("a'b", '"a\'b"'),
        ("a\"b'", "a\"b'"),
    ],
)
def test_key_is_bare_only_when_that_is_safe(key, text):
    assert quote_key(key) == text
    assert parse(f"{text}: 1").tree == {key: 1}


@pytest.mark.parametrize("key", ["a\x00", "a b\"'", "\"a'", "{\"'", "#\"'", "a=\"'", "\u2028\"'"])
def test_key_that_no_conf_can_hold_is_refused(key):
    with pytest.raises(NotWritable):
        emit({"a": {key: 1}})


def test_what_no_conf_holds_is_a_programming_error():
    with pytest.raises(TypeError):
        emit({"a": None})
