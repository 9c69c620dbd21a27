"""What is given for parameters: from a form, the command line or a program, and every refusal names its parameter."""

import jsonschema
import pytest

from accounts_app import credentials
from provisioning.blueprints.parameters import ParameterErrors, read_parameters, told
from provisioning.blueprints.reading import read_blueprint
from provisioning.blueprints.samples import samples
from provisioning.blueprints.schema import json_schema
from tests.provisioning.blueprints_text import SMALL

SPEC = read_blueprint(SMALL)
NKEY, SEED = credentials.new_nkey()
CSV = "name,nkey,description\n"


def one(said, value):
    """The value of a parameter that is said in a line of YAML."""
    spec = read_blueprint(f"{{blueprint: x, version: 1, parameters: {{p: {said}}}, accounts: [{{name: X}}]}}")
    return read_parameters(spec, {} if value is ... else {"p": value}).values["p"]


def refusal(said, value):
    with pytest.raises(ParameterErrors) as error:
        one(said, value)
    return error.value.as_dict()["p"]


def devices(text):
    """What is wrong with the devices of the small team."""
    with pytest.raises(ParameterErrors) as error:
        read_parameters(SPEC, {"name": "A", "prefix": "p", "devices": text})
    return error.value.as_dict()["devices"]


@pytest.mark.parametrize(
    ("said", "given", "value"),
    [
        ("{type: text}", "Any text ✓", "Any text ✓"),
        ("{type: text, default: ''}", ..., ""),
        ("{type: text, required: false}", "", None),
        ("{type: token}", "a-B_9", "a-B_9"),
        ("{type: token}", 42, "42"),
        ("{type: account_name}", "SHOP", "SHOP"),
        ("{type: user_name}", "Ada L.", "Ada L."),
        ("{type: subject}", "shop.*.>", "shop.*.>"),
        pytest.param("{type: nkey}", NKEY, NKEY, id="an nkey"),
        ("{type: choice, choices: {3: three}}", 3, "3"),
        ("{type: choice, choices: [a, b], default: b}", None, "b"),
        ("{type: whole}", " -12 ", -12),
        ("{type: whole, min: 1, max: 5}", 5, 5),
        ("{type: bytes}", "1GiB", 2**30),
        ("{type: bytes}", 500, 500),
        ("{type: bytes}", "unlimited", -1),
        ("{type: duration}", "7d", "168h"),
        ("{type: duration}", "1h30m", "1h30m"),
        ("{type: duration, default: 90s}", ..., "1m30s"),
        ("{type: flag}", "Yes", True),
        ("{type: flag}", "0", False),
        ("{type: flag, default: false}", ..., False),
        ("{type: list, of: token}", "a, b\nc", ["a", "b", "c"]),
        ("{type: list, of: whole}", [1, "2"], [1, 2]),
        ("{type: list, required: false}", ..., []),
        ("{type: table, columns: {a: {}, n: {type: whole, default: 3}}}", "a\nx\n", [{"a": "x", "n": 3}]),
        ("{type: table, columns: {a: {}}}", [{"a": "x"}], [{"a": "x"}]),
    ],
)
def test_values_are_what_was_meant(said, given, value):
    assert one(said, given) == value


