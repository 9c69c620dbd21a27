"""The form of a stream, bucket or consumer: what people write, what is foreseen, and how it goes."""

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from accounts_app.models import AuditEntry, Consumer, Stream
from tests import factories
from tests.admin.asset_rows import (
    CHOSEN,
    CONSUMERS,
    DAY_NS,
    OF_CONSUMER,
    OF_STREAM,
    STREAMS,
    add,
    address,
    errors,
    form_of,
    seen,
)

# --- the form -----------------------------------------------------------------


def test_a_stream_is_made_of_what_people_write(page, of):
    answer = add(page, of, subjects="orders.>\r\nrefunds.>, returns.>", max_age="7d", max_bytes="1GiB")
    assert answer.status_code == 302, errors(answer)
    made = Stream.objects.get()
    subjects = ["orders.>", "refunds.>", "returns.>"]
    assert made.config == {"subjects": subjects, "max_age": 7 * DAY_NS, "max_bytes": 2**30}
    assert (made.managed, made.state, made.history.get().door) == (True, "pending", "admin")
    assert AuditEntry.objects.filter(act="stream created").exists()
    assert answer.url == address(made)


@pytest.mark.parametrize(("kind", "name"), [("kv", "KV_prices"), ("object", "OBJ_prices")])
def test_a_bucket_is_made_by_the_name_that_people_know(page, of, kind, name):
    data = {"account": of.pk, "name": "prices", "ttl": "1h", **CHOSEN}
    answer = page.post(f"{STREAMS}add/?kind={kind}", data)
    assert answer.status_code == 302, errors(answer)
    made = Stream.objects.get()
    assert (made.kind, made.name, made.bucket, made.config) == (kind, name, "prices", {"ttl": 3600 * 10**9})
    assert "<b" in page.get(address(made)).content.decode()


def test_a_consumer_is_made(page, of):
    stream = factories.stream(of)
    said = {"stream": stream.pk, "name": "billing", "max_deliver": "5", "backoff": "1s, 5s, 1m", **OF_CONSUMER}
    answer = page.post(f"{CONSUMERS}add/", said)
    assert answer.status_code == 302, errors(answer)
    made = Consumer.objects.get()
    assert made.config == {"max_deliver": 5, "backoff": [10**9, 5 * 10**9, 60 * 10**9]}


