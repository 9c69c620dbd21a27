"""Subjects, wildcards, templates and destinations, without a server (that comes in test_server_agrees)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts_app.natsconf.subjects import (
    InvalidValue,
    check_destination,
    check_import_to,
    check_subject,
    check_template,
    check_token,
    covers,
    expand,
    overlaps,
)


@pytest.mark.parametrize(
    "subject", ["a", "a.b", "*", ">", "a.*.b", "a.>", "$SYS.REQ.>", "a-b.c_d", "é.ü", "a/b:c", "x=1;y", '"']
)
def test_valid_subjects_come_back(subject):
    assert check_subject(subject) == subject


@pytest.mark.parametrize(
    ("subject", "sentence"),
    [
        ("", "Subject is empty."),
        ("a..b", 'Subject "a..b" has an empty token: two dots follow each other.'),
        (".a", 'Subject ".a" has an empty token: it starts with a dot.'),
        ("a.", 'Subject "a." has an empty token: it ends with a dot.'),
        (
            "foo*",
            'Subject "foo*" holds "*" inside a token; a wildcard must stand alone between dots.',
        ),
        ("a.>.b", 'Subject "a.>.b" holds ">" before its end; it can only be the last token.'),
        ("a b", 'Subject "a b" holds a blank (U+0020).'),
        ("a\u00a0b", 'Subject "a\\xa0b" holds a blank (U+00A0).'),
        ("a\x00", 'Subject "a\\x00" holds a character that cannot be seen (U+0000).'),
        ("a\u200bb", 'Subject "a\\u200bb" holds a character that cannot be seen (U+200B).'),
        ("a.\ud800", 'Subject "a.\\ud800" holds a character that cannot be seen (U+D800).'),
    ],
)
def test_the_sentence_says_what_is_wrong(subject, sentence):
    with pytest.raises(InvalidValue) as wrong:
        check_subject(subject)
    assert str(wrong.value) == sentence


def test_the_bad_token_is_named():
    with pytest.raises(InvalidValue) as wrong:
        check_subject("orders.fo*.x")
    assert wrong.value.token == "fo*"


def test_wildcards_can_be_forbidden():
    assert check_subject("a.b", wildcards=False) == "a.b"
    with pytest.raises(InvalidValue, match="none is possible here"):
        check_subject("a.*", wildcards=False)


def test_placeholders_are_for_roles():
    with pytest.raises(InvalidValue, match="holds a placeholder"):
        check_subject("a.{{name()}}")


@pytest.mark.parametrize("token", ["a.b", "*", ">", "", "a b", "{{x}}"])
def test_a_token_is_one_literal_word(token):
    with pytest.raises(InvalidValue):
        check_token(token)


WORDS = ["a", "b", "*", ">"]
SUBJECTS = [
    ".".join(words)
    for length in (1, 2, 3)
    for words in itertools.product(WORDS, repeat=length)
    if ">" not in words[:-1]
]
LITERALS = [".".join(words) for length in (1, 2, 3, 4) for words in itertools.product(["a", "b", "c"], repeat=length)]


def matches(pattern, literal):
    """The definition, spelled out: the literal is one of those the pattern stands for."""
    wanted, given_ = pattern.split("."), literal.split(".")
    if wanted[-1] == ">":
        head = wanted[:-1]
        return len(given_) > len(head) and all(w in ("*", g) for w, g in zip(head, given_, strict=False))
    return len(wanted) == len(given_) and all(w in ("*", g) for w, g in zip(wanted, given_, strict=True))


def test_covers_and_overlaps_are_what_the_sets_say():
    sets = {s: frozenset(x for x in LITERALS if matches(s, x)) for s in SUBJECTS}
    for a, b in itertools.product(SUBJECTS, repeat=2):
        assert covers(a, b) == (sets[b] <= sets[a]), (a, b)
        assert overlaps(a, b) == bool(sets[a] & sets[b]), (a, b)


def test_templates_are_filled():
    assert expand("dev.{{name()}}.>", "ann", "ACME") == "dev.ann.>"
    assert expand("x.{{ account-name() }}-{{name()}}", "ann", "ACME") == "x.ACME-ann"
    assert expand("plain.*", "a.b", "ACME") == "plain.*"


@pytest.mark.parametrize("name", ["*", ">", "a.b", "", "a b", "a\n", "{{name()}}", "x*"])
def test_a_name_never_widens_a_template(name):
    with pytest.raises(InvalidValue):
        expand("dev.{{name()}}.x", name, "ACME")


@pytest.mark.parametrize("subject", ["dev.{{tag(x)}}", "dev.{{name()", "dev.{{name()}}*", "a.{{name()}}..b"])
def test_bad_templates_are_refused_in_the_words_that_were_typed(subject):
    with pytest.raises(InvalidValue) as wrong:
        check_template(subject)
    assert subject in str(wrong.value)


@given(st.text(max_size=8))
def test_whatever_the_name_the_expansion_has_the_same_shape(name):
    try:
        subject = expand("dev.{{name()}}.x", name, "ACME")
    except InvalidValue:
        return
    assert subject == f"dev.{name}.x"
    assert not overlaps(subject, "dev.someoneelse.x") or name == "someoneelse"


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("a", "b"),
        ("a.*", "b.$1"),
        ("a.*.*", "b.$2.$1"),
        ("a.*", "b"),
        ("a.>", "b.>"),
        ("a.*.>", "b.{{wildcard(1)}}.>"),
        ("a.*", "p.{{partition(3,1)}}.{{wildcard(1)}}"),
        ("a.*", "{{Split(1,-)}}.x"),
        ("a.*", "{{splitFromLeft(1, 2)}}"),
        ("a", "b.{{random(5)}}"),
        ("a", "b.$SYS"),
    ],
)
def test_destinations(source, destination):
    assert check_destination(source, destination) == destination


@pytest.mark.parametrize(
    ("source", "destination", "part"),
    [
        ("a", "$1", "has none"),
        ("a.*", "b.$2", "asks for wildcard 2"),
        ("a.*", "b.$0", "asks for wildcard 0"),
        ("a.*", "b.*", "write $1"),
        ("a.>", "b", 'both end with ">"'),
        ("a", "b.>", 'both end with ">"'),
        ("a.*", "{{foo(1)}}", "is not known"),
        ("a.*", "{{left(1)}}", "needs two arguments"),
        ("a.*", "x{{wildcard(1)}}", "is not a function"),
        ("a.*", "{{wildcard(x)}}", "whole numbers"),
        ("a.*", "{{wildcard(1,2)}}", "needs one argument"),
        ("a.*", "{{partition()}}", "at least one argument"),
        ("a.*", "{{partition(0,1)}}", "whole numbers"),
        ("a.*", "{{split(1)}}", "needs two arguments"),
        ("a.*", "b..c", "empty token"),
        ("a.*", "", "is empty"),
    ],
)
def test_bad_destinations(source, destination, part):
    with pytest.raises(InvalidValue, match=part.replace("$", r"\$")):
        check_destination(source, destination)


def test_import_destinations_keep_every_wildcard():
    assert check_import_to("a.*.b.*", "x.$2.$1") == "x.$2.$1"
    assert check_import_to("a.*.>", "x.*.>") == "x.*.>"
    assert check_import_to("a.b", "x.y") == "x.y"
    for subject, to in [("a.*", "x"), ("a.*", "x.{{partition(2,1)}}"), ("a.b", "x.*"), ("a.>", "x")]:
        with pytest.raises(InvalidValue):
            check_import_to(subject, to)
