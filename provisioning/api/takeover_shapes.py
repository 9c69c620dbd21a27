"""What REST asks and answers of taking servers over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rest_framework import serializers

from accounts_app.api.fields import Strict, Text
from accounts_app.api.shapes import Preview, Sync
from accounts_app.conf_text import masked
from accounts_app.models import System
from provisioning.takeover.back import Known
from provisioning.takeover.doors import Done
from provisioning.takeover.foreseeing import Place, Server, Shown
from provisioning.takeover.noting import Step
from provisioning.takeover.returning import Returning
from provisioning.takeover.showing import ShownFile

BECOMES = ("rewritten", "made", "generated", "left", "kept")
STATES = tuple((each, each) for each in ("begun", "taken", "undone", "unreadable"))


class TakeOverInput(Strict, serializers.Serializer[Any]):
    file = Text(
        max_length=4000, trim_whitespace=False, help_text="Whole path of the main file, in a folder that is allowed."
    )
    others = serializers.ListField(
        child=Text(max_length=4000, trim_whitespace=False),
        required=False,
        max_length=64,
        help_text="Whole paths of the main files of further servers that have the same accounts, such as those of one "
        "cluster; in the same folder or below.",
    )
    system = Text(
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        help_text="The name of the system that its accounts become; it is made when there is none. The only one's, or "
        "“default”, when it is left out.",
    )
    url = Text(
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        help_text="How nunect reaches the server, when not as its file says; of several, with commas between them.",
    )
    env = serializers.DictField(
        child=Text(trim_whitespace=False),
        required=False,
        help_text="Values of variables, where the server's process can't be asked for them.",
    )
    confirm = Text(
        required=False, allow_blank=True, trim_whitespace=False, help_text="The name of the system. Not of a dry run."
    )
    stamp = Text(
        required=False, allow_blank=True, help_text="`stamp` of the dry run whose answer was seen. Not of a dry run."
    )


class UndoInput(Strict, serializers.Serializer[Any]):
    file = Text(max_length=4000, trim_whitespace=False, help_text="Whole path of the main file.")
    confirm = Text(
        required=False, allow_blank=True, trim_whitespace=False, help_text="The name of the system. Not of a dry run."
    )


class ConfPlace(serializers.Serializer[Any]):
    """A sentence, and where in the files; file "" and 0 where it belongs to no place."""

    text = serializers.CharField()
    file = serializers.CharField()
    line = serializers.IntegerField()
    column = serializers.IntegerField()


class OneFile(serializers.Serializer[Any]):
    path = serializers.CharField()
    becomes = serializers.ChoiceField([(each, each) for each in BECOMES])
    words = serializers.CharField()
    diff = serializers.CharField(help_text='Unified, secrets masked; "" where the file stays.')
    cut = serializers.BooleanField(help_text="There is more of the difference than is told.")


class Proof(serializers.Serializer[Any]):
    """Of several servers the digests are those of the first; each one's stands in `servers`."""

    differences = serializers.ListField(
        child=serializers.CharField(), help_text="What accounts, users and permissions would not be as now."
    )
    now = serializers.CharField(help_text="Digest of the files as they stand.")
    server_runs_it = serializers.BooleanField(
        allow_null=True,
        help_text="Whether every server reports what stands in its files; null: one can't be asked (no `http` port).",
    )
    judged = serializers.CharField(
        help_text="Digest of what would be written, as the server's own binary told it. Keys and hashes that are only "
        "made when it is taken over have stand-ins in it."
    )


class Felt(serializers.Serializer[Any]):
    """What clients feel; of several servers all together, and how long a login waits where it is longest."""

    running = serializers.BooleanField(help_text="A nats-server of this machine runs with this file.")
    restarts = serializers.ListField(child=serializers.CharField(), help_text="What only a restart would do.")
    clients = serializers.IntegerField(allow_null=True, help_text="Connected now; null: nobody could tell.")
    disconnected = serializers.IntegerField(allow_null=True, help_text="Those of them who came without a credential.")
    waits_s = serializers.FloatField(help_text="For how long new logins wait; at most, where clients is null.")
    opened = serializers.BooleanField(help_text="It lets anybody in now, and won't any more.")


