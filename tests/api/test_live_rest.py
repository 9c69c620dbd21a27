"""What the servers do, by REST: tables, topics, series, each for who may see them."""

import csv
import io
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts_app.api import examples
from monitoring import frames, store
from monitoring.archive import Archive
from monitoring.store import Pulse
from monitoring.tables import METRICS, TABLES, Table
from provisioning.models import Revision, RevisionBlock
from tests import factories
from tests.api.conftest import Api, errors, token_of

pytestmark = pytest.mark.usefixtures("valkey")
NAMES = tuple(TABLES)


def row(table, **values):
    """A row as the examples have it, with other values."""
    return [values.get(column, examples.LIVE[table][column]) for column in TABLES[table]]


def put(table, *rows, at=None, seq=7):
    with store.client().pipeline() as pipe:
        made = Table(table, rows, epoch="e", seq=seq, at=time.time() if at is None else at)
        store.put_table(pipe, factories.system().pk, made)
        pipe.execute()


def put_pulse(**values):
    with store.client().pipeline() as pipe:
        told = {"epoch": "e", "seq": 7, "at": time.time() + 600, "connected": True, **values}
        store.put_pulse(pipe, factories.system().pk, Pulse(**told))
        pipe.execute()


def one(api, path):
    answer = api.get(path)
    assert answer.status_code == 200, answer.data
    return answer.data


# --- tables -------------------------------------------------------------------


@pytest.mark.parametrize("table", NAMES)
def test_a_table_that_was_never_seen_is_empty_and_says_so(api, table):
    assert one(api, f"live/{table}/") == {
        "at": None, "age_s": None, "live": False, "seq": 0, "count": 0, "total": 0, "results": [],
    }  # fmt: skip


@pytest.mark.parametrize("table", NAMES)
def test_a_row_is_answered_with_every_column_and_how_old_it_is(api, table):
    put(table, row(table), at=time.time() - 40)
    put_pulse()
    told = one(api, f"live/{table}/")
    assert told["results"] == [examples.LIVE[table]]
    assert told["live"] is True and told["seq"] == 7
    assert 39 < told["age_s"] < 600


def test_a_relay_that_lost_its_servers_is_not_live(api):
    put("connections", row("connections"))
    put_pulse(connected=False, problem="no server answers")
    told = one(api, "live/connections/")
    assert told["live"] is False and told["count"] == 1


@pytest.mark.parametrize("table", NAMES)
def test_what_is_not_known_stands_last_in_both_directions_of_every_column(api, table):
    known = {name: 5 for name, value in examples.LIVE[table].items() if value is None}
    put(table, row(table, **known), [None] * len(TABLES[table]), row(table, **known))
    for column in TABLES[table]:
        for sign in ("", "-"):
            told = one(api, f"live/{table}/?ordering={sign}{column}")["results"]
            assert [each[column] is None for each in told] == [False, False, True]


def test_rows_are_ordered_searched_filtered_and_paged(api):
    many = [
        row("connections", cid=number, app=f"App-{number % 3}", account="ACME" if number % 2 else "SHOP")
        for number in range(30)
    ]
    put("connections", *many)

    def cids(query):
        return [each["cid"] for each in one(api, f"live/connections/?{query}")["results"]]

    assert cids("ordering=cid&limit=3") == [0, 1, 2]
    assert cids("ordering=-cid&limit=3&offset=2") == [27, 26, 25]
    assert cids("ordering=cid&app=App-1&account=ACME") == [1, 7, 13, 19, 25]
    assert cids("ordering=cid&search=aPP-2&limit=2") == [2, 5]
    assert cids("ordering=cid&offset=29") == [29]
    assert cids("offset=30") == []
    told = one(api, "live/connections/?search=app-0&limit=1&fields=cid,account")
    assert (told["count"], told["total"]) == (10, 30)
    assert list(told["results"][0]) == ["cid", "account"]
    ordered = one(api, "live/connections/?ordering=app&limit=1000")["results"]
    assert [each["app"] for each in ordered] == sorted(each["app"] for each in ordered)


