"""Streams, buckets and consumers over REST: settings as fields, and the state of each of its own."""

import time
from types import SimpleNamespace

import pytest
from django.db import connection
from django.db.models import F, QuerySet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts_app.api import writing
from accounts_app.jetstream.settings import SETTINGS
from accounts_app.models import AuditEntry, Consumer, Stream
from tests import factories
from tests.api.conftest import Api, errors, token_of

DAY_NS = 86_400_000_000_000
SEEN = {
    "name": "SEEN",
    "subjects": ["seen.>"],
    "retention": "limits",
    "storage": "file",
    "num_replicas": 1,
    "max_age": DAY_NS,
    "max_bytes": -1,
    "max_msgs": -1,
    "max_msgs_per_subject": -1,
    "max_consumers": -1,
    "max_msg_size": -1,
    "discard": "old",
    "duplicate_window": 120_000_000_000,
    "some_new_setting": True,
}
KINDS = {
    "streams": {"account": "ACME", "name": "ORDERS", "subjects": ["orders.>"]},
    "kv-buckets": {"account": "ACME", "name": "config"},
    "object-buckets": {"account": "ACME", "name": "reports"},
    "consumers": {"account": "ACME", "stream": "FIRST", "name": "billing"},
}


class EachApart(Api):
    """Each request is a transaction of its own, as it is outside of tests."""

    def call(self, *args, **more):
        connection.run_on_commit.clear()
        return super().call(*args, **more)


@pytest.fixture
def api(ada):
    return EachApart(token_of(ada))


@pytest.fixture
def acme(ada):
    return factories.account("ACME", jetstream=True)


@pytest.fixture
def first(acme):
    return Stream.objects.create(account=acme, name="FIRST", config={"subjects": ["first.>"]})


def stand(row, **fields):
    """What the servers' side writes into a row."""
    QuerySet(type(row)).filter(pk=row.pk).update(**fields)
    row.refresh_from_db()


def applied(row):
    stand(row, done=F("wanted"), problem="", problem_kind="")


def observed(account, name="SEEN", **fields):
    row = Stream.objects.create(account=account, name=name, managed=False)
    stand(row, seen={**SEEN, "name": name}, **fields)
    return row


@pytest.mark.parametrize("kind", KINDS)
def test_each_once_around(api, first, kind):
    made = api.post(f"{kind}/", KINDS[kind])
    assert made.status_code == 201, made.data
    assert {name: made.data[name] for name in KINDS[kind]} == KINDS[kind]
    assert (made.data["state"], made.data["sync"]["state"], made.data["managed"]) == ("pending", "pending", True)
    pk = made.data["id"]
    assert api.get(made.headers["Location"]).headers["ETag"] == made.headers["ETag"]
    changed = api.patch(f"{kind}/{pk}/", {"description": "what for"})
    assert (changed.status_code, changed.data["description"]) == (200, "what for")
    assert [row["id"] for row in api.get(f"{kind}/?account=ACME&name={KINDS[kind]['name']}").data["results"]] == [pk]
    gone = api.delete(f"{kind}/{pk}/?data=keep")
    assert (gone.status_code, gone.data["id"], gone.data["sync"]["state"]) == (200, pk, "applied")
    assert api.get(f"{kind}/{pk}/").status_code == 404
    assert api.get(f"{kind}/{pk}/history/").data[0]["act"] == "removed"


def test_a_stream_has_no_history_as_a_bucket(api, first):
    assert api.get(f"streams/{first.pk}/history/").status_code == 200
    for kind in ("kv-buckets", "object-buckets"):
        assert api.get(f"{kind}/{first.pk}/history/").status_code == 404


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_read_can_be_sent_back_whole(api, first, kind):
    made = api.post(f"{kind}/", KINDS[kind])
    model = Consumer if kind == "consumers" else Stream
    row = model.objects.get(pk=made.data["id"])
    before = (row.wanted, row.config, model.history.count())
    read = api.get(f"{kind}/{row.pk}/")
    answer = api.patch(f"{kind}/{row.pk}/", read.data)
    assert answer.status_code == 200, answer.data
    assert answer.headers["ETag"] == read.headers["ETag"]
    row.refresh_from_db()
    assert (row.config, answer.data["sync"]["state"]) == (before[1], "pending")


