"""How jobs are told: in a list, and one with its steps and hand-overs."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from accounts_app.address import address_of
from accounts_app.api.fields import Number, Strict
from provisioning.blueprints.submit import Submitted
from provisioning.models import HandOver, Job, JobLine, JobStep

FACTS = (
    "id", "kind", "title", "blueprint", "blueprint_version", "accounts", "author", "door", "state", "asked", "step",
    "problem", "problem_step", "waits_for", "created_at", "started_at", "ended_at",
)  # fmt: skip
STEP = ("number", "name", "title", "state", "attempts", "started_at", "ended_at", "waits_for", "detail", "result")
HAND_OVER = (
    "id", "users", "created_at", "ready_at", "expires_at", "opened_at", "opened_by", "opened_from", "opened_with",
    "withdrawn_at",
)  # fmt: skip


class JobStepSerializer(serializers.ModelSerializer[JobStep]):
    """One step of a job."""

    result = serializers.DictField()

    class Meta:
        model = JobStep
        fields = STEP


class HandOverSerializer(serializers.ModelSerializer[HandOver]):
    """Credentials that wait for their owner behind a one-time link, or who picked them up."""

    users = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = HandOver
        fields = HAND_OVER


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job of a list."""

    system = serializers.CharField()
    accounts = serializers.ListField(child=serializers.CharField())
    author = serializers.CharField(
        help_text="A user name; where nobody was signed in the door, such as “a command” of the machine itself."
    )
    step = serializers.CharField(allow_null=True, help_text="The step that it is at; null for none.")

    class Meta:
        model = Job
        fields = ("id", "system", *FACTS[1:])


class OneJobSerializer(JobSerializer):
    """A job with all that is to be told of it, but for its log."""

    parameters = serializers.DictField(help_text="As they were given; secrets are masked.")
    results = serializers.DictField()
    steps = JobStepSerializer(many=True)
    hand_overs = HandOverSerializer(many=True)

    class Meta(JobSerializer.Meta):
        fields = (*JobSerializer.Meta.fields, "parameters", "results", "steps", "hand_overs")  # type: ignore[assignment]


class LineSerializer(serializers.ModelSerializer[JobLine]):
    class Meta:
        model = JobLine
        fields = ("id", "at", "step", "text")


class Link(serializers.Serializer[Any]):
    """A one-time link. It is told this once, and lets whoever has it pick up the credentials."""

    url = serializers.CharField()
    token = serializers.CharField(help_text="For `hand-overs/open/`.")
    expires_at = serializers.DateTimeField()


class Started(serializers.Serializer[Any]):
    job = OneJobSerializer()


class StartedWithLink(Started):
    hand_over = Link(allow_null=True, help_text="null when no new credentials come of it.")


class Lifetime(Strict, serializers.Serializer[Any]):
    lifetime_s = Number(required=False, help_text="Seconds that the link lives from when the credentials are ready.")


def link_of(request: Any, made: Submitted) -> dict[str, Any] | None:
    """The one-time link of a job that has just begun, as it is told once. Its token stays behind the #."""
    if not made.token:
        return None
    ends = made.job.hand_overs.values_list("expires_at", flat=True).get()
    page = address_of(reverse("handover"), request)
    return {"url": f"{page}#{made.token}", "token": made.token, "expires_at": ends}
