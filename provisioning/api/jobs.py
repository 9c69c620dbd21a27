"""REST: jobs, how far they are, and what a person wants of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

import django_filters as filters
from django.db.models import F, OuterRef, Subquery
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.response import Response

from accounts_app.access import Act
from accounts_app.api.filters import OneOf, text
from accounts_app.api.pages import LIMIT, MOST, page, rows_of
from accounts_app.api.problems import Stale
from accounts_app.api.rows import Resource
from accounts_app.api.writing import etag, matches, previewed, seconds_of
from accounts_app.door import who_by
from provisioning.api.job_shapes import (
    FACTS,
    HAND_OVER,
    STEP,
    JobSerializer,
    Lifetime,
    LineSerializer,
    OneJobSerializer,
    StartedWithLink,
    link_of,
)
from provisioning.api.schemas import JobSchema
from provisioning.api.waiting import RESTS, submit, until
from provisioning.blueprints.submit import issue_again
from provisioning.jobs import losses, services
from provisioning.jobs.rights import require_act, seen_by
from provisioning.models import HandOver, Job, JobLine, JobStep
from provisioning.models.job import JobQuerySet

_UNDER_WAY = (JobStep.State.RUNNING, JobStep.State.WAITING, JobStep.State.FAILED, JobStep.State.UNDOING)


class JobFilter(filters.FilterSet):
    system, blueprint, author = text("system__name"), text("blueprint"), text("author_name")
    kind, state = OneOf(choices=Job.Kind.choices), OneOf(choices=Job.State.choices)
    account = filters.CharFilter(method="of_account", help_text="Jobs that may touch this account.")

    def of_account(self, queryset: JobQuerySet, name: str, value: str) -> JobQuerySet:
        return queryset.touching(value)

    class Meta:
        model = Job
        fields: list[str] = []


def told(pk: int, person: Any) -> dict[str, Any]:
    """A job with its steps and hand-overs, for a person who may see it. Raises Http404."""
    columns = {name: F(column) if isinstance(column, str) else column for name, column in COLUMNS.items()}
    rows = rows_of(Job.objects.filter(pk=pk), {**columns, "parameters": F("parameters"), "results": F("results")})
    if not rows:
        raise Http404
    for name in ("parameters", "results"):
        rows[0][name] = seen_by(person, rows[0][name])
    rows[0]["author"] = who_by(rows[0]["author"], rows[0]["door"])
    rows[0]["steps"] = list(JobStep.objects.filter(job=pk).order_by("number").values(*STEP))
    rows[0]["hand_overs"] = list(HandOver.objects.filter(job=pk).order_by("-pk").values(*HAND_OVER))
    return rows[0]


COLUMNS: dict[str, Any] = {"id": "id", "system": "system__name"} | {
    **{name: name for name in FACTS[1:]},
    "author": "author_name",
    "step": Subquery(
        JobStep.objects.filter(job=OuterRef("pk"), state__in=_UNDER_WAY).order_by("number").values("name")[:1]
    ),
}


class Jobs(Resource):
    """What nunect does step by step: provisioning, retiring, handing over. Newest first."""

    model = Job
    schema = JobSchema()
    http_method_names = ["get", "head", "options", "post"]
    serializer_class = JobSerializer
    filterset_class = JobFilter
    first = "-id"
    search_fields = ["title", "author_name"]
    columns = COLUMNS
    answers = dict.fromkeys(("retrieve", "retry", "resume", "cancel", "roll_back", "withdraw"), OneJobSerializer)

    def act_of(self, request: Any) -> Act:
        return "change" if request.method == "POST" else "view"

    def parameters(self) -> Collection[str]:
        return {"limit", "cursor", "ordering"} if self.action == "log" else super().parameters()

    def finished(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "author": who_by(row["author"], row["door"])} for row in rows]

    def told(self, pk: int) -> dict[str, Any]:
        self.row(pk)
        return told(pk, self.request.user)

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "Prefer",
                str,
                OpenApiParameter.HEADER,
                description="`wait=N`: answer when the job rests (has ended, or failed), or after N seconds (60 at "
                "most); with If-None-Match when anything of it has changed.",
            )
        ]
    )
    def retrieve(self, request: Any, pk: str) -> Response:
        """One job with its steps, results and hand-overs."""
        seconds, seen = seconds_of(request), request.headers.get("If-None-Match", "")
        if seconds:
            self.told(int(pk))

            def moved() -> bool:
                row = self.told(int(pk))
                return not matches(seen, etag(row)) if seen else row["state"] in RESTS

            until(request, moved, time.monotonic() + seconds)
        answer = super().retrieve(request, pk)
        if seconds is not None:
            answer["Preference-Applied"] = f"wait={seconds}"
        return answer

    @extend_schema(
        responses={200: LineSerializer(many=True)},
        filters=False,
        parameters=[
            OpenApiParameter(
                "limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT}, description="Lines."
            ),
            OpenApiParameter("cursor", str, description="Where the page begins; `next` of the one before holds it."),
            OpenApiParameter("ordering", str, enum=["id", "-id"], default="id", description="-id: newest first."),
        ],
    )
    @action(detail=True, methods=["get"])
    def log(self, request: Any, pk: str) -> Response:
        """The lines of a job's log."""
        job = self.row(pk)
        columns = {name: F(name) for name in LineSerializer.Meta.fields}
        found = page(request, JobLine.objects.filter(job=job), columns, {"id": "pk"}, "id")
        return Response({"results": found.rows, "next": found.next})

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def retry(self, request: Any, pk: str) -> Response:
        """Begin the step that failed once more."""
        return self._asked(request, pk, services.retry)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def resume(self, request: Any, pk: str) -> Response:
        """Go on where it failed, or after a cancel that has taken nothing back yet."""
        return self._asked(request, pk, services.resume)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Any, pk: str) -> Response:
        """Stop it, and take back what it has done. A dry run tells what is lost by that, and what stays."""
        return self._asked(request, pk, services.cancel)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Any, pk: str) -> Response:
        """Take back what a job has done that failed or is done. A dry run tells what is lost, and what stays."""
        return self._asked(request, pk, services.roll_back)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Any, pk: str) -> Response:
        """Let its one-time links open nothing any more."""
        return self._asked(request, pk, services.withdraw)

    def row(self, pk: Any) -> Job:
        """The job. Raises Http404."""
        job: Job | None = self.get_queryset().filter(pk=int(pk)).select_related("system").defer("inputs").first()
        if job is None:
            raise Http404
        return job

    @extend_schema(request=Lifetime, responses={200: StartedWithLink})
    @action(detail=True, methods=["post"], url_path="hand-over")
    def hand_over(self, request: Any, pk: str) -> Response:
        """Give the users of the job new credentials, and a new one-time link to them; the former ones end."""
        job = self.row(pk)
        require_act(request.user, "hand-over", job)
        asked = Lifetime(data=request.data)
        asked.is_valid(raise_exception=True)
        return submit(
            request,
            job.system,
            lambda: issue_again(job, **asked.validated_data),
            lambda made: (made.job, {"hand_over": link_of(request, made)}),
            told,
        )

    def _asked(self, request: Any, pk: str, act: Callable[[Job], None]) -> Response:
        job = self.row(pk)
        require_act(request.user, act.__name__.replace("_", "-"), job)

        def act_on() -> Job:
            seen = request.headers.get("If-Match", "")
            if seen and not matches(seen, etag(self.told(job.pk))):
                raise Stale
            act(job)
            return job

        def look() -> dict[str, Any]:
            seen = previewed(request, job.system, act_on)
            back = act in (services.cancel, services.roll_back)
            lost = [each.as_change() for each in losses.told(job)] if back else []
            return {**seen, "changes": [*lost, *seen["changes"]]}

        answer = submit(request, job.system, act_on, lambda job: (job, {}), told, look=look)
        if isinstance(answer.data, dict) and "job" in answer.data:
            answer.data = answer.data["job"]
            answer["ETag"] = etag(answer.data)
        return answer