def test_settings_are_written_as_people_write_them(api, first):
    body = {**KINDS["streams"], "max_age": "7d", "max_bytes": "1GiB", "duplicate_window": "30s", "max_msgs": 5}
    made = api.post("streams/", body)
    told = {name: made.data[name] for name in ("max_age", "max_bytes", "duplicate_window", "max_msgs", "retention")}
    assert told == {
        "max_age": "7d", "max_bytes": 1024**3, "duplicate_window": "30s", "max_msgs": 5, "retention": "limits",
    }  # fmt: skip
    assert Stream.objects.get(pk=made.data["id"]).config["max_age"] == 7 * DAY_NS
    again = api.patch(f"streams/{made.data['id']}/", {"max_age": None, "max_msgs": "unlimited"})
    assert (again.data["max_age"], again.data["max_msgs"]) == ("0s", -1)
    assert "max_age" not in Stream.objects.get(pk=made.data["id"]).config


def test_a_bucket_goes_by_its_own_name(api, first):
    made = api.post("kv-buckets/", {**KINDS["kv-buckets"], "history": 5, "ttl": "1h"})
    row = Stream.objects.get(pk=made.data["id"])
    assert (row.name, row.kind, made.data["name"], made.data["history"]) == ("KV_config", "kv", "config", 5)
    assert api.get(f"streams/{row.pk}/").status_code == 404
    refused = api.patch(f"kv-buckets/{row.pk}/", {"name": "other"})
    assert errors(refused) == {"name": "Its name can't change: make another one."}
    consumer = {"account": "ACME", "stream": "KV_config", "name": "watcher"}
    assert api.post("consumers/", consumer).data["stream"] == "KV_config"


