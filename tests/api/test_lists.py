"""Lists: a page costs the same wherever it is and however many rows there are."""

import csv
import io

import pytest
from django.db import connection
from django.db.models import F, QuerySet
from django.test.utils import CaptureQueriesContext

from accounts_app.models import Account, NatsUser, System
from accounts_app.stages import HELD
from tests import factories
from tests.api.conftest import Api, token_of

LISTS = (
    "systems", "servers", "accounts", "roles", "users", "permissions", "exports", "imports", "mappings",
    "streams", "kv-buckets", "object-buckets", "consumers", "revisions", "holds", "drifts", "jobs", "tokens", "audit",
)  # fmt: skip


@pytest.fixture
def filled(api):
    return factories.demo(users=60, names=("orders", "billing", "fleet"))


@pytest.mark.parametrize("name", LISTS)
def test_a_list_asks_the_database_six_times_at_most(api, filled, name):
    counts = []
    for limit in (1, 1000):
        api.get(f"{name}/?limit={limit}")  # the first use of a token is written down
        with CaptureQueriesContext(connection) as asked:
            assert api.get(f"{name}/?limit={limit}").status_code == 200
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 6, [query["sql"][:120] for query in asked]


@pytest.mark.parametrize("ordering", ["id", "-id", "name", "-name", "created_at", "-created_at"])
def test_pages_hold_every_row_once_and_in_order(api, filled, ordering):
    path, seen = f"users/?limit=7&ordering={ordering}", []
    while path:
        answer = api.get(path)
        assert answer.status_code == 200
        seen += answer.data["results"]
        path = answer.data["next"]
    field = ordering.lstrip("-")
    assert len(seen) == NatsUser.objects.count() == len({row["id"] for row in seen})
    keys = [(row[field], row["id"]) for row in seen]
    assert keys == sorted(keys, reverse=ordering.startswith("-"))


def test_rows_that_come_and_go_between_pages_disturb_no_other(api, acme):
    for number in range(6):
        factories.user(acme, f"u{number}")
    first = api.get("users/?ordering=name&limit=3").data
    NatsUser.objects.get(name="u1").delete()
    factories.user(acme, "u00")
    rest = api.get(first["next"]).data
    assert [row["name"] for row in rest["results"]] == ["u3", "u4", "u5"]


@pytest.mark.parametrize(
    "query, names",
    [
        ("account=BILLING&name=none", set()),
        ("search=orders-checkout", {"orders-checkout"}),
        ("owner=ada", {"orders-checkout"}),
        ("nkey=none", set()),
        ("state=applied&name=orders-checkout", set()),
        ("state=pending&name=orders-checkout", {"orders-checkout"}),
        ("enabled=true&name=orders-checkout", {"orders-checkout"}),
        ("enabled=false&name=orders-checkout", set()),
        ("access=own", {"orders-checkout"}),
    ],
)
def test_users_are_filtered(api, filled, query, names):
    assert {row["name"] for row in api.get(f"users/?{query}").data["results"]} == names


def test_states_are_those_of_the_rows(api, acme):
    states = {"pending": {}, "held": {"problem_kind": "held"}, "failed": {"problem_kind": "failed"}}
    for state, fields in states.items():
        QuerySet(Account).filter(pk=acme.pk).update(problem_wanted=F("wanted"), problem="why", **fields)
        found = api.get(f"accounts/?name=ACME&state={state}").data["results"]
        assert [row["sync"]["state"] for row in found] == [state]
        assert found[0]["sync"]["problem"] == ("" if state == "pending" else "why")
    QuerySet(Account).filter(pk=acme.pk).update(done=F("wanted"))
    assert api.get("accounts/?name=ACME&state=applied").data["results"][0]["sync"]["state"] == "applied"


def test_only_the_fields_that_are_asked_for(api, acme):
    rows = api.get("accounts/?fields=name,sync&name=ACME").data["results"]
    assert [list(row) for row in rows] == [["name", "sync"]]


def test_a_list_comes_as_csv(api, acme):
    factories.user(acme, "=1+1", "publish orders.>")
    answer = api.get("users/?limit=1000", Accept="text/csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert rows[0]["name"] == "'=1+1"
    assert rows[0]["account"] == "ACME"
    assert "orders.>" in rows[0]["permissions"]
    factories.user(acme, "second")
    assert 'rel="next"' in api.get("users/?limit=1", Accept="text/csv").headers["Link"]


def test_an_answer_of_an_unknown_kind_is_refused(api, acme):
    assert api.get("users/", Accept="image/png").status_code == 406


def test_a_list_of_somebody_who_may_see_nothing(api, filled):
    sam = factories.staff("sam")
    for name in LISTS:
        assert Api(token_of(sam)).get(f"{name}/").status_code == 403, name


def test_rows_of_a_system_that_is_only_observed_wait_for_nobody(api, acme):
    factories.user(acme, "late")
    System.objects.update(stage=System.Stage.OBSERVED)
    for resource in ("users", "accounts"):
        (row,) = (row for row in api.get(f"{resource}/").data["results"] if row["name"] in ("late", "ACME"))
        assert (row["sync"]["state"], row["sync"]["problem"]) == ("held", HELD)
        assert row["id"] in {row["id"] for row in api.get(f"{resource}/?state=held").data["results"]}
        assert api.get(f"{resource}/?state=pending").data["results"] == []
