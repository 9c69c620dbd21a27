"""What a relay would have written into Redis: an empty system, a busy one, one in trouble. For tests and pictures.

Everything is written through `store`, so it needs the fixture `valkey`, or settings that name a Redis.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Mapping
from typing import Any

from accounts_app.models import Account, System
from monitoring import frames, store
from monitoring.events import KINDS, Event, moment
from monitoring.tables import METRICS, TABLES, Table
from provisioning.models import Revision
from tests import factories

EPOCH = "9f2c"
APPS = ("orders-api", "billing-worker", "fleet-gateway", "telemetry-edge", "ledger-sync", "notify-cron", "search-api")
MOVING = METRICS[:6]
SERVERS = ("east-1", "east-2", "west-1")


class Picture:
    """One moment of a system: change its tables, figures and events, then `write` it."""

    def __init__(self, system: System, *, seed: int = 4):
        self.system = system
        self.chance = random.Random(seed)
        self.at = time.time()
        self.lives_s = 600.0  # so long its relay is taken for one that lives
        self.seq = 1000
        self.epoch = EPOCH
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        self.figures: dict[str, float] = dict.fromkeys((*METRICS, "js_max_storage", "js_max_memory"), 0)
        self.events: list[Event] = []
        self.counts: dict[str, int] = dict.fromkeys(KINDS, 0)
        self.marks: list[dict[str, Any]] = []
        self.changes: dict[str, Any] = {"state": "applied", "problem": "", "revision": 0, "holds": 0, "drifts": 0}
        self.connected, self.problem, self.since = True, "", self.at

    # --- what the topics say ---

    def add(self, table: str, **values: Any) -> dict[str, Any]:
        """A row of a table; what isn't given is empty."""
        empty = {"text": "", "texts": [], "yes": False, "time": None}
        row = {column: empty.get(kind, 0) for column, kind in TABLES[table].items()}
        assert values.keys() <= row.keys(), values.keys() - row.keys()
        self.rows[table].append({**row, **values})
        return self.rows[table][-1]

    def happen(self, kind: Any, text: str, *, ago_s: float = 0.0, **values: Any) -> Event:
        """An event, `ago_s` seconds before the picture."""
        at = self.at - ago_s
        event = Event(at=at, id=f"{kind}:{len(self.events)}:{at:.3f}", kind=kind, text=text, **values)
        self.events = sorted([event, *self.events], key=lambda one: -one.at)[:200]
        self.counts[kind] += 1
        return event

    def spark(self) -> dict[str, list[float]]:
        points = store.read_series(self.system.pk, 10, "system")[-60:]
        told: dict[str, list[float]] = {"at": [int(point[0]) for point in points]}
        for name in ("connections", "in_msgs_rate", "out_msgs_rate", "in_bytes_rate", "out_bytes_rate"):
            told[name] = [round(point[METRICS.index(name) + 1], 1) for point in points]
        for name in ("js_storage", "auth_failures", "slow_consumers"):
            told[name] = [round(point[METRICS.index(name) + 1], 1) for point in points]
        return told

    def topics(self) -> dict[str, dict[str, Any]]:
        """{topic: its data}"""
        shown = ("server", "state", "revision", "intended", "connections", "in_msgs_rate", "out_msgs_rate")
        busiest = sorted(self.rows["accounts"], key=lambda row: -(row["in_msgs_rate"] + row["out_msgs_rate"]))
        names = ("connections", "subscriptions", "in_msgs_rate", "out_msgs_rate", "in_bytes_rate", "out_bytes_rate")
        more = ("js_storage", "js_max_storage", "js_memory", "js_max_memory", "auth_failures", "slow_consumers")
        return {
            "overview": {
                "figures": {name: self.figures[name] for name in (*names, *more)},
                "spark": self.spark(),
                "servers": [
                    {name: row[name] for name in (*shown, "cpu", "rss", "detail")} for row in self.rows["servers"]
                ],
                "accounts": busiest[:10],
            },
            "events": {
                "events": [event.as_dict() for event in self.events],
                "counts": self.counts,
                "malformed": 0,
                "unarchived": 0,
            },
            "tables": {name: {"count": len(rows), "seq": self.seq} for name, rows in self.rows.items()},
            "changes": {"wanted": 57, "done": 57, **self.changes, "marks": self.marks},
            **{
                f"account:{row['account']}": {
                    "row": row,
                    "events": [event.as_dict() for event in self.events if event.account == row["account"]][:20],
                }
                for row in self.rows["accounts"]
            },
        }

    # --- into Redis ---

    def write(self) -> Picture:
        """Tables, frames and pulse as they are now, as one relay's pass."""
        self.seq += 1
        pipe = store.client().pipeline(transaction=False)
        for name, rows in self.rows.items():
            packed = [list(row.values()) for row in rows]
            store.put_table(pipe, self.system.pk, Table(name, packed, self.epoch, self.seq, self.at))
        for topic, data in self.topics().items():
            frame = frames.snapshot(topic, self.system.name, self.epoch, self.seq, self.at, data)
            store.put_frame(pipe, self.system.pk, topic, frame)
        seen_at = self.at + self.lives_s
        pulse = store.Pulse(self.epoch, self.seq, seen_at, self.connected, self.problem, self.since)
        store.put_pulse(pipe, self.system.pk, pulse)
        pipe.execute()
        return self

    def write_series(self, entity: str, base: Mapping[str, float], *, points: int = 120) -> None:
        """The past of an entity: waves around `base`, the last `points` seconds and as many points of the day."""
        pipe = store.client().pipeline(transaction=False)
        for step, apart in ((1, 1), (10, 40)):
            for back in range(points, 0, -1):
                at = self.at - back * apart
                wave = _wave(at) / _wave(self.at) + self.chance.uniform(-0.03, 0.03)
                values = [base.get(name, 0) * (wave if name in MOVING else 1) for name in METRICS]
                store.put_point(pipe, self.system.pk, step, entity, at, [round(value, 1) for value in values])
        pipe.execute()

    def tick(self, seconds: float = 1.0) -> Picture:
        """Time goes on: rates move a little, and one point more."""
        self.at += seconds
        for name in ("in_msgs_rate", "out_msgs_rate", "in_bytes_rate", "out_bytes_rate"):
            self.figures[name] = round(self.figures[name] * self.chance.uniform(0.97, 1.03), 1)
        pipe = store.client().pipeline(transaction=False)
        store.put_point(pipe, self.system.pk, 1, "system", self.at, [self.figures[name] for name in METRICS])
        pipe.execute()
        return self.write()


