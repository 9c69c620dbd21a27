"""What Prometheus reads: names and no numbers, bounded, never falling, and only for who may see all of it."""

import json
import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from django.core.cache import cache
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from accounts_app.api import examples
from accounts_app.models import Account, System
from monitoring import frames, store
from monitoring.store import Pulse
from monitoring.tables import TABLES, Table
from provisioning import heartbeat
from provisioning.models import Hold, Revision
from tests import factories
from tests.api.conftest import token_of

GRAFANA = Path(__file__).parents[2] / "docs" / "grafana"


@pytest.fixture(autouse=True)
def _fresh(valkey):
    cache.clear()


@pytest.fixture
def ada(db):
    factories.system()
    return factories.admin()


@pytest.fixture
def opened(settings):
    settings.METRICS_OPEN = True


def row(table, **values):
    return [values.get(column, examples.LIVE[table][column]) for column in TABLES[table]]


def see(system=None, *, connected=True, at=None, **tables):
    """What the relay has seen; one row of the examples of each table that isn't given."""
    pk, now = (system or factories.system()).pk, time.time()
    with store.client().pipeline() as pipe:
        store.put_pulse(pipe, pk, Pulse("e", 1, at or now + 600, connected))
        for name in TABLES:
            store.put_table(pipe, pk, Table(name, tables.get(name, [row(name)]), "e", 1, now))
        data = {"events": [], "counts": {"connect": 7, "auth_error": 2}, "malformed": 1, "unarchived": 0}
        store.put_frame(pipe, pk, "events", frames.snapshot("events", "default", "e", 1, now, data))
        pipe.execute()


def scrape(**headers):
    """{(name, labels as sorted pairs): value} of a scrape."""
    answer = Client().get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.content
    families = text_string_to_metric_families(answer.content.decode())
    told = [
        (each.name, tuple(sorted(each.labels.items())), each.value) for family in families for each in family.samples
    ]
    found = {(name, labels): value for name, labels, value in told}
    assert len(found) == len(told), "a sample is told twice"
    return found


def value(found, name, **labels):
    return found.get((name, tuple(sorted({"system": "default", **labels}.items()))))


# --- figures ------------------------------------------------------------------


def test_servers_accounts_streams_and_consumers_are_told_by_their_names(ada, opened):
    see(servers=[row("servers"), row("servers", server="nats-2", state="unreachable", cpu=None)])
    found = scrape()
    assert value(found, "nunect_server_up", server="nats-1") == 1
    assert value(found, "nunect_server_in_sync", server="nats-1") == 1
    assert value(found, "nunect_server_up", server="nats-2") == 0
    assert value(found, "nunect_server_cpu_ratio", server="nats-1") == 0.125
    assert value(found, "nunect_server_cpu_ratio", server="nats-2") is None
    assert value(found, "nunect_account_in_msgs_total", account="ACME") == 120034
    assert value(found, "nunect_account_connections_limit", account="ACME") == 500
    assert value(found, "nunect_account_jetstream_memory_limit_bytes", account="ACME") is None
    assert value(found, "nunect_stream_bytes", account="ACME", stream="ORDERS") == 10485760
    assert value(found, "nunect_consumer_pending", account="ACME", stream="ORDERS", consumer="billing") == 14
    labels = {name for _sample, pairs in found for name, _value in pairs}
    assert labels <= {"system", "server", "account", "stream", "consumer", "kind", "code", "table", "version", "le"}


def test_nunect_tells_of_itself(ada, opened, valkey):
    see(failures=[row("failures", count=3), row("failures", count=4, address="::1"), row("failures", code="", count=1)])
    heartbeat.beat()
    factories.account("ACME")
    System.objects.update(done=0, wanted=5, revision=4)
    Hold.objects.create(system=factories.system(), account="ACME", reason="many")
    found = scrape()
    assert value(found, "nunect_relay_live") == 1
    assert 0 <= value(found, "nunect_relay_age_seconds") < 300
    assert value(found, "nunect_events_total", kind="connect") == 7
    assert value(found, "nunect_events_malformed_total") == 1
    assert value(found, "nunect_refused_logins", code="wrong_password") == 7
    assert value(found, "nunect_refused_logins", code="") == 1
    assert value(found, "nunect_changes_behind") == 5
    behind = Account.objects.filter(done__lt=F("wanted")).count()
    assert value(found, "nunect_accounts_behind") == behind > 0
    assert value(found, "nunect_revision") == 4
    assert (value(found, "nunect_holds_open"), value(found, "nunect_drifts_open")) == (1, 0)
    assert 0 <= found["nunect_worker_age_seconds", ()] < 300
    valkey.delete(heartbeat.KEY)


