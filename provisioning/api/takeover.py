"""REST: taking servers of this machine over by their files, and giving them back."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.api.once import Seal
from accounts_app.api.problems import Conflict, Invalid, Stale
from accounts_app.api.query import OF_WRITES, flag, only_known
from accounts_app.api.schema import Schema
from accounts_app.api.standing import sync_of
from accounts_app.api.writing import seconds_of
from accounts_app.models import System
from provisioning.api import takeover_shapes as shapes
from provisioning.api.waiting import until
from provisioning.errors import ProvisioningError
from provisioning.takeover import back, doors, places
from provisioning.takeover.doors import Moved
from provisioning.takeover.foreseeing import Wanted
from provisioning.takeover.noting import Failed


class TakeOverSchema(Schema):
    """A dry run answers more than that of rows."""

    def _preview(self) -> Any:
        return self.view.PREVIEW  # type: ignore[attr-defined]


class TakeOvers(APIView):
    """Servers that were set up by hand: nunect takes their accounts over, by their files on this machine."""

    OPERATIONS = {"GET": "takeover_list", "POST": "takeover"}
    PREVIEW = shapes.TakeOverPreview
    schema = TakeOverSchema()

    @extend_schema(responses={200: shapes.TakeOverList})
    def get(self, request: Any) -> Response:
        """Take-overs by their journals, the last one first, and the main files that could be taken over."""
        doors.require_right(request.user)
        only_known(request, ())
        roots = [str(folder) for folder in places.folders()]
        offers = [dataclasses.asdict(each) for each in doors.offers()]
        found = [shapes.told_known(each) for each in back.known()]
        return Response({"results": found, "next": None, "folders": roots, "offers": offers})

    @extend_schema(request=shapes.TakeOverInput, responses={200: shapes.Taken})
    def post(self, request: Any) -> Response:
        """Take a server over by its main file, as a dry run has shown it, and prove it. With `dry_run` all is told and
        nothing done; its `stamp`, and the name of the system as `confirm`, are what the act itself needs."""
        doors.require_right(request.user)
        only_known(request, OF_WRITES)
        asked = shapes.TakeOverInput(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        others = tuple(given.get("others", ()))
        wanted = Wanted(given["file"], given.get("system", ""), given.get("url", ""), given.get("env", {}), others)
        if flag(request, "dry_run"):
            return _not_kept(shapes.told_show(_asked(lambda: doors.show(wanted, request.user))))

        def act() -> dict[str, Any]:
            stamp = given.get("stamp", "")
            if not stamp:
                doors.allowed_files(wanted)
                raise Invalid("stamp", "Look first (dry_run=true), and send the `stamp` of what was shown.")
            done = doors.take(wanted, stamp, given.get("confirm", ""), request.user)
            main = Path(done.journal.main)
            known = next(each for each in back.of_file(main) if each.journal == done.journal.path)
            return shapes.told_done(done, known)

        return _once(request, act, follows=True)


class UndoTakeOver(APIView):
    """The way back."""

    OPERATIONS = {"POST": "takeover_undo"}
    PREVIEW = shapes.UndoPreview
    schema = TakeOverSchema()

    @extend_schema(request=shapes.UndoInput, responses={200: shapes.TakenBack})
    def post(self, request: Any) -> Response:
        """Put the files back that stood there before the last take-over, byte for byte. From then on nunect only
        observes the system."""
        doors.require_right(request.user)
        only_known(request, OF_WRITES)
        asked = shapes.UndoInput(data=request.data)
        asked.is_valid(raise_exception=True)
        file, confirm = asked.validated_data["file"], asked.validated_data.get("confirm", "")
        if flag(request, "dry_run"):
            return _not_kept(shapes.told_back(_asked(lambda: back.show_back(file))))

        def act() -> dict[str, Any]:
            outcome, steps = back.undo(file, confirm)
            told = {"file": file, "system": outcome.system, "said": list(outcome.said)}
            return told | {"steps": shapes.told_steps(steps)}

        return _once(request, act, follows=False)


def _asked(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except ProvisioningError as error:
        raise Conflict(error.detail) from error


def _once(request: Any, act: Callable[[], dict[str, Any]], *, follows: bool) -> Response:
    """Do it under its Idempotency-Key. No transaction is open meanwhile: others shall see its rows, and write theirs.

    follows: servers do, and `Prefer: wait=N` waits for them.
    """
    seal = Seal(request)
    with transaction.atomic():
        kept = seal.reserve()
    if kept is None:
        try:
            body = act()
        except BaseException as error:
            seal.give_back()
            if isinstance(error, Moved):
                raise Stale(_moved(error)) from error
            if isinstance(error, Failed):
                raise Conflict(_failed(error)) from error
            if isinstance(error, ProvisioningError):
                raise Conflict(error.detail) from error
            raise
        if follows:
            body["sync"] = _sync(request, body["system"])
        seal.keep(200, body, {})
    else:
        _, body, _ = kept
    seconds = seconds_of(request)
    if follows and seconds and body["sync"]["state"] == "pending":
        until(request, lambda: _still(request, body) != "pending", time.monotonic() + seconds)
        seal.keep(200, body, {})
    late = follows and seconds is not None and body["sync"]["state"] == "pending"
    answer = _not_kept(body, 202 if late else 200)
    if kept is not None:
        answer["Idempotent-Replayed"] = "true"
    if seconds is not None:
        answer["Preference-Applied"] = f"wait={seconds}"
    return answer


def _still(request: Any, body: dict[str, Any]) -> str:
    body["sync"] = _sync(request, body["system"])
    return str(body["sync"]["state"])


def _sync(request: Any, name: str) -> dict[str, Any]:
    system = System.objects.get(name=name)
    return sync_of(system, {"": system.wanted}, request.user)


def _not_kept(body: dict[str, Any], status: int = 200) -> Response:
    return Response(body, status=status, headers={"Cache-Control": "no-store"})


def _moved(error: Moved) -> str:
    if error.now.possible:
        return str(error)
    return f"It can't be taken over any more: {error.now.in_the_way[0].text}"


def _failed(error: Failed) -> str:
    return f"{error.detail} {error.words}".strip()