@pytest.mark.parametrize(
    "path, body, field",
    [
        ("streams/", {"max_age": "soon"}, "max_age"),
        ("streams/", {"max_bytes": 1.5}, "max_bytes"),
        ("streams/", {"max_bytes": True}, "max_bytes"),
        ("streams/", {"subjects": "orders.>"}, "subjects"),
        ("streams/", {"subjects": [1]}, "subjects"),
        ("streams/", {"storage": "tape"}, "storage"),
        ("streams/", {"deny_delete": "yes"}, "deny_delete"),
        ("streams/", {"metadata": "a=b"}, "metadata"),
        ("streams/", {"sources": [{"name": "A", "subject_transforms": "x"}]}, "sources"),
        ("streams/", {"mirror": {"name": "A", "speed": 1}}, "mirror"),
        ("streams/", {"placement": ""}, "placement"),
        ("streams/", {"replicas": 0}, "replicas"),
        ("streams/", {"name": "a.b"}, "name"),
        ("streams/", {"name": "a\x00b"}, "name"),
        ("streams/", {"deletion": "perhaps"}, "deletion"),
        ("streams/", {"account": "NONE"}, "account"),
        ("streams/", {"history": 5}, "history"),
        ("kv-buckets/", {"history": 65}, "history"),
        ("kv-buckets/", {"name": "a b"}, "name"),
        ("kv-buckets/", {"subjects": ["x"]}, "subjects"),
        ("consumers/", {"stream": "NONE"}, "stream"),
        ("consumers/", {"backoff": "1s,2s"}, "backoff"),
        ("consumers/", {"opt_start_time": "yesterday"}, "opt_start_time"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(api, first, path, body, field):
    answer = api.post(path, {**KINDS[path[:-1]], **body})
    assert answer.status_code == 422, answer.data
    assert set(errors(answer)) == {field}


def test_an_account_without_jetstream_keeps_no_streams(api, acme):
    factories.account("BARE")
    told = errors(api.post("streams/", {"account": "BARE", "name": "A", "subjects": ["a"]}))
    assert "has no JetStream" in told["account"]


def test_a_name_is_given_once(api, first):
    told = errors(api.post("streams/", {"account": "ACME", "name": "FIRST", "subjects": ["b"]}))
    assert set(told) == {"name"}


def test_states_are_those_of_the_row(api, first):
    ways = {
        "pending": {},
        "waits": {"problem_kind": "waits", "problem": "It waits for n3.", "problem_wanted": F("wanted")},
        "failed": {"problem_kind": "failed", "problem": "No room.", "problem_field": "max_bytes"},
        "applied": {"done": F("wanted"), "problem_kind": "", "problem": "", "problem_field": ""},
        "drifted": {"drift": [{"setting": "max_age", "wanted": 0, "seen": DAY_NS, "words": "…"}]},
        "leaving": {"leaving": True, "drift": []},
    }
    said = {
        "pending": ("pending", "", ""), "waits": ("pending", "It waits for n3.", ""),
        "failed": ("failed", "No room.", "max_bytes"), "applied": ("applied", "", ""), "drifted": ("applied", "", ""),
        "leaving": ("pending", "", ""),
    }  # fmt: skip
    for state, fields in ways.items():
        stand(first, **fields)
        row = api.get(f"streams/{first.pk}/").data
        told = (row["sync"]["state"], row["sync"]["problem"], row["sync"]["field"])
        assert (row["state"], told) == (state, said[state])
        for asked in (*ways, "observed"):
            found = [each["id"] for each in api.get(f"streams/?state={asked}").data["results"]]
            assert found == ([first.pk] if asked == state else []), (state, asked)


def test_a_write_waits_for_the_stream_itself(api, acme, first, monkeypatch):
    looks = []

    def server_does_it(seconds):
        looks.append(seconds)
        if len(looks) == 2:
            applied(first)

    monkeypatch.setattr(writing, "time", SimpleNamespace(sleep=server_does_it, monotonic=time.monotonic))
    answer = api.patch(f"streams/{first.pk}/", {"max_msgs": 9}, Prefer="wait=10")
    assert (answer.status_code, answer.data["sync"]["state"]) == (200, "applied")
    assert len(looks) == 2


def test_a_write_that_the_server_refuses_says_so_at_its_setting(api, first, monkeypatch):
    def server_refuses(seconds):
        more = {"problem": "There is no room.", "problem_field": "max_bytes", "problem_wanted": F("wanted")}
        stand(first, problem_kind="failed", **more)

    monkeypatch.setattr(writing, "time", SimpleNamespace(sleep=server_refuses, monotonic=time.monotonic))
    sync = api.patch(f"streams/{first.pk}/", {"max_bytes": "1GiB"}, Prefer="wait=10").data["sync"]
    assert (sync["state"], sync["problem"], sync["field"]) == ("failed", "There is no room.", "max_bytes")


def test_a_write_that_is_still_waited_for_is_a_202(api, first):
    answer = api.patch(f"streams/{first.pk}/", {"max_msgs": 9}, Prefer="wait=1")
    assert (answer.status_code, answer.data["sync"]["state"]) == (202, "pending")


def test_what_is_observed_is_shown_as_it_is_and_adopted(api, acme):
    row = observed(acme, counts={"messages": 7})
    shown = api.get(f"streams/{row.pk}/").data
    assert (shown["state"], shown["managed"], shown["max_age"], shown["subjects"]) == (
        "observed", False, "1d", ["seen.>"],
    )  # fmt: skip
    assert (shown["counts"], shown["seen"]["some_new_setting"]) == ({"messages": 7}, True)
    refused = api.patch(f"streams/{row.pk}/", {"max_age": "2d"})
    assert refused.status_code == 422
    adopted = api.post(f"streams/{row.pk}/adopt/")
    assert (adopted.status_code, adopted.data["managed"], adopted.data["max_age"]) == (200, True, "1d")
    assert api.patch(f"streams/{row.pk}/", {"max_age": "2d"}).data["max_age"] == "2d"
    assert api.post(f"streams/{row.pk}/adopt/").status_code == 422


@pytest.fixture
def drifted(acme):
    row = Stream.objects.create(account=acme, name="SEEN", config={"subjects": ["seen.>"]})
    drift = [{"setting": "max_age", "wanted": 0, "seen": DAY_NS, "words": "Age: the row says 0s, the server has 1d."}]
    stand(row, seen=SEEN, drift=drift, done=F("wanted"))
    return row


def test_a_difference_is_accepted(api, drifted):
    assert api.get(f"streams/{drifted.pk}/").data["drift"][0]["setting"] == "max_age"
    answer = api.post(f"streams/{drifted.pk}/adopt/")
    assert (answer.status_code, answer.data["max_age"], answer.data["drift"]) == (200, "1d", [])


def test_what_reverting_does_to_the_servers_is_told_before(api, drifted):
    told = api.post(f"streams/{drifted.pk}/revert/?dry_run=true").data["changes"]
    assert [each["text"] for each in told] == ["stream `SEEN` of account `ACME` goes back: age 1d → no limit"]
    stand(drifted, seen=None, drift=[{"setting": "", "wanted": None, "seen": None, "words": "It is gone."}])
    told = api.post(f"streams/{drifted.pk}/revert/?dry_run=true").data["changes"]
    assert [each["text"] for each in told] == ["stream `SEEN` of account `ACME` is made again, without what it held"]


def test_a_difference_is_reverted(api, drifted):
    answer = api.post(f"streams/{drifted.pk}/revert/")
    assert (answer.status_code, answer.data["max_age"], answer.data["state"]) == (200, "0s", "pending")


def test_a_difference_is_ignored_for_a_while(api, drifted):
    told = errors(api.post(f"streams/{drifted.pk}/ignore/", {"until": "2020-01-01T00:00:00Z"}))
    assert set(told) == {"until"}
    answer = api.post(f"streams/{drifted.pk}/ignore/", {"until": "2099-01-01T00:00:00Z"})
    assert (answer.status_code, answer.data["ignored_until"]) == (200, "2099-01-01T00:00:00Z")
    assert answer.data["state"] == api.get(f"streams/{drifted.pk}/").data["state"] == "applied"
    assert [row["id"] for row in api.get("streams/?state=applied").data["results"]] == [drifted.pk]
    assert api.post(f"streams/{drifted.pk}/ignore/", {}).data["ignored_until"] is None


def test_the_end_of_what_is_gone_is_accepted_and_its_row_goes(api, drifted):
    stand(drifted, seen=None, drift=[{"setting": "", "wanted": None, "seen": None, "words": "It is gone."}])
    answer = api.post(f"streams/{drifted.pk}/adopt/")
    assert (answer.status_code, answer.data["id"], answer.data["name"]) == (200, drifted.pk, "SEEN")
    assert api.get(f"streams/{drifted.pk}/").status_code == 404


@pytest.mark.parametrize("act", ["adopt", "revert", "ignore"])
def test_where_nothing_differs_there_is_nothing_to_answer(api, first, act):
    body = {} if act == "ignore" else None
    assert "nothing to answer" in errors(api.post(f"streams/{first.pk}/{act}/", body))[""]


def test_deleting_says_what_becomes_of_the_data(api, acme):
    row = observed(acme)
    assert set(errors(api.delete(f"streams/{row.pk}/?data=perhaps"))) == {"data"}
    leaving = api.delete(f"streams/{row.pk}/?data=delete")
    assert (leaving.status_code, leaving.data["sync"]["state"]) == (200, "pending")
    assert api.get(f"streams/{row.pk}/").data["state"] == "leaving"
    assert set(errors(api.get("streams/?data=keep"))) == {"data"}


def test_what_is_kept_is_observed_from_then_on(api, drifted):
    answer = api.delete(f"streams/{drifted.pk}/")
    assert (answer.status_code, answer.data["sync"]["state"]) == (200, "applied")
    assert api.get(f"streams/{drifted.pk}/").data["state"] == "observed"


def test_a_stale_write_is_refused_and_a_look_is_no_change(api, first):
    seen = api.get(f"streams/{first.pk}/").headers["ETag"]
    stand(first, counts={"messages": 1}, seen={**SEEN, "allow_direct": True})
    assert api.get(f"streams/{first.pk}/").data["allow_direct"] is True
    assert api.get(f"streams/{first.pk}/").headers["ETag"] == seen
    assert api.patch(f"streams/{first.pk}/", {"max_msgs": 1}, If_Match=seen).status_code == 200
    assert api.patch(f"streams/{first.pk}/", {"max_msgs": 2}, If_Match=seen).status_code == 412
    assert api.post(f"streams/{first.pk}/revert/", If_Match=seen).status_code == 412


def test_a_dry_run_changes_nothing(api, first):
    first.refresh_from_db()
    before = (first.wanted, AuditEntry.objects.count(), Stream.history.count())
    for method, path, body in (
        ("POST", "streams/", KINDS["streams"]),
        ("PATCH", f"streams/{first.pk}/", {"max_msgs": 1}),
        ("DELETE", f"streams/{first.pk}/", None),
        ("POST", "consumers/", KINDS["consumers"]),
    ):
        answer = api.call(method, f"{path}?dry_run=true", body)
        assert answer.status_code == 200, answer.data
        assert "changes" in answer.data
    first.refresh_from_db()
    assert (first.wanted, AuditEntry.objects.count(), Stream.history.count()) == before


def test_who_may_do_what(acme, first):
    looker = Api(token_of(factories.staff("sam", "accounts_app.view_stream")))
    assert looker.get("streams/").status_code == 200
    assert looker.get("consumers/").status_code == 403
    for method, path, body in (
        ("POST", "streams/", KINDS["streams"]),
        ("PATCH", f"streams/{first.pk}/", {"max_msgs": 1}),
        ("DELETE", f"streams/{first.pk}/", None),
        ("POST", f"streams/{first.pk}/adopt/", None),
        ("POST", f"streams/{first.pk}/revert/", None),
    ):
        assert looker.call(method, path, body).status_code == 403, path


def test_a_token_reaches_the_streams_of_its_accounts_only(ada, acme, first):
    other = factories.account("OTHER", jetstream=True)
    theirs = Stream.objects.create(account=other, name="THEIRS", config={"subjects": ["t"]})
    Consumer.objects.create(stream=theirs, name="c")
    mine = EachApart(token_of(ada, "write", accounts=["ACME"]))
    assert [row["name"] for row in mine.get("streams/").data["results"]] == ["FIRST"]
    assert mine.get("consumers/").data["results"] == []
    assert mine.get(f"streams/{theirs.pk}/").status_code == 404
    assert set(errors(mine.post("streams/", {**KINDS["streams"], "account": "OTHER"}))) == {"account"}
    assert mine.post("streams/", KINDS["streams"]).status_code == 201
    read = Api(token_of(ada, "read"))
    assert read.post("streams/", {**KINDS["streams"], "name": "B", "subjects": ["b"]}).status_code == 403


def test_a_look_tells_of_the_stream_and_of_what_would_be_lost(api, drifted):
    stand(drifted, counts={"messages": 1204, "bytes": 5000}, drift=[])
    made = api.post("streams/?dry_run=true", KINDS["streams"]).data
    assert "stream `ORDERS`" in made["changes"][0]["text"]
    gone = api.delete(f"streams/{drifted.pk}/?data=delete&dry_run=true").data
    assert (gone["changes"][0]["removes_access"], "1,204" in str(gone)) == (True, True)


def test_a_document_says_how_far_its_streams_are(api, acme):
    said = {"accounts": [{"name": "ACME", "jetstream": True, "streams": [{"name": "A", "subjects": ["a"]}]}]}
    assert api.post("apply/", said).data["sync"]["state"] == "pending"
    stand(acme, done=F("wanted"))
    assert api.post("apply/", said).data["sync"] == {"state": "pending", "revision": None, "problem": "", "field": ""}
    stream = Stream.objects.get(name="A")
    more = {"problem": "There is no room.", "problem_field": "max_bytes", "problem_wanted": F("wanted")}
    stand(stream, problem_kind="failed", **more)
    sync = api.post("apply/", said).data["sync"]
    assert (sync["state"], sync["problem"], sync["field"]) == ("failed", "There is no room.", "max_bytes")
    applied(stream)
    assert api.post("apply/", said).data["sync"]["state"] == "applied"


@pytest.mark.parametrize(
    "path, body, field",
    [
        ("streams/", {"subjects": ["orders..x"]}, "subjects"),
        ("consumers/", {"backoff": ["1s", "5s"], "max_deliver": 1}, "backoff"),
        ("consumers/", {"backoff": [0], "max_deliver": 5}, "backoff"),
        ("streams/", {"mirror": {"name": "A"}}, "subjects"),
    ],
)
@pytest.mark.parametrize("ask", ["", "?dry_run=true"])
def test_what_does_not_go_together_is_told_at_its_setting(api, first, path, body, field, ask):
    assert field in errors(api.post(path + ask, {**KINDS[path[:-1]], **body}))


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "0", "-1", "7d", "1GiB", "unlimited", "orders.>", "2027-01-31T12:00:00Z", "9" * 40, "-5s"]),
    st.text(max_size=6),
)  # fmt: skip
FIELDS = st.sampled_from(["name", "src", "dest", "external", "api", "opt_start_seq", "subject_transforms", "tags", "x"])
VALUES = st.recursive(
    PLAIN, lambda one: st.lists(one, max_size=3) | st.dictionaries(FIELDS, one, max_size=3), max_leaves=4
)
NAMES = {"streams": "stream", "kv-buckets": "kv", "object-buckets": "object", "consumers": "consumer"}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_setting_is_it_is_taken_or_told_at_its_field(api, first, kind, data):
    names = st.sampled_from([setting.name for setting in SETTINGS[NAMES[kind]]])
    said = data.draw(st.dictionaries(names, VALUES, min_size=1, max_size=2))
    answer = api.post(f"{kind}/?dry_run=true", {**KINDS[kind], **said})
    assert answer.status_code in (200, 422), answer.data
    if answer.status_code == 422:
        assert all(errors(answer).values())


