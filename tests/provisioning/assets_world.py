"""What tests of streams and consumers share: rows that ask for them, and what a real server has."""

from __future__ import annotations

import asyncio
import json

import nats

from accounts_app import assets
from accounts_app.models import Account
from provisioning.jetstream.client import JetStream
from tests.provisioning.world import PASSWORD


def on_server(world, stream="ORDERS", account="A"):
    """The server's config of a stream, None when there is none."""
    with JetStream(world.system) as client:
        info = client.stream(account, stream)
    return info and info["config"]


def consumer_on_server(world, consumer, stream="ORDERS"):
    with JetStream(world.system) as client:
        info = client.consumer("A", stream, consumer)
    return info and info["config"]


def make(account, name="ORDERS", deletion="keep", **config):
    """A managed row of a stream."""
    config.setdefault("subjects", [f"{name.lower()}.>"])
    return assets.make_stream(Account.objects.get(pk=account.pk), "stream", name, config, deletion)


def by_tenant(world, subject, body=None, user="svc"):
    """What JetStream's API answers a user of the account, who knows nothing of nunect."""
    return request(world, f"$JS.API.{subject}", json.dumps(body or {}).encode(), user)


def publish(world, subject, user="svc"):
    """What a stream answers a user who publishes; None when nobody stores it."""
    try:
        return request(world, subject, b"hello", user, timeout_s=5)
    except (nats.errors.NoRespondersError, TimeoutError):
        return None


def request(world, subject, payload, user, timeout_s=20):
    async def work():
        client = await nats.connect(world.urls.split(","), user=user, password=PASSWORD, connect_timeout=20)
        try:
            return json.loads((await client.request(subject, payload, timeout=timeout_s)).data)
        finally:
            await client.close()

    return asyncio.run(work())


def state(row):
    row.refresh_from_db()
    return row.state