def empty(system: System) -> Picture:
    """A relay that sees one server and nobody on it."""
    picture = Picture(system)
    picture.add("servers", **_server("nunect-1", picture.at), revision=1, intended=1, state="in_sync")
    picture.changes["revision"] = 1
    picture.write_series("system", {}, points=60)
    return picture.write()


def busy(system: System) -> Picture:
    """3 servers, 500 connections, 50 accounts, 12 streams. Makes the accounts' rows and a few revisions."""
    picture = Picture(system)
    accounts = _accounts(system)
    chance = picture.chance
    for name in SERVERS:
        picture.add("servers", **_server(name, picture.at, cluster="main"), revision=42, intended=42, state="in_sync")
    users = {account.name: account.users.first() for account in accounts}
    for number in range(500):
        account = accounts[min(int((number / 500) ** 2 * len(accounts)), len(accounts) - 1)]
        user, app = users[account.name], APPS[number % len(APPS)]
        incoming = round(chance.lognormvariate(2, 1.4), 1)
        picture.add(
            "connections",
            server=SERVERS[number % 3],
            server_id=f"N{SERVERS[number % 3].upper()}",
            cid=number + 7,
            account=account.name,
            user=user.name if user else f"{account.name.lower()}-svc",
            user_pk=user.pk if user else None,
            owner="ada" if number % 3 == 0 else "",
            app=f"{app}-{number % 9}" if number % 4 else app,
            address=f"10.0.{number % 4}.{number % 250}",
            kind=("nats", "nats", "nats", "websocket", "mqtt", "leafnode")[number % 6],
            lang=("go", "python3", "rust", "nats.js")[number % 4],
            version="1.37.0",
            started_at=moment(picture.at - 60 * number - 5),
            idle_s=number % 90,
            rtt_ms=1 + number % 14,
            subscriptions=1 + number % 23,
            pending_bytes=0 if number % 50 else 524_288,
            in_msgs=number * 1311,
            out_msgs=number * 5203,
            in_msgs_rate=incoming,
            out_msgs_rate=incoming * 4,
            in_bytes_rate=incoming * 220,
            out_bytes_rate=incoming * 880,
            revision=40 - number % 12,
            own=number == 0,
        )
    for number, account in enumerate(accounts):
        mine = [row for row in picture.rows["connections"] if row["account"] == account.name]
        total = {name: round(sum(row[name] for row in mine), 1) for name in METRICS[2:6]}
        picture.add(
            "accounts",
            account=account.name,
            account_pk=account.pk,
            owner="ada" if number % 3 == 0 else "",
            connections=len(mine),
            max_connections=None if number % 4 == 0 else len(mine) * 2 + 5,
            subscriptions=sum(row["subscriptions"] for row in mine),
            max_subscriptions=None,
            in_msgs=sum(row["in_msgs"] for row in mine),
            out_msgs=sum(row["out_msgs"] for row in mine),
            **total,
            streams=int(number < 6) * 2,
            max_streams=10 if number < 6 else None,
            consumers=3 if number < 6 else 0,
            js_storage=number * 48 * 1024**2 if number < 6 else 0,
            js_max_storage=1024**3 if number < 6 else None,
            max_consumers=None,
            js_max_memory=None,
            revision=40 - number % 12,
        )
    for number in range(12):
        account = accounts[number // 2]
        name = ("EVENTS", "JOBS")[number % 2]
        picture.add(
            "streams",
            account=account.name,
            account_pk=account.pk,
            stream=name,
            subjects=[f"{account.name.lower()}.>"],
            storage="file",
            retention="limits" if number % 2 == 0 else "workqueue",
            replicas=3,
            leader=SERVERS[number % 3],
            state="ok",
            messages=10_000 * (number + 1),
            bytes=24 * 1024**2 * (number + 1),
            max_bytes=512 * 1024**2,
            max_messages=-1,
            consumers=1 + number % 2,
            first_at=moment(picture.at - 86_400 * number - 3600),
            last_at=moment(picture.at - number),
            in_msgs_rate=12.5 * (number + 1),
            server=SERVERS[number % 3],
        )
        picture.add(
            "consumers",
            account=account.name,
            account_pk=account.pk,
            stream=name,
            consumer=f"worker-{number}",
            durable=True,
            pull=True,
            filter=[],
            pending=number * 7,
            ack_pending=number,
            max_ack_pending=1000,
            redelivered=number // 4,
            waiting=2,
            delivered=90_000,
            delivered_rate=11.5,
            acked_at=moment(picture.at - number),
            server=SERVERS[number % 3],
        )
    _total(picture)
    for row in picture.rows["servers"]:
        mine = [one for one in picture.rows["connections"] if one["server"] == row["server"]]
        row |= {"connections": len(mine), "subscriptions": sum(one["subscriptions"] for one in mine)}
        row |= {name: round(sum(one[name] for one in mine), 1) for name in METRICS[2:6]}
    _revisions(picture)
    _happenings(picture, accounts)
    _failure(picture, accounts[0].name, "svc-report", "Authentication Failure", "The password is wrong.", 3)
    picture.write_series("system", picture.figures, points=600)
    for name in SERVERS:
        picture.write_series(f"server:{name}", {key: value / 3 for key, value in picture.figures.items()} | {"cpu": 21})
    for row in picture.rows["accounts"][:6]:
        picture.write_series(f"account:{row['account']}", row)
    return picture.write()


def trouble(system: System) -> Picture:
    """The busy system on a bad day: a server gone, one foreign, refusals, slow consumers, a stream without leader."""
    picture = busy(system)
    east, gone, foreign = picture.rows["servers"]
    east |= {"state": "pending", "intended": 43}
    gone |= {"state": "unreachable", "connections": 0, "in_msgs_rate": 0, "out_msgs_rate": 0, "cpu": 0}
    gone |= {"detail": "No answer since 40 s; its last words were a lame-duck notice.", "intended": 43}
    foreign |= {"state": "foreign", "detail": "It runs a conf that nunect did not write.", "intended": 43}
    for number, row in enumerate(picture.rows["accounts"][:3]):
        row |= {"slow_consumers": 4 - number, "max_connections": row["connections"] + 1}
    picture.rows["streams"][1] |= {"state": "no_leader", "leader": ""}
    picture.rows["streams"][4] |= {"state": "lagging", "bytes": 505 * 1024**2}
    picture.rows["consumers"][3] |= {"pending": 184_220, "redelivered": 903, "ack_pending": 1000}
    picture.figures |= {
        "slow_consumers": 9,
        "auth_failures": 214,
        "js_storage": picture.figures["js_max_storage"] * 0.97,
    }
    accounts = [row["account"] for row in picture.rows["accounts"]]
    _failure(picture, accounts[1], "billing-worker-00012", "Authentication Failure", "The password is wrong.", 190)
    _failure(picture, "", "legacy", "Authentication Failure", "There is no user of that name.", 17)
    _failure(picture, accounts[3], "fleet-gw", "Authentication Expired", "Its expiry has passed.", 4)
    for number in range(20):
        picture.happen(
            "auth_error",
            f"`billing-worker-00012` was refused at {SERVERS[0]}: the password is wrong.",
            ago_s=number * 0.4,
            level="error",
            server=SERVERS[0],
            account=accounts[1],
            user="billing-worker-00012",
            app="billing-worker",
            address="10.0.3.9",
            reason="Authentication Failure",
            revision=43,
        )
    picture.happen("server", f"{SERVERS[1]} is not reached any more.", ago_s=40, level="error", server=SERVERS[1])
    picture.happen("drift", f"{SERVERS[2]} runs a conf that nunect did not write.", ago_s=65, level="warning")
    picture.happen(
        "advisory", f"Stream `JOBS` of {accounts[0]} has no leader.", ago_s=30, level="error", account=accounts[0]
    )
    picture.changes |= {"state": "failed", "holds": 1, "drifts": 1, "wanted": 58}
    picture.changes["problem"] = "east-2 does not answer: no servers available for the request."
    return picture.write()


def dead(picture: Picture, *, for_s: float = 40.0, problem: str = "") -> Picture:
    """The relay stopped `for_s` seconds ago, or says that it sees nothing."""
    stopped = picture.at - for_s
    frames_at, picture.at, picture.lives_s = picture.at, stopped, 0.0
    picture.connected, picture.problem, picture.since = not problem, problem, stopped
    picture.write()
    if problem:  # a relay that lives and sees nothing still says so
        pulse = store.Pulse(picture.epoch, picture.seq, frames_at + 600, False, problem, stopped)
        pipe = store.client().pipeline(transaction=False)
        store.put_pulse(pipe, picture.system.pk, pulse)
        pipe.execute()
    return picture


def read(system: System, topic: str) -> dict[str, Any]:
    """The data of a topic's stored frame."""
    found = store.read_frame(system.pk, topic)
    assert found, topic
    told: dict[str, Any] = json.loads(found)["data"]
    return told


# --- parts -----------------------------------------------------------------------------------------------


def _wave(at: float) -> float:
    return 1 + 0.25 * math.sin(at / 900) + 0.12 * math.sin(at / 67)


def _server(name: str, at: float, cluster: str = "") -> dict[str, Any]:
    return {
        "server": name,
        "id": f"N{name.upper()}",
        "cluster": cluster,
        "version": "2.11.4",
        "host": f"{name}.example.org",
        "digest": "sha256:1f0c",
        "started_at": moment(at - 86_400 * 9),
        "seen_at": moment(at),
        "cpu": 21.5,
        "cores": 4,
        "rss": 96 * 1024**2,
        "total_connections": 9100,
        "js_storage": 240 * 1024**2,
        "js_max_storage": 4 * 1024**3,
        "js_max_memory": 256 * 1024**2,
    }


def _accounts(system: System, count: int = 50) -> list[Account]:
    if not Account.objects.filter(system=system, name="ORDERS").exists():
        factories.demo(users=200)
    for number in range(Account.objects.filter(system=system).exclude(name__startswith="$").count(), count):
        made = Account.objects.create(system=system, name=f"TEAM-{number:02d}", description="A team's own account")
        factories.user(made, f"team-{number:02d}-svc", "publish team.>")
    return list(Account.objects.filter(system=system).exclude(name__startswith="$").order_by("pk")[:count])


def _total(picture: Picture) -> None:
    rows = picture.rows
    picture.figures |= {
        "connections": len(rows["connections"]),
        "subscriptions": sum(row["subscriptions"] for row in rows["connections"]),
        **{name: round(sum(row[name] for row in rows["connections"]), 1) for name in METRICS[2:6]},
        "js_storage": sum(row["js_storage"] for row in rows["accounts"]),
        "js_max_storage": 12 * 1024**3,
        "js_max_memory": 768 * 1024**2,
        "auth_failures": 3,
    }


def _revisions(picture: Picture) -> None:
    said = (
        "user `svc` may no longer publish `invoice.>`",
        "account `ORDERS`: connections limited to 500",
        "user `orders-checkout` added",
        "role `service` of `FLEET` may publish `fleet.>`",
    )
    for number in range(36, 43):
        text = said[number % len(said)]
        at = picture.at - (42 - number) * 95 - 70
        made, _ = Revision.objects.get_or_create(
            system=picture.system,
            number=number,
            defaults={
                "sha256": str(number),
                "text_sha256": str(number),
                "renderer": 1,
                "wanted": number,
                "changes": [{"text": text}],
                "authors": [{"person": ("ada", "grace")[number % 2]}],
            },
        )
        Revision.objects.filter(pk=made.pk).update(created_at=moment(at))
        picture.marks.append({"number": number, "at": moment(at), "who": ("ada", "grace")[number % 2], "text": text})
    picture.changes["revision"] = 42


def _happenings(picture: Picture, accounts: list[Account]) -> None:
    for number, row in enumerate(picture.rows["connections"][:60]):
        server = f"{row['app']} connected to {row['server']} as `{row['user']}`."
        known = {name: row[name] for name in ("server", "account", "user", "user_pk", "owner", "app", "address", "cid")}
        pk = next(account.pk for account in accounts if account.name == row["account"])
        if number % 5 == 4:
            text = f"{row['app']} left {row['server']}: the client closed the connection."
            picture.happen(
                "disconnect", text, ago_s=3 + number * 11, **known, account_pk=pk, reason="Client Closed", revision=42
            )
        else:
            picture.happen("connect", server, ago_s=3 + number * 11, **known, account_pk=pk, revision=42)
    for mark in picture.marks[-4:]:
        number = mark["number"]
        ago_s = (42 - number) * 95 + 70
        picture.happen("revision", f"{mark['who']} changed: {mark['text']}.", ago_s=ago_s, revision=number)
        picture.happen(
            "reload", f"{SERVERS[0]} took revision {number}.", ago_s=ago_s - 1, server=SERVERS[0], revision=number
        )
    picture.happen(
        "auth_error",
        f"`svc-report` was refused at {SERVERS[0]}: the password is wrong.",
        ago_s=18,
        level="error",
        server=SERVERS[0],
        account=accounts[0].name,
        account_pk=accounts[0].pk,
        user="svc-report",
        app="report",
        address="10.0.0.17",
        reason="Authentication Failure",
        revision=42,
    )
    picture.counts |= {"connect": 1041, "disconnect": 541}


def _failure(picture: Picture, account: str, user: str, reason: str, why: str, count: int) -> None:
    remedy = "Rotate its secret, or correct the one that the app has."
    picture.add(
        "failures",
        user=user,
        account=account,
        address="10.0.3.9",
        app="billing-worker",
        server=SERVERS[0],
        reason=reason,
        why=why,
        remedy=remedy,
        code="password",
        count=count,
        first_at=moment(picture.at - 600),
        last_at=moment(picture.at - 1),
    )
