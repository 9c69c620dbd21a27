"""Streams, buckets and consumers in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from accounts_app import assets
from accounts_app.access import visible
from accounts_app.admin import asset_values as values
from accounts_app.admin.asset_fields import as_written, lines_of, sections_of
from accounts_app.admin.asset_forms import form_of
from accounts_app.admin.asset_lists import (
    AssetList,
    AssetStateFilter,
    ConsumerColumns,
    ManagedFilter,
    StreamColumns,
    asked_for,
)
from accounts_app.admin.asset_pages import AssetPages
from accounts_app.admin.base import RowAdmin, counted
from accounts_app.admin.filters import RelatedFilter
from accounts_app.jetstream.differences import in_words
from accounts_app.jetstream.settings import Kind, Setting
from accounts_app.models import Asset, Consumer, Stream

KINDS: tuple[tuple[Kind, Any], ...] = (
    ("stream", _("Streams")),
    ("kv", _("KV buckets")),
    ("object", _("Object buckets")),
)


class AssetAdmin(AssetPages, AssetList, RowAdmin):
    """What streams and consumers share: a form made of the table of settings, saved by the services."""

    change_form_template = "accounts_app/asset_form.html"
    change_form_outer_before_template = "accounts_app/asset_head.html"
    compressed_fields = False  # labels above: the forecast needs the room beside
    OWNER: str  # the field that names whose it is

    # --- the form ---------------------------------------------------------------

    def kind_of(self, request: HttpRequest, row: Any) -> Kind:
        """By which settings the form is made."""
        raise NotImplementedError

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        row = obj if isinstance(obj, Asset) else None
        fields = [name for name in (self.OWNER, "name", "deletion") if row is None or name == "deletion"]
        if row is not None and not self.has_change_permission(request, row):
            return super().get_form(request, obj, change=change, **{**options, "fields": []})
        made: Any = form_of(self.kind_of(request, row))
        return super().get_form(request, obj, change=change, **{**options, "form": made, "fields": fields})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        row = obj if isinstance(obj, Asset) else None
        if row is not None and not self.has_change_permission(request, row):
            return ()
        (_first, settings), *more = sections_of(self.kind_of(request, row)).items()
        own: tuple[Any, ...] = () if row is not None else ((self.OWNER, "name"),)
        said = values.said_of(row) if row is not None else {}
        found: list[Any] = [(None, {"fields": (*own, *lines_of(settings), "deletion")})]
        for title, those in more:
            heading = self._heading(title, those, row, said)
            found.append((heading, {"fields": lines_of(those), "classes": ("collapse",)}))
        return found

    def _heading(self, title: str, settings: list[Setting], row: Asset | None, said: dict[str, Any]) -> str:
        """The title of a folded section, with what was said in it."""
        if row is None:
            return title
        kind, told = values.kind_of_row(row), []
        for one in settings:
            if one.name in said:
                large = one.type in ("object", "objects", "map")
                told.append(one.title if large else f"{one.title} {in_words(kind, one.name, said[one.name])}")
        return f"{title} · {', '.join(told)}" if told else title

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        owner = asked_for(request, self.OWNER)
        if owner.isascii() and owner.isdecimal() and len(owner) < 19:
            initial.setdefault(self.OWNER, owner)
        return initial

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What is only observed, or about to go, has no form."""
        if isinstance(obj, Asset) and (not obj.managed or obj.leaving):
            return False
        return super().has_change_permission(request, obj)

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **options)
        except ValidationError as refused:  # what the form could not know: somebody else was faster
            self.message_user(request, " ".join(refused.messages), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Through the services that every door calls."""
        made: Asset
        if change:
            made = self.model._default_manager.get(pk=obj.pk)
            assets.save_asset(made, as_written(form.KIND, form.config_changes()), deletion=obj.deletion)
        else:
            made = self.make(obj)
        obj.__dict__.update({key: value for key, value in made.__dict__.items() if key != "_state"})
        obj._state.adding = False

    def make(self, row: Any) -> Asset:
        """Make a new row with its services."""
        raise NotImplementedError

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)  # data may go along: one at a time, by its name
        return actions

    def row_of(self, request: HttpRequest, object_id: str) -> Any:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row


@admin.register(Stream)
class StreamAdmin(StreamColumns, AssetAdmin):
    OWNER = "account"
    SYSTEM = ("account__system",)
    KINDS = KINDS
    list_display = (
        "title",
        "account",
        "kind_word",
        "subjects",
        "storage",
        "messages",
        "size",
        "consumer_count",
        "chip",
    )
    list_select_related = ("account",)
    LISTED = (
        "account__name",
        "name",
        "kind",
        "state_word",
        "deletion",
        "config__subjects",
        "config__retention",
        "config__storage",
        "config__replicas",
        "config__max_age",
        "config__max_bytes",
        "config__max_msgs",
        "counts__messages",
        "counts__bytes",
        "seen_at",
        "problem",
    )
    list_filter = (AssetStateFilter, ("kind", ChoicesDropdownFilter), ManagedFilter, ("account", RelatedFilter))
    search_fields = ("name", "account__name", "config__subjects", "seen__subjects")
    autocomplete_fields = ("account",)
    conditional_fields = {"discard_new_per_subject": "discard == 'new'"}

    def kind_of(self, request: HttpRequest, row: Any) -> Kind:
        asked = row.kind if row is not None else asked_for(request, "kind")
        return next((kind for kind, _word in KINDS if kind == asked), "stream")

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        if request.resolver_match and request.resolver_match.url_name == "accounts_app_stream_changelist":
            rows = rows.annotate(consumer_total=counted(Consumer, "stream", request.user))
        return rows

    def make(self, row: Any) -> Asset:
        return assets.make_stream(row.account, row.kind, row.name, as_written(row.kind, row.config), row.deletion)

    def tabs(self, request: HttpRequest, row: Any, current: str) -> list[dict[str, Any]]:
        listed = reverse("admin:accounts_app_consumer_changelist") + f"?stream__id__exact={row.pk}"
        count = visible(row.consumers.all(), request.user).count()
        own, past = super().tabs(request, row, current)
        return [own, {"title": say("Consumers"), "url": listed, "count": count, "current": False}, past]


@admin.register(Consumer)
class ConsumerAdmin(ConsumerColumns, AssetAdmin):
    OWNER = "stream"
    SYSTEM = ("stream__account__system",)
    list_display = ("title", "of_stream", "of_account", "only", "delivery", "lag", "unacked", "chip")
    list_select_related = ("stream__account",)
    LISTED = (
        "stream__account__name",
        "stream__name",
        "name",
        "state_word",
        "deletion",
        "config__filter_subjects",
        "config__ack_policy",
        "config__max_deliver",
        "config__deliver_subject",
        "seen_at",
        "problem",
    )
    list_filter = (
        AssetStateFilter,
        ManagedFilter,
        ("stream__account", RelatedFilter),
        ("stream", RelatedFilter),
    )
    search_fields = ("name", "stream__name", "stream__account__name", "config__filter_subjects")
    autocomplete_fields = ("stream",)
    conditional_fields = {
        "opt_start_seq": "deliver_policy == 'by_start_sequence'",
        "opt_start_time": "deliver_policy == 'by_start_time'",
    }

    def kind_of(self, request: HttpRequest, row: Any) -> Kind:
        return "consumer"

    def make(self, row: Any) -> Asset:
        return assets.make_consumer(row.stream, row.name, as_written("consumer", row.config), row.deletion)
