"""Whole accounts at once in the admin: a document or a conf is looked at first, and applied as it was shown."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, transaction
from django.db.models import ProtectedError, RestrictedError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from rest_framework.exceptions import APIException
from unfold.decorators import action

from accounts_app.access import require_all, require_reach, systems_of
from accounts_app.admin import chips
from accounts_app.admin.base import PAGE_MEDIA
from accounts_app.api import problems
from accounts_app.api.rows import only_system
from accounts_app.applying import Applied, apply_document
from accounts_app.conf_text import masked
from accounts_app.credentials import NewSecret
from accounts_app.documents_text import read_text
from accounts_app.importing import ImportReport, import_conf
from accounts_app.models import System
from accounts_app.natsconf.changes import NAMED
from accounts_app.natsconf.document import read_document
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.parse import parse
from accounts_app.preview import Preview, by_name, preview
from accounts_app.row_writer import Changes
from accounts_app.stages import CHANGEABLE

KINDS = {"document": _("Document"), "conf": _("Conf of a server")}
SAID, LINES, NOTES, PLACES = 200, 2000, 2000, 200  # of each on a page
GOOD_FOR_S = 3600  # from the look to the yes
_REFUSED = (NatsConfError, ValidationError, APIException, RestrictedError, ProtectedError, DatabaseError)
Answer = Applied | ImportReport
Places = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person gave. variables: NAME=value lines, of a conf; shown: stamp of the preview that was seen;
    system: the one that was chosen, "" where there was no choice."""

    kind: str = "document"
    text: str = field(default="", repr=False)
    prune: bool = False
    variables: str = field(default="", repr=False)
    shown: str = ""
    system: str = ""


# --- sealed, so that a page holds what was shown, and nobody reads passwords in it -------------------


def _box(person: Any) -> Fernet:
    key = hashlib.sha256(f"nunect.document\n{person.pk}\n{settings.SECRET_KEY}".encode())
    return Fernet(base64.urlsafe_b64encode(key.digest()))


def seal(asked: Asked, person: Any) -> str:
    """What only this server opens again, for this person and an hour."""
    return _box(person).encrypt(zlib.compress(json.dumps(asdict(asked)).encode())).decode()


def unseal(text: str, person: Any) -> Asked | None:
    """What was sealed; None when it is another's, too old, or nothing of ours."""
    try:
        told = zlib.decompress(_box(person).decrypt(text, ttl=GOOD_FOR_S))
    except (InvalidToken, ValueError, TypeError):
        return None
    return Asked(**json.loads(told))


# --- what it does ------------------------------------------------------------------------------------


def _act(asked: Asked, person: Any) -> tuple[System, Callable[[], Answer]]:
    """The system, and what makes its rows as the text says. Raises what is wrong with the text."""

    def reached(do: Callable[[], Answer]) -> Answer:
        answer = do()
        require_reach(person, system)
        return answer

    if asked.kind == "conf":
        parsed = parse(asked.text, file="conf", environ=_variables(asked.variables))
        system = only_system(person, asked.system, CHANGEABLE)
        return system, lambda: reached(lambda: import_conf(system, parsed))
    document = read_document(read_text(asked.text))
    system = only_system(person, document.system or asked.system, CHANGEABLE)
    return system, lambda: reached(lambda: apply_document(system, document, prune=asked.prune))


def _variables(text: str) -> dict[str, str]:
    pairs = [line.partition("=") for line in text.splitlines() if line.strip()]
    if odd := next((name for name, equals, _value in pairs if not equals or not name.strip()), None):
        raise ValidationError({"env": _("Write NAME=value, not “%s”.") % odd[:80]})
    return {name.strip(): value for name, _equals, value in pairs}


_HELD = re.compile(r"[\d,]+ (messages?|consumers?)")  # what a stream holds, in a sentence


