"""docs/blueprints.md is true: its examples are read and expanded, its tables are complete."""

import re
from pathlib import Path

import pytest
import yaml

from provisioning.blueprints import catalogue
from provisioning.blueprints.expand import CONTROL, expand
from provisioning.blueprints.parameter_reading import COMMON, OF_TYPE
from provisioning.blueprints.parameters import read_parameters
from provisioning.blueprints.reading import TOP, read_blueprint
from provisioning.blueprints.samples import samples
from provisioning.blueprints.specs import TYPES
from provisioning.blueprints.submit import look
from tests import factories

PAGE = (Path(__file__).parents[2] / "docs" / "blueprints.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def whole(text):
    """An example as a blueprint: parts of one get what they lack."""
    said = yaml.safe_load(text)
    if "blueprint" in said:
        return text
    return f"blueprint: part\nversion: 1\n{text}\naccounts: [{{name: PART}}]\n"


def table(heading):
    """{first cell: row} of the first table below a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return {name: row for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_read_and_can_be_filled_in(text):
    spec = read_blueprint(whole(text))
    for given in samples(spec):
        assert expand(spec, read_parameters(spec, given)).document["accounts"][0]["name"] in ("SAMPLE", "PART")


def test_the_first_example_can_be_provisioned(db):
    assert look(factories.system(), read_blueprint(EXAMPLES[0]), {"name": "SHOP"}).good


def test_every_key_and_type_is_told():
    assert table("Keys").keys() == set(TOP)
    types = table("Parameters")
    assert list(types) == list(TYPES)
    for kind, keys in OF_TYPE.items():
        missing = [key for key in keys if f"`{key}" not in types[kind]]
        assert not missing, (kind, missing)
    for key in COMMON:
        assert f"`{key}" in PAGE
    assert table("Lists").keys() == set(CONTROL)


def test_every_blueprint_that_comes_with_nunect_is_told():
    told = re.findall(r"^\| `([a-z-]+)` \| [a-z]", PAGE, re.MULTILINE)
    assert {each.name for each in catalogue.shipped()} <= set(told)
