"""Fixtures of this room: a world with a running server."""

import pytest

from tests.provisioning.cluster import Cluster
from tests.provisioning.taken_cluster import Plant
from tests.provisioning.world import World


@pytest.fixture
def world(transactional_db, tmp_path, settings):
    """A system whose server runs, and which a first run has recorded."""
    made = World(tmp_path, settings)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def cluster(transactional_db, tmp_path, settings):
    """A system of three servers that have found each other."""
    made = Cluster(tmp_path, settings)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def account(world):
    """Account A with JetStream, which a user may use, on the server."""
    made = world.account("A", jetstream=True)
    world.user(made, "svc", access="all")
    world.apply()
    return made


@pytest.fixture
def plant(transactional_db, tmp_path, settings):
    """Three servers with main files of their own that run, set up by hand."""
    settings.NATS_CONNECT_TIMEOUT = 0.5
    settings.NATS_REQUEST_TIMEOUT = 1.0
    settings.STATE_DIR = tmp_path / "state"
    (tmp_path / "nats").mkdir()
    made = Plant(tmp_path / "nats")
    try:
        yield made.start()
    finally:
        made.stop()