def test_parts_of_a_setting_have_fields_of_their_own(page, of):
    said = {
        "sources.0.name": "EAST", "sources.0.filter_subject": "orders.>",
        "sources.0.opt_start_time": "2030-01-01 00:00:00Z",
        "sources.3.name": "WEST", "sources.3.subject_transforms.0.dest": "west.>", "sources.5.name": " ",
        "placement.tags": "ssd\nbig", "metadata": "team=orders\ncost=low",
    }  # fmt: skip
    answer = add(page, of, subjects="", **said)
    assert answer.status_code == 302, errors(answer)
    assert Stream.objects.get().config == {
        "sources": [
            {"name": "EAST", "filter_subject": "orders.>", "opt_start_time": "2030-01-01T00:00:00Z"},
            {"name": "WEST", "subject_transforms": [{"dest": "west.>"}]},
        ],
        "placement": {"tags": ["ssd", "big"]},
        "metadata": {"team": "orders", "cost": "low"},
    }
    text = page.get(address(Stream.objects.get())).content.decode()
    assert 'name="sources.1.subject_transforms.0.dest" value="west.&gt;"' in text
    assert 'name="sources.__0__.name"' in text


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a.b"}, "name"),
        ({"name": "nul\x00"}, "name"),
        ({"account": "x"}, "account"),
        ({"account": "9" * 40}, "account"),
        ({"max_age": "much"}, "max_age"),
        ({"max_age": "7"}, "max_age"),
        ({"max_bytes": "1 elephant"}, "max_bytes"),
        ({"max_msgs": "9" * 30}, "max_msgs"),
        ({"replicas": "9"}, "replicas"),
        ({"storage": "tape"}, "storage"),
        ({"subjects": "a b"}, "subjects"),
        ({"subjects": "a.>", "mirror.name": "ORDERS"}, "mirror"),
        ({"discard_new_per_subject": "on"}, "discard_new_per_subject"),
        ({"subjects": "a\x00"}, "subjects"),
        ({"description": "nul\x00"}, "description"),
        ({"metadata": "no sign"}, "metadata"),
        ({"sources.0.filter_subject": "a.>"}, "sources"),
        ({"sources.0.name": "A", "sources.0.opt_start_seq": "x"}, "sources"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(page, of, said, field):
    answer = add(page, of, **{"subjects": "" if "sources.0.name" in said else "orders.>", **said})
    assert field in errors(answer)
    assert not Stream.objects.exists()


def test_an_account_that_keeps_no_streams_says_so(page, of):
    plain = factories.account("PLAIN")
    answer = add(page, plain, subjects="a.>")
    assert "JetStream" in str(errors(answer)["account"])
    factories.stream(of, "ORDERS")
    assert "name" in errors(add(page, of, subjects="a.>"))


def test_what_was_typed_stays_when_something_is_wrong(page, of):
    answer = add(page, of, subjects="orders.>", max_age="much", **{"sources.0.filter_subject": "a.>"})
    text = answer.content.decode()
    assert 'value="much"' in text
    assert 'name="sources.0.filter_subject" value="a.&gt;"' in text


def test_saving_what_is_shown_changes_nothing(page, of):
    odd = {"subjects": ["a,b.>", "c"], "max_age": 1_500_000_001, "max_bytes": 10**9 + 1, "duplicate_window": 10**9 + 1}
    row = seen(factories.stream(of, **odd))
    assert page.post(address(row), form_of(page, row)).status_code == 302
    row.refresh_from_db()
    assert row.config == odd


def test_only_what_was_changed_changes_and_an_empty_field_is_the_default(page, of):
    row = seen(factories.stream(of, subjects=["a,b.>"], max_age=DAY_NS, max_msgs=5))
    page.post(address(row), {**form_of(page, row), "max_age": "", "max_msgs": "unlimited", "max_bytes": "10MiB"})
    row.refresh_from_db()
    assert row.config == {"subjects": ["a,b.>"], "max_bytes": 10 * 2**20}
    shown = page.get(address(row, "history")).content.decode()
    assert "10MiB" in shown
    assert "the default" in shown


def test_what_is_fixed_stays_once_it_is_there(page, of):
    fresh, there = factories.stream(of, "FRESH"), seen(factories.stream(of, "THERE"))
    for row in (fresh, there):
        page.post(address(row), {**form_of(page, row), "storage": "memory"})
        row.refresh_from_db()
    assert (fresh.config.get("storage"), there.config.get("storage")) == ("memory", None)
    assert "disabled" in str(page.get(address(there)).context["adminform"].form["storage"])


def test_a_pause_is_said_as_so_long_from_now(page, of):
    row = seen(factories.consumer(factories.stream(of)))
    answer = page.post(address(row), {**form_of(page, row), "pause_until": "2h"})
    assert answer.status_code == 302, errors(answer)
    row.refresh_from_db()
    until = timezone.datetime.fromisoformat(row.config["pause_until"])
    assert 7100 < (until - timezone.now()).total_seconds() < 7300
    assert "pause_until" in errors(page.post(address(row), {**form_of(page, row), "pause_until": f"{'9' * 30}h"}))


def test_the_list_hands_its_filters_to_the_form(page, of):
    kept = f"?_changelist_filters=kind__exact%3Dkv%26account__id__exact%3D{of.pk}"
    form = page.get(f"{STREAMS}add/{kept}").context["adminform"].form
    assert "history" in form.fields
    assert str(form.initial["account"]) == str(of.pk)


# --- the outlook -----------------------------------------------------------------


def test_the_outlook_says_what_is_needed_wrong_and_changed(page, of):
    shown = page.post(f"{STREAMS}outlook/", OF_STREAM).content.decode()
    assert "Still needed: Account, Name" in shown
    shown = page.post(f"{STREAMS}outlook/", {**OF_STREAM, "account": of.pk, "name": "X", "max_age": "much"})
    assert "must be a duration" in shown.content.decode()
    row = seen(factories.stream(of, max_age=DAY_NS))
    shown = page.post(address(row, "outlook"), {**form_of(page, row), "max_age": "1h"}).content.decode()
    assert "<del>1d</del>" in shown
    assert "<ins>1h</ins>" in shown
    assert not Stream.objects.filter(name="X").exists()
    row.refresh_from_db()
    assert row.config["max_age"] == DAY_NS


def test_the_outlook_says_what_the_server_would_refuse_or_lose(page, of):
    factories.stream(of, "OTHER", subjects=["orders.new"])
    row = seen(factories.stream(of, subjects=["mine.>"], max_msgs=500_000))
    QuerySet(Stream).filter(pk=row.pk).update(counts={"messages": 120_456, "bytes": 9_000_000})
    told = {**form_of(page, row), "subjects": "orders.>", "max_msgs": "100000"}
    shown = page.post(address(row, "outlook"), told).content.decode()
    assert "Data are lost." in shown
    assert "20,456" in shown
    assert "The server refuses it." in shown
    assert "OTHER" in shown


def test_the_outlook_is_for_those_who_may_change(client, of):
    row = factories.stream(of)
    client.force_login(factories.staff("vera", "accounts_app.view_stream"))
    assert client.post(address(row, "outlook"), OF_STREAM).status_code == 403
    assert client.post(f"{STREAMS}outlook/", OF_STREAM).status_code == 403


def test_the_outlook_only_answers_what_is_posted(page, of):
    assert page.get(f"{STREAMS}outlook/").status_code == 403


# --- going --------------------------------------------------------------------------


def test_data_go_only_by_the_name(page, of):
    row = seen(factories.stream(of))
    QuerySet(Stream).filter(pk=row.pk).update(counts={"messages": 1204, "bytes": 2048})
    text = page.get(address(row, "delete")).content.decode()
    assert "1,204 messages, 2 KiB" in text
    QuerySet(Stream).filter(pk=row.pk).update(counts={"messages": 1, "bytes": 45})
    assert "1 message, 45 B" in page.get(address(row, "delete")).content.decode()
    assert "not its name" in page.post(address(row, "delete"), {"data": "delete", "name": "x"}).content.decode()
    row.refresh_from_db()
    assert not row.leaving
    assert page.post(address(row, "delete"), {"data": "delete", "name": "ORDERS"}).url == address(row)
    row.refresh_from_db()
    assert (row.state, row.leaving) == ("leaving", True) or row.state == "pending"
    assert 'name="_save"' not in page.get(address(row)).content.decode()


def test_kept_data_need_no_name(page, of):
    row = seen(factories.stream(of))
    page.post(address(row, "delete"), {"data": "keep"})
    row.refresh_from_db()
    assert row.state == "observed"
    fresh = factories.stream(of, "FRESH")
    assert page.post(address(fresh, "delete"), {"data": "keep"}).url == STREAMS
    assert not Stream.objects.filter(name="FRESH").exists()


def test_no_list_deletes_many(page, of):
    row = factories.stream(of)
    page.post(STREAMS, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert Stream.objects.exists()
