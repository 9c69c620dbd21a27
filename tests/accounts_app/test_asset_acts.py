"""Acts on streams, buckets and consumers: whole or not at all, counted, remembered, and told by field."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts_app import assets
from accounts_app.jetstream.differences import differences
from accounts_app.jetstream.wire import to_server
from accounts_app.models import Account, Asset, AuditEntry, Consumer, Stream
from accounts_app.preview import preview
from accounts_app.wanted import assets_committed

SECOND = 1_000_000_000


@pytest.fixture
def account(rows):
    return rows.account("ORDERS", jetstream=True)


@pytest.fixture
def stream(account):
    return assets.make_stream(account, "stream", "ORDERS", {"subjects": "orders.>", "max_age": "7d"})


def as_worker(row, **columns):
    """Write what only a look at the servers writes: it counts nothing."""
    QuerySet(type(row)).filter(pk=row.pk).update(**columns)


def there(row, **more):
    """The row as if the servers had been brought to it, or have it otherwise."""
    kind = row.settings_kind
    seen = {**to_server(kind, row.name, row.config), **more}
    drift = [each.as_dict() for each in differences(kind, row.config, seen)]
    as_worker(row, seen=seen, drift=drift, counts={"messages": 5, "bytes": 500}, done=F("wanted"))
    row.refresh_from_db()
    return row


def wrong(act):
    """{field: sentence} of what an act refuses; nothing of it has happened."""
    before = [list(model.objects.order_by("pk").values()) for model in (Stream, Consumer)]
    with pytest.raises(ValidationError) as refused:
        act()
    assert [list(model.objects.order_by("pk").values()) for model in (Stream, Consumer)] == before
    if not hasattr(refused.value, "error_dict"):
        return {"": " ".join(refused.value.messages)}
    return {field: " ".join(sentences) for field, sentences in refused.value.message_dict.items()}


def test_a_new_stream_is_counted_remembered_and_told_after_the_commit(account, django_capture_on_commit_callbacks):
    heard = []

    def hear(sender, system_id, **kwargs):
        heard.append(system_id)

    assets_committed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            row = assets.make_stream(account, "kv", "KV_settings", {"history": "5", "max_bytes": "1GiB"}, "delete")
            assert not heard
    finally:
        assets_committed.disconnect(hear)
    assert heard == [account.system_id]
    row.refresh_from_db()
    assert (row.kind, row.bucket, row.config) == ("kv", "settings", {"history": 5, "max_bytes": 2**30})
    assert (row.managed, row.deletion, row.state, row.wanted, row.done) == (True, "delete", "pending", 1, 0)
    assert row.history.count() == 1
    entry = AuditEntry.objects.get(act="stream created")
    assert (entry.object_name, entry.detail) == ("KV_settings", {"account": "ORDERS", "kind": "kv"})
    account.refresh_from_db()
    assert account.wanted == 1  # its own making: a stream renders no conf anew


@pytest.mark.parametrize(
    ("kind", "name", "config", "told"),
    [
        ("stream", "a.b", {"subjects": ["a"]}, {"name": "A name holds no dot"}),
        ("stream", "A", {}, {"subjects": "A stream needs subjects"}),
        (
            "stream",
            "A",
            {"subjects": ["a"], "max_age": "soon", "colour": 1},
            {"max_age": "a duration", "colour": "no such"},
        ),
        ("stream", "A", {"subjects": ["a", "a"]}, {"subjects": "stands there twice"}),
        ("kv", "settings", {}, {"name": "is called KV_…"}),
        ("object", "OBJ_a b", {}, {"name": "letters, digits"}),
    ],
)
def test_what_can_not_be_a_stream_is_told_by_field(account, kind, name, config, told):
    found = wrong(lambda: assets.make_stream(account, kind, name, config))
    assert found.keys() == told.keys()
    assert all(sentence in found[field] for field, sentence in told.items())


def test_an_account_that_keeps_no_streams_or_hides_them_is_told(rows):
    bare, hidden = rows.account("BARE"), rows.account("HIDDEN", jetstream=True, jetstream_control=False)
    for account, sentence in ((bare, "has no JetStream"), (hidden, "doesn't show its streams")):
        assert sentence in wrong(lambda of=account: assets.make_stream(of, "kv", "KV_a"))["account"]


def test_a_name_is_taken_once_and_says_by_whom(account, stream):
    again = wrong(lambda: assets.make_stream(account, "stream", "ORDERS", {"subjects": ["x"]}))
    assert again == {"name": "There is one of this name already."}
    Stream.objects.filter(pk=stream.pk).update(managed=False)
    again = wrong(lambda: assets.make_stream(account, "stream", "ORDERS", {"subjects": ["x"]}))
    assert "adopt it instead" in again["name"]
    Stream.objects.filter(pk=stream.pk).update(managed=True, leaving=True)
    again = wrong(lambda: assets.make_stream(account, "stream", "ORDERS", {"subjects": ["x"]}))
    assert "wait until it is gone" in again["name"]
    assert "being deleted" in wrong(lambda: assets.make_consumer(Stream.objects.get(), "c"))["stream"]


def test_settings_change_one_by_one_and_go_back_to_their_defaults(stream):
    assets.save_asset(stream, {"max_bytes": "1GiB"})
    assets.save_asset(stream, {"max_age": None, "description": "All orders"}, deletion="delete")
    stream.refresh_from_db()
    assert stream.config == {"subjects": ["orders.>"], "max_bytes": 2**30, "description": "All orders"}
    assert stream.deletion == "delete" and stream.wanted == 3
    assert stream.history.count() == 3
    assert wrong(lambda: assets.save_asset(stream, {"max_age": 5}))["max_age"].startswith("A duration needs")
    assert wrong(lambda: assets.save_asset(stream, {}, deletion="burn")).keys() == {"deletion"}
    assert wrong(lambda: assets.save_asset(stream, {}, name="X")) == {"name": "This can't change."}


def test_a_change_is_made_on_the_row_as_it_is_now(stream):
    stale = Stream.objects.get(pk=stream.pk)
    assets.save_asset(stream, {"max_msgs": 5})
    assets.save_asset(stale, {"max_bytes": 1000})
    stream.refresh_from_db()
    assert stream.config.keys() == {"subjects", "max_age", "max_msgs", "max_bytes"}


def test_what_is_fixed_on_the_server_is_refused_at_its_setting(stream):
    assets.save_asset(stream, {"storage": "memory"})  # nothing is there yet
    there(stream)
    assert wrong(lambda: assets.save_asset(stream, {"storage": "file"})) == {
        "storage": "This can't change any more: it is memory on the server."
    }
    assert wrong(lambda: assets.save_asset(stream, {"retention": "workqueue"})).keys() == {"retention"}
    assets.save_asset(stream, {"max_age": "1d"})


def test_saving_a_row_never_writes_over_what_was_seen(stream):
    stale = Stream.objects.get(pk=stream.pk)
    there(stream)
    stale.deletion = "delete"
    stale.save()
    stream.refresh_from_db()
    assert stream.seen and stream.done and stream.deletion == "delete"


def test_a_consumer_belongs_to_its_stream(stream):
    row = assets.make_consumer(stream, "billing", {"filter_subjects": "orders.paid", "backoff": ["1s", "5s"]})
    assert row.config == {"filter_subjects": ["orders.paid"], "backoff": [SECOND, 5 * SECOND]}
    assert "already" in wrong(lambda: assets.make_consumer(stream, "billing"))["name"]
    told = wrong(lambda: assets.save_asset(row, {"max_deliver": 1}))
    assert told == {"backoff": "There are more steps of back-off than deliveries."}


# --- letting go ---------------------------------------------------------------


def test_keeping_the_data_makes_it_observed_at_once_with_its_consumers(stream):
    consumer = there(assets.make_consumer(stream, "billing"))
    never = assets.make_consumer(stream, "never")
    there(stream, max_age=SECOND)
    assets.remove(stream)  # as its own policy says
    stream.refresh_from_db()
    consumer.refresh_from_db()
    assert (stream.state, stream.config, stream.drift) == ("observed", {}, [])
    assert consumer.state == "observed"
    assert not Consumer.objects.filter(pk=never.pk).exists()
    assert wrong(lambda: assets.remove(stream, "keep")).keys() == {"data"}
    assert AuditEntry.objects.filter(act="stream no longer managed").count() == 1


def test_what_was_never_there_is_forgotten(stream):
    assets.remove(stream, "keep")
    assert not Stream.objects.exists()


def test_deleting_with_the_data_waits_for_the_server(stream):
    there(stream)
    assets.remove(stream, "delete")
    stream.refresh_from_db()
    assert (stream.state, stream.wanted) == ("leaving", 2)
    assert AuditEntry.objects.get(act="stream deleted with its data").detail["messages"] == 5
    assert "being deleted" in wrong(lambda: assets.save_asset(stream, {"max_msgs": 5}))[""]
    assert wrong(lambda: assets.remove(stream, "burn")).keys() == {"data"}


def test_an_observed_one_can_be_deleted_with_its_data(stream):
    there(stream)
    assets.remove(stream, "keep")
    assets.remove(stream, "delete")
    stream.refresh_from_db()
    assert stream.state == "leaving"


def test_what_is_gone_already_is_told(stream):
    stale = Stream.objects.get(pk=stream.pk)
    assets.remove(stream, "keep")
    assert wrong(lambda: assets.save_asset(stale, {"max_msgs": 5})) == {"name": "It is gone."}


# --- what was seen ------------------------------------------------------------


def test_an_observed_object_becomes_managed_exactly_as_it_was_seen(account):
    seen = {"name": "OLD", "subjects": ["old.>"], "max_age": SECOND, "duplicate_window": SECOND, "sealed": False}
    row = Stream.objects.create(account=account, name="OLD", managed=False, seen=seen)
    assert "manage it first" in wrong(lambda: assets.save_asset(row, {"max_msgs": 5}))[""]
    assets.manage(row)
    row.refresh_from_db()
    assert row.managed and row.config == {"subjects": ["old.>"], "max_age": SECOND}
    assert differences("stream", row.config, seen) == ()
    assert "already" in wrong(lambda: assets.manage(row))[""]


def test_what_nunect_can_not_say_stays_observed(account):
    seen = {"name": "OLD", "subjects": ["old.>"], "max_consumers": -1, "retention": "some-new-one"}
    row = Stream.objects.create(account=account, name="OLD", managed=False, seen=seen)
    assert wrong(lambda: assets.manage(row)).keys() == {"retention"}


def test_three_answers_to_a_drift(stream):
    there(stream, max_age=SECOND, duplicate_window=SECOND)
    assert stream.state == "drifted"

    assets.ignore(stream, timezone.now() + timedelta(hours=1))
    stream.refresh_from_db()
    assert (stream.state, stream.wanted) == ("applied", 1)  # nobody was asked to do anything
    as_worker(stream, ignored_until=timezone.now() - timedelta(seconds=1))
    stream.refresh_from_db()
    assert stream.state == "drifted"
    assets.ignore(stream)
    there(stream, max_age=2 * SECOND)
    assert stream.state == "drifted"  # this is another one

    wanted = stream.wanted
    assets.revert(stream)
    stream.refresh_from_db()
    assert (stream.state, stream.wanted, stream.drift) == ("pending", wanted + 1, [])

    there(stream, max_age=2 * SECOND)
    assets.accept(stream)
    stream.refresh_from_db()
    assert stream.config == {"subjects": ["orders.>"], "max_age": 2 * SECOND}
    assert stream.drift == [] and stream.state == "pending"
    assert "nothing to answer" in wrong(lambda: assets.revert(stream))[""]
    assert {entry.act for entry in AuditEntry.objects.all()} >= {"drift ignored", "drift reverted", "drift accepted"}


def test_ignoring_until_the_past_is_refused(stream):
    there(stream, max_age=SECOND)
    assert wrong(lambda: assets.ignore(stream, timezone.now() - timedelta(1))) == {"until": "This must lie ahead."}


def test_accepting_that_it_is_gone_forgets_it(stream):
    drift = [each.as_dict() for each in differences("stream", stream.config, None)]
    as_worker(stream, drift=drift)
    stream.refresh_from_db()
    assert assets.accept(stream) is None
    assert not Stream.objects.exists()


def test_a_stream_that_is_gone_comes_back_with_its_consumers(stream):
    gone, also, stays = (assets.make_consumer(stream, name) for name in ("billing", "audit", "new"))
    for row, kind in ((stream, "stream"), (gone, "consumer"), (also, "consumer")):
        as_worker(row, drift=[each.as_dict() for each in differences(kind, row.config, None)])
        row.refresh_from_db()
    stays.refresh_from_db()
    wanted = stays.wanted
    assets.revert(stream)
    for row in (stream, gone, also):
        row.refresh_from_db()
        assert (row.state, row.drift) == ("pending", []), row
    stays.refresh_from_db()
    assert stays.wanted == wanted
    assert AuditEntry.objects.filter(act="drift reverted").count() == 3


# --- reading, and looking before ------------------------------------------------


def test_only_managed_ones_are_read_as_specs(account, stream):
    assets.make_consumer(stream, "billing")
    Consumer.objects.create(stream=stream, name="theirs", managed=False)
    Stream.objects.create(account=account, name="THEIRS", managed=False)
    (spec,) = assets.read_assets([account.pk])[account.pk]
    assert (spec.name, [each.name for each in spec.consumers]) == ("ORDERS", ["billing"])


def test_a_look_at_many_accounts_takes_a_fixed_number_of_queries(rows, django_assert_num_queries):
    for number in range(30):
        made = rows.account(f"A{number}", jetstream=True)
        assets.make_consumer(assets.make_stream(made, "stream", "S", {"subjects": ["s"]}), "c")
    pks = list(Account.objects.values_list("pk", flat=True))
    with django_assert_num_queries(2):
        found = assets.read_assets(pks)
    assert sum(len(specs) for specs in found.values()) == 30


def test_every_door_sees_before_what_an_act_would_do(system, stream):
    there(stream)
    seen = preview(system, lambda: assets.remove(stream, "delete"))
    assert [(str(change), change.removes_access) for change in seen.changes] == [
        ("stream `ORDERS` of account `ORDERS` is deleted with its 5 messages", True)
    ]
    seen = preview(system, lambda: assets.save_asset(stream, {"max_msgs": "2"}))
    assert [str(change) for change in seen.changes] == ["stream `ORDERS` of account `ORDERS`: messages no limit → 2"]
    assert [(one.warning.setting, one.warning.severity) for one in seen.warnings] == [("max_msgs", "loses")]
    seen = preview(system, lambda: assets.make_consumer(stream, "c", {"filter_subjects": ["bills.>"]}))
    assert [one.warning.sentence for one in seen.warnings] == ["The stream stores nothing of “bills.>”."]
    assert seen.conf == () and seen.faults == ()
    stream.refresh_from_db()
    assert stream.state == "applied" and not Consumer.objects.exists()


def test_an_act_that_fails_half_way_leaves_nothing(account):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        assets.make_stream(account, "kv", "KV_a")
        raise ZeroDivisionError
    assert not Stream.objects.exists() and not AuditEntry.objects.filter(act="stream created").exists()


def test_states_in_words(stream):
    stream.problem_kind, stream.problem_wanted = Asset.Problem.WAITS, stream.wanted
    assert stream.state == "waits"
    stream.wanted += 1
    assert stream.state == "pending"
