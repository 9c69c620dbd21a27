"""What the pages of taking servers over tell: files, places, servers, steps and times as a person reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _

from accounts_app.admin import chips
from accounts_app.models import AuditEntry
from provisioning.admin.job_words import spoken
from provisioning.takeover.back import Known
from provisioning.takeover.foreseeing import Place, Server
from provisioning.takeover.noting import RELOADED
from provisioning.takeover.showing import ShownFile

STATES = {  # of a journal: (chip, word)
    "taken": ("done", _("taken over")),
    "undone": ("undone", _("taken back")),
    "begun": ("failed", _("under way, or cut short")),
    "unreadable": ("failed", _("unreadable")),
}


def told_known(known: Known) -> dict[str, Any]:
    state, word = STATES[known.state]
    at = parse_datetime(known.at) if known.at else None
    return {"row": known, "chip": chips.chip(state, word=word), "at": at, "url": page_of(Path(known.file))}


def near(text: str, main: Path) -> str:
    """The same with files named from the folder of the main file, which stands above."""
    return text.replace(f"{main.parent}/", "")


def told_file(file: ShownFile, main: Path) -> dict[str, Any]:
    return {"row": file, "name": near(file.path, main), "words": near(file.words, main)}


def told_server(server: Server, main: Path) -> dict[str, Any]:
    part = server.part
    told = {"name": near(str(part.seen.main), main), "runs": part.runs, "runs_it": server.runs_it}
    return {**told, "clients": part.clients, "waits": waits(part.waits_s), "digest": part.digest}


def told_place(place: Place, main: Path) -> dict[str, str]:
    where = f"{near(place.file, main)}:{place.line}:{place.column}" if place.file else ""
    return {"text": near(place.text, main), "where": where}


def told_noted(act: str, known: Known, main: Path) -> dict[str, Any] | None:
    """What the trail says of it, when it was done through one of these doors."""
    entry = AuditEntry.objects.filter(act=act, detail__journal=str(known.journal)).first()
    if entry is None:
        return None
    steps = [{"text": text, "took": took(took_s)} for text, took_s in entry.detail.get("steps", ())]
    waited = sum(took_s for text, took_s in entry.detail.get("steps", ()) if text in RELOADED)
    said = [near(text, main) for text in entry.detail.get("said", ())]
    told = {"steps": steps, "said": said, "who": entry.person_name, "at": entry.at, "took": took(waited)}
    return {**entry.detail, **told, "waits": waits(entry.detail.get("waits_s", 0.0))}


def page_of(main: Path) -> str:
    return f"{reverse('admin:provisioning_takeover_of')}?{urlencode({'file': str(main)})}"


def took(seconds: float) -> str:
    if seconds < 0.001:
        return "< 1 ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def waits(seconds: float) -> str:
    """How long new logins wait, in words."""
    if seconds < 0.01:
        return took(seconds)
    return say("about %s") % (f"{seconds:.2g} s" if seconds < 60 else spoken(int(seconds)))


def sentences_of(refused: ValidationError) -> list[str]:
    return list(refused.messages)
