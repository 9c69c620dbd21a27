"""Fixtures of this room: a world with a running server."""

import pytest

from tests.provisioning.world import World


@pytest.fixture
def world(transactional_db, tmp_path, settings):
    """A system whose server runs, and which a first run has recorded."""
    made = World(tmp_path, settings)
    try:
        yield made.start()
    finally:
        made.stop()
