"""Expansion fills in and repeats, and evaluates nothing: what people give comes out as they gave it."""

import cProfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts_app import credentials
from accounts_app.natsconf.document import read_document
from provisioning.blueprints.expand import Origin, expand
from provisioning.blueprints.parameters import Given, read_parameters
from provisioning.blueprints.reading import read_blueprint
from provisioning.blueprints.references import Reference, pieces
from provisioning.blueprints.specs import BlueprintError, BlueprintSpec, ParameterSpec, ValueSpec
from tests.provisioning.blueprints_text import SMALL

SPEC = read_blueprint(SMALL)
NKEY = credentials.new_nkey()[0]


def expanded(**values):
    return expand(SPEC, read_parameters(SPEC, {"name": "SHOP", "prefix": "shop", **values}))


def of(accounts, **values):
    """The document of these accounts with values as they are."""
    return expand(BlueprintSpec("x", 1, accounts=tuple(accounts)), Given(values)).document["accounts"]


def test_a_document_is_made_that_reads_back():
    csv = f"name,nkey,description\nd1,,first\nd2,{NKEY},\n"
    found = expanded(devices=csv, note="Sale", mqtt=True)
    account = found.document["accounts"][0]
    assert account["description"] == "Sale of shop, costs $5"
    assert account["max_connections"] == 10
    assert account["roles"][0]["permissions"] == ["publish shop.{{name()}}.>", "subscribe shop.mqtt.>"]
    assert [user["name"] for user in account["users"]] == ["d2", "d1", "shop-backend"]
    document = read_document(found.document)
    assert document.makes == {"d1": "password", "shop-backend": "nkey"}
    assert found.origins_of("accounts[0].users[0].nkey") == (Origin("devices", 1, "nkey"),)
    assert found.origins_of("accounts[0].users[1].role") == (Origin("devices", 0),)
    assert found.origins_of("accounts[0].max_connections") == (Origin("size"),)
    assert found.origins_of("accounts[0].users[2].name") == (Origin("prefix"),)
    assert found.origins_of("accounts[0].enabled") == ()


def test_what_is_left_out_leaves_no_hole():
    account = expanded().document["accounts"][0]
    assert account["roles"][0]["permissions"] == ["publish shop.{{name()}}.>"]
    assert [user["name"] for user in account["users"]] == ["shop-backend"]
    assert account["description"] == " of shop, costs $5"


def test_types_are_kept_and_texts_are_joined():
    found = of(
        [{"a": "${n}", "b": "n=${n}", "c": "${f}", "d": "f=${f}", "e": "${l}", "x": "${o}"}], n=3, f=True, l=[1], o=None
    )
    assert found == [{"a": 3, "b": "n=3", "c": True, "d": "f=true", "e": [1], "x": None}]


def test_lists_repeat_maps_and_values_and_lists_within():
    tree = [
        {
            "name": "A",
            "subjects": [{"for_each": "${kinds}", "as": "kind", "value": "jobs.${kind}.>"}, "more"],
            "roles": [{"for_each": "${kinds}", "as": "kind", "name": "${kind}", "of": [
                {"for_each": ["r", "w"], "value": "${kind}.${item}"}]}],
        }
    ]  # fmt: skip
    assert of(tree, kinds=["a", "b"]) == [
        {
            "name": "A",
            "subjects": ["jobs.a.>", "jobs.b.>", "more"],
            "roles": [{"name": "a", "of": ["a.r", "a.w"]}, {"name": "b", "of": ["b.r", "b.w"]}],
        }
    ]


@pytest.mark.parametrize("value", [None, False, "", [], 0])
def test_nothing_is_what_when_leaves_out(value):
    assert of([{"when": "${v}", "name": "A"}, {"unless": "${v}", "name": "B"}], v=value) == [{"name": "B"}]


@pytest.mark.parametrize("value", [True, 1, "x", [0]])
def test_anything_else_is_there(value):
    assert of([{"when": "${v}", "name": "A"}, {"unless": "${v}", "name": "B"}], v=value) == [{"name": "A"}]


