"""With whom a blueprint's account is shared: what is wrong with it is said at its parameter."""

import pytest

from provisioning.blueprints import catalogue
from provisioning.blueprints.submit import look
from tests import factories

GIVEN = {"name": "LAB", "prefix": "lab", "services": ["probe"]}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "sentence"), [("NOPE", "Account “NOPE” does not exist."), ("LAB", "An account isn't shared with itself.")]
)
def test_who_it_is_shared_with_is_wrong_at_its_field(name, sentence):
    seen = look(factories.system(), catalogue.find("event-driven-team").spec, {**GIVEN, "share_with": [name]})
    assert [fault.parameter for fault in seen.faults] == ["share_with"]
    assert seen.faults[0].sentence.endswith(sentence)
    assert not seen.problems
