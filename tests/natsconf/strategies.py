"""Hypothesis strategies for conf trees, and for the many ways to spell one."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from accounts_app.natsconf.emit import quote, quote_key

characters = st.one_of(
    st.sampled_from(list("\"'\\$#/(){}[]=:;,.- \t\n\r\x0b\x00\x7f\x85\xa0\u2028\ufeff\ufffdé😀<>&kKmMgG019")),
    st.characters(exclude_categories=["Cs"]),
)
strings = st.one_of(
    st.text(characters, max_size=12),
    st.sampled_from(
        ["true", "off", "1k", "2026-01-31T23:59:59Z", "$x", "$2a$11$x", "include", "1.5", "-1", "}", "null"]
    ),
)
byte_strings = st.binary(max_size=6).map(lambda data: data.decode("utf-8", "surrogateescape"))
keys = st.one_of(
    st.sampled_from(["a", "b", "users", "include", "Include", "true", "pk", "x.y", "", "}", "#", "é"]),
    st.text(characters, max_size=8).filter(lambda key: "\x00" not in key and not ('"' in key and "'" in key)),
    st.binary(max_size=4)
    .filter(lambda data: not {0, 34} & set(data))
    .map(lambda data: data.decode("utf-8", "surrogateescape")),
)
integers = st.one_of(st.integers(-3, 70_000), st.integers(-(2**63), 2**63 - 1))
floats = st.floats(allow_nan=False, allow_infinity=False)
moments = st.datetimes().map(lambda at: at.replace(microsecond=0, fold=0, tzinfo=UTC))
scalars = st.one_of(strings, byte_strings, st.booleans(), integers, floats, moments)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=15,
)
trees = st.dictionaries(keys, values, max_size=6)
PIECES = (
    *"{}[]()\"'=:,;#/$\\\n\r\t .-\x00\x0b\xa0\x1c1k",
    *("//", "\\n", "\\x41", "\\xff", "\\q", "\n)\n", "\r\n", "12", "2026-01-02T03:04:05Z", "2026-13-01T00:00:00Z"),
    *("1.5", "127.0.0.1:4222", "99999999999999999999", "-9223372036854775808", "5GB", "1kbb", "1k5", "true", "off"),
    *("include", 'include "a.conf"', "a", "b", "a: 1", "b = x", "c {", "$a", "$HOME", "$2a$11$x", "\ufeff", "é", "٣"),
    *("\udc80", "\udcc3", "{a: }", "[1]", "[1 ]", '"}"', "{}", "[]"),
)
odd_texts = st.lists(st.sampled_from(PIECES), max_size=20).map("".join)

SIZES = [
    ("kB", 2**10),
    ("Ki", 2**10),
    ("k", 10**3),
    ("MiB", 2**20),
    ("m", 10**6),
    ("GB", 2**30),
    ("g", 10**9),
    ("T", 10**12),
]


@st.composite
def spelled(draw, tree):
    """A text that says `tree`, each part in one of its spellings."""
    return draw(_entries(tree)) + draw(st.sampled_from(["", "\n", "# end", " // end\n"]))


@st.composite
def _entries(draw, tree):
    text = draw(_gaps)
    for key, value in tree.items():
        sign = draw(st.sampled_from([":", "=", " = ", ": ", " :\t", " "]))
        end = draw(st.sampled_from(["\n", ",", ";", " ,\n", "\r\n", " # note\n", " // note\n"]))
        text += _key(draw, key) + sign + draw(_value(value)) + end + draw(_gaps)
    return text


@st.composite
def _value(draw, value):
    if isinstance(value, dict):
        return "{" + draw(_entries(value)) + "}"
    if isinstance(value, list):
        ends = st.sampled_from([",", "\n", " , ", "\r\n", " # note\n"])
        return "[" + draw(_gaps) + "".join(draw(_value(item)) + draw(ends) + draw(_gaps) for item in value) + "]"
    if isinstance(value, bool):
        word = draw(st.sampled_from(["true", "yes", "on"] if value else ["false", "no", "off"]))
        return draw(st.sampled_from([word, word.upper(), word.title()]))
    if isinstance(value, int):
        sizes = [name for name, factor in SIZES if value and value % factor == 0]
        name = draw(st.sampled_from(["", *sizes]))
        return str(value // dict(SIZES).get(name, 1)) + name
    if isinstance(value, float):
        return f"{value:.400f}"
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat() + "Z"
    return _string(draw, value)


def _string(draw, text):
    ways = [quote(text), '"' + "".join(f"\\x{byte:02X}" for byte in text.encode("utf-8", "surrogateescape")) + '"']
    if "'" not in text and "\x00" not in text:
        ways.append(f"'{text}'")
    if text.isascii() and text.isalpha() and text.lower() not in ("true", "false", "yes", "no", "on", "off"):
        ways.append(text)
    return draw(st.sampled_from(ways))


def _key(draw, key):
    ways = [quote_key(key)]
    if "'" not in key:
        ways.append(f"'{key}'")
    return draw(st.sampled_from(ways))


_gaps = st.sampled_from(["", " ", "\n", "\t\n", "# note }\n", " // ] note\r\n\x0b", "\u2028\n#\n"])
