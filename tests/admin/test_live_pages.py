"""The live pages open for who may see them, with and without a relay, and say no where they should."""

import pytest

from monitoring.live_views import PAGES
from tests import factories
from tests.monitoring import pictures

pytestmark = pytest.mark.django_db


@pytest.fixture
def system(valkey):
    return factories.system()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_whatever_the_relay_has_seen(page, system, name):
    assert page.get(f"/admin/live/{name}/").status_code == 200
    for picture in (pictures.empty, pictures.busy, pictures.trouble):
        picture(system)
        assert page.get(f"/admin/live/{name}/").status_code == 200
