"""What others changed of the conf: how it differs, and the three answers to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from accounts_app.access import require
from accounts_app.admin import chips
from accounts_app.admin.asset_pages import DAYS
from accounts_app.admin.documents import row_counts
from accounts_app.preview import preview
from provisioning import drift_answers
from provisioning.admin.decisions import SAID, DecisionAdmin
from provisioning.models import Drift
from provisioning.telling import sentences


@admin.register(Drift)
class DriftAdmin(DecisionAdmin):
    TEMPLATE = "provisioning/drift.html"
    list_before_template = "provisioning/drift_list_head.html"
    list_display = ("summary", "where", "chip", "ignored_until", "found_at", "answered_by")
    list_select_related = ("system", "answered_by")
    search_fields = ("summary",)
    list_filter = (("state", ChoicesDropdownFilter), ("where", ChoicesDropdownFilter))
    SYSTEM = ("system",)

    @admin.display(description=_("state"), ordering="state")
    def chip(self, drift: Drift) -> Any:
        return chips.chip(drift.state, word=drift.get_state_display())

    def title_of(self, row: Drift) -> str:
        return say("Drift in %s") % row.get_where_display()

    def context_of(self, request: HttpRequest, row: Drift) -> dict[str, Any]:
        return {
            "chip": self.chip(row),
            "said": sentences(row.changes)[:SAID],
            "unsaid": max(0, len(row.changes) - SAID),
            "answerable": row.state in drift_answers.ANSWERABLE,
            "ignored": row.state == Drift.State.IGNORED,
            "days": DAYS,
            "adopt": reverse("admin:provisioning_drift_adopt", args=[row.pk]),
        }

    def answers(self, request: HttpRequest) -> dict[str, tuple[Callable[[Any], object], Any]]:
        def ignore(row: Drift) -> None:
            days = request.POST.get("days", "")
            if days not in DAYS:
                raise ValidationError(say("Say for how long."))
            drift_answers.ignore(row, timezone.now() + timedelta(days=int(days)) if days else None)

        return {
            "adopt": (drift_answers.adopt, _("The rows say what was changed by hand.")),
            "revert": (drift_answers.revert, _("It is brought back to what the rows say.")),
            "ignore": (ignore, _("This difference is left alone; another one is told.")),
        }

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/adopt/", wrap(self.adopt_view), name="provisioning_drift_adopt"),
            *super().get_urls(),
        ]

    def adopt_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what becomes of the rows, and what goes, before they take what was changed by hand."""
        require(request.user, "change", self.model)
        row = self._row(request, object_id)
        problems: list[str] = []
        seen = None
        try:
            seen = preview(row.system, lambda: drift_answers.adopt(row))
        except ValidationError as refused:
            problems = refused.messages
        row.refresh_from_db()
        said = sentences([change.as_dict() for change in seen.changes]) if seen else []
        done = seen.answer if seen else None
        context = {
            **self.admin_site.each_context(request),
            "title": say("Adopt what was changed by hand?"),
            "opts": self.opts,
            "original": row,
            "said": said[:SAID],
            "unsaid": max(0, len(said) - SAID),
            "rows": row_counts(done.changes) if done else [],
            "lost": done.lost if done else (),
            "kept": done.kept if done else (),
            "then": sentences([change.as_dict() for change in done.then])[:SAID] if done else [],
            "problems": problems,
            "decide": reverse("admin:provisioning_drift_decide", args=[row.pk]),
            "back": reverse("admin:provisioning_drift_change", args=[row.pk]),
        }
        return TemplateResponse(request, "provisioning/adopt.html", context)
