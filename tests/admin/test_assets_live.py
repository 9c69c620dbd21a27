"""Streams in the admin against a real server: what a person makes stands there, what differs is found and answered."""

import pytest

from accounts_app.jetstream.differences import drift_digest
from accounts_app.models import Stream
from provisioning.jetstream.enforce import enforce
from provisioning.jetstream.observe import observe
from tests.admin.asset_rows import CHOSEN, OF_STREAM, STREAMS, address, form_of
from tests.provisioning.assets_world import by_tenant, on_server, publish, state
from tests.provisioning.conftest import account, world

__all__ = ["account", "world"]
DAY_NS = 86_400 * 10**9


@pytest.fixture
def stream(world, account, page):
    """A stream that a person has made in the admin."""
    said = {"account": account.pk, "name": "ORDERS", **OF_STREAM, "subjects": "orders.>", "max_age": "7d"}
    assert page.post(f"{STREAMS}add/", said).status_code == 302
    enforce(world.system.pk)
    return Stream.objects.get()


def test_from_a_form_to_a_stored_message_and_from_a_change_behind_its_back_to_an_answer(world, account, page, stream):
    assert (state(stream), on_server(world)["max_age"]) == ("applied", 7 * DAY_NS)
    assert publish(world, "orders.new")["seq"] == 1
    by_tenant(world, "STREAM.UPDATE.ORDERS", {**on_server(world), "max_age": DAY_NS, "duplicate_window": 120 * 10**9})
    observe(world.system.pk)
    assert state(stream) == "drifted"
    text = page.get(address(stream)).content.decode()
    assert "<td>7d</td><td><ins>1d</ins></td>" in text
    page.post(address(stream, "answer"), {"answer": "revert", "shown": drift_digest(stream.drift)})
    enforce(world.system.pk)
    assert (state(stream), on_server(world)["max_age"]) == ("applied", 7 * DAY_NS)
    page.post(address(stream), {**form_of(page, stream), "subjects": "orders.>\nrefunds.>", "max_age": ""})
    enforce(world.system.pk)
    assert (on_server(world)["subjects"], on_server(world)["max_age"]) == (["orders.>", "refunds.>"], 0)
    page.post(address(stream, "delete"), {"data": "delete", "name": "ORDERS"})
    enforce(world.system.pk)
    assert on_server(world) is None
    assert not Stream.objects.exists()


def test_what_a_tenant_made_is_managed_with_a_click_and_differs_in_nothing(world, account, page):
    bucket = {"name": "KV_prices", "subjects": ["$KV.prices.>"], "max_msgs_per_subject": 5}
    by_tenant(world, "STREAM.CREATE.KV_prices", bucket)
    observe(world.system.pk)
    row = Stream.objects.get()
    page.post(address(row, "answer"), {"answer": "manage"})
    enforce(world.system.pk)
    observe(world.system.pk)
    assert (state(row), row.kind, row.config) == ("applied", "kv", {"history": 5})
    page.post(address(row), {**form_of(page, row), **CHOSEN, "history": "7"})
    enforce(world.system.pk)
    assert on_server(world, "KV_prices")["max_msgs_per_subject"] == 7
