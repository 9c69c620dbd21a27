"""The start page of the admin, and what happened."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.contrib.filters.admin.text_filters import TextFilter

from accounts_app.access import may, visible
from accounts_app.admin import chips
from accounts_app.admin.base import ReadOnlyAdmin
from accounts_app.models import Account, NatsUser
from monitoring.events_api import preceding, sentence_of
from monitoring.models import ArchivedEvent
from provisioning.models import Revision

admin.site.index_template = "monitoring/start.html"
admin.site.index_title = "Overview"
admin.site.site_title = admin.site.site_header = "nunect"

MOST = 10_000  # rows that a list counts and pages through; filters find the others
LINKED = ((Account, "account_pk"), (NatsUser, "user_pk"))
_NOTHING = "—"


class FewPages(Paginator):
    """Pages of the first MOST rows: nobody counts millions to show fifty."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:MOST].count())


class ExactFilter(TextFilter):
    """Rows in which a column is exactly what is typed, so that an index finds them."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class AccountFilter(ExactFilter):
    title, parameter_name = _("account"), "account"


class UserFilter(ExactFilter):
    title, parameter_name = _("user"), "user"


@admin.register(ArchivedEvent)
class EventAdmin(ReadOnlyAdmin):
    acts = ()  # who may see users
    paginator = FewPages
    list_before_template = "monitoring/events_head.html"
    list_display = ("when", "level_chip", "text", "kind", "account_link", "user_link", "server_name", "revision_link")
    list_display_links = ("when",)
    search_fields = ("text", "app", "address", "reason")
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("level", ChoicesDropdownFilter),
        AccountFilter,
        UserFilter,
        ("at", RangeDateTimeFilter),
    )
    fields = (
        "when", "level_chip", "kind", "text", "reason", "preceded", "account_link", "user_link", "owner", "app",
        "address", "server", "cid", "revision_link", "told",
    )  # fmt: skip

    # --- who sees it: whoever sees users, as with the live feed and REST -----------

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request.user, "view", NatsUser)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: Any = super().get_queryset(request)
        return rows.of_one_system(request.user)

    # --- what its names lead to ------------------------------------------------------

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        rows = list(page.result_list)
        _find_linked(rows, request.user)
        page.result_list = rows
        return page

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row: Any = super().get_object(request, object_id, from_field)
        if row is not None:
            _find_linked([row], request.user)
            row.linked["preceded"] = _preceded(row, request.user)
        return row

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields

    @admin.display(description=_("level"), ordering="level")
    def level_chip(self, event: ArchivedEvent) -> Any:
        state = {ArchivedEvent.Level.WARNING: "foreign", ArchivedEvent.Level.ERROR: "failed"}.get(
            ArchivedEvent.Level(event.level)
        )
        word = event.get_level_display()
        return chips.chip(state, word=word) if state else word

    @admin.display(description=_("when"), ordering="at")
    def when(self, event: ArchivedEvent) -> Any:
        """To the second: what came first is the question."""
        return format_html('<span style="white-space:nowrap">{}</span>', _seconds(event.at))

    @admin.display(description=_("server"), ordering="server")
    def server_name(self, event: ArchivedEvent) -> Any:
        return format_html('<span style="white-space:nowrap">{}</span>', event.server or _NOTHING)

    @admin.display(description=_("account"))
    def account_link(self, event: ArchivedEvent) -> Any:
        return _link(event, "account_pk", event.account)

    @admin.display(description=_("user"))
    def user_link(self, event: ArchivedEvent) -> Any:
        return _link(event, "user_pk", event.user)

    @admin.display(description=_("revision"))
    def revision_link(self, event: ArchivedEvent) -> Any:
        return _link(event, "revision", f"r{event.revision}" if event.revision is not None else "")

    @admin.display(description=_("preceded by"))
    def preceded(self, event: Any) -> Any:
        """The newest change of its account before it."""
        revision = event.linked["preceded"]
        if revision is None:
            return _NOTHING
        page = reverse("admin:provisioning_revision_change", args=[revision.pk])
        about = f"{_seconds(revision.created_at)}: {sentence_of(revision, event.account)}"
        return format_html('<a class="nu-link" href="{}">{}</a> {}', page, revision, about)

    @admin.display(description=_("detail"))
    def told(self, event: ArchivedEvent) -> Any:
        if not event.detail:
            return _NOTHING
        text = json.dumps(event.detail, ensure_ascii=False, indent=1)
        return format_html('<pre class="nu-pre">{}</pre>', text)


def _seconds(at: datetime) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}"


def _find_linked(rows: list[Any], person: Any) -> None:
    """Note at each row the pages that its names lead to, as far as the person may see them; three queries."""
    pages: dict[str, dict[Any, str]] = {}
    for model, column in LINKED:
        keys = {getattr(row, column) for row in rows} - {None}
        found = visible(model._default_manager.filter(pk__in=keys), person) if may(person, "view", model) else ()
        name = f"admin:accounts_app_{model._meta.model_name}_change"
        pages[column] = {row.pk: reverse(name, args=[row.pk]) for row in found}
    numbers = {row.revision for row in rows} - {None}
    seen = may(person, "view", Revision)
    revisions = visible(Revision.objects.filter(number__in=numbers), person).only("number", "system") if seen else ()
    of_system = {(one.system_id, one.number): one.pk for one in revisions}
    for row in rows:
        key = of_system.get((row.system_id, row.revision))
        row.linked = {column: pages[column].get(getattr(row, column), "") for _, column in LINKED}
        row.linked["revision"] = reverse("admin:provisioning_revision_change", args=[key]) if key else ""


def _preceded(event: ArchivedEvent, person: Any) -> Revision | None:
    """The change that preceded an event, for who may see revisions."""
    if not may(person, "view", Revision):
        return None
    keys = ArchivedEvent.objects.filter(pk=event.pk).values_list(preceding(), flat=True)
    found: Revision | None = visible(Revision.objects.filter(pk__in=[key for key in keys if key]), person).first()
    return found


def _link(event: Any, column: str, text: str) -> Any:
    page = event.linked[column]
    return format_html('<a class="nu-link" href="{}">{}</a>', page, text) if page else text or _NOTHING