@pytest.mark.parametrize(
    ("said", "given", "sentence"),
    [
        ("{type: text}", ..., "This is required."),
        ("{type: text}", 3, "must be text"),
        ("{type: text, max: 3}", "four", "at most 3"),
        ("{type: text, min: 3}", "so", "at least 3"),
        ("{type: text}", "a\x00", "can't be stored"),
        ("{type: text}", "\ud800", "can't be stored"),
        pytest.param("{type: text}", SEED, "secret seed", id="a seed as text"),
        ("{type: token}", "a.b", "one word"),
        ("{type: token}", "$JS", "begins with a letter"),
        ("{type: token}", "_INBOX", "begins with a letter"),
        ("{type: token}", "*", "one word"),
        ("{type: token}", "ünicode", "one word"),
        ("{type: token}", -1, "must be text"),
        ("{type: token}", "a\n", "one word"),
        ("{type: account_name}", "A B", 'holds " "'),
        ("{type: account_name}", "$SYS", 'holds "$"'),
        ("{type: user_name}", "  ", "blanks"),
        ("{type: subject}", "a..b", "empty token"),
        ("{type: subject}", "a b", "blank"),
        ("{type: subject}", "$JS.API.>", "keeps for itself"),
        ("{type: subject}", ">", "keeps for itself"),
        ("{type: subject, wildcards: false}", "a.>", "none is possible"),
        pytest.param("{type: nkey}", SEED, "secret seed", id="a seed as nkey"),
        ("{type: nkey}", "UABC", "56"),
        ("{type: choice, choices: [a, b]}", "c", "one of a, b"),
        ("{type: choice, choices: [a, b]}", ["a"], "one of a, b"),
        ("{type: whole}", "1.5", "whole number"),
        ("{type: whole}", True, "whole number"),
        ("{type: whole}", 10**30, "whole number"),
        ("{type: whole, min: 1000}", 3, "1,000 at least"),
        ("{type: bytes, max: 1GiB}", "2GiB", "1GiB at most"),
        ("{type: bytes, max: 1GiB}", "unlimited", "1GiB at most"),
        ("{type: bytes}", "much", "size"),
        ("{type: duration, max: 1h}", "2h", "1h at most"),
        ("{type: duration}", "soon", "duration"),
        ("{type: flag}", "perhaps", "true or false"),
        ("{type: list}", {"a": 1}, "must be a list"),
        ("{type: list}", [], "At least one is needed"),
        ("{type: list, max: 1}", "a,b", "At most 1"),
        ("{type: list, of: token}", "a,b,a", "entry 3: “a” stands there twice"),
        ("{type: list, of: token}", ["a", {}], "entry 2"),
        ("{type: table, columns: {a: {}}}", 3, "CSV"),
        ("{type: table, columns: {a: {}}}", [3], "row 1: This must be a map"),
        ("{type: table, columns: {a: {}}}", [{"b": 1}], "no column “b”"),
        ("{type: table, columns: {a: {type: token}}}", [{"a": "x"}, {"a": "x y"}], "row 2, column “a”"),
        ("{type: table, columns: {a: {}}, max: 1}", "a\n1\n2", "At most 1 rows"),
    ],
)
def test_a_refusal_says_why(said, given, sentence):
    found = refusal(said, given)
    assert sentence in found[0], found
    assert SEED not in str(found)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", ["At least one is"]),
        ("\n\n", ["There is no header"]),
        ("nkey\nx\n", ["line 1: Column “name” is missing."]),
        ("name,name\na,b\n", ["line 1: Column “name” stands there twice."]),
        ("name,colour\na,red\n", ["line 1: There is no column “colour”"]),
        (CSV + "a,,\nb\n", ["line 3: It has 1 fields, and the header has 3."]),
        (CSV + "a,,\n\n,,x\n", ["line 4, column “name”: This is required."]),
        (CSV + 'a,,"two\nlines"\nb c,,\n', ["line 4, column “name”: This must be one word"]),
        (CSV + 'a,,"open\n', ["line 2: This is no CSV"]),
        (CSV + "a,,\nb,,\na,,\n", ["line 4, column “name”: “a” stands in line 2, too."]),
        pytest.param(CSV + f"a,{SEED},\n", ["line 2, column “nkey”: This is a secret seed"], id="a seed"),
        (CSV + "a,\x00,\n", ["holds a NUL"]),
        ("x" * 140_000 + "\n", ["This is no CSV"]),
    ],
)
def test_a_csv_is_wrong_by_line_and_column(text, sentences):
    spec_needs_it = SMALL.replace("    required: false\n    columns", "    columns")
    spec = read_blueprint(spec_needs_it)
    with pytest.raises(ParameterErrors) as error:
        read_parameters(spec, {"name": "A", "prefix": "p", "devices": text or []})
    found = error.value.as_dict()["devices"]
    assert [sentence in said for sentence, said in zip(sentences, found, strict=True)] == [True] * len(sentences), found
    assert SEED not in str(found)


def test_csv_comes_in_every_dialect():
    for text in (
        "name;description\r\na;x, y\r\n",
        "\ufeffname\tdescription\na\tx, y\n",
        '"name", description\na, "x, y"',
    ):
        given = read_parameters(SPEC, {"name": "A", "prefix": "p", "devices": text})
        assert given.values["devices"] == [{"name": "a", "nkey": None, "description": "x, y"}]
        assert given.places["devices"] == ("line 2",)


def test_all_parameters_are_told_at_once_and_strangers_too():
    with pytest.raises(ParameterErrors) as error:
        read_parameters(SPEC, {"name": "A B", "size": "huge", "colour": "red", "devices": "x"})
    assert error.value.as_dict().keys() == {"name", "prefix", "size", "colour", "devices"}
    with pytest.raises(ParameterErrors, match="must be a map"):
        read_parameters(SPEC, ["name"])


def test_a_long_list_of_faults_ends():
    found = devices(CSV + "a b,,\n" * 5000)
    assert len(found) == 51
    assert found[-1] == "There is more that is wrong."


def test_history_keeps_long_tables_by_their_size():
    text = CSV + "".join(f"d{number},,\n" for number in range(101))
    given = read_parameters(SPEC, {"name": "A", "prefix": "p", "devices": text})
    assert told(SPEC, given)["devices"] == "101 rows"
    assert told(SPEC, given)["size"] == "small"


def test_the_schema_takes_what_the_reader_takes():
    schema = json_schema(SPEC)
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    for given in samples(SPEC):
        assert read_parameters(SPEC, given)
        check.validate({name: value for name, value in given.items() if value is not None})
    assert schema["required"] == ["name", "prefix"]
    for given in ({"name": "A"}, {"name": "A", "prefix": "a.b"}, {"name": "A", "prefix": "a", "x": 1}):
        assert not check.is_valid(given)
        with pytest.raises(ParameterErrors):
            read_parameters(SPEC, given)