def test_search_looks_into_lists_of_texts(api):
    put("streams", row("streams"), row("streams", stream="OTHER", subjects=["stock.>", "prices.*"]))
    assert [each["stream"] for each in one(api, "live/streams/?search=PRICES")["results"]] == ["OTHER"]


@pytest.mark.parametrize(
    "query, field",
    [
        ("limit=0", "limit"), ("limit=1001", "limit"), ("offset=-1", "offset"), ("offset=x", "offset"),
        ("ordering=nothing", "ordering"), ("fields=cid,nothing", "fields"), ("cursor=x", "cursor"),
        ("cid=1", "cid"), ("system=nowhere", "system"), ("app=", "app"), ("account=A&account=B", "account"),
    ],
)  # fmt: skip
def test_a_parameter_that_makes_no_sense_is_told_by_its_name(api, query, field):
    answer = api.get(f"live/connections/?{query}")
    assert answer.status_code == 422
    assert list(errors(answer)) == [field]


def test_a_table_comes_as_csv(api):
    put("connections", row("connections", app="=cmd()"))
    answer = api.get("live/connections/?fields=cid,app,own", Accept="text/csv")
    lines = list(csv.reader(io.StringIO(answer.content.decode())))
    assert lines == [["cid", "app", "own"], ["41", "'=cmd()", "false"]]


VIEWS = {
    "servers": "accounts_app.view_server",
    "accounts": "accounts_app.view_account",
    "connections": "accounts_app.view_natsuser",
    "failures": "accounts_app.view_natsuser",
    "streams": "accounts_app.view_account",
    "consumers": "accounts_app.view_account",
}


@pytest.mark.parametrize("table", NAMES)
def test_a_table_needs_the_right_to_see_what_it_is_about(ada, table):
    put(table, row(table))
    others = sorted(set(VIEWS.values()) - {VIEWS[table]})
    refused = Api(token_of(factories.staff("none", *others))).get(f"live/{table}/")
    assert refused.status_code == 403
    assert one(Api(token_of(factories.staff("some", VIEWS[table]))), f"live/{table}/")["count"] == 1
    assert Api().get(f"live/{table}/").status_code == 401


@pytest.mark.parametrize("table", [name for name in NAMES if name != "servers"])
def test_a_token_for_one_account_learns_of_no_other(ada, acme, table):
    factories.account("SHOP")
    put(table, row(table), row(table, account="SHOP"), row(table, account="GONE"), row(table, account=""))
    narrow = Api(token_of(ada, "read", accounts=["ACME"]))
    told = one(narrow, f"live/{table}/?search=a")
    assert (told["count"], told["total"]) == (1, 1)
    assert told["results"][0]["account"] == "ACME"
    other = one(narrow, f"live/{table}/?account=SHOP")
    assert (other["count"], other["total"], other["results"]) == (0, 1, [])


def test_a_token_for_one_account_sees_no_servers(ada, acme):
    put("servers", row("servers"))
    answer = Api(token_of(ada, "read", accounts=["ACME"])).get("live/servers/")
    assert answer.status_code == 403
    assert "whole system" in errors(answer)[""]


