"""The text of a blueprint is read whole: all places that are wrong at once, each with its reason."""

import pytest

from accounts_app.natsconf.document import DocumentError
from provisioning.blueprints.reading import read_blueprint
from provisioning.blueprints.specs import TYPES, BlueprintError
from tests.provisioning.blueprints_text import SMALL


def wrong(text):
    """{place: sentence} of a text that is refused."""
    with pytest.raises(BlueprintError) as error:
        read_blueprint(text)
    return {place.where: place.sentence for place in error.value.places}


def of(old, new, text=SMALL):
    assert old in text
    return wrong(text.replace(old, new))


def parameter(said):
    """What is wrong with one parameter, said in a line of YAML."""
    return wrong(f"{{blueprint: x, version: 1, parameters: {{p: {said}}}, accounts: [{{name: X}}]}}")


def test_it_says_what_it_is():
    spec = read_blueprint(SMALL)
    assert (str(spec), spec.title) == ("small-team v1", "Small team")
    assert [each.name for each in spec.parameters] == ["name", "prefix", "size", "mqtt", "note", "devices"]
    assert spec.parameter("mqtt").needs == "mqtt"
    assert spec.parameter("devices").columns[0].title == "Name"
    assert spec.parameter("nothing") is None


def test_all_places_are_told_at_once():
    found = wrong(
        """
        blueprint: Big Team
        version: zero
        parameters:
          Name: {type: token}
          size: {type: choice}
          key: {type: secret}
          x: {type: text, columns: {}}
          w: {type: whole, min: 5, max: 1}
        values: {size: 3}
        colour: red
        accounts: []
        """
    )
    assert found.keys() == {
        "blueprint", "version", "parameters.Name", "parameters.size.choices", "parameters.key.type",
        "parameters.x.columns", "parameters.w.min", "values.size", "colour", "accounts",
    }  # fmt: skip
    assert "nunect makes credentials" in found["parameters.key.type"]
    assert "there are blueprint, version" in found["colour"]