def test_of_servers_that_nobody_can_ask_only_their_state_is_told(ada, opened):
    see(connected=False, servers=[row("servers", state="unreachable")])
    found = scrape()
    assert value(found, "nunect_relay_live") == 0
    assert value(found, "nunect_server_up", server="nats-1") == 0
    assert value(found, "nunect_server_connections", server="nats-1") is None
    assert value(found, "nunect_account_connections", account="ACME") is None


def test_what_a_dead_relay_saw_is_no_figure_any_more(ada, opened):
    see(at=time.time() - 60)
    found = scrape()
    assert value(found, "nunect_relay_live") == 0
    assert value(found, "nunect_relay_age_seconds") > 50
    assert not [name for name, _labels in found if name.startswith(("nunect_server_", "nunect_account_c"))]


def test_the_busiest_are_told_and_how_many_others_there_are(ada, opened, settings):
    settings.METRICS_MOST = 2
    see(
        accounts=[row("accounts", account=f"A{n}", in_msgs=n) for n in range(5)],
        consumers=[row("consumers", consumer=f"c{n}", pending=-n) for n in range(3)],
    )
    found = scrape()
    told = {dict(labels)["account"] for name, labels in found if name == "nunect_account_in_msgs_total"}
    assert told == {"A3", "A4"}
    told = {dict(labels)["consumer"] for name, labels in found if name == "nunect_consumer_pending"}
    assert told == {"c0", "c1"}
    assert value(found, "nunect_rows_left_out", table="accounts") == 3
    assert value(found, "nunect_rows_left_out", table="consumers") == 1
    assert value(found, "nunect_rows_left_out", table="servers") == 0


def test_any_name_can_be_told(ada, opened):
    see(streams=[row("streams", stream='a"b\\c\nd\ud800')])
    assert value(scrape(), "nunect_stream_bytes", account="ACME", stream='a"b\\c\nd?') == 10485760


def test_a_scrape_asks_the_database_the_same_number_of_times(ada, opened):
    see()
    revision(1, 1, 2)
    counts = []
    for number in (1, 40):
        for each in range(number):
            factories.account(f"A{number}-{each}")
        many = [row("accounts", account=f"A{each}") for each in range(number)]
        see(accounts=many, servers=[row("servers", server=f"n{each}") for each in range(number)])
        cache.clear()
        with CaptureQueriesContext(connection) as asked:
            scrape()
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 6, [query["sql"][:120] for query in asked]


def test_openmetrics_is_told_to_who_accepts_it(ada, opened):
    see()
    answer = Client().get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    names = {family.name for family in open_metrics(answer.content.decode())}
    assert {"nunect_events", "nunect_save_to_enforced_seconds"} <= names


# --- from save to enforced ----------------------------------------------------


def revision(number, saved_before_s, read_before_s, enforced_before_s=0.0):
    """A save and the revision that answers it, each so many seconds before now."""
    now = timezone.now()
    if saved_before_s is not None:
        account = factories.account(f"R{number}")
        Account.history.filter(id=account.pk).update(history_date=now - timedelta(seconds=saved_before_s))
    made = Revision.objects.create(
        system=factories.system(), number=number, renderer=1, wanted=number,
        snapshot_at=now - timedelta(seconds=read_before_s),
    )  # fmt: skip
    Revision.objects.filter(pk=made.pk).update(created_at=now - timedelta(seconds=enforced_before_s))


@pytest.fixture
def saves(ada, opened):
    """Two revisions: 2 s from save to enforced, and 40 s; and a repair, which answers no save."""
    for model in (System, Account):
        model.history.update(history_date=timezone.now() - timedelta(days=2))
    Revision.objects.create(
        system=factories.system(), number=1, renderer=1, wanted=1, snapshot_at=timezone.now() - timedelta(days=1)
    )
    first = Revision.objects.get()
    Revision.objects.filter(pk=first.pk).update(created_at=first.snapshot_at)
    revision(2, 302, 301, 300)
    revision(3, 140, 101, 100)
    revision(4, None, 50, 10)


def sums(found):
    edges = {dict(labels)["le"]: count for (name, labels), count in found.items() if name.endswith("seconds_bucket")}
    return edges, value(found, "nunect_save_to_enforced_seconds_sum")


