"""What happened and what waits: revisions, held changes, and what a person decides about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter

from accounts_app.access import may, require, visible
from accounts_app.admin import chips
from accounts_app.admin.base import PAGE_MEDIA, ReadOnlyAdmin, manages
from accounts_app.admin.documents import row_counts
from accounts_app.conf_text import MASK
from accounts_app.models import Account, System
from accounts_app.preview import preview
from provisioning import decisions
from provisioning.models import Hold, Revision
from provisioning.steps import STEPS
from provisioning.telling import authors_of, conf_diff, in_words, sentences, with_names

_PROOFS = {"digest": _("the digest of its whole conf"), "metadata": _("the revision that it carries")}
SAID = 200  # changes in words on a page


class DecisionAdmin(ReadOnlyAdmin):
    """A read-only page with buttons that decide, for who may change such rows."""

    acts = ("view", "change")
    TEMPLATE = ""

    def get_urls(self) -> list[Any]:
        return [
            path("<path:object_id>/decide/", self.admin_site.admin_view(self.decide_view), name=self._name("decide")),
            *super().get_urls(),
        ]

    def _name(self, what: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{what}"

    def _row(self, request: HttpRequest, object_id: str) -> Any:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return row

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self._row(request, object_id)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": self.title_of(row),
            "opts": self.opts,
            "original": row,
            "media": PAGE_MEDIA,
            "decide": reverse(f"admin:{self._name('decide')}", args=[row.pk]),
            "may_decide": may(request.user, "change", self.model),
            **self.context_of(request, row),
        }
        return TemplateResponse(request, self.TEMPLATE, context)

    def title_of(self, row: Any) -> str:
        return str(row)

    def context_of(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {}

    def answers(self, request: HttpRequest) -> dict[str, tuple[Callable[[Any], object], Any]]:
        """{value of the button: (what it does, what is said then)}"""
        raise NotImplementedError

    def decide_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        require(request.user, "change", self.model)
        row = self._row(request, object_id)
        page = reverse(f"admin:{self._name('change')}", args=[row.pk])
        answer = self.answers(request).get(request.POST.get("answer", "")) if request.method == "POST" else None
        if answer is not None:
            act, said = answer
            try:
                act(row)
            except ValidationError as refused:
                self.message_user(request, " ".join(refused.messages), messages.ERROR)
            else:
                self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(page)


@admin.register(Revision)
class RevisionAdmin(DecisionAdmin):
    TEMPLATE = "provisioning/revision.html"
    list_display = ("number_word", "created_at", "who", "in_words", "servers_word", "milliseconds")
    list_display_links = ("number_word",)
    list_select_related = ("system",)
    list_filter = (("created_at", RangeDateTimeFilter),)
    SYSTEM = ("system",)
    search_fields = ("=number", "reason", "blocks__account")

    @admin.display(description=_("revision"), ordering="number")
    def number_word(self, revision: Revision) -> str:
        return str(revision)

    @admin.display(description=_("who"))
    def who(self, revision: Revision) -> str:
        return authors_of(revision)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        rows = list(page.result_list)
        for row, lines in zip(rows, in_words(row.changes[:1] for row in rows), strict=True):
            row.first_line = lines[0].text if lines else row.reason or say("nothing in words")
        page.result_list = rows
        return page

    @admin.display(description=_("change"))
    def in_words(self, revision: Any) -> str:
        more = len(revision.changes) - 1
        first = revision.first_line if len(revision.first_line) <= 90 else revision.first_line[:89] + "…"
        return say("%(first)s, and %(more)d more") % {"first": first, "more": more} if more > 0 else first

    @admin.display(description=_("servers"))
    def servers_word(self, revision: Revision) -> int:
        return len(revision.servers)

    @admin.display(description=_("ms"))
    def milliseconds(self, revision: Revision) -> str:
        return f"{sum(_times(revision).values()):.0f}"

    def title_of(self, row: Revision) -> str:
        return say("Revision %s") % row

    def context_of(self, request: HttpRequest, row: Revision) -> dict[str, Any]:
        lines, more = conf_diff(row)
        times = _times(row)
        neighbours = visible(Revision.objects.filter(system=row.system_id), request.user)
        newest = neighbours.order_by("-number").values_list("number", flat=True)
        return {
            "who": authors_of(row),
            "said": sentences(row.changes)[:SAID],
            "unsaid": max(0, len(row.changes) - SAID),
            "diff": with_names(lines, keys=manages(request.user)),
            "diff_more": more,
            "mask": MASK,
            "servers": [_server_row(server) for server in row.servers],
            "timings": [(step, times[step]) for step in (*STEPS, *sorted(times.keys() - set(STEPS))) if step in times],
            "total": sum(times.values()),
            "is_newest": row.number == newest.first(),
            "previous": neighbours.filter(number__lt=row.number).order_by("-number").first(),
            "following": neighbours.filter(number__gt=row.number).order_by("number").first(),
        }

    def answers(self, request: HttpRequest) -> dict[str, tuple[Callable[[Any], object], Any]]:
        return {
            "revert": (
                decisions.revert_to,
                _("The rows are what they were in this revision; the servers follow as with any change."),
            )
        }

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/revert/", wrap(self.revert_view), name="provisioning_revision_revert"),
            *super().get_urls(),
        ]

    def revert_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask before everything becomes what it was."""
        require(request.user, "change", self.model)
        row = self._row(request, object_id)
        problems: list[str] = []
        try:
            seen = preview(row.system, lambda: decisions.revert_to(row))
        except ValidationError as refused:
            problems = refused.messages
            seen = None
        said = sentences([change.as_dict() for change in seen.changes]) if seen else []
        later = visible(Revision.objects.filter(system=row.system_id, number__gt=row.number), request.user)
        context = {
            **self.admin_site.each_context(request),
            "title": say("Revert to %s?") % row,
            "opts": self.opts,
            "original": row,
            "later": later.count(),
            "said": said[:SAID],
            "unsaid": max(0, len(said) - SAID),
            "rows": row_counts(seen.answer) if seen else [],
            "problems": problems,
            "undone": [(revision, sentences(revision.changes)[:5]) for revision in later.order_by("-number")[:10]],
            "decide": reverse("admin:provisioning_revision_decide", args=[row.pk]),
        }
        return TemplateResponse(request, "provisioning/revert.html", context)


