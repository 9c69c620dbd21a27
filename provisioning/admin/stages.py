"""What a system runs beside what nunect would write, and the buttons that say who writes there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _

from accounts_app.access import may, require, require_all, require_whole, visible
from accounts_app.admin import chips
from accounts_app.admin.base import PAGE_MEDIA, ReadOnlyAdmin
from accounts_app.admin.documents import row_counts
from accounts_app.models import System
from accounts_app.preview import preview
from provisioning import difference_answers, managing, releasing, removing
from provisioning.admin.decisions import SAID
from provisioning.admin.takeover import TakesOver
from provisioning.admin.trying import Tries
from provisioning.files import MAIN
from provisioning.models import Difference
from provisioning.observing import look_now
from provisioning.release_files import BEFORE
from provisioning.release_plan import Own
from provisioning.telling import in_words, sentences

_Act = Callable[[System, str], None]
ACTS: dict[str, tuple[_Act, Any]] = {
    "observe": (lambda system, name: managing.observe(system), _("nunect only observes it: nothing is written.")),
    "manage": (managing.manage, _("nunect manages it: the servers are brought to what the rows say.")),
    "release": (lambda system, name: _release(system, name, "stay"), _("nunect has let go of it: one conf is left.")),
    "release-go": (lambda system, name: _release(system, name, "go"), _("nunect has let go of it: one conf is left.")),
    "release-keep": (managing.release, _("nunect has let go of it; its files stay as they are.")),
    "remove": (removing.remove, _("nunect has forgotten it; its servers and files are as they were.")),
    "undo": (lambda system, name: _undo(system, name), _("The former files are back.")),
}


def _release(system: System, name: str, own: Own) -> None:
    releasing.release(system, name, own)


def _undo(system: System, name: str) -> None:
    releasing.undo(system, name)


def _system(request: HttpRequest, pk: int) -> System:
    """The system that a page is about. Raises PermissionDenied and Http404."""
    require(request.user, "view", System)
    require_whole(request.user)
    system = visible(System._default_manager.all(), request.user).filter(pk=pk).first()
    if system is None:
        raise Http404
    return system


def _may_adopt(person: Any) -> bool:
    try:
        require(person, "change", System)
        require_all(person)
    except PermissionDenied:
        return False
    return True


@admin.register(Difference)
class DifferenceAdmin(TakesOver, Tries, ReadOnlyAdmin):
    """No list of its own: each system's page leads to its difference."""

    acts = ()  # who may see and change its system

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(self.system_view)
        adopted = self.admin_site.admin_view(self.adopt_view)
        return [
            path("of/<int:pk>/", page, name="provisioning_difference_of"),
            path("of/<int:pk>/adopt/", adopted, name="provisioning_difference_adopt"),
            *super().get_urls(),
        ]

    def system_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What nunect would change of what runs, looked at now; a POST turns the stage."""
        system = _system(request, pk)
        errors: list[str] = []
        if request.method == "POST":
            require(request.user, "delete" if request.POST.get("act") == "remove" else "change", System)
            act, said = ACTS.get(request.POST.get("act", ""), (None, ""))
            try:
                if act is not None:
                    act(system, request.POST.get("confirm", "").strip())
                    self.message_user(request, said, messages.SUCCESS)
                if System.objects.filter(pk=pk).exists():
                    return HttpResponseRedirect(reverse("admin:provisioning_difference_of", args=[pk]))
                return HttpResponseRedirect(reverse("admin:accounts_app_system_changelist"))
            except ValidationError as refused:
                errors = refused.messages
        difference = None if system.stage == System.Stage.RELEASED else look_now(system)
        words, own = in_words([difference.words, difference.own] if difference else [(), ()])
        context = {
            **self.admin_site.each_context(request),
            "title": say("What %s runs") % system,
            "opts": System._meta,
            "original": system,
            "media": PAGE_MEDIA,
            "chip": chips.chip(system.stage),
            "difference": difference,
            "said": words,
            "own": own,
            "errors": errors,
            "undoable": (system.folder / (MAIN + BEFORE)).exists(),
            "may_turn": may(request.user, "change", System),
            "may_adopt": _may_adopt(request.user),
            "may_remove": system.stage != System.Stage.MANAGED and may(request.user, "delete", System),
        }
        return TemplateResponse(request, "provisioning/difference.html", context, headers={"Cache-Control": "no-store"})

    def adopt_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what becomes of the rows, and what goes, before they take what was edited; a POST does it."""
        system = _system(request, pk)
        require(request.user, "change", System)
        require_all(request.user)
        problems: list[str] = []
        seen = None
        try:
            if request.method == "POST":
                difference_answers.adopt(system, request.POST.get("stamp", ""))
                self.message_user(request, say("The rows say what stands in the conf."), messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:provisioning_difference_of", args=[pk]))
            seen = preview(system, lambda: difference_answers.adopt(system))
        except ValidationError as refused:
            problems = refused.messages
        said = sentences([change.as_dict() for change in seen.changes]) if seen else []
        done = seen.answer if seen else None
        context = {
            **self.admin_site.each_context(request),
            "title": say("Adopt what stands in the conf of %s?") % system,
            "opts": System._meta,
            "original": system,
            "observed": True,
            "said": said[:SAID],
            "unsaid": max(0, len(said) - SAID),
            "rows": row_counts(done.changes) if done else [],
            "lost": done.lost if done else (),
            "kept": done.kept if done else (),
            "then": sentences([change.as_dict() for change in done.then])[:SAID] if done else [],
            "stamp": done.stamp if done else "",
            "problems": problems,
            "decide": "",
            "back": reverse("admin:provisioning_difference_of", args=[pk]),
        }
        return TemplateResponse(request, "provisioning/adopt.html", context, headers={"Cache-Control": "no-store"})
