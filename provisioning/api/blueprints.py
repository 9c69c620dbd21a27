"""REST: blueprints, and provisioning by them."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.access import may, reaches_all, require, require_whole
from accounts_app.api.fields import Number, Strict, Text
from accounts_app.api.problems import Invalid
from accounts_app.api.query import OF_WRITES, flag, only_known
from accounts_app.api.rows import only_system
from accounts_app.api.shapes import Preview, Sync
from accounts_app.api.writing import write
from accounts_app.conf_text import masked
from accounts_app.models import NatsUser, System
from accounts_app.stages import WRITTEN
from provisioning.api.job_shapes import Lifetime, StartedWithLink, link_of
from provisioning.api.jobs import told
from provisioning.api.schemas import JobSchema
from provisioning.api.waiting import submit
from provisioning.blueprints import catalogue
from provisioning.blueprints.catalogue import Entry
from provisioning.blueprints.schema import json_schema
from provisioning.blueprints.submit import Refused, look, provision
from provisioning.models import Blueprint, Job

_LISTED = ("name", "version", "title", "description", "shipped", "enabled", "created_by", "created_at")
_MOST_VERSION = 2**31 - 1
VERSION = OpenApiParameter(
    "version",
    {"type": "integer", "minimum": 1, "maximum": _MOST_VERSION},
    description="This one; left out: the newest that is enabled.",
)


class BlueprintSerializer(serializers.Serializer[Any]):
    """A blueprint of the list."""

    name = serializers.CharField()
    version = serializers.IntegerField()
    title = serializers.CharField()
    description = serializers.CharField()
    shipped = serializers.BooleanField(help_text="nunect brings it.")
    enabled = serializers.BooleanField(help_text="It may be provisioned.")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField(allow_null=True)


class OneBlueprint(BlueprintSerializer):
    """With what it takes."""

    text = serializers.CharField()
    parameters = serializers.DictField(help_text="A JSON Schema of what `provision/` takes as parameters.")


class SavedBlueprint(OneBlueprint):
    sync = Sync()


class BlueprintList(serializers.Serializer[Any]):
    results = BlueprintSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Always null: all of them are here.")


class BlueprintText(Strict, serializers.Serializer[Any]):
    text = Text(trim_whitespace=False, help_text="YAML or JSON; its name and version stand in it.")


class Provisioning(Lifetime):
    parameters = serializers.DictField(
        required=False,
        help_text="{parameter: value}",
        error_messages={"not_a_dict": "This must be a map of parameters."},
    )
    version = Number(required=False, allow_null=True, help_text="null: the newest that is enabled.")
    system = Text(required=False, help_text="Its name; when it is left out the only system, or the only managed one.")


class ProvisioningPreview(Preview):
    """What provisioning would make."""

    title = serializers.CharField()
    accounts = serializers.ListField(child=serializers.DictField(), help_text="What will be there, in words.")
    notes = serializers.ListField(child=serializers.CharField(), help_text="What to know besides.")


class Blueprints(APIView):
    """Blueprints: what a team, a queue or a fleet needs, made in one step."""

    OPERATIONS = {"GET": "blueprints_list", "POST": "blueprints_create"}

    @extend_schema(
        responses={200: BlueprintList},
        parameters=[OpenApiParameter("every_version", bool, description="Not only the one of each that is taken.")],
    )
    def get(self, request: Any) -> Response:
        """What can be provisioned, by name."""
        require(request.user, "view", Blueprint)
        only_known(request, ("every_version",))
        every = flag(request, "every_version")
        found = catalogue.all_blueprints(every_version=every) if reaches_all(request.user) else []
        return Response({"results": [_row(entry) for entry in found], "next": None})

    @extend_schema(request=BlueprintText, responses={201: SavedBlueprint})
    def post(self, request: Any) -> Response:
        """Save a blueprint of your own, or its next version."""
        require(request.user, "add", Blueprint)
        require_whole(request.user)
        only_known(request, OF_WRITES)
        asked = BlueprintText(data=request.data)
        asked.is_valid(raise_exception=True)
        person = request.user if request.user.pk else None

        def act() -> Entry:
            return catalogue.save_blueprint(asked.validated_data["text"], person)

        made = write(request, _any_system(request.user), act, _whole, 201)
        if isinstance(made.data, dict) and "name" in made.data:
            made["Location"] = request.build_absolute_uri(f"{request.path}{made.data['name']}/")
        return made


class OneOfThem(APIView):
    """One blueprint with its parameters as a JSON Schema."""

    OPERATIONS = {"GET": "blueprints_get"}

    @extend_schema(responses={200: OneBlueprint}, parameters=[VERSION])
    def get(self, request: Any, name: str) -> Response:
        require(request.user, "view", Blueprint)
        only_known(request, ("version",))
        return Response(_whole(_entry(request, name, _version(request))))


class Switch(APIView):
    """Whether a version may be provisioned."""

    enabled = True

    @extend_schema(request=None, responses={200: SavedBlueprint}, parameters=[VERSION])
    def post(self, request: Any, name: str) -> Response:
        require(request.user, "change", Blueprint)
        require_whole(request.user)
        only_known(request, OF_WRITES | {"version"})
        entry = _entry(request, name, _version(request))
        return write(request, _any_system(request.user), lambda: catalogue.switch(entry, self.enabled), _whole)


class Enable(Switch):
    """Let a version be provisioned."""

    OPERATIONS = {"POST": "blueprints_enable"}


class Disable(Switch):
    """Keep a version from being provisioned."""

    OPERATIONS = {"POST": "blueprints_disable"}
    enabled = False


class Provision(APIView):
    """Make what a blueprint says, as one job: its answer holds the one-time link to the credentials."""

    OPERATIONS = {"POST": "blueprints_provision"}
    PREVIEW = ProvisioningPreview
    schema = JobSchema()

    @extend_schema(request=Provisioning, responses={200: StartedWithLink})
    def post(self, request: Any, name: str) -> Response:
        require(request.user, "add", Job)
        require_whole(request.user)
        only_known(request, OF_WRITES)
        asked = Provisioning(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        parameters, version = given.pop("parameters", {}), given.pop("version", None)
        system = only_system(request.user, given.pop("system", ""), WRITTEN)
        _entry(request, name, version)
        spec = catalogue.find(name, version).spec

        def act() -> Any:
            try:
                return provision(system, spec, parameters, **given)
            except Refused as refused:
                raise _refusal(refused) from refused

        def seen() -> dict[str, Any]:
            found = look(system, spec, parameters)
            if not found.good:
                raise _refusal(Refused(found))
            keys = may(request.user, "change", NatsUser)
            preview = {**found.preview, "conf": masked(found.preview["conf"], keys=keys), "rows": None}
            return {**preview, "title": found.title, "accounts": list(found.accounts), "notes": list(found.notes)}

        return submit(
            request, system, act, lambda made: (made.job, {"hand_over": link_of(request, made)}), told, look=seen
        )


def _refusal(refused: Refused) -> ValidationError:
    """The same, with the parameters where they stand in the body."""
    return ValidationError(
        {
            field if field in (NON_FIELD_ERRORS, "parameters") else f"parameters.{field}": sentences
            for field, sentences in refused.message_dict.items()
        }
    )


def _entry(request: Any, name: str, version: int | None) -> Entry:
    """A blueprint by its name, also one that is switched off. Raises Http404, or Invalid for its version."""
    if not reaches_all(request.user):
        raise Http404
    found = [entry for entry in catalogue.all_blueprints(every_version=version is not None) if entry.name == name]
    if not found:
        raise Http404
    if version is None:
        return found[0]
    chosen = next((entry for entry in found if entry.version == version), None)
    if chosen is None:
        raise Invalid("version", f"There is no version {version} of {name}.")
    return chosen


def _version(request: Any) -> int | None:
    text = request.query_params.get("version")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and 1 <= int(text) <= _MOST_VERSION):
        raise Invalid("version", "This must be a whole number from 1 on.")
    return int(text)


def _any_system(person: Any) -> System:
    return System.objects.visible_to(person).first() or System()


def _row(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in _LISTED}


def _whole(entry: Entry) -> dict[str, Any]:
    return {**_row(entry), "text": entry.text, "parameters": json_schema(entry.spec)}
