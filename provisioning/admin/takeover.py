"""“Take over a server”: choose its file, see what is written, proven and felt, do it; and the way back."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _

from accounts_app.access import may
from accounts_app.admin.base import PAGE_MEDIA
from accounts_app.models import System
from provisioning.admin.takeover_words import (
    near,
    page_of,
    sentences_of,
    told_file,
    told_known,
    told_noted,
    told_place,
    told_server,
    waits,
)
from provisioning.errors import ProvisioningError
from provisioning.files import MAIN
from provisioning.takeover import back, doors, places
from provisioning.takeover.back import UNDONE, Known
from provisioning.takeover.doors import DONE, Moved
from provisioning.takeover.foreseeing import Shown, Wanted
from provisioning.takeover.noting import Failed
from provisioning.telling import sentences

STEPS = (
    ("choose", _("Choose the file")),
    ("write", _("What is written")),
    ("prove", _("What is proven")),
    ("do", _("Do it")),
)
NO_STORE = {"Cache-Control": "no-store, private"}
NOTES = 100  # of a page


class TakesOver:
    """Gives the admin of differences the pages of taking over."""

    admin_site: Any
    opts: Any

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        own = [
            path("takeover/", wrap(self.takeover_view), name="provisioning_takeover"),
            path("takeover/of/", wrap(self.takeover_of_view), name="provisioning_takeover_of"),
        ]
        return [*own, *super().get_urls()]  # type: ignore[misc]

    def takeover_view(self, request: HttpRequest) -> HttpResponse:
        """One of the four steps. The first three only look; the last one does it, by POST."""
        doors.require_right(request.user)
        given = request.POST if request.method == "POST" else request.GET
        wanted = Wanted(
            (given.get("other", "").strip() or given.get("file", "")),
            given.get("system", "").strip(),
            given.get("url", "").strip(),
            others=tuple(line.strip() for line in given.get("others", "").splitlines() if line.strip()),
        )
        step = given.get("step", "choose")
        if not wanted.file or step not in dict(STEPS) or step == "choose" or not settings.TAKEOVER_DIRS:
            return self._choose(request, wanted)
        if request.method == "POST":
            return self._do(request, wanted, given.get("stamp", ""), given.get("confirm", "").strip())
        try:
            wanted = proposed(with_joined(wanted))
            shown = doors.show(wanted, request.user, note=step == "write")
        except ValidationError as refused:
            return self._choose(request, wanted, sentences_of(refused))
        except ProvisioningError as error:
            return self._choose(request, wanted, [error.detail])
        if not shown.possible:
            step = "write"
        stamp = given.get("stamp", "")
        return self._step(request, step, shown, moved=bool(stamp) and stamp != shown.stamp)

    def _choose(self, request: HttpRequest, wanted: Wanted, errors: list[str] | None = None) -> HttpResponse:
        context: dict[str, Any] = {"step": "choose", "wanted": wanted, "errors": errors or []}
        try:
            context["folders"] = places.folders()
            found = doors.offers()
            named = [each.file for each in found]
            context["offers"] = sorted(found, key=lambda each: not each.allowed)
            context["chosen"] = wanted.file if wanted.file in named else ("" if wanted.file else _first(found))
            context["other"] = wanted.file if wanted.file not in named else ""
            context["known"] = [told_known(each) for each in back.known()]
        except places.NotAllowed as refused:
            context["nowhere"] = str(refused)
        return self._page(request, context)

    def _step(
        self,
        request: HttpRequest,
        step: str,
        shown: Shown,
        *,
        moved: bool = False,
        errors: list[str] | None = None,
        failed: Failed | None = None,
    ) -> HttpResponse:
        forecast = shown.forecast
        context = {
            "files": [told_file(each, shown.main) for each in shown.files if each.lines],
            "stays": [told_file(each, shown.main) for each in shown.files if not each.lines],
            "in_the_way": [told_place(each, shown.main) for each in shown.in_the_way],
            "taken": None
            if shown.possible
            else next((told_known(each) for each in back.of_file(shown.main) if each.undoable), None),
            "step": step,
            "wanted": shown.wanted,
            "shown": shown,
            "reached": shown.url.replace(",", ", "),
            "moved": moved,
            "errors": errors or [],
            "failed": failed,
            "is_new": not System.objects.filter(name=shown.wanted.system).exists(),
            "notes": [told_place(each, shown.main) for each in shown.notes[:NOTES]],
            "more_notes": max(0, len(shown.notes) - NOTES),
            "forecast": forecast,
            "running": forecast is not None and forecast.runs,
            "servers": [told_server(each, shown.main) for each in shown.servers] if len(shown.servers) > 1 else [],
            "waits": waits(forecast.waits_s) if forecast else "",
        }
        return self._page(request, context)

    def _do(self, request: HttpRequest, wanted: Wanted, stamp: str, confirm: str) -> HttpResponse:
        try:
            done = doors.take(wanted, stamp, confirm, request.user)
        except Moved as moved:
            return self._step(request, "write", moved.now, moved=True)
        except Failed as failed:
            return self._again(request, wanted, failed=failed)
        except ValidationError as refused:
            return self._again(request, wanted, errors=sentences_of(refused))
        except ProvisioningError as error:
            return self._again(request, wanted, errors=[error.detail])
        return HttpResponseRedirect(page_of(Path(done.journal.main)))

    def _again(self, request: HttpRequest, wanted: Wanted, **more: Any) -> HttpResponse:
        """The last step once more, and why nothing was done."""
        try:
            return self._step(request, "do", doors.show(wanted, request.user, note=False), **more)
        except (ValidationError, ProvisioningError) as refused:
            told = sentences_of(refused) if isinstance(refused, ValidationError) else [refused.detail]
            return self._choose(request, wanted, [*more.get("errors", ()), *told])

    # --- one that was done --------------------------------------------------------------------------------

    def takeover_of_view(self, request: HttpRequest) -> HttpResponse:
        """The last take-over of a file: what was done, and the button that puts the former files back."""
        doors.require_right(request.user)
        if not settings.TAKEOVER_DIRS:
            return self._choose(request, Wanted(""))
        file = request.POST.get("file", "") or request.GET.get("file", "")
        errors: list[str] = []
        failed: Failed | None = None
        try:
            main = doors.allowed_file(file)
            if request.method == "POST":
                back.undo(file, request.POST.get("confirm", "").strip())
                return HttpResponseRedirect(page_of(main))
        except Failed as refused:
            failed = refused
        except ValidationError as refused:
            errors = sentences_of(refused)
            if "file" in getattr(refused, "error_dict", {}):
                return self._choose(request, Wanted(""), errors)
        found = list(back.of_file(main))
        if not found:
            return self._choose(request, Wanted(""), [say("Nobody has taken %s over.") % main])
        this = found[0]
        context = {
            "step": "",
            "title": say("Take-over of %s") % main.name,
            "known": told_known(this),
            "others": [near(each, Path(this.file)) for each in this.others],
            "kept": [(near(each.path, main), near(each.backup, main)) for each in this.files],
            "earlier": [told_known(each) for each in found[1:]],
            "errors": errors,
            "failed": failed,
            "done": told_noted(DONE, this, main),
            "undone": told_noted(UNDONE, this, main),
            "system": System.objects.filter(name=this.system).first(),
            **self._back(this, main),
        }
        return self._page(request, context, "provisioning/takeover_of.html")

    def _back(self, this: Known, main: Path) -> dict[str, Any]:
        if not this.undoable:
            return {}
        try:
            found = back.show_back(this.file)
            return {"back": found, "goes": [near(text, main) for text in found.files], "said": sentences(found.changes)}
        except ValidationError as refused:
            return {"no_way_back": sentences_of(refused)}

    def _page(
        self, request: HttpRequest, context: dict[str, Any], template: str = "provisioning/takeover.html"
    ) -> HttpResponse:
        wanted = context.get("wanted")
        whole = {
            **self.admin_site.each_context(request),
            "title": say("Take over a server"),
            "opts": System._meta,
            "media": PAGE_MEDIA,
            "steps": _way(context, wanted) if wanted else [],
            "may_look": may(request.user, "view", System),
            "setting": places.SETTING,
            "here": request.get_full_path(),
            **context,
        }
        return TemplateResponse(request, template, whole, headers=NO_STORE)


def proposed(wanted: Wanted) -> Wanted:
    """With a name for the system where nobody has said one: the only one when it has no files yet, else a new one by
    the folder."""
    if wanted.system:
        return wanted
    folder = Path(wanted.file).parent
    rows = list(System.objects.order_by("pk"))
    here = [row.name for row in rows if row.folder == folder]
    free = [row.name for row in rows if row.revision is None and not (row.folder / MAIN).exists()]
    if here or (len(rows) == 1 and free) or not rows:
        return replace(wanted, system=[*here, *free, "default"][0])
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.name).strip("-")[:40] or "server"
    names = {row.name for row in rows}
    numbered = (f"{stem}-{number}" for number in range(2, len(rows) + 3))
    return replace(wanted, system=next(name for name in (stem, *numbered) if name not in names))


def with_joined(wanted: Wanted) -> Wanted:
    """With the main files of the running servers that are joined to the chosen one, where nobody has named any."""
    if wanted.others:
        return wanted
    others = next((each.others for each in doors.offers() if each.file == wanted.file), ())
    return replace(wanted, others=others)


def _first(found: list[places.Offer]) -> str:
    """The file that a person most likely means."""
    return next((each.file for each in found if each.allowed and each.running), "")


def _way(context: dict[str, Any], wanted: Wanted) -> list[dict[str, Any]]:
    """The four steps, those behind with their addresses."""
    shown: Shown | None = context.get("shown")
    asked = {"file": wanted.file, "others": "\n".join(wanted.others), "system": wanted.system, "url": wanted.url}
    asked["stamp"] = shown.stamp if shown else ""
    here = [name for name, _title in STEPS].index(context["step"])
    return [
        {
            "name": name,
            "number": number + 1,
            "title": title,
            "current": number == here,
            "done": number < here,
            "url": "?" + urlencode({"step": name, **{key: value for key, value in asked.items() if value}}),
        }
        for number, (name, title) in enumerate(STEPS)
    ]
