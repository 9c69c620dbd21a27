"""What the servers do, by REST: tables, topics, series, each for who may see them."""

import csv
import io
import time

import pytest

from accounts_app.api import examples
from monitoring import store
from monitoring.store import Pulse
from monitoring.tables import TABLES, Table
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
        told = {"epoch": "e", "seq": 7, "at": time.time(), "connected": True, **values}
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
    assert 39 < told["age_s"] < 60


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
