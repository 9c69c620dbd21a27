"""Somebody who may do everything, signed in."""

import pytest

from tests import factories


@pytest.fixture
def ada(db):
    return factories.admin()


@pytest.fixture
def page(client, ada):
    client.force_login(ada)
    return client