def _times(revision: Revision) -> dict[str, float]:
    values = revision.timings if isinstance(revision.timings, dict) else {}
    return {str(step): float(ms) for step, ms in values.items() if isinstance(ms, int | float)}


def _server_row(server: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": server.get("name", ""),
        "chip": chips.chip("in_sync"),
        "proof": _PROOFS.get(server.get("proof", ""), ""),
        "digest": server.get("digest", ""),
    }


@admin.register(Hold)
class HoldAdmin(DecisionAdmin):
    TEMPLATE = "provisioning/hold.html"
    list_display = ("whose", "chip", "reason", "created_at", "decided_by", "decided_at")
    list_select_related = ("system", "decided_by")
    search_fields = ("account", "reason")
    list_filter = (("state", ChoicesDropdownFilter),)
    SYSTEM = ("system",)

    @admin.display(description=_("state"), ordering="state")
    def chip(self, hold: Hold) -> Any:
        return chips.chip(hold.state)

    @admin.display(description=_("account"), ordering="account")
    def whose(self, hold: Hold) -> str:
        return hold.about

    def title_of(self, row: Hold) -> str:
        return say("Held change of %s") % row.about

    def context_of(self, request: HttpRequest, row: Hold) -> dict[str, Any]:
        account = visible(Account.objects.filter(system=row.system_id, name=row.account), request.user).first()
        return {
            "account": account,
            "chip": chips.chip(row.state),
            "said": sentences(row.changes)[:SAID],
            "unsaid": max(0, len(row.changes) - SAID),
            "is_open": row.state == Hold.State.OPEN,
            "is_form": row.account == Hold.EVERY,
        }

    def answers(self, request: HttpRequest) -> dict[str, tuple[Callable[[Any], object], Any]]:
        return {
            "yes": (decisions.approve, _("Yes: what was shown goes to the servers.")),
            "no": (decisions.refuse, _("No: the servers hold what they held, and the rows say the same.")),
        }

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("try-again/<str:kind>/<int:pk>/", wrap(self.try_again_view), name="provisioning_try_again"),
            *super().get_urls(),
        ]

    def try_again_view(self, request: HttpRequest, kind: str, pk: int) -> HttpResponse:
        """Ask for a run with the same rows, of one account or of a whole system."""
        model: type[Any] = System if kind == "system" else Account
        require(request.user, "change", model)
        target = visible(model._default_manager.filter(pk=pk), request.user).first()
        page = f"admin:accounts_app_{model._meta.model_name}_change"
        if target is None or kind not in ("system", "account"):
            raise Http404
        if request.method == "POST":
            decisions.try_again(target)
            self.message_user(request, say("Asked for again; the chip turns when the servers have answered."))
            return HttpResponseRedirect(reverse(page, args=[pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": say("Try %s again?") % target,
            "opts": self.opts,
            "target": target,
            "back": reverse(page, args=[pk]),
            "is_system": isinstance(target, System),
        }
        return TemplateResponse(request, "provisioning/try_again.html", context)
