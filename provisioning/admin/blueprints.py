"""Blueprints: the catalogue, what each of them says, and those of people's own."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter

from accounts_app.access import may, reaches_all, require, require_whole
from accounts_app.admin import chips
from accounts_app.admin.base import PAGE_MEDIA, ReadOnlyAdmin
from accounts_app.natsconf.document import DocumentError
from provisioning.admin.provision import Provisions
from provisioning.admin.shelf import Shelved
from provisioning.blueprints import catalogue
from provisioning.blueprints.catalogue import Entry
from provisioning.models import Blueprint, Job

PLACES = 200  # that are wrong, on a page


def provisions(person: Any) -> bool:
    """Whether they may make jobs of blueprints."""
    return may(person, "add", Job) and reaches_all(person)


@admin.register(Blueprint)
class BlueprintAdmin(Provisions, ReadOnlyAdmin):
    """Rows are versions that people have saved; their pages are those of the catalogue."""

    acts = ("view", "add", "change")
    list_display = ("title_word", "name", "version", "chip", "created_by", "created_at")
    list_display_links = ("title_word",)
    list_select_related = ("created_by",)
    list_filter = (("enabled", BooleanRadioFilter),)
    list_before_template = "provisioning/blueprint_list_head.html"
    search_fields = ("name", "title", "description")

    @admin.display(description=_("blueprint"), ordering="title")
    def title_word(self, row: Blueprint) -> str:
        return row.title or row.name

    @admin.display(description=_("state"), ordering="enabled")
    def chip(self, row: Blueprint) -> Any:
        return _chip(row.enabled)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request.user, "add", Blueprint)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) or provisions(request.user)

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        own = [
            path("catalogue/", wrap(self.catalogue_view), name="provisioning_blueprint_catalogue"),
            path("text/<str:name>/", wrap(self.text_view), name="provisioning_blueprint_text"),
            path("<int:pk>/switch/", wrap(self.switch_view), name="provisioning_blueprint_switch"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"opts": Shelved(self.opts), **(extra_context or {})})

    # --- the catalogue ----------------------------------------------------------------------------------------

    def catalogue_view(self, request: HttpRequest) -> HttpResponse:
        """What there is, a card each; what is switched off only for those who could switch it on."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        manages = may(request.user, "change", Blueprint)
        context = {
            **self.admin_site.each_context(request),
            "title": say("Blueprints"),
            "opts": Shelved(self.opts),
            "media": PAGE_MEDIA,
            "cards": [entry for entry in catalogue.all_blueprints() if entry.enabled or manages],
            "provisions": provisions(request.user),
            "may_add": may(request.user, "add", Blueprint),
            "own": reverse("admin:provisioning_blueprint_changelist"),
        }
        return TemplateResponse(request, "provisioning/catalogue.html", context)

    # --- one of them ------------------------------------------------------------------------------------------

    def text_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """What a blueprint says, also one that nunect brings."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        entry = self._entry(name, request.GET.get("version", ""))
        if entry is None:
            raise Http404
        return self._text(request, entry)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row) or request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        entry = self._entry(row.name, str(row.version))
        if entry is None:
            raise Http404
        return self._text(request, entry)

    def _entry(self, name: str, version: str) -> Entry | None:
        """The version asked for, or else the one that would be taken."""
        if version.isdecimal():
            entries = (each for each in catalogue.all_blueprints(every_version=True) if str(each.version) == version)
        else:
            entries = (each for each in catalogue.all_blueprints())
        return next((each for each in entries if each.name == name), None)

    def _text(self, request: HttpRequest, entry: Entry) -> HttpResponse:
        try:
            parameters, places = entry.spec.parameters, []
        except DocumentError as error:
            parameters, places = (), list(error.places)
        versions = [each for each in catalogue.all_blueprints(every_version=True) if each.name == entry.name]
        context = {
            **self.admin_site.each_context(request),
            "title": entry.title or entry.name,
            "opts": Shelved(self.opts),
            "media": PAGE_MEDIA,
            "entry": entry,
            "chip": _chip(entry.enabled),
            "parameters": parameters,
            "places": places[:PLACES],
            "versions": versions if len(versions) > 1 else [],
            "provisions": provisions(request.user) and entry.enabled and not places,
            "may_add": may(request.user, "add", Blueprint),
            "may_switch": entry.pk is not None and may(request.user, "change", Blueprint),
        }
        return TemplateResponse(request, "provisioning/blueprint.html", context)

    def switch_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let a version be provisioned, or not."""
        require(request.user, "change", Blueprint)
        row = self.get_object(request, str(pk))
        if row is None:
            raise Http404
        page = reverse("admin:provisioning_blueprint_change", args=[row.pk])
        entry = self._entry(row.name, str(row.version))
        if request.method == "POST" and entry is not None:
            enabled = request.POST.get("enabled") == "yes"
            try:
                catalogue.switch(entry, enabled)
            except ValidationError as refused:
                self.message_user(request, " ".join(refused.messages), messages.ERROR)
            else:
                said = _("It may be provisioned.") if enabled else _("Nobody provisions it any more.")
                self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(page)

    # --- one of one's own -------------------------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Write one, beginning with nothing or with another one's text."""
        require(request.user, "add", Blueprint)
        require_whole(request.user)
        if request.method != "POST":
            return self._writing(request, self._begun(request))
        text, problem = self._posted(request)
        if problem:
            return self._writing(request, text, [("", problem)])
        try:
            entry = catalogue.save_blueprint(text, request.user)
        except DocumentError as error:
            return self._writing(request, text, [(each.where, each.sentence) for each in error.places])
        except ValidationError as refused:
            told = refused.message_dict if hasattr(refused, "error_dict") else {"": refused.messages}
            return self._writing(request, text, [(place, " ".join(said)) for place, said in told.items()])
        self.message_user(request, say("“%s” is in the catalogue.") % entry.title, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:provisioning_blueprint_change", args=[entry.pk]))

    def _begun(self, request: HttpRequest) -> str:
        """The text to begin with: of the blueprint to be copied, under another name or with the next number."""
        entry = self._entry(request.GET.get("copy", ""), request.GET.get("version", ""))
        if entry is None:
            return ""
        if entry.shipped:
            text = re.sub(r"(?m)^blueprint:.*$", f"blueprint: my-{entry.name}"[:75], entry.text, count=1)
            return re.sub(r"(?m)^version:.*$", "version: 1", text, count=1)
        versions = (each.version for each in catalogue.all_blueprints(every_version=True) if each.name == entry.name)
        return re.sub(r"(?m)^version:.*$", f"version: {max(versions) + 1}", entry.text, count=1)

    def _posted(self, request: HttpRequest) -> tuple[str, str]:
        """(text, what keeps it from being read)"""
        upload = request.FILES.get("file") or request.FILES.get("text")
        if upload is not None and (upload.size or 0) > settings.API_MAX_BYTES:
            return "", say("This is larger than the %s bytes that this server takes.") % f"{settings.API_MAX_BYTES:,}"
        try:
            text = upload.read().decode("utf-8-sig") if upload else request.POST.get("text", "")
        except UnicodeDecodeError:
            return "", say("The file is no UTF-8 text.")
        return text.replace("\r\n", "\n"), "" if text.strip() else say("Paste something, or choose a file.")

    def _writing(self, request: HttpRequest, text: str, places: list[tuple[str, str]] | None = None) -> HttpResponse:
        found = places or []
        context = {
            **self.admin_site.each_context(request),
            "title": say("A blueprint of your own"),
            "opts": Shelved(self.opts),
            "media": PAGE_MEDIA,
            "text": text,
            "places": found[:PLACES],
            "place_count": len(found),
            "more_places": max(0, len(found) - PLACES),
        }
        return TemplateResponse(request, "provisioning/blueprint_add.html", context)


def _chip(enabled: bool) -> Any:
    return chips.chip("active" if enabled else "disabled", word=_("enabled") if enabled else "")