class TakeOverServer(serializers.Serializer[Any]):
    """One server of the take-over."""

    file = serializers.CharField(help_text="Its main file.")
    running = serializers.BooleanField()
    clients = serializers.IntegerField(allow_null=True, help_text="Connected now; null: nobody could tell.")
    disconnected = serializers.IntegerField(allow_null=True)
    waits_s = serializers.FloatField()
    now = serializers.CharField()
    server_runs_it = serializers.BooleanField(allow_null=True)
    judged = serializers.CharField()


class TakeOverPreview(Preview):
    """What a take-over would do."""

    file = serializers.CharField()
    system = serializers.CharField()
    is_new = serializers.BooleanField(help_text="The system is made.")
    url = serializers.CharField()
    possible = serializers.BooleanField()
    in_the_way = ConfPlace(many=True)
    notes = ConfPlace(many=True, help_text="What becomes of includes and variables, and what to look at.")
    accounts = serializers.IntegerField()
    users = serializers.IntegerField()
    overwritten = serializers.ListField(
        child=serializers.CharField(), help_text="What becomes of rows that the system has already."
    )
    files = OneFile(many=True)
    proof = Proof(allow_null=True)
    forecast = Felt(allow_null=True)
    servers = TakeOverServer(many=True, help_text="Each of them, the first one first; none when it is not possible.")
    sentences = serializers.ListField(child=serializers.CharField(), help_text="The same for a person.")
    stamp = serializers.CharField(help_text='To be sent with the take-over itself; "" when it is not possible.')


class OneStep(serializers.Serializer[Any]):
    text = serializers.CharField()
    took_s = serializers.FloatField()


class TakenFile(serializers.Serializer[Any]):
    path = serializers.CharField()
    before = serializers.CharField(help_text='sha256 of what stood there; "" for nothing.')
    after = serializers.CharField(help_text="sha256 of what was written.")
    copy = serializers.CharField(help_text='Where a copy of the former is; "" for none.')


class TakeOver(serializers.Serializer[Any]):
    """A take-over by its journal."""

    file = serializers.CharField(help_text="The main file; of several servers, that of the first.")
    others = serializers.ListField(child=serializers.CharField(), help_text="Those of further servers.")
    system = serializers.CharField()
    at = serializers.CharField()
    state = serializers.ChoiceField(STATES)
    undoable = serializers.BooleanField()
    journal = serializers.CharField()
    files = TakenFile(many=True)
    digest_before = serializers.CharField()
    digest_after = serializers.CharField()
    problem = serializers.CharField(help_text='Why the journal can\'t be read; "" when it can.')


class OneOffer(serializers.Serializer[Any]):
    file = serializers.CharField()
    running = serializers.BooleanField(help_text="A nats-server of this machine was started with it.")
    allowed = serializers.BooleanField(help_text="It is in one of the folders.")
    others = serializers.ListField(
        child=serializers.CharField(), help_text="Main files of running servers that are joined to it: one take-over."
    )


class TakeOverList(serializers.Serializer[Any]):
    results = TakeOver(many=True)
    next = serializers.CharField(allow_null=True, help_text="Always null: all of them are here.")
    folders = serializers.ListField(child=serializers.CharField(), help_text="Where files may be taken over.")
    offers = OneOffer(many=True, help_text="Main files that are there.")


class Taken(TakeOver):
    """What was done, and how it is known."""

    revision = serializers.IntegerField(allow_null=True, help_text="That the servers hold; null: none runs.")
    steps = OneStep(many=True)
    said = serializers.ListField(child=serializers.CharField())
    clients_before = serializers.IntegerField(allow_null=True)
    clients_stayed = serializers.IntegerField(allow_null=True)
    sync = Sync()


class UndoPreview(Preview):
    """What putting the former files back would do."""

    system = serializers.CharField()
    files = serializers.ListField(child=serializers.CharField())
    in_the_way = serializers.ListField(child=serializers.CharField())
    later_revisions = serializers.IntegerField(help_text="Of the system, that go with it.")


class TakenBack(serializers.Serializer[Any]):
    file = serializers.CharField()
    system = serializers.CharField()
    steps = OneStep(many=True)
    said = serializers.ListField(child=serializers.CharField())