@dataclass(frozen=True, slots=True)
class Seen:
    """A preview for people: new nkeys stand in it by the names of their users, since each look makes others."""

    said: list[dict[str, Any]]
    conf: list[dict[str, str]]
    rows: list[str]
    faults: list[str]
    secrets: list[str]
    answer: Answer = field(repr=False)
    warnings: list[dict[str, str]] = field(default_factory=list)

    @property
    def stamp(self) -> str:
        """Tells one preview from another; messages come and go, and don't."""
        said = [{**line, "text": _HELD.sub(r"\1", line["text"])} for line in self.said]
        told = [said, self.conf, self.rows, self.faults, self.secrets]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def _seen(found: Preview[Answer]) -> Seen:
    secrets = found.answer.secrets if isinstance(found.answer, Applied) else {}
    told = by_name(secrets)
    said = [
        {
            "text": told(masked(str(change))),
            "danger": change.removes_access,
            "users": sorted(map(told, change.users)) if len(change.users) > NAMED else [],
        }
        for change in sorted(found.changes, key=lambda change: not change.removes_access)
    ]
    conf = [{**line, "text": told(line["text"])} for line in found.conf]
    rows, faults = row_counts(found.answer.changes), list(found.faults)
    warnings = [warned.as_dict() for warned in found.warnings]
    return Seen(said, conf, rows, faults, sorted(secrets), found.answer, warnings)


def row_counts(changes: Changes) -> list[str]:
    """How many rows are touched, in words."""
    told = ((say("created"), changes.created), (say("changed"), changes.updated), (say("deleted"), changes.deleted))
    counted = [(word, ", ".join(f"{n:,} × {what}" for what, n in sorted(found.items()))) for word, found in told]
    return [f"{word}: {rows}" for word, rows in counted if rows]


def _places(refused: Exception) -> Places:
    """(place, sentence) of what is wrong, as REST says it."""
    answer = problems.handler(refused, {})
    if answer is None:
        raise refused
    return [(error["field"], error["detail"]) for error in answer.data["errors"]]