def test_a_case_needs_its_value():
    spec = BlueprintSpec("x", 1, values=(ValueSpec("v", "${p}", {"a": 1}),), accounts=({"name": "${v}"},))
    assert expand(spec, Given({"p": "a"})).document["accounts"] == [{"name": 1}]
    with pytest.raises(BlueprintError, match="nothing for “b”"):
        expand(spec, Given({"p": "b"}))


def test_dollars_of_nats_stay():
    for text in ("$JS.API.>", "$KV.config.>", "orders.$1.$2", "{{wildcard(1)}}", "a$", "$", "{x}"):
        assert pieces(text) == (text,)
    assert pieces("$${x}") == ("$", "{x}")
    assert pieces("$$JS") == ("$", "JS")
    assert pieces("a${b.c}d") == ("a", Reference("b", "c"), "d")


def test_too_much_is_refused_with_its_place(monkeypatch):
    monkeypatch.setattr("provisioning.blueprints.expand.MOST_VALUES", 5000)
    nested = {"for_each": "${l}", "as": "a", "x": [{"for_each": "${l}", "as": "b", "y": ["${a}${b}"] * 5}]}
    with pytest.raises(BlueprintError, match=r"accounts.*makes more than 5,000"):
        of([nested], l=list(range(100)))


# Properties

words = st.text(st.characters(codec="utf-8", exclude_characters="$"), max_size=12)
anything = st.text(st.sampled_from("ab$ {}.n()*>") | st.characters(codec="utf-8"), max_size=24)


@given(st.lists(words | st.sampled_from(["${a}", "${b}", "${row.c}"]), max_size=8), anything, anything, anything)
def test_what_is_given_comes_out_as_it_is(parts, a, b, c):
    """No text that is given is looked at for references, however much it looks like one."""
    known = {"${a}": a, "${b}": b, "${row.c}": c}
    found = of([{"x": "".join(parts)}], a=a, b=b, row={"c": c})
    assert found[0]["x"] == "".join(known.get(part, part) for part in parts)


leaves = st.sampled_from(["${a}", "x${b}y", "${l}", "plain", "$JS.API", 3, True, None])


def entries(inner):
    """What may stand in a list."""
    return (
        inner
        | st.builds(lambda each: {"for_each": "${l}", "as": "e", "n": "${e}", "x": each}, inner)
        | st.builds(lambda key, each: {key: "${f}", "x": each}, st.sampled_from(["when", "unless"]), inner)
        | st.builds(lambda each: {"for_each": ["${a}"], "value": each}, inner)
    )


trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(entries(inner), max_size=4)
        | st.dictionaries(st.sampled_from(["name", "subjects", "description"]), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(st.lists(entries(trees), max_size=4), st.booleans())
def test_no_reference_is_left(tree, flag):
    found = of(tree, a="A", b=7, l=["p", "q"], f=flag, e="unused")
    assert "${" not in str(found)
    assert not any(key in str(found) for key in ("for_each", "'when'", "'unless'", "'as'", "'value'"))


@given(anything)
def test_no_text_is_more_than_its_pieces(text):
    """Whatever stands in a text: it is literal, a reference of a plain name, or refused in a sentence."""
    try:
        found = pieces(text)
    except ValueError as refused:
        assert str(refused).endswith(".")
        return
    for piece in found:
        assert isinstance(piece, Reference) or ("${" not in piece)


def test_a_table_costs_what_its_rows_cost():
    spec = BlueprintSpec(
        "x",
        1,
        parameters=(ParameterSpec("t", "table", columns=(ParameterSpec("n", "token"),)),),
        accounts=({"name": "A", "users": [{"for_each": "${t}", "as": "r", "name": "${r.n}", "role": "d"}]},),
    )

    def calls(rows):
        """How many calls it takes, which no busy machine changes."""
        csv = "n\n" + "".join(f"d{number}\n" for number in range(rows))
        counted = cProfile.Profile()
        found = counted.runcall(lambda: expand(spec, read_parameters(spec, {"t": csv})))
        assert len(found.document["accounts"][0]["users"]) == rows
        return sum(entry.callcount for entry in counted.getstats())

    calls(10)
    assert calls(4000) < calls(1000) * 4.1
