"""The page of backups, and what the start page and the sidebar say of them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods

from accounts_app.admin.base import PAGE_MEDIA
from monitoring import dashboard
from nunect.backup import shelf
from nunect.backup.api import handed_out
from nunect.backup.errors import BackupError
from nunect.backup.rights import may_back_up, require_backups


@require_http_methods(["GET", "HEAD", "POST"])
def backups(request: HttpRequest) -> HttpResponse:
    """What is kept: when, how large, sealed or not, by whom. A POST makes one more."""
    require_backups(request.user)
    if request.method == "POST":
        try:
            made = shelf.back_up()
            messages.success(request, say("%s is there.") % made.name)
        except BackupError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(reverse("backups"))
    found, problem = shelf.look() if settings.BACKUP_DIR else ([], "")
    context = {
        **admin.site.each_context(request),
        "title": say("Backups"),
        "media": PAGE_MEDIA,
        "folder": settings.BACKUP_DIR,
        "every_hours": settings.BACKUP_EVERY_HOURS,
        "keep": settings.BACKUP_KEEP,
        "found": found,
        "problem": problem,
        "sealing": bool(settings.BACKUP_PASSPHRASE_FILE),
    }
    return TemplateResponse(request, "nunect/backups.html", context, headers={"Cache-Control": "no-store"})


@require_GET
def download(request: HttpRequest, name: str) -> HttpResponseBase:
    """A sealed backup as a file."""
    require_backups(request.user)
    try:
        return handed_out(name)
    except BackupError as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(reverse("backups"))


def start_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The start page, with what is wrong with the backups for those who may do something about it."""
    context["backup_problem"] = shelf.problem() if may_back_up(request.user) else ""
    return dashboard.start_page(request, context)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, with the way to the backups."""
    groups = dashboard.navigation(request)
    if groups and may_back_up(request.user):
        item = {"title": _("Backups"), "icon": "backup", "link": reverse("backups")}
        groups[-1]["items"].append(item)
    return groups