def told_show(shown: Shown) -> dict[str, Any]:
    """What a dry run answers, with what every dry run has."""
    found = shown.forecast
    faults = [_sentence(place) for place in shown.in_the_way]
    differences = shown.differences
    told: dict[str, Any] = {
        "changes": [{"account": "", "text": text, "removes_access": False} for text in differences],
        "conf": "\n".join(_diff(each) for each in shown.files if each.lines),
        "faults": faults,
        "warnings": [],
        "rows": None,
        "file": str(shown.main),
        "system": shown.wanted.system,
        "is_new": not System.objects.filter(name=shown.wanted.system).exists(),
        "url": shown.url,
        "possible": shown.possible,
        "in_the_way": [_place(place) for place in shown.in_the_way],
        "notes": [_place(place) for place in shown.notes],
        "accounts": found.accounts if found else 0,
        "users": found.users if found else 0,
        "overwritten": shown.overwritten,
        "files": [
            {"path": each.path, "becomes": each.becomes, "words": each.words, "diff": _diff(each), "cut": each.cut}
            for each in shown.files
        ],
        "proof": None,
        "forecast": None,
        "servers": [],
        "sentences": faults,
        "stamp": "",
    }
    if found is None or not shown.possible:
        return told
    clients = found.clients
    return told | {
        "proof": {
            "differences": differences,
            "now": shown.digest_now,
            "server_runs_it": shown.runs_it,
            "judged": found.digest,
        },
        "forecast": {
            "running": found.runs,
            "restarts": list(shown.restarts),
            "clients": None if clients is None else clients.count,
            "disconnected": None if clients is None else clients.closed,
            "waits_s": round(found.waits_s, 3),
            "opened": found.opened,
        },
        "servers": [_server(each) for each in shown.servers],
        "sentences": shown.sentences(),
        "stamp": shown.stamp,
    }


def told_known(known: Known) -> dict[str, Any]:
    """A take-over of the list."""
    return {
        "file": known.file,
        "others": list(known.others),
        "system": known.system,
        "at": known.at,
        "state": known.state,
        "undoable": known.undoable,
        "journal": str(known.journal),
        "files": [
            {"path": each.path, "before": each.before, "after": each.after, "copy": each.backup} for each in known.files
        ],
        "digest_before": known.digest_before,
        "digest_after": known.digest_after,
        "problem": known.problem,
    }


def told_done(done: Done, known: Known) -> dict[str, Any]:
    """What is answered of a take-over that was done, but for `sync`."""
    revision = done.outcome.revision
    return {
        **told_known(known),
        "revision": revision.number if revision else None,
        "steps": told_steps(done.steps),
        "said": list(done.outcome.said),
        "clients_before": done.before,
        "clients_stayed": done.stayed,
    }


def told_back(back: Returning) -> dict[str, Any]:
    """What a dry run of putting back answers."""
    return {
        "changes": [
            {"account": change["account"], "text": masked(change["text"], keys=False)}
            | {"removes_access": change["removes_access"]}
            for change in back.changes
        ],
        "conf": "",
        "faults": list(back.in_the_way),
        "warnings": [],
        "rows": None,
        "system": back.journal.system,
        "files": list(back.files),
        "in_the_way": list(back.in_the_way),
        "later_revisions": back.later,
    }


def told_steps(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    """Steps as JSON values."""
    return [{"text": step.text, "took_s": round(step.took_s, 3)} for step in steps]


def _server(server: Server) -> dict[str, Any]:
    part = server.part
    return {
        "file": str(part.seen.main),
        "running": part.runs,
        "clients": None if part.clients is None else part.clients.count,
        "disconnected": None if part.clients is None else part.clients.closed,
        "waits_s": round(part.waits_s, 3),
        "now": server.digest_now,
        "server_runs_it": server.runs_it,
        "judged": part.digest,
    }


def _place(place: Place) -> dict[str, Any]:
    return {"text": place.text, "file": place.file, "line": place.line, "column": place.column}


def _sentence(place: Place) -> str:
    return f"{place.file}:{place.line}:{place.column}: {place.text}" if place.file else place.text


def _diff(shown: ShownFile) -> str:
    name = Path(shown.path).name
    return "\n".join([f"--- {name}", f"+++ {name}", *shown.lines]) if shown.lines else ""