def test_yaml_that_is_none_has_its_line():
    with pytest.raises(DocumentError, match="line 3, column"):
        read_blueprint("blueprint: x\nversion: 1\n  accounts: [\n")
    with pytest.raises(DocumentError, match="one blueprint"):
        read_blueprint("blueprint: x\n---\nblueprint: y\n")
    with pytest.raises(DocumentError, match="at most"):
        read_blueprint("#" * 600_000)


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("${connections}", "${conections}", "accounts[0].max_connections", "no parameter or value “conections”"),
        ("${device.nkey}\n        role", "${device.key}\n        role", "accounts[0].users[0].nkey", "no column “key”"),
        ("publish ${prefix}", "publish ${devices}", "accounts[0].roles[0].permissions[0]", "is a table"),
        ("publish ${prefix}", "publish ${note}", "accounts[0].roles[0].permissions[0]", "is free text"),
        ("publish ${prefix}", "publish ${prefix", "accounts[0].roles[0].permissions[0]", "has no “}”"),
        ("publish ${prefix}", "publish ${2 + 2}", "accounts[0].roles[0].permissions[0]", "is no reference"),
        ("publish ${prefix}", "publish ${prefix.x.y}", "accounts[0].roles[0].permissions[0]", "is no reference"),
        ("description: ${device.description}", "description: ${device}", "accounts[0].users[1].description", "a row"),
        ("for_each: ${devices}", "for_each: ${prefix}", "accounts[0].users[0].for_each", "needs a list or a table"),
        ("for_each: ${devices}", "for_each: lots", "accounts[0].users[0].for_each", "must be one reference"),
        ("as: device\n        when", "as: prefix\n        when", "accounts[0].users[0].as", "a new name"),
        ("when: ${mqtt}", "when: often", "accounts[0].roles[0].permissions[1].when", "must be one reference"),
        ("value: subscribe", "x: 1\n            value: subscribe", "accounts[0].roles[0].permissions[1].x", "Beside"),
        ("    max_connections", "    when: ${mqtt}\n    max_conections", "accounts[0].max_conections", "no such field"),
        ("small: 10, ", "", "values.connections.of", "“small” is missing"),
        ("small: 10, ", "small: 10, huge: 3, ", "values.connections.of.huge", "is never this"),
        ("default: small", "default: huge", "parameters.size.default", "one of small, large"),
        ("needs: mqtt", "needs: coffee", "parameters.mqtt.needs", "one of mqtt"),
        ("unique: [name, nkey]", "unique: [serial]", "parameters.devices.unique", "columns of the table"),
        ("permissions: [\"subscribe", "permisions: [\"subscribe", "accounts[0].users[2].permisions", "no such field"),
        ("max_connections: ${connections}", "max_connections: many", "accounts[0].max_connections", "a whole number"),
        ("    roles:", "    ${name}: 3\n    roles:", "accounts[0].${name}", "holds no reference"),
        ("    roles:", "    for_each: ${devices}\n    roles:", "accounts[0].as", "new name"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place(old, new, place, said):
    if place == "accounts[0].as":
        new = "    for_each: ${devices}\n    as: size\n    roles:"
    found = of(old, new)
    assert said in found.get(place, found), found


def test_free_text_never_reaches_a_subject_by_a_detour():
    """Neither by a value, nor by a list, nor by a column, nor as the name of a role that somebody takes."""
    for old, new in (
        ('case: "${size}", of: {small: 10', 'case: "${size}", of: {small: "${note}"'),
        ("publish ${prefix}.{{name()}}.>", "{for_each: ['${note}'], value: 'publish ${item}.>'}"),
    ):
        text = SMALL.replace(old, new).replace("max_connections: ${connections}", "default_role: ${connections}")
        assert any("free text" in sentence for sentence in wrong(text).values())
    found = of("role: device\n      - for_each", "role: ${device.description}\n      - for_each")
    assert "free text" in found["accounts[0].users[0].role"]
    found = of("- publish ${prefix}.{{", "- {action: publish, subject: '${note}'}\n          - publish ${prefix}.{{")
    assert "free text" in found["accounts[0].roles[0].permissions[0].subject"]


@pytest.mark.parametrize(
    ("said", "place", "sentence"),
    [
        ("{type: number}", "parameters.p.type", "one of text, token"),
        ("{type: whole, default: many}", "parameters.p.default", "whole number"),
        ("{type: whole, min: a}", "parameters.p.min", "whole number"),
        ("{type: bytes, max: lots}", "parameters.p.max", "size"),
        ("{type: duration, max: 5}", "parameters.p.max", "unit"),
        ("{type: text, max: 501}", "parameters.p.max", "between 0 and 500"),
        ("{type: list, of: table}", "parameters.p.of.type", "one of text"),
        ("{type: list, of: {type: token, needs: mqtt}}", "parameters.p.of.needs", "no such key"),
        ("{type: list, of: token, default: [a, a.b]}", "parameters.p.default", "entry 2"),
        ("{type: table}", "parameters.p.columns", "Say the columns"),
        ("{type: table, columns: {N: {}}}", "parameters.p.columns.N", "small letters"),
        ("{type: table, columns: {n: {type: list}}}", "parameters.p.columns.n.type", "one of text"),
        ("{type: choice, choices: [[1]]}", "parameters.p.choices", "must be text"),
        ("{required: maybe}", "parameters.p.required", "true or false"),
        ("{title: 3}", "parameters.p.title", "must be text"),
        ("3", "parameters.p", "must be a map"),
    ],
)
def test_a_parameter_that_makes_no_sense_says_why(said, place, sentence):
    assert sentence in parameter(said)[place]


def test_every_type_is_read():
    more = {"choice": "choices: [a, b]", "table": "columns: {a: {}}"}
    for kind in TYPES:
        text = f"{{blueprint: x, version: 1, parameters: {{p: {{type: {kind}, {more.get(kind, '')}}}}}, "
        assert read_blueprint(text + "accounts: [{name: X}]}").parameters[0].type == kind


def test_what_can_only_be_seen_in_the_document_is_tried_with_each_choice():
    """A field that doesn't exist, in a branch that only one choice takes."""
    found = of("large: 1000", "large: much")
    assert "whole number" in found["accounts[0].max_connections"]
