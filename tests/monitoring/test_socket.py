"""Who is let in, and what they are told: a real daphne, a real Valkey, real websockets."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.test import Client as Browser

from tests import factories


@pytest.fixture
def session(web):
    browser = Browser()
    browser.force_login(factories.admin(), backend="django.contrib.auth.backends.ModelBackend")
    return browser.cookies["sessionid"].value


async def test_a_session_is_greeted_and_gets_the_last_frame_at_once(web, relay, session):
    frame = await sync_to_async(relay.put)(n=1)
    client = await web.open(session)
    hello, state = await client.frame(), await client.frame()
    client.watch("overview")
    assert await client.next() == frame
    second = await sync_to_async(relay.put)(n=2)
    assert await client.next() == second