def test_without_redis_there_is_a_sentence_and_no_fault(api, settings, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/nobody"
    answer = api.get("live/connections/")
    assert answer.status_code == 503
    assert errors(answer)[""].startswith("Redis doesn't answer now")
    assert answer.headers["Retry-After"] == "2"


# --- topics -------------------------------------------------------------------


def put_frame(topic, data):
    with store.client().pipeline() as pipe:
        system = factories.system()
        store.put_frame(pipe, system.pk, topic, frames.snapshot(topic, system.name, "e", 7, time.time(), data))
        pipe.execute()


def test_a_topic_is_answered_as_its_last_frame(api):
    put_frame("overview", {"figures": {"connections": 41}})
    put_pulse()
    told = one(api, "live/topics/overview/")
    assert told["type"] == "snapshot" and told["seq"] == 7 and told["live"] is True
    assert told["data"] == {"figures": {"connections": 41}}
    assert 0 <= told["age_s"] < 300


def test_a_topic_of_which_nothing_was_seen_says_so(api):
    answer = api.get("live/topics/events/")
    assert answer.status_code == 404
    assert errors(answer)[""] == "Nothing was seen of this yet."
    assert "overview" in errors(api.get("live/topics/nothing/"))[""]


def test_the_topic_of_an_account_is_asked_for_at_the_relay(api, acme, valkey, settings):
    assert api.get("live/topics/account:ACME/").status_code == 404
    watched = valkey.zrange(f"{settings.LIVE_PREFIX}:{acme.system_id}:watched", 0, -1)
    assert watched == [b"ACME"]
    put_frame("account:ACME", {"row": {}, "events": []})
    assert one(api, "live/topics/account:ACME/")["topic"] == "account:ACME"


@pytest.mark.parametrize(
    "topic, permissions",
    [
        ("overview", ["accounts_app.view_server"]),
        ("events", ["accounts_app.view_natsuser"]),
        ("tables", ["accounts_app.view_server"]),
        ("changes", ["provisioning.view_revision"]),
        ("account:ACME", ["accounts_app.view_account", "accounts_app.view_natsuser"]),
    ],
)
def test_a_topic_needs_the_rights_that_the_protocol_names(ada, acme, topic, permissions):
    put_frame(topic, {})
    everything = {*VIEWS.values(), "provisioning.view_revision"}
    for permission in permissions:
        refused = Api(token_of(factories.staff(f"no {permission[-9:]}", *sorted(everything - {permission}))))
        assert refused.get(f"live/topics/{topic}/").status_code == 403
    assert Api(token_of(factories.staff("some", *permissions))).get(f"live/topics/{topic}/").status_code == 200


def test_a_token_for_one_account_has_that_topic_and_no_other(ada, acme):
    factories.account("SHOP")
    for topic in (*frames.TOPICS, "account:ACME", "account:SHOP"):
        put_frame(topic, {})
    narrow = Api(token_of(ada, "read", accounts=["ACME"]))
    states = {topic: narrow.get(f"live/topics/{topic}/").status_code for topic in frames.TOPICS}
    assert states == dict.fromkeys(frames.TOPICS, 403)
    assert narrow.get("live/topics/account:ACME/").status_code == 200
    assert narrow.get("live/topics/account:SHOP/").status_code == 404
    assert narrow.get("live/topics/account:NONE/").status_code == 404


# --- series -------------------------------------------------------------------


def put_points(step, entity, *points):
    """points: (seconds before now, {metric: value})"""
    now = int(time.time())
    with store.client().pipeline() as pipe:
        for before, values in sorted(points, key=lambda point: -point[0]):
            numbers = [values.get(name, 0.0) for name in METRICS]
            store.put_point(pipe, factories.system().pk, step, entity, now - before, numbers)
        pipe.execute()
    return now


def revision(number, account="ACME", changes=(), before_s=5):
    made = Revision.objects.create(
        system=factories.system(), number=number, renderer=1, wanted=number, changes=list(changes),
        authors=[{"person": "ada", "door": "rest"}],
    )  # fmt: skip
    Revision.objects.filter(pk=made.pk).update(created_at=timezone.now() - timedelta(seconds=before_s))
    RevisionBlock.objects.create(system=made.system, revision=made, account=account, current=False)
    return made


def test_ten_minutes_are_told_by_the_second(api):
    now = put_points(1, "system", (700, {"connections": 1}), (2, {"connections": 2, "cpu": 9}), (1, {"cpu": 12.5}))
    told = one(api, "live/series/?entity=system&metrics=connections,cpu")
    assert told["step_s"] == 1 and told["metrics"] == ["connections", "cpu"] and told["span"] == "10m"
    assert told["points"] == [[now - 2, 2, 9], [now - 1, 0, 12.5]]


def test_a_day_has_as_many_points_as_are_asked_for(api):
    many = [(before, {"connections": before, "auth_failures": before}) for before in range(0, 3600, 10)]
    put_points(10, "server:n1", *many)
    told = one(api, "live/series/?entity=server:n1&span=1d&points=100&metrics=connections,auth_failures")
    assert told["step_s"] == 870
    steps = [point[0] for point in told["points"]]
    assert 4 <= len(steps) <= 6 and all(step % 870 == 0 for step in steps)
    middle = told["points"][2]
    assert middle[2] == 87 * middle[1]  # the sum of 87 numbers, and their mean
    assert len(one(api, "live/series/?entity=server:n1&span=1d&points=10000")["points"]) == 360


def test_thirty_days_come_from_the_minutes_that_are_kept(api):
    archive, began = Archive(), int(time.time()) // 60 * 60 - 3600
    archive.put_minute(factories.system().pk, began, {"system": [3.0] + [0.0] * (len(METRICS) - 1)})
    archive.flush()
    told = one(api, "live/series/?entity=system&span=30d&metrics=connections")
    assert told["step_s"] == 1800
    assert [value for _, value in told["points"]] == [3.0]


def test_revisions_are_marks_on_the_system_and_on_the_accounts_that_they_changed(api, acme):
    words = [{"text": "user `svc` may no longer publish `a.>`", "removes_access": True, "account": "ACME"}]
    revision(1, before_s=700)
    revision(2, changes=words)
    revision(3, "SHOP", [{"text": "account `SHOP` is new", "account": "SHOP"}, *words])
    told = one(api, "live/series/?entity=system")
    assert [(mark["number"], mark["who"]) for mark in told["marks"]] == [(2, "ada"), (3, "ada")]
    assert told["marks"][1]["text"] == "user `svc` may no longer publish `a.>` (and 1 more)"
    assert [mark["number"] for mark in one(api, "live/series/?entity=account:ACME")["marks"]] == [2]
    assert one(api, "live/series/?entity=account:SHOP")["marks"][0]["text"] == "account `SHOP` is new"


def test_series_are_for_who_may_see_what_they_are_of(ada, acme):
    factories.account("SHOP")
    revision(2, "ACME", [{"text": "account `SHOP` is new", "account": "SHOP"}, {"text": "more", "account": "ACME"}])
    narrow = Api(token_of(ada, "read", accounts=["ACME"]))
    assert narrow.get("live/series/?entity=system").status_code == 403
    assert narrow.get("live/series/?entity=server:n1").status_code == 403
    assert narrow.get("live/series/?entity=account:SHOP").status_code == 404
    marks = one(narrow, "live/series/?entity=account:ACME")["marks"]
    assert [(mark["who"], mark["text"]) for mark in marks] == [("", "more")]
    looks = Api(token_of(factories.staff("some", "accounts_app.view_account")))
    assert one(looks, "live/series/?entity=account:ACME")["marks"] == []
    assert looks.get("live/series/?entity=system").status_code == 403


@pytest.mark.parametrize(
    "query, field",
    [
        ("", "entity"), ("entity=x", "entity"), ("entity=server:", "entity"), ("entity=system&span=2d", "span"),
        ("entity=system&metrics=nothing", "metrics"), ("entity=system&points=9", "points"),
        ("entity=system&step=1", "step"),
    ],
)  # fmt: skip
def test_a_series_that_makes_no_sense_is_told_at_its_parameter(api, query, field):
    answer = api.get(f"live/series/?{query}")
    assert answer.status_code == 422
    assert list(errors(answer)) == [field]
