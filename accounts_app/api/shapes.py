"""What every resource answers alike, for the schema."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

SYNC_STATES = ("pending", "applied", "held", "failed")


class ChangeSerializer(serializers.Serializer[Any]):
    account = serializers.CharField()
    text = serializers.CharField()
    removes_access = serializers.BooleanField()
    stays = serializers.BooleanField(required=False, help_text="true: it is told because nothing happens to it.")


class WarningSerializer(serializers.Serializer[Any]):
    """What the servers would make of a stream, bucket or consumer."""

    account = serializers.CharField()
    object = serializers.CharField()
    setting = serializers.CharField(help_text='The setting that it is about; "" for the object.')
    text = serializers.CharField()
    severity = serializers.ChoiceField(["refused", "loses", "note"])


class AdoptionSerializer(serializers.Serializer[Any]):
    """What goes with the adoption of a conf that was edited by hand."""

    lost = serializers.ListField(child=serializers.CharField(), help_text="What of rows or conf goes with it.")
    kept = serializers.ListField(child=serializers.CharField(), help_text="What stays though no conf says it.")
    then = ChangeSerializer(many=True, help_text="What clients see change then; empty: nothing.")
    stamp = serializers.CharField(required=False, help_text="Tells the conf of an observed system that was looked at.")


class Preview(serializers.Serializer[Any]):
    """What a write would do."""

    changes = ChangeSerializer(many=True)
    conf = serializers.CharField(help_text="The difference of the conf, as a unified diff; hashes are masked.")
    faults = serializers.ListField(child=serializers.CharField(), help_text="Accounts that could not be applied.")
    warnings = WarningSerializer(many=True, help_text="What the servers would refuse of streams, or lose.")
    rows = serializers.DictField(allow_null=True)
    adoption = AdoptionSerializer(required=False, help_text="Of the adoption of a conf alone.")


class Problem(serializers.Serializer[Any]):
    """RFC 9457."""

    class Place(serializers.Serializer[Any]):
        field = serializers.CharField()
        detail = serializers.CharField()

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = Place(many=True)  # type: ignore[assignment]


class Sync(serializers.Serializer[Any]):
    """Whether the servers enforce the row as it stands."""

    state = serializers.ChoiceField(SYNC_STATES)
    revision = serializers.IntegerField(allow_null=True, help_text="The revision that the servers hold.")
    problem = serializers.CharField(help_text='Why it is held or has failed, in the server\'s own words; else "".')


class Gone(serializers.Serializer[Any]):
    """A row by its number, where there is no more to tell of it."""

    id = serializers.IntegerField()
    sync = Sync()


class Past(serializers.Serializer[Any]):
    """One thing that happened to a row, or to a part of it."""

    class Step(serializers.Serializer[Any]):
        name = serializers.CharField()
        before = serializers.CharField()
        after = serializers.CharField()

    at = serializers.DateTimeField()
    who = serializers.CharField()
    door = serializers.CharField()
    act = serializers.CharField()
    of = serializers.CharField()
    reason = serializers.CharField()
    steps = Step(many=True)
