"""Streams, buckets and consumers as a person meets them: the outlook beside the form, parts that grow, answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from accounts_app.jetstream.differences import differences
from accounts_app.jetstream.wire import to_server
from accounts_app.models import Stream
from tests import factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
STREAMS, CONSUMERS = "/admin/accounts_app/stream/", "/admin/accounts_app/consumer/"
DAY_NS = 86_400 * 10**9


def address(row, view="change"):
    return f"/admin/accounts_app/{row._meta.model_name}/{row.pk}/{view}/"


def held(of, name, kind="stream", there=None, managed=True, **config):
    row = factories.stream(of, name, kind, **config)
    seen = {**to_server(kind, name, row.config), **(there or {})}
    drift = [each.as_dict() for each in differences(kind, row.config, seen)] if there else []
    counts = {"messages": 120_456, "bytes": 84_000_000, "consumers": 2}
    row = factories.settled(row, seen=seen, seen_at=timezone.now(), drift=drift, counts=counts)
    if not managed:
        QuerySet(Stream).filter(pk=row.pk).update(managed=False, config={})
    return row


@pytest.fixture
def filled(db):
    of = factories.account(jetstream=True)
    rows = {
        "applied": held(of, "ORDERS", max_age=7 * DAY_NS, sources=[{"name": "EAST"}], subjects=["orders.>"]),
        "drifted": held(of, "DRIFTED", max_age=7 * DAY_NS, there={"max_age": DAY_NS}),
        "observed": held(of, "LEGACY", managed=False, subjects=["a.>", "b.>", "c.>", "d.>", "e.>"]),
        "failed": held(of, "FAILED"),
        "kv": held(of, "KV_prices", "kv", history=5),
    }
    QuerySet(Stream).filter(pk=rows["failed"].pk).update(
        wanted=9, problem_kind="failed", problem_wanted=9, problem_field="max_bytes", problem="There is no room for it."
    )
    rows["consumer"] = factories.consumer(rows["applied"], "billing", filter_subjects=["orders.paid"])
    return rows


def pages(filled):
    return [
        STREAMS,
        CONSUMERS,
        f"{STREAMS}add/",
        f"{STREAMS}add/?kind=kv",
        f"{CONSUMERS}add/",
        *(address(row) for row in filled.values()),
        address(filled["applied"], "delete"),
        address(filled["drifted"], "history"),
    ]


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_can_be_read_and_fits_a_small_phone(site, filled, theme):
    page = site.open(STREAMS, width=360, theme=theme)
    wide, faint = {}, {}
    for path in pages(filled):
        site.go(page, path)
        page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if over > 0:
            wide[path] = over
        if found := page.evaluate(CONTRAST):
            faint[path] = found
    assert (wide, faint) == ({}, {})


def test_what_it_would_do_is_told_as_one_types(site, filled):
    page = site.open(address(filled["applied"]))
    page.locator("summary", has_text="Limits").click()
    page.fill("[name=max_age]", "much")
    page.wait_for_selector(".nu-aside >> text=must be a duration")
    page.fill("[name=max_age]", "1d")
    page.wait_for_selector(".nu-changes ins >> text=1d")
    assert page.locator(".nu-changes del").inner_text() == "7d"
    page.click("[name=_save]")
    page.wait_for_selector("text=was changed successfully")
    assert Stream.objects.get(name="ORDERS").config["max_age"] == DAY_NS


def test_parts_are_added_and_taken_out(site, filled):
    page = site.open(address(filled["applied"]))
    page.locator("summary", has_text="Copies").click()
    page.click("[data-nu-more]:has-text('Add to sources')")
    page.fill("[name='sources.1.name']", "WEST")
    page.locator(".nu-part", has=page.locator("[name='sources.1.name']")).locator("summary", has_text="Renames").click()
    page.locator(".nu-part", has=page.locator("[name='sources.1.name']")).locator("[data-nu-more]").click()
    page.fill("[name='sources.1.subject_transforms.0.dest']", "west.>")
    page.locator(".nu-part", has=page.locator("[name='sources.0.name']")).locator("[data-nu-less]").last.click()
    page.wait_for_selector(".nu-changes >> text=Sources")
    page.click("[name=_save]")
    page.wait_for_selector("text=was changed successfully")
    sources = Stream.objects.get(name="ORDERS").config["sources"]
    assert sources == [{"name": "WEST", "subject_transforms": [{"dest": "west.>"}]}]


def test_fields_of_a_consumer_come_when_they_are_needed(site, filled):
    page = site.open(f"{CONSUMERS}add/")
    assert not page.locator("[name=opt_start_seq]").is_visible()
    page.select_option("[name=deliver_policy]", "by_start_sequence")
    page.locator("[name=opt_start_seq]").wait_for(state="visible")


def test_a_chip_turns_and_says_what_the_server_said(site, filled):
    row = filled["kv"]
    page = site.open(address(row))
    QuerySet(Stream).filter(pk=row.pk).update(
        wanted=9, problem_kind="waits", problem_wanted=9, problem="It waits for n3, which doesn't answer."
    )
    page.wait_for_selector(".nu-head .nu-chip[data-nu-state=waits]", timeout=8000)
    assert page.locator("[data-nu-problem] >> text=It waits for n3").is_visible()
    Stream.objects.filter(pk=row.pk).delete()
    page.wait_for_selector(".nu-head .nu-chip[data-nu-state=removed]", timeout=8000)


def test_a_difference_is_answered_with_one_click(site, filled):
    page = site.open(address(filled["drifted"]))
    page.click("button:has-text('Adopt what is there')")
    page.wait_for_selector("text=The row says what is there now.")
    assert Stream.objects.get(name="DRIFTED").config["max_age"] == DAY_NS
    site.go(page, address(filled["observed"]))
    page.click("button:has-text('Adopt it')")
    page.wait_for_selector("text=nunect manages it from now on")
    assert page.locator("[name=_save]").is_visible()


def test_the_name_is_asked_for_when_data_go(site, filled):
    page = site.open(address(filled["applied"], "delete"))
    assert not page.locator("[name=name]").is_visible()
    assert page.locator("button:has-text('Let go of it')").is_visible()
    page.check("[name=data][value=delete]")
    page.fill("[name=name]", "ORDERS")
    page.click("button:has-text('Delete it with its data')")
    page.wait_for_selector("text=is deleted as soon as")
    assert Stream.objects.get(name="ORDERS").leaving
