"""Streams, buckets and consumers in the admin: what people write, what is refused at its field, what is answered."""

import csv
import io

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from accounts_app.jetstream.differences import differences, drift_digest
from accounts_app.jetstream.wire import to_server
from accounts_app.models import AuditEntry, Consumer, Stream
from tests import factories

STREAMS, CONSUMERS = "/admin/accounts_app/stream/", "/admin/accounts_app/consumer/"
DAY_NS = 86_400 * 10**9
CHOSEN = {"storage": "file", "compression": "none", "deletion": "keep"}  # what a browser sends of what has a choice
OF_STREAM = {**CHOSEN, "retention": "limits", "discard": "old"}
OF_CONSUMER = {"ack_policy": "explicit", "deliver_policy": "all", "replay_policy": "instant", "deletion": "keep"}


@pytest.fixture
def of(db):
    return factories.account(jetstream=True)


def errors(answer):
    assert answer.status_code == 200, answer.status_code
    return dict(answer.context["adminform"].form.errors)


def add(page, of, **said):
    return page.post(f"{STREAMS}add/", {"account": of.pk, "name": "ORDERS", **OF_STREAM, **said})


def seen(row, **there):
    """The servers hold it, and perhaps something else than the row says."""
    kind = row.settings_kind
    config = {**to_server(kind, row.name, row.config), **there}
    drift = [each.as_dict() for each in differences(kind, row.config, config)] if there else []
    return factories.settled(row, seen=config, seen_at=timezone.now(), drift=drift)


def address(row, view="change"):
    return f"/admin/accounts_app/{row._meta.model_name}/{row.pk}/{view}/"


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


def form_of(page, row):
    """{name: value} as a browser would send the page's form back."""
    form = page.get(address(row)).context["adminform"].form
    found = {}
    for bound in form:
        value = bound.value()
        if isinstance(value, bool):
            found |= {bound.name: "on"} if value else {}
        elif isinstance(value, str):
            found[bound.name] = value
    return found


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


# --- drift and what is observed ----------------------------------------------------


def test_a_difference_is_shown_and_answered(page, of):
    row = seen(factories.stream(of, max_age=7 * DAY_NS), max_age=DAY_NS)
    text = page.get(address(row)).content.decode()
    assert row.state == "drifted"
    for words in ("Age", "7d", "1d", "Adopt what is there", "Revert to the row", "Ignore"):
        assert words in text, words
    shown = {"shown": drift_digest(row.drift)}
    page.post(address(row, "answer"), {**shown, "answer": "ignore", "days": "7"})
    row.refresh_from_db()
    assert (row.ignored, row.state) == (True, "applied")
    before = row.wanted
    page.post(address(row, "answer"), {**shown, "answer": "revert"})
    row.refresh_from_db()
    assert (row.wanted > before, row.config["max_age"]) == (True, 7 * DAY_NS)
    row = seen(row, max_age=DAY_NS)
    page.post(address(row, "answer"), {**shown, "answer": "adopt"})
    row.refresh_from_db()
    assert (row.config["max_age"], row.drift) == (DAY_NS, [])


@pytest.mark.parametrize(
    "said", [{"answer": "adopt", "shown": "of yesterday"}, {"answer": "burn"}, {"answer": "ignore", "days": "x"}, {}]
)
def test_an_answer_to_something_else_does_nothing(page, of, said):
    row = seen(factories.stream(of, max_age=7 * DAY_NS), max_age=DAY_NS)
    if "shown" not in said:
        said = {**said, "shown": drift_digest(row.drift)}
    answer = page.post(address(row, "answer"), said, follow=True)
    assert answer.status_code == 200
    assert list(answer.context["messages"])
    row.refresh_from_db()
    assert (row.state, row.config["max_age"], row.drift_ignored) == ("drifted", 7 * DAY_NS, "")


def test_what_is_gone_can_be_let_go(page, of):
    row = factories.settled(
        factories.stream(of), drift=[{"setting": "", "wanted": None, "seen": None, "words": "Gone."}]
    )
    assert "Let it be gone" in page.get(address(row)).content.decode()
    answer = page.post(address(row, "answer"), {"answer": "adopt", "shown": drift_digest(row.drift)})
    assert answer.url == STREAMS
    assert not Stream.objects.exists()


def observed(of, name="LEGACY"):
    row = seen(factories.stream(of, name, subjects=["old.>"], storage="memory"))
    QuerySet(Stream).filter(pk=row.pk).update(managed=False, config={})
    row.refresh_from_db()
    return row


def test_what_is_observed_has_no_form_and_can_be_managed(page, of):
    row = observed(of)
    text = page.get(address(row)).content.decode()
    assert 'name="_save"' not in text
    for words in ("Manage it", "old.&gt;", "memory", "word for word"):
        assert words in text, words
    assert page.post(address(row), {"subjects": "x.>"}).status_code == 403
    page.post(address(row, "answer"), {"answer": "manage"})
    row.refresh_from_db()
    assert row.managed
    assert row.config["subjects"] == ["old.>"]
    assert 'name="_save"' in page.get(address(row)).content.decode()


def test_many_are_answered_at_once_and_one_that_cannot_be_keeps_no_other_from_it(page, of):
    one, other = observed(of, "ONE"), observed(factories.account("PLAIN"), "OTHER")
    asked = {"action": "manage_selected", "_selected_action": [one.pk, other.pk]}
    answer = page.post(STREAMS, asked, follow=True)
    assert ["1 managed" in str(told) or "JetStream" in str(told) for told in answer.context["messages"]] == [True, True]
    assert set(Stream.objects.filter(managed=True).values_list("name", flat=True)) == {"ONE"}
    drifted = seen(factories.stream(of, "DRIFTED", max_age=DAY_NS), max_age=2 * DAY_NS)
    page.post(STREAMS, {"action": "adopt_selected", "_selected_action": [drifted.pk]})
    drifted.refresh_from_db()
    assert drifted.config["max_age"] == 2 * DAY_NS


# --- going --------------------------------------------------------------------------


def test_data_go_only_by_the_name(page, of):
    row = seen(factories.stream(of))
    QuerySet(Stream).filter(pk=row.pk).update(counts={"messages": 1204, "bytes": 2048})
    text = page.get(address(row, "delete")).content.decode()
    assert "1,204 messages, 2 KiB" in text
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
