"""Answers of REST in the shape that is agreed, from what the store holds: for the pages' own tests."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.urls import Resolver404, resolve

from accounts_app.models import System
from monitoring import store
from monitoring.tables import METRICS

NO_MARKS = b'{"data": {"marks": []}}'
SPANS = {"10m": (1, 1), "1d": (10, 10), "30d": (10, 60)}


def exists(path: str) -> bool:
    """Whether nunect answers it itself."""
    try:
        view: Any = resolve(path).func
        return str(getattr(view, "cls", view).__name__) != "Nowhere"
    except Resolver404:
        return False


def series(system: System, asked: dict[str, str]) -> dict[str, Any]:
    stored, step = SPANS[asked["span"]]
    metrics = asked["metrics"].split(",")
    points = store.read_series(system.pk, stored, asked["entity"])
    rows = [[int(point[0]), *(point[METRICS.index(name) + 1] for name in metrics)] for point in points]
    frame = json.loads(store.read_frame(system.pk, "changes") or NO_MARKS)
    return {
        "entity": asked["entity"],
        "span": asked["span"],
        "step_s": 40 if stored == 10 else step,
        "metrics": metrics,
        "points": rows,
        "marks": frame["data"]["marks"],
    }


def archive(system: System, asked: dict[str, str]) -> dict[str, Any]:
    frame = json.loads(store.read_frame(system.pk, "events") or b'{"data": {"events": []}}')
    marks = {
        mark["number"]: mark for mark in json.loads(store.read_frame(system.pk, "changes") or NO_MARKS)["data"]["marks"]
    }
    rows = [
        event
        for event in frame["data"]["events"]
        if (not asked.get("kind") or event["kind"] == asked["kind"])
        and all(asked.get(name, event[name]) == event[name] for name in ("account", "user", "server"))
        and asked.get("search", "").lower() in event["text"].lower()
        and (not asked.get("until") or event["at"] < asked["until"])
    ]
    start = int(asked.get("cursor", 0))
    page = [{**event, "preceded_by": marks.get(event["revision"])} for event in rows[start : start + 20]]
    return {"results": page, "next": str(start + 20) if len(rows) > start + 20 else None}


def stand_in(page: Any) -> None:
    """Answer in a Playwright page what nunect doesn't answer yet."""

    def answer(route: Any) -> None:
        address = urlsplit(route.request.url)
        if exists(address.path):
            route.fallback()
            return
        system = System.objects.order_by("pk").first()
        asked = {key: values[0] for key, values in parse_qs(address.query).items()}
        if address.path.startswith("/api/v1/live/topics/"):
            frame = store.read_frame(system.pk, address.path.rstrip("/").rpartition("/")[2].replace("%3A", ":"))
            route.fulfill(status=200 if frame else 404, body=frame or b"{}", content_type="application/json")
        elif address.path == "/api/v1/live/series/":
            route.fulfill(json=series(system, asked))
        elif address.path == "/api/v1/live/events/":
            route.fulfill(json=archive(system, asked))
        else:
            route.fallback()

    page.route("**/api/v1/live/**", answer)
