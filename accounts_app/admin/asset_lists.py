"""The lists of streams, buckets and consumers: fifty rows, a fixed number of questions, whatever there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import DropdownFilter

from accounts_app import assets
from accounts_app.access import require_reach, visible
from accounts_app.admin import asset_values as values
from accounts_app.admin import chips
from accounts_app.asset_states import STATES, in_state, state_word
from accounts_app.forecasting import losses_of
from accounts_app.models import Asset, Consumer, Stream

FIRST = (("stream", _("Make a stream")), ("kv", _("Make a KV bucket")), ("object", _("Make an object bucket")))
MOST_AT_ONCE = 1000  # rows of one answer to many


class AssetStateFilter(DropdownFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, chips.STATES[name][1]) for name in STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        state = self.value()
        return queryset.filter(in_state(state)) if state in STATES else queryset


class ManagedFilter(DropdownFilter):
    title = _("who manages it")
    parameter_name = "managed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", _("nunect")), ("0", _("somebody else: observed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(managed=value == "1") if value in ("0", "1") else queryset


class AssetColumns:
    """Cells that streams and consumers share."""

    @admin.display(description=_("name"), ordering="name")
    def title(self, row: Asset) -> Any:
        named, kind = values.shown_name(row), values.kind_of_row(row)
        mark = '<span class="material-symbols-outlined nu-kind" aria-hidden="true">{}</span><span title="{}">{}</span>'
        return format_html(mark, values.ICONS[kind], row.name, named)

    @admin.display(description=_("state"))
    def chip(self, row: Asset) -> Any:
        return chips.asset_chip(row)


class StreamColumns(AssetColumns):
    @admin.display(description=_("kind"), ordering="kind")
    def kind_word(self, row: Stream) -> str:
        return values.kind_word(row)

    @admin.display(description=_("subjects"))
    def subjects(self, row: Stream) -> Any:
        return values.subjects_cell(row)

    @admin.display(description=_("storage"))
    def storage(self, row: Stream) -> Any:
        now = values.settings_now(row)
        if now["replicas"] == 1:
            return now["storage"]
        told = ngettext("%d replica", "%d replicas", now["replicas"]) % now["replicas"]
        return format_html('{} <span title="{}">×{}</span>', now["storage"], told, now["replicas"])

    @admin.display(description=_("messages"), ordering=F("counts__messages").asc(nulls_first=True))
    def messages(self, row: Stream) -> str:
        return values.number(values.count_of(row, "messages"))

    @admin.display(description=_("size"), ordering=F("counts__bytes").asc(nulls_first=True))
    def size(self, row: Stream) -> Any:
        return values.size(values.count_of(row, "bytes"))

    @admin.display(description=_("consumers"))
    def consumer_count(self, row: Any) -> Any:
        link = reverse("admin:accounts_app_consumer_changelist") + f"?stream__id__exact={row.pk}"
        seen = values.count_of(row, "consumers")
        total = max(seen or 0, row.consumer_total)
        return format_html('<a class="nu-link" href="{}">{}</a>', link, total) if row.consumer_total else total


class ConsumerColumns(AssetColumns):
    @admin.display(description=_("account"), ordering="stream__account__name")
    def of_account(self, row: Consumer) -> Any:
        return row.stream.account

    @admin.display(description=_("stream"), ordering="stream__name")
    def of_stream(self, row: Consumer) -> Any:
        return row.stream

    @admin.display(description=_("only"))
    def only(self, row: Consumer) -> Any:
        filters = values.settings_now(row)["filter_subjects"]
        return values.some(filters) if filters else format_html('<span class="nu-muted">{}</span>', _("all"))

    @admin.display(description=_("delivery"))
    def delivery(self, row: Consumer) -> Any:
        return _("push") if values.settings_now(row)["deliver_subject"] else _("pull")

    @admin.display(description=_("lag"), ordering=F("counts__pending").asc(nulls_first=True))
    def lag(self, row: Consumer) -> str:
        return values.number(values.count_of(row, "pending"))

    @admin.display(description=_("unacked"))
    def unacked(self, row: Consumer) -> str:
        return values.number(values.count_of(row, "ack_pending"))


class AssetList:
    """A list whose filters reach the form of a new row, and whose file tells the state of each row."""

    list_before_template = "accounts_app/asset_list_head.html"
    actions = ("manage_selected", "adopt_selected", "revert_selected")
    KINDS: tuple[tuple[str, Any], ...] = ()
    FILED = "export"  # the end of the address of its files

    def get_queryset(self, request: HttpRequest) -> Any:
        page: Any = self
        rows: Any = super().get_queryset(request)  # type: ignore[misc]
        name = f"accounts_app_{page.opts.model_name}"
        asked = request.resolver_match.url_name if request.resolver_match else ""
        return rows.annotate(state_word=state_word()) if asked == f"{name}_{self.FILED}" else rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        page: Any = self
        empty = not visible(page.model._default_manager.all(), request.user).exists()
        more = {"nu_kinds": self.kinds(request), "nu_empty": empty, "nu_first": FIRST, **(extra_context or {})}
        answer: HttpResponse = super().changelist_view(request, more)  # type: ignore[misc]
        return answer

    def kinds(self, request: HttpRequest) -> list[dict[str, Any]]:
        """The kinds that there are, with how many of each the person sees: one question."""
        if not self.KINDS:
            return []
        rows = visible(Stream.objects.all(), request.user).order_by().values_list("kind").annotate(Count("pk"))
        totals: dict[str, int] = dict(rows)
        kept = [(key, value) for key, value in request.GET.items() if key not in ("kind__exact", "p", "all", "e")]
        current = request.GET.get("kind__exact", "")
        tabs = [("", _("All"), sum(totals.values())), *((kind, word, totals.get(kind, 0)) for kind, word in self.KINDS)]
        return [
            {
                "title": word,
                "count": count,
                "url": f"?{urlencode([*kept, ('kind__exact', kind)] if kind else kept)}",
                "current": current == kind,
            }
            for kind, word, count in tabs
        ]

    # --- answers to many at once ---------------------------------------------------

    @admin.action(description=_("Manage the selected, as they were seen"), permissions=["change"])
    def manage_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
        return self._each(request, queryset.filter(managed=False), assets.manage, _("%d managed from now on."))

    @admin.action(description=_("Adopt what is there, of the selected"), permissions=["change"])
    def adopt_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
        return self._each(request, queryset.filter(in_state("drifted")), assets.accept, _("%d adopted."))

    @admin.action(description=_("Revert the selected to their rows"), permissions=["change"])
    def revert_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
        return self._each(request, queryset.filter(in_state("drifted")), _revert, _("%d are brought back."))

    def _each(self, request: HttpRequest, rows: QuerySet[Any], act: Callable[[Any], Any], said: Any) -> HttpResponse:
        """Do it to each row by itself: one that can't doesn't keep the others from it."""
        page: Any = self
        done, refused, systems = 0, "", {}
        with transaction.atomic():
            for row in rows.select_related(*page.list_select_related)[:MOST_AT_ONCE]:
                systems[row.home.system_id] = row.home.system
                try:
                    act(row)
                    done += 1
                except ValidationError as error:
                    refused = refused or f"{values.shown_name(row)}: {' '.join(error.messages)}"
            for system in systems.values():
                require_reach(request.user, system)
        page.message_user(request, said % done, messages.SUCCESS if done else messages.WARNING)
        if refused:
            page.message_user(request, refused, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())


def _revert(row: Any) -> None:
    """Many at once lose nothing: what would be lost is said on the page of each."""
    if losses := losses_of(row):
        raise ValidationError(_("Reverting it loses data, so answer on its own page: %s") % losses[0])
    assets.revert(row)


def asked_for(request: HttpRequest, name: str) -> str:
    """A value that the address of a form gives, or that the list it was opened from is narrowed to."""
    if name in request.GET:
        return str(request.GET[name])
    kept = dict(parse_qsl(request.GET.get("_changelist_filters", "")))
    return kept.get(f"{name}__exact") or kept.get(f"{name}__id__exact") or ""
