"""Our digest of a tree is the one that a real server prints for its text."""

import json
import math
from datetime import UTC, datetime

import pytest
from conf_reader import Reader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import spelled, trees

from accounts_app.natsconf.digest import canonical, digest, go_float
from accounts_app.natsconf.emit import emit

FLOATS = [
    (0.0, "0"),
    (-0.0, "-0"),
    (1.0, "1"),
    (127.5, "127.5"),
    (-2.50, "-2.5"),
    (0.1, "0.1"),
    (0.000001, "0.000001"),
    (0.00000099, "9.9e-7"),
    (1.5e-10, "1.5e-10"),
    (5e-324, "5e-324"),
    (1e20, "100000000000000000000"),
    (123456789012345680000.0, "123456789012345680000"),
    (1e21, "1e+21"),
    (1.25e100, "1.25e+100"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return Reader(tmp_path_factory.mktemp("reader"))


def test_known_digest():
    assert digest({}) == "sha256:ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, False, "x"], "é": {}, "Z": []}, '{"Z":[],"a":[true,false,"x"],"b":1,"é":{}}'),
        ("<&>\u2028\u2029", '"\\u003c\\u0026\\u003e\\u2028\\u2029"'),
        ('"\\/\n\r\t\b\f\x00\x1f\x7fé😀', '"\\"\\\\/\\n\\r\\t\\b\\f\\u0000\\u001f\x7fé😀"'),
        ("a\udcff\udce2\udc82b\ufffd", '"a\ufffd\ufffd\ufffdb\ufffd"'),
        (
            dict(zip(["\udcff", "😀", "\ue000", "é", "\udc80"], range(1, 6), strict=True)),
            '{"\ufffd":5,"é":4,"\ue000":3,"😀":2,"\ufffd":1}',
        ),
        (datetime(1, 2, 3, 4, 5, 6, tzinfo=UTC), '"0001-02-03T04:05:06Z"'),
        (-(2**63), "-9223372036854775808"),
        ([], "[]"),
    ],
)
def test_values_are_spelled_as_go_spells_them(value, text):
    assert canonical(value) == text


@pytest.mark.parametrize(("number", "text"), FLOATS)
def test_floats_are_spelled_as_go_spells_them(number, text):
    assert go_float(number) == text
    assert canonical({"a": number}) == f'{{"a":{text}}}'


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float_reads_back_the_same(number):
    assert float(json.loads(go_float(number))) == number


@pytest.mark.parametrize("number", [math.inf, math.nan])
def test_number_that_is_none_has_no_spelling(number):
    with pytest.raises(ValueError, match="no such number"):
        canonical(number)


def test_what_no_conf_holds_is_a_programming_error():
    with pytest.raises(TypeError):
        canonical({"a": None})


@pytest.mark.live
def test_server_has_the_same_digest_of_floats(reader):
    text = emit({"floats": [number for number, _ in FLOATS]})
    assert reader.theirs(text) == reader.ours(text)


@pytest.mark.live
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(trees, min_size=1, max_size=10))
def test_server_has_the_same_digest_of_what_we_write(reader, found):
    tree = {**{f"x{number}": one for number, one in enumerate(found)}, "port": 4222}
    assert reader.theirs(*map(emit, found)) == digest(tree)


@pytest.mark.live
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), trees)
def test_server_has_the_same_digest_of_every_spelling(reader, data, tree):
    assert reader.theirs(data.draw(spelled(tree))) == digest({"x0": tree, "port": 4222})
