"""REST: what an observed system runs beside what nunect would write, and who writes there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.access import Act, may, require, require_all, require_whole, visible
from accounts_app.adopting import Adopted
from accounts_app.api.fields import Choice, Strict, Text
from accounts_app.api.problems import Conflict
from accounts_app.api.query import OF_WRITES, flag, only_known
from accounts_app.api.schema import Schema
from accounts_app.api.shapes import Preview, Sync
from accounts_app.api.standing import sync_of
from accounts_app.api.writing import answered_before, write
from accounts_app.conf_text import masked
from accounts_app.models import NatsUser, System
from accounts_app.stages import why_unwritten
from provisioning import difference_answers, managing, releasing, removing
from provisioning.api.waiting import done_once
from provisioning.models import Difference
from provisioning.observing import look_now
from provisioning.release_plan import diff_ahead
from provisioning.telling import in_words


class Word(serializers.Serializer[Any]):
    text = serializers.CharField()
    removes_access = serializers.BooleanField()


class OneServer(serializers.Serializer[Any]):
    name = serializers.CharField()
    digest = serializers.CharField()
    runs_it = serializers.BooleanField(
        allow_null=True, help_text="Whether it runs what stands in its main file; null: that file isn't there."
    )
    refusal = serializers.CharField(
        default="", help_text='Why it would not take what stands in the file, in its own words; "" when it would.'
    )
    where = serializers.CharField(
        default="", help_text='The main file that it starts with; "" for one that isn\'t there.'
    )


class DifferenceSerializer(serializers.Serializer[Any]):
    """What nunect would change of what runs, at this moment."""

    system = serializers.CharField()
    stage = serializers.ChoiceField(System.Stage.choices)
    is_none = serializers.BooleanField(help_text="Whether nunect would write what runs.")
    summary = serializers.CharField()
    where = serializers.CharField(help_text='The file that was read, with all that it includes; "" for none.')
    words = Word(many=True, help_text="What would change for people.")
    own = Word(
        many=True,
        help_text="What nunect would do whatever the rows say: its own users and account, and what it closes.",
    )
    ours = serializers.CharField(help_text="Digest of what nunect would write, without what is its own.")
    theirs = serializers.CharField(
        help_text="Digest of what the file says, in the same spelling; equal when nothing differs."
    )
    unknown = serializers.CharField(help_text='Why the two can\'t be compared; "" when they can.')
    servers = OneServer(many=True)
    unasked = serializers.CharField(help_text='Why no server could be asked what it runs; "" when one answered.')
    checked_at = serializers.DateTimeField()


class Confirmed(Strict, serializers.Serializer[Any]):
    confirm = Text(trim_whitespace=False, help_text="The name of the system.")


class ManagePreview(Preview):
    """What a run would change."""

    difference = DifferenceSerializer()


class ManageSchema(Schema):
    """A dry run answers the difference, too."""

    def _preview(self) -> Any:
        return ManagePreview


class Turned(serializers.Serializer[Any]):
    """The stage of the system now, and how far the servers are."""

    id = serializers.IntegerField()
    stage = serializers.ChoiceField(System.Stage.choices)
    sync = Sync()


class Looked(Strict, serializers.Serializer[Any]):
    stamp = Text(
        required=False, help_text="Of the dry run: a conf that has changed since is refused. Without it as it stands."
    )


class AdoptedAnswer(Turned):
    rows = serializers.DictField(help_text="How many rows were made, changed and deleted.")


class Releasing(Confirmed):
    files = Choice(  # type: ignore[assignment]
        [("one", ""), ("keep", "")],
        required=False,
        help_text="What is left: one plain conf that means what ran (the default), or the files as they are.",
    )
    own = Choice(
        [("stay", ""), ("go", "")],
        required=False,
        help_text="What becomes of nunect's own users and account in the one conf; go costs a reload.",
    )


class ReleasedAnswer(Turned):
    """The one conf that is left, the former files beside it, and how it is known that the servers run it."""

    main = serializers.CharField()
    kept = serializers.ListField(child=serializers.CharField())
    digest = serializers.CharField()
    proof = serializers.CharField()


class Undone(Turned):
    said = serializers.CharField()


class Removed(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()


def as_told(difference: Difference) -> dict[str, Any]:
    """A difference as JSON values, users by their names."""
    words, own = ([_word(line) for line in lines] for lines in in_words([difference.words, difference.own]))
    names = ("is_none", "summary", "where", "ours", "theirs", "unknown", "servers", "unasked", "checked_at")
    told = {name: getattr(difference, name) for name in names}
    system: System = difference.system
    return {"system": system.name, "stage": system.stage, "words": words, "own": own, **told}


def _word(line: Any) -> dict[str, Any]:
    return {"text": line.text, "removes_access": line.danger}


class OfSystem(APIView):
    """Something of one system."""

    def named(self, request: Any, pk: int, act: Act) -> QuerySet[Any]:
        """The system of that key, if it is there. Raises PermissionDenied."""
        require(request.user, act, System)
        require_whole(request.user)
        return visible(System._default_manager.filter(pk=pk), request.user)

    def system(self, request: Any, pk: int, act: Act) -> System:
        """The system that is asked about. Raises what refuses it."""
        found = self.named(request, pk, act).first()
        if found is None:
            raise Http404
        return found


class LookAtDifference(OfSystem):
    """What nunect would change of what runs, looked at now."""

    OPERATIONS = {"GET": "systems_difference"}

    @extend_schema(responses={200: DifferenceSerializer})
    def get(self, request: Any, pk: int) -> Response:
        system = self.system(request, pk, "view")
        only_known(request, ())
        if system.stage == System.Stage.RELEASED:
            raise Conflict(why_unwritten(system))
        return Response(as_told(look_now(system)))


class AdoptDifference(OfSystem):
    """What stands in the observed conf becomes rows."""

    OPERATIONS = {"POST": "systems_difference_adopt"}

    @extend_schema(request=Looked, responses={200: AdoptedAnswer})
    def post(self, request: Any, pk: int) -> Response:
        """Take what differs in the observed conf into the rows. A dry run tells what goes with it, in `adoption`."""
        system = self.system(request, pk, "change")
        require_all(request.user)
        only_known(request, OF_WRITES)
        asked = Looked(data=request.data)
        asked.is_valid(raise_exception=True)
        stamp = asked.validated_data.get("stamp", "")

        def tell(done: Adopted) -> dict[str, Any]:
            return {"id": pk, "stage": System.Stage.OBSERVED, "rows": done.changes.as_dict()}

        return write(request, system, lambda: difference_answers.adopt(system, stamp), tell)


class Turn(OfSystem):
    """Another stage of a system."""

    act: ClassVar[Callable[..., None]]

    def turn(self, request: Any, pk: int, *, confirmed: bool) -> Response:
        system = self.system(request, pk, "change")
        only_known(request, OF_WRITES)
        given: tuple[str, ...] = ()
        if confirmed:
            asked = Confirmed(data=request.data)
            asked.is_valid(raise_exception=True)
            given = (asked.validated_data["confirm"],)

        def tell(done: None) -> dict[str, Any]:
            return {"id": pk, "stage": System.objects.values_list("stage", flat=True).get(pk=pk)}

        return write(request, system, lambda: type(self).act(system, *given), tell)


class Observe(Turn):
    OPERATIONS = {"POST": "systems_observe"}
    act = managing.observe

    @extend_schema(request=None, responses={200: Turned})
    def post(self, request: Any, pk: int) -> Response:
        """Only look from now on: nothing is written any more."""
        return self.turn(request, pk, confirmed=False)


class Manage(Turn):
    OPERATIONS = {"POST": "systems_manage"}
    schema = ManageSchema()
    act = managing.manage

    @extend_schema(request=Confirmed, responses={200: Turned})
    def post(self, request: Any, pk: int) -> Response:
        """Write again: the servers are brought to what the rows say. A dry run answers the difference."""
        if not flag(request, "dry_run"):
            return self.turn(request, pk, confirmed=True)
        system = self.system(request, pk, "change")
        only_known(request, OF_WRITES)
        told = as_told(look_now(system))
        changes = [{"account": "", **word} for word in (*told["words"], *told["own"])]
        usual = {"conf": "", "faults": [told["unknown"]] if told["unknown"] else [], "warnings": [], "rows": None}
        return Response({"changes": changes, **usual, "difference": told})


class Release(Turn):
    OPERATIONS = {"POST": "systems_release"}
    act = managing.release

    @extend_schema(request=Releasing, responses={200: ReleasedAnswer})
    def post(self, request: Any, pk: int) -> Response:
        """Let go: nothing is written or looked at any more, the rows are only there to be read, and one plain conf is
        left. A dry run answers what would change in the main file."""
        system = self.system(request, pk, "change")
        only_known(request, OF_WRITES)
        asked = Releasing(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        own, confirm = given.get("own", "stay"), given["confirm"]
        plain = given.get("files", "one") == "one"
        if flag(request, "dry_run"):
            managing.check_name(system, confirm)
            lines = diff_ahead(system, own) if plain else ""
            conf = masked(lines, keys=may(request.user, "change", NatsUser))
            return Response({"changes": [], "conf": conf, "faults": [], "warnings": [], "rows": None})

        def act() -> dict[str, Any]:
            told: dict[str, Any] = {"main": "", "kept": [], "digest": "", "proof": ""}
            if plain:
                done = releasing.release(system, confirm, own)
                told = {name: getattr(done, name) for name in told}
            else:
                managing.release(system, confirm)
            return {**_now(request, pk), **told}

        return done_once(request, act)


class UndoRelease(OfSystem):
    OPERATIONS = {"POST": "systems_release_undo"}

    @extend_schema(request=Confirmed, responses={200: Undone})
    def post(self, request: Any, pk: int) -> Response:
        """Put the former files back, byte for byte, and observe."""
        system = self.system(request, pk, "change")
        only_known(request, ())
        asked = Confirmed(data=request.data)
        asked.is_valid(raise_exception=True)
        confirm = asked.validated_data["confirm"]

        def act() -> dict[str, Any]:
            said = releasing.undo(system, confirm)
            return {**_now(request, pk), "said": said}

        return done_once(request, act)


class Remove(OfSystem):
    OPERATIONS = {"POST": "systems_remove"}

    @extend_schema(request=Confirmed, responses={200: Removed})
    def post(self, request: Any, pk: int) -> Response:
        """Forget a system that nunect doesn't manage, with all its rows. Its servers and files are left alone."""
        if before := answered_before(request, self.named(request, pk, "delete")):
            return before
        system = self.system(request, pk, "delete")
        only_known(request, ())
        asked = Confirmed(data=request.data)
        asked.is_valid(raise_exception=True)

        def act() -> dict[str, Any]:
            removing.remove(system, asked.validated_data["confirm"])
            return {"id": pk, "name": system.name}

        return done_once(request, act)


def _now(request: Any, pk: int) -> dict[str, Any]:
    system = System.objects.get(pk=pk)
    return {"id": pk, "stage": system.stage, "sync": sync_of(system, {}, request.user)}