def test_a_revision_counts_from_the_first_save_that_it_answers(saves):
    edges, seconds = sums(scrape())
    assert edges["1.0"] == 0 and edges["2.5"] == 1 and edges["30.0"] == 1 and edges["60.0"] == 2
    assert edges["300.0"] == 2 and edges["+Inf"] == 3  # the system itself was made a day before its first revision
    assert seconds == pytest.approx(86_400 + 2 + 40, abs=1)


def test_sums_grow_and_are_the_same_when_they_are_counted_anew(saves):
    before = sums(scrape())
    assert sums(scrape()) == before
    revision(5, 4, 3, 0)
    after = sums(scrape())
    assert after[0]["2.5"] == before[0]["2.5"] and after[0]["5.0"] == before[0]["5.0"] + 1
    assert after[1] == pytest.approx(before[1] + 4, abs=0.1)
    cache.clear()
    anew = sums(scrape())
    assert anew[0] == after[0] and anew[1] == pytest.approx(after[1])


def test_sums_of_another_database_are_forgotten(saves):
    scrape()
    Revision.objects.filter(number=4).delete()
    assert sums(scrape())[0]["+Inf"] == 3
    Revision.objects.filter(number__gt=1).delete()
    assert sums(scrape())[0]["+Inf"] == 1


# --- doors --------------------------------------------------------------------


def test_a_token_that_reads_the_whole_system_gets_the_figures(ada):
    see()
    found = scrape(Authorization=f"Bearer {token_of(ada, 'read')}")
    assert value(found, "nunect_relay_live") == 1


def test_others_are_told_why_not_in_plain_words(ada):
    factories.account("ACME")
    narrow = token_of(ada, "read", accounts=["ACME"])
    some = token_of(factories.staff("some", "accounts_app.view_server"))
    told = {}
    for bare in ("", "nun_wrong", narrow, some):
        headers = {"Authorization": f"Bearer {bare}"} if bare else {}
        answer = Client().get("/metrics", headers=headers)
        assert answer.headers["Content-Type"].startswith("text/plain")
        told[bare] = (answer.status_code, answer.content.decode())
    assert told[""][0] == 401 and "Authorization: Bearer" in told[""][1]
    assert told["nun_wrong"] == (401, "This token is not known, or has expired, or was revoked.\n")
    assert told[narrow] == (403, "This token is for single accounts; this is about the whole system.\n")
    assert told[some] == (403, "You have no right to view accounts.\n")
    assert Client().post("/metrics").status_code == 405


def test_without_redis_the_database_is_told_and_that_redis_is_gone(ada, opened, settings, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/nobody"
    found = scrape()
    assert found["nunect_redis_up", ()] == 0 and found["nunect_database_up", ()] == 1
    assert value(found, "nunect_changes_behind") is not None
    assert not [name for name, _labels in found if name.startswith(("nunect_relay", "nunect_server"))]


def test_without_the_database_a_scrape_says_so(ada, opened):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_app_system RENAME TO away")
    found = scrape()
    assert found["nunect_database_up", ()] == 0
    assert {name for name, _labels in found} == {"nunect_build_info", "nunect_database_up"}


# --- the examples for Grafana and Prometheus ------------------------------------


def test_every_metric_of_the_examples_is_in_a_scrape(saves, valkey):
    see(
        accounts=[row("accounts", js_max_memory=1)],
        servers=[row("servers", js_max_memory=1)],
        streams=[row("streams", max_bytes=1)],
    )
    heartbeat.beat()
    names = {name for name, _labels in scrape()}
    valkey.delete(heartbeat.KEY)
    rules = yaml.safe_load((GRAFANA / "rules.yml").read_text())
    asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    dashboard = json.loads((GRAFANA / "nunect.json").read_text())
    asked += [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    asked += [each["expr"] for each in dashboard["annotations"]["list"]]
    asked += [each["query"]["query"] for each in dashboard["templating"]["list"] if isinstance(each["query"], dict)]
    used = {name for expr in asked for name in re.findall(r"\bnunect_[a-z_]+", expr)}
    assert len(used) > 20
    assert used <= names, used - names
    told = set(re.findall(r"`(nunect_[a-z_]+)`", (GRAFANA.parent / "metrics.md").read_text()))
    parts = {f"nunect_save_to_enforced_seconds_{part}" for part in ("bucket", "sum", "count")}
    assert told == names - parts | {"nunect_save_to_enforced_seconds"}


def test_panels_and_rules_have_names_of_their_own():
    dashboard = json.loads((GRAFANA / "nunect.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    rules = yaml.safe_load((GRAFANA / "rules.yml").read_text())["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    assert all(rule["annotations"]["summary"] for rule in rules)