def test_what_the_servers_are_sure_to_refuse_is_refused_at_the_setting(api, first):
    body = {**KINDS["streams"], "subjects": ["first.new"]}
    answer = api.post("streams/", body)
    assert answer.status_code == 422
    assert errors(answer) == {
        "subjects": "“first.new” overlaps with “first.>” of stream FIRST, which stores it already."
    }
    assert Stream.objects.count() == 1
    foretold = api.post("streams/?dry_run=true", body)
    assert [each["severity"] for each in foretold.data["warnings"]] == ["refused"]
    row = Stream.objects.get(pk=api.post("streams/", KINDS["streams"]).data["id"])
    changed = api.patch(f"streams/{row.pk}/", {"subjects": ["orders.>", "first.x"], "description": "both"})
    assert (changed.status_code, list(errors(changed))) == (422, ["subjects"])
    row.refresh_from_db()
    assert row.config == {"subjects": ["orders.>"]}
    consumer = api.post("consumers/", {**KINDS["consumers"], "replicas": 3})
    assert (consumer.status_code, list(errors(consumer))) == (422, ["replicas"])


def test_what_is_lost_comes_back_as_warnings(api, first):
    there = {"name": "FIRST", "subjects": ["first.>"], "max_msgs": -1}
    stand(first, seen=there, counts={"messages": 2000, "bytes": 10**6})
    changed = api.patch(f"streams/{first.pk}/", {"max_msgs": 100})
    assert changed.status_code == 200, changed.data
    lost = {"setting": "max_msgs", "text": "1,900 of 2,000 messages go, the oldest ones.", "severity": "loses"}
    assert changed.data["warnings"] == [lost]
    read = api.get(f"streams/{first.pk}/")
    assert read.data["warnings"] == []
    assert read.headers["ETag"] == changed.headers["ETag"]


def test_a_row_that_was_waited_for_is_told_as_it_is_then(api, first, monkeypatch):
    monkeypatch.setattr(writing.time, "sleep", lambda _seconds: QuerySet(Stream).update(done=F("wanted")))
    made = api.post("streams/", KINDS["streams"], Prefer="wait=5")
    assert (made.status_code, made.data["state"], made.data["sync"]["state"]) == (201, "applied", "applied")
