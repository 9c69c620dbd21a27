"""REST: the last frame of a topic of the live socket, and the series behind its charts."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.access import require, require_whole, visible
from accounts_app.api.problems import Invalid
from accounts_app.api.query import only_known
from accounts_app.models import Account, Server, System
from monitoring import frames, jobs_live, live_reach, live_series, store
from monitoring.events import moment
from monitoring.live_schema import SYSTEM, LiveSchema
from monitoring.live_tables_api import age_of, whole
from monitoring.seeing import NEEDS, OF_ACCOUNT
from monitoring.tables import METRICS
from provisioning.models import Job

_POINTS, _MOST_POINTS = 1440, 10_000
FIRST_FRAME_S = 1.5  # for the relay to make the topic of an account that nobody watched before
_ENTITY = re.compile(r"system|server:.{1,200}|account:.{1,64}")


class Topic(serializers.Serializer[Any]):
    """A snapshot frame as the socket sends it (docs/protocol.md), and how old it is."""

    type = serializers.CharField()
    topic = serializers.CharField()
    system = serializers.CharField()
    epoch = serializers.CharField()
    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    data = serializers.DictField()  # type: ignore[assignment]
    live = serializers.BooleanField(help_text="Whether the relay sees the servers now.")
    age_s = serializers.FloatField(allow_null=True, help_text="Seconds since this was seen.")


class OneTopic(APIView):
    """The last state of a topic: what a page asks for that has no socket."""

    schema = LiveSchema()
    OPERATIONS = {"GET": "live_topic"}
    ANSWERS = {"GET": Topic}

    def asks(self) -> list[OpenApiParameter]:
        told = f"One of {', '.join(frames.TOPICS)}, {frames.ACCOUNT}NAME or {frames.JOB}ID."
        return [SYSTEM, OpenApiParameter("topic", str, OpenApiParameter.PATH, description=told)]

    def get(self, request: Any, topic: str) -> Response:
        if topic in NEEDS:
            require(request.user, "view", NEEDS[topic])
            require_whole(request.user)
        elif frames.is_job(topic):
            require(request.user, "view", Job)
        elif not topic.startswith(frames.ACCOUNT):
            raise NotFound(f"The topics are {', '.join(frames.TOPICS)}, {frames.ACCOUNT}NAME and {frames.JOB}ID.")
        else:
            for model in OF_ACCOUNT:
                require(request.user, "view", model)
        only_known(request, ("system",))
        system = live_reach.asked_system(request)
        if frames.of_jobs(topic):
            return Response(_of_jobs(request.user, system, topic))
        account = topic.removeprefix(frames.ACCOUNT) if topic.startswith(frames.ACCOUNT) else ""
        if account:
            _require_account(request.user, system, account)
        with live_reach.redis_answers():
            if account:
                store.watch(system.pk, [account])  # the relay makes it for those who ask
            pulse = store.read_pulse(system.pk)
            frame = _frame(system.pk, topic, wait=bool(account) and pulse.live)
        if frame is None:
            raise NotFound("Nothing was seen of this yet.")
        told = json.loads(frame)
        return Response({**told, "live": pulse.live, "age_s": age_of(datetime.fromisoformat(told["at"]).timestamp())})


def _of_jobs(person: Any, system: System, topic: str) -> dict[str, Any]:
    """The topic from the rows, as they are now: neither relay nor Redis is needed. Raises Http404."""
    if topic != "jobs":
        seen = Job.objects.filter(system=system, pk=topic.removeprefix(frames.JOB))
        if not visible(seen, person).exists():
            raise Http404
    data = jobs_live.told(system.pk, [topic]).get(topic)
    if data is None:
        raise Http404
    at = moment(time.time())
    told = {"type": "snapshot", "topic": topic, "system": system.name, "epoch": "rows", "seq": 0, "at": at}
    return {**told, "data": data, "live": True, "age_s": 0.0}


def _frame(system: int, topic: str, *, wait: bool) -> bytes | None:
    """A topic's last frame. wait: the relay begins to make it now; it takes a moment."""
    end = time.monotonic() + FIRST_FRAME_S
    while (frame := store.read_frame(system, topic)) is None and wait and time.monotonic() < end:
        time.sleep(0.05)
    return frame


class SeriesSerializer(serializers.Serializer[Any]):
    class Mark(serializers.Serializer[Any]):
        number = serializers.IntegerField()
        at = serializers.DateTimeField()
        who = serializers.CharField()
        text = serializers.CharField(help_text="What the revision changed.")

    entity = serializers.CharField()
    span = serializers.ChoiceField(list(live_series.SPANS))
    step_s = serializers.IntegerField(help_text="Seconds from one point to the next; a step without a point is a gap.")
    metrics = serializers.ListField(child=serializers.ChoiceField(METRICS))
    points = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField()),
        help_text="Seconds since 1970, then a value for each metric; oldest first.",
    )
    marks = Mark(many=True, help_text=f"Revisions within the span, the last {live_series.MARKS}.")


class Series(APIView):
    """The figures of a system, a server or an account over time, and the revisions in between."""

    schema = LiveSchema()
    OPERATIONS = {"GET": "live_series"}
    ANSWERS = {"GET": SeriesSerializer}

    def asks(self) -> list[OpenApiParameter]:
        entity = {"type": "string", "pattern": f"^({_ENTITY.pattern})$"}
        points = {"type": "integer", "minimum": 10, "maximum": _MOST_POINTS, "default": _POINTS}
        told = f"With commas between, all by default: {', '.join(METRICS)}."
        return [
            SYSTEM,
            OpenApiParameter("entity", entity, required=True, description="system, server:NAME or account:NAME."),
            OpenApiParameter("span", str, enum=list(live_series.SPANS), default="10m", description="Until now."),
            OpenApiParameter("metrics", str, description=told),
            OpenApiParameter("points", points, description="At most so many: neighbours become one."),
        ]

    def get(self, request: Any) -> Response:
        entity = request.query_params.get("entity", "")
        account = entity.removeprefix(frames.ACCOUNT) if entity.startswith(frames.ACCOUNT) else ""
        require(request.user, "view", Account if account else Server)
        if not account:
            require_whole(request.user)
        only_known(request, ("system", "entity", "span", "metrics", "points"))
        if not _ENTITY.fullmatch(entity):
            raise Invalid("entity", "This must be system, server:NAME or account:NAME.")
        name = request.query_params.get("span", "10m")
        span = live_series.SPANS.get(name)
        if span is None:
            raise Invalid("span", f"This must be one of {', '.join(live_series.SPANS)}.")
        metrics = _metrics(request.query_params.get("metrics", ""))
        most = whole(request.query_params.get("points"), "points", _POINTS, 10, _MOST_POINTS)
        system = live_reach.asked_system(request)
        if account:
            _require_account(request.user, system, account)
        step = live_series.step_of(span, most)
        with live_reach.redis_answers():
            points = live_series.points_of(system.pk, entity, span)
        return Response(
            {
                "entity": entity,
                "span": name,
                "step_s": step,
                "metrics": metrics,
                "points": list(live_series.thinned(points, step, metrics)),
                "marks": live_series.marks_of(request.user, system, account, span),
            }
        )


def _metrics(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")] if text else list(METRICS)
    if unknown := [name for name in names if name not in METRICS]:
        raise Invalid("metrics", f"There is no metric “{unknown[0][:80]}”: they are {', '.join(METRICS)}.")
    return names


def _require_account(person: Any, system: System, account: str) -> None:
    """Raise Http404 for an account that the person may not see."""
    names = live_reach.names_within(person, system)
    if names is not None and account not in names:
        raise Http404
