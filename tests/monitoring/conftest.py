"""One daphne for all tests of sockets, with the tests' own database and Valkey."""

import asyncio
import os
import time

import pytest
import redis
from django.test import Client as Browser

from accounts_app import services
from monitoring import frames, store
from tests import factories
from tests.monitoring.ws_client import WAIT_S, Web


@pytest.fixture(scope="session")
def _web(_valkey_url, django_db_setup, tmp_path_factory):
    web = Web(tmp_path_factory.mktemp("web"), _valkey_url, f"nunect:test:{os.getpid()}:web")
    yield web
    web.stop()


@pytest.fixture
def web(_web, valkey, settings, transactional_db):
    """A running web process; what this test puts into `store` is what it reads."""
    settings.LIVE_PREFIX = _web.prefix
    yield _web
    for key in valkey.scan_iter(f"{_web.prefix}:*"):
        valkey.delete(key)


@pytest.fixture
def relay(web):
    """Stands where the relay will: publishes what it would, through `store`. It lives as long as any test."""
    return Relay(factories.system())


class Relay:
    def __init__(self, system, epoch="9f2c", url=""):
        self.system, self.epoch, self.seq = system, epoch, 0
        self._client = redis.Redis.from_url(url) if url else store.client()
        self.pulse()

    def pulse(self, **fields):
        now = time.time()
        fields = {"at": now + 600, "connected": True, "since": now - 60, **fields}
        store.put_pulse(self._client, self.system.pk, store.Pulse(epoch=self.epoch, seq=self.seq, **fields))

    def put(self, topic="overview", **data):
        """Publish a frame; its bytes."""
        self.seq += 1
        frame = frames.snapshot(topic, self.system.name, self.epoch, self.seq, time.time(), data)
        store.put_frame(self._client, self.system.pk, topic, frame)
        return frame


async def until(true, seconds=WAIT_S):
    """Let the loop run until something is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.005)


def session_of(person):
    """The key of a session in which this person is signed in."""
    browser = Browser()
    browser.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return browser.cookies["sessionid"].value


def token_of(person, scope="read", **more):
    """(row, bare token)"""
    return services.make_token(person, f"tests {person.nunect_tokens.count()}", scope=scope, **more)


@pytest.fixture
def ada(web):
    return factories.admin()


@pytest.fixture
def session(ada):
    return session_of(ada)