def as_csv(secrets: dict[str, NewSecret]) -> str:
    """Who got what, a line for each."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(["user", "kind", "secret"])
    for name, secret in sorted(secrets.items()):
        lines.writerow([name, "seed" if secret.kind == "nkey" else "password", secret.secret])
    return out.getvalue()


# --- the page ----------------------------------------------------------------------------------------


class Applies:
    """Gives the list of accounts the page that applies a document or a conf."""

    def has_apply_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        try:
            require_all(request.user)
        except PermissionDenied:
            return False
        return True

    @action(description=_("Apply a document"), url_path="apply", permissions=["apply"], icon="upload_file")
    @method_decorator(sensitive_post_parameters("text", "variables", "sealed"))
    def apply(self, request: HttpRequest) -> HttpResponse:
        """Take a text, show what it would do, and do just that."""
        step = request.POST.get("step", "") if request.method == "POST" else ""
        if step in ("apply", "edit"):
            asked = unseal(_given(request, "sealed"), request.user)
            if asked is None:
                stale = say(
                    "This page was applied already, is too old, or another person's: look at the document again."
                )
                return self._form(request, Asked(), [("", stale)])
            return self._form(request, asked) if step == "edit" else self._apply(request, asked)
        kind = request.POST.get("kind") or request.GET.get("kind", "")
        asked = Asked(kind if kind in KINDS else "document")
        return self._look(request, asked) if step == "look" else self._form(request, asked)

    def _look(self, request: HttpRequest, asked: Asked) -> HttpResponse:
        most = settings.API_MAX_BYTES
        upload = request.FILES.get("file")
        if upload is not None and (upload.size or 0) > most:
            return self._form(request, asked, [("", _too_large(most))])
        try:
            text = _given(request, "file") or _given(request, "text")
            prune, chosen = bool(request.POST.get("prune")), request.POST.get("system", "").replace("\x00", "")
            asked = Asked(asked.kind, text, prune, request.POST.get("variables", ""), system=chosen)
        except UnicodeDecodeError:
            return self._form(request, asked, [("", say("The file is no UTF-8 text."))])
        if len(text.encode("utf-8", "surrogatepass")) > most:
            return self._form(request, replace(asked, text=""), [("", _too_large(most))])
        if not text.strip():
            return self._form(request, asked, [("", say("Paste something, or choose a file."))])
        try:
            system, act = _act(asked, request.user)
            seen = _seen(preview(system, act))
        except _REFUSED as refused:
            return self._form(request, asked, _places(refused))
        return self._preview(request, asked, seen)

    def _apply(self, request: HttpRequest, asked: Asked) -> HttpResponse:
        """Do what was shown; show it again when it would be something else by now."""
        try:
            with transaction.atomic():
                system, act = _act(asked, request.user)
                System.objects.select_for_update().get(pk=system.pk)
                seen = _seen(preview(system, act))
                if seen.stamp != asked.shown:
                    return self._preview(request, asked, seen, moved=True)
                answer = act()
        except _REFUSED as refused:
            return self._form(request, asked, _places(refused))
        secrets = dict(answer.secrets) if isinstance(answer, Applied) else {}
        system.refresh_from_db()
        return self._page(
            request,
            "accounts_app/document_applied.html",
            say("Applied"),
            {
                **_told(seen),
                "chip": chips.system_chip(system),
                "secrets": as_csv(secrets) if secrets else "",
                "secret_count": len(secrets),
                "conf": [],
            },
        )

    def _preview(self, request: HttpRequest, asked: Asked, seen: Seen, *, moved: bool = False) -> HttpResponse:
        refused = isinstance(seen.answer, ImportReport) and seen.answer.refused
        title = say("Apply this document?") if asked.kind == "document" else say("Take over this conf?")
        context = {
            **_told(seen),
            "sealed": seal(replace(asked, shown=seen.stamp), request.user),
            "kind": asked.kind,
            "prune": asked.prune,
            "moved": moved,
            "refused": refused,
            "nothing": not refused and not seen.answer.changes,
            "dangers": sum(line["danger"] for line in seen.said),
        }
        return self._page(request, "accounts_app/document_preview.html", title, context)

    def _form(self, request: HttpRequest, asked: Asked, places: Places | None = None) -> HttpResponse:
        found = places or []
        tabs = [
            {"title": title, "url": f"?kind={kind}", "count": None, "current": kind == asked.kind}
            for kind, title in KINDS.items()
        ]
        systems = systems_of(request)
        context = {
            "asked": asked,
            "systems": systems if len(systems) > 1 else [],
            "nu_tabs": tabs,
            "problems": found[:PLACES],
            "problem_count": len(found),
            "more_problems": max(0, len(found) - PLACES),
        }
        return self._page(request, "accounts_app/document_form.html", say("Apply a document"), context)

    def _page(self, request: HttpRequest, template: str, title: str, context: dict[str, Any]) -> HttpResponse:
        page: Any = self
        whole = {
            **page.admin_site.each_context(request),
            "title": title,
            "opts": page.opts,
            "media": PAGE_MEDIA,
            **context,
        }
        return TemplateResponse(request, template, whole, headers={"Cache-Control": "no-store, private"})


def _given(request: HttpRequest, name: str) -> str:
    """A text of the form, as a field or, when it is long, as a file."""
    upload = request.FILES.get(name)
    text: str = upload.read().decode("utf-8-sig") if upload else request.POST.get(name, "")
    return text.replace("\r\n", "\n")


def _too_large(most: int) -> str:
    return say("This is larger than the %s bytes that this server takes.") % f"{most:,}"


def _told(seen: Seen) -> dict[str, Any]:
    """What the pages show of a preview."""
    notes = [
        {
            "line": note.position.line if note.position else "",
            "path": ".".join(map(str, note.path)),
            "verdict": note.verdict,
            "sentence": masked(note.sentence),
        }
        for note in (seen.answer.notes if isinstance(seen.answer, ImportReport) else ())
    ]
    return {
        "said": seen.said[:SAID],
        "unsaid": max(0, len(seen.said) - SAID),
        "conf": seen.conf[:LINES],
        "more_conf": len(seen.conf) > LINES,
        "rows": seen.rows,
        "faults": seen.faults[:SAID],
        "warnings": seen.warnings[:SAID],
        "new_secrets": len(seen.secrets),
        "notes": notes[:NOTES],
        "more_notes": max(0, len(notes) - NOTES),
    }
