"""Lists of streams, buckets and consumers in the admin, who sees them, and where they lead."""

import csv
import io

import pytest
from django.db.models import QuerySet

from accounts_app.jetstream.differences import drift_digest
from accounts_app.models import Stream
from tests import factories
from tests.admin.asset_rows import DAY_NS, STREAMS, address, observed, seen

# --- lists ---------------------------------------------------------------------------


def every_state(of):
    """{state: a stream in it}"""
    rows = {state: seen(factories.stream(of, f"S-{state}")) for state in ("applied", "leaving", "waits", "failed")}
    rows["observed"], rows["pending"] = observed(of), factories.stream(of, "S-pending")
    rows["drifted"] = seen(factories.stream(of, "S-drifted", max_age=DAY_NS), max_age=1)
    QuerySet(Stream).filter(pk=rows["leaving"].pk).update(leaving=True)
    for state in ("waits", "failed"):
        QuerySet(Stream).filter(pk=rows[state].pk).update(wanted=9, problem_kind=state, problem="no", problem_wanted=9)
    ignored = seen(factories.stream(of, "S-ignored", max_age=DAY_NS), max_age=2)
    QuerySet(Stream).filter(pk=ignored.pk).update(drift_ignored=drift_digest(ignored.drift))
    return rows


def test_a_filter_and_a_file_know_the_states_as_rows_do(page, of):
    rows = every_state(of)
    assert rows.keys() == {row.state for row in Stream.objects.all()}
    for state in rows:
        shown = page.get(STREAMS, {"state": state}).context["cl"].result_list
        assert {row.pk for row in shown} == {row.pk for row in Stream.objects.all() if row.state == state}, state
    told = csv.DictReader(io.StringIO(page.get(f"{STREAMS}export.csv").content.decode()))
    assert {row["name"]: row["state_word"] for row in told} == {row.name: row.state for row in Stream.objects.all()}


def test_chips_turn_by_themselves_and_say_what_is_gone(page, of):
    rows = every_state(of)
    consumer = factories.consumer(rows["applied"])
    keys = [f"stream-{row.pk}" for row in rows.values()] + [f"consumer-{consumer.pk}", "stream-987654"]
    told = page.get("/admin/accounts_app/account/states/", {"keys": ",".join(keys)}).json()["states"]
    assert {told[f"stream-{row.pk}"]["state"] for row in rows.values()} == rows.keys()
    assert told[f"stream-{rows['failed'].pk}"]["problem"] == "no"
    assert (told[f"consumer-{consumer.pk}"]["state"], told["stream-987654"]["state"]) == ("pending", "removed")


def test_lists_are_searched_by_name_and_subject_and_sorted_by_what_was_counted(page, of):
    small, large = factories.stream(of, "SMALL", counts={"messages": 5}), factories.stream(of, "LARGE")
    QuerySet(Stream).filter(pk=large.pk).update(counts={"messages": 700, "bytes": 10**9})
    gone = observed(of)
    factories.stream(of, "KV_prices", "kv")

    def found(**asked):
        return [row.name for row in page.get(STREAMS, asked).context["cl"].result_list]

    assert found(q="small.") == [small.name]
    assert found(q="old.") == [gone.name]
    assert found(kind__exact="kv") == ["KV_prices"]
    assert found(o="-6")[0] == "LARGE"
    tabs = page.get(STREAMS).context["nu_kinds"]
    assert [tab["count"] for tab in tabs] == [4, 3, 1, 0]


def test_the_menu_counts_what_differs(page, client, of):
    stream = seen(factories.stream(of, max_age=DAY_NS), max_age=2 * DAY_NS)
    seen(factories.stream(of, "CALM"))
    for name in ("a", "b"):
        seen(factories.consumer(stream, name), max_deliver=7)

    def badges():
        groups = page.get(STREAMS).context["sidebar_navigation"]
        items = {str(item["title"]): item.get("badge") for group in groups for item in group["items"]}
        return items.get("Streams and buckets"), items.get("Consumers")

    assert badges() == (1, 2)
    client.force_login(factories.staff("vera", "accounts_app.view_stream"))
    assert badges() == (1, None)


@pytest.mark.long
def test_five_thousand_streams_are_listed_quickly(page, of, django_assert_max_num_queries):
    rows = [
        Stream(account=of, name=f"S{n:04}", config={"subjects": [f"s.{n}.>"]}, counts={"bytes": n}) for n in range(5000)
    ]
    Stream.objects.bulk_create(rows, batch_size=500)
    page.get(STREAMS)
    for asked in ({}, {"q": "s.4999"}, {"state": "pending"}, {"p": "100"}, {"o": "7"}):
        with django_assert_max_num_queries(14):
            assert len(page.get(STREAMS, asked).context["cl"].result_list) in (1, 50)


# --- rights ---------------------------------------------------------------------------


def test_who_may_only_look_sees_settings_and_no_button(client, of):
    row = seen(factories.stream(of, max_age=7 * DAY_NS), max_age=DAY_NS)
    client.force_login(factories.staff("vera", "accounts_app.view_stream"))
    text = client.get(address(row)).content.decode()
    assert "7d" in text
    for button in ('name="_save"', 'name="answer"', "data-nu-outlook", "/delete/"):
        assert button not in text, button
    assert client.post(address(row, "answer"), {"answer": "adopt", "shown": drift_digest(row.drift)}).status_code == 403
    assert client.post(address(row, "delete"), {"data": "keep"}).status_code == 403
    client.force_login(factories.staff("few", "accounts_app.view_account"))
    assert client.get(STREAMS).status_code == 403


# --- from and to the live page ---------------------------------------------------------


def test_the_live_page_leads_to_the_row(page, of):
    stream = factories.stream(of)
    consumer = factories.consumer(stream)
    live = "/admin/live"
    assert page.get(f"{live}/stream/ORDERS/ORDERS/").url == address(stream)
    assert page.get(f"{live}/consumer/ORDERS/ORDERS/worker/").url == address(consumer)
    assert page.get(f"{live}/stream/ORDERS/NEVER/").url == f"{STREAMS}?q=NEVER"
    assert "live/jetstream/?account=ORDERS&amp;stream=ORDERS" in page.get(address(stream)).content.decode()


def test_the_account_counts_its_streams(page, of):
    factories.stream(of)
    tabs = page.get(f"/admin/accounts_app/account/{of.pk}/change/").context["nu_tabs"]
    assert next(tab["count"] for tab in tabs if "/stream/" in tab["url"]) == 1
