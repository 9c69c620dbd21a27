"""The way to the servers of a system: a page that tries it, and a button that tries what a form says now."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as say
from django.views.decorators.debug import sensitive_post_parameters

from accounts_app.access import may, require, require_whole, visible
from accounts_app.admin import chips
from accounts_app.admin.base import PAGE_MEDIA
from accounts_app.models import System, record
from accounts_app.systems import WAY
from provisioning.connecting import try_connection

NO_STORE = {"Cache-Control": "no-store, private"}


class Tries:
    """Gives the admin of differences the pages that try the way to servers."""

    admin_site: Any

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        own = [
            path("connection/<int:pk>/", wrap(self.connection_view), name="provisioning_connection_of"),
            path("connection/<int:pk>/try/", wrap(self.try_view), name="provisioning_connection_try"),
            path("connection/try/", wrap(self.try_view), name="provisioning_connection_try_new"),
        ]
        return [*own, *super().get_urls()]  # type: ignore[misc]

    def connection_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The way to each server of a system, tried now."""
        require(request.user, "view", System)
        system = _system(request, pk)
        return self._way_page(request, system, {"tried": try_connection(system)})

    @method_decorator(sensitive_post_parameters())
    def try_view(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """The steps of what a form of a system says now; nothing of it is saved. A part of a page for scripts."""
        if request.method != "POST":
            raise PermissionDenied
        require(request.user, "change" if pk is not None else "add", System)
        require_whole(request.user)
        system = _system(request, pk) if pk is not None else None
        name = system.name if system is not None else ""
        site: admin.AdminSite = self.admin_site
        made: Any = site.get_model_admin(System).get_form(request, system, change=system is not None)
        form = made(request.POST, instance=system or System(stage=System.Stage.OBSERVED))
        form.is_valid()
        wrong = [
            (form.fields[field].label if field in form.fields else "", " ".join(errors))
            for field, errors in form.errors.items()
            if field in WAY
        ]
        told: dict[str, Any] = {"wrong": wrong, "tried": []}
        if not wrong:
            record("connection tried", System(pk=pk, name=name) if pk is not None else None, url=form.instance.url)
            told["tried"] = try_connection(form.instance)
        if request.headers.get("X-Requested-With") == "fetch":
            return TemplateResponse(request, "provisioning/way.html", told, headers=NO_STORE)
        return self._way_page(request, System(pk=pk, name=name), {**told, "unsaved": True})

    def _way_page(self, request: HttpRequest, system: System, told: dict[str, Any]) -> HttpResponse:
        title = say("The way to %s") % system if system.name else say("The way to servers that are not added yet")
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": System._meta,
            "original": system,
            "media": PAGE_MEDIA,
            "chip": chips.chip(system.state),
            "may_change": may(request.user, "change", System),
            **told,
        }
        return TemplateResponse(request, "provisioning/connection.html", context, headers=NO_STORE)


def _system(request: HttpRequest, pk: int) -> System:
    """The system that a page is about. Raises PermissionDenied and Http404."""
    require_whole(request.user)
    system = visible(System._default_manager.all(), request.user).filter(pk=pk).first()
    if system is None:
        raise Http404
    return system
