"""Somebody who may do everything, signed in."""

import pytest

from tests import factories
from tests.admin import job_rows


@pytest.fixture
def ada(db):
    return factories.admin()


@pytest.fixture
def page(client, ada):
    client.force_login(ada)
    return client


@pytest.fixture
def blueprint(db):
    return job_rows.make_blueprint()


@pytest.fixture
def of(db):
    return factories.account(jetstream=True)
