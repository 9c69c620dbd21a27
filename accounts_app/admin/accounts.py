"""Accounts: limits, JetStream, what belongs to them, and what the servers hold of them."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import flatten, unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.views import ChangeList

from accounts_app import services
from accounts_app.access import visible
from accounts_app.admin import chips
from accounts_app.admin.base import PAGE_MEDIA, RowAdmin, RowForm, counted, first_system, head_of, manages, told_again
from accounts_app.admin.documents import Applies
from accounts_app.admin.filters import OwnStateFilter
from accounts_app.conf_text import MASK
from accounts_app.models import Account, NatsUser, Role
from accounts_app.models.account import TOLD
from accounts_app.raw import raw_conf
from accounts_app.retiring import retiring
from accounts_app.snapshot import JETSTREAM_FIELDS
from accounts_app.stages import Unwritten

SHOWN = 200_000  # characters of a block on its page; the rest is in the file to download


class AccountForm(RowForm):
    CHECKED = ("system",)

    class Meta:
        model = Account
        fields = "__all__"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        role = self.fields.get("default_role")
        if isinstance(role, forms.ModelChoiceField):
            own = Q(account=self.instance.pk) if self.instance.pk else Q(pk=None)
            system = self.instance.system_id or self.initial.get("system")
            role.queryset = role.queryset.filter(own | Q(account=None, system=system))  # type: ignore[union-attr]
            role.label_from_instance = _role_label  # type: ignore[method-assign, assignment]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.instance.is_reserved and cleaned.get("enabled") is False:
            self.add_error("enabled", _("The servers' own account can't be disabled."))
        return cleaned


def _role_label(role: Role) -> str:
    return role.name if role.account_id else say("%s (shared)") % role.name


def tabs(account: Account, current: str, person: Any) -> list[dict[str, Any]]:
    """The parts of an account, with how many rows of each the person sees."""
    found = [_tab("overview", _("Overview"), "account_change", account, current)]
    for name, title, model in (  # counted one by one: joined, they would multiply
        ("users", _("Users"), "natsuser"),
        ("roles", _("Roles"), "role"),
        ("exports", _("Exports"), "export"),
        ("imports", _("Imports"), "import"),
        ("mappings", _("Mappings"), "mapping"),
        ("streams", _("Streams"), "stream"),
    ):
        url = reverse(f"admin:accounts_app_{model}_changelist") + f"?account__id__exact={account.pk}"
        count = visible(getattr(account, name).all(), person).count()
        found.append({"title": title, "url": url, "count": count, "current": False})
    found.append(_tab("conf", _("Raw conf"), "account_conf", account, current))
    found.append(_tab("history", _("History"), "account_history", account, current))
    return found


def _chips(account: Account, person: Any) -> Any:
    """How far the servers are with an account, and whether it is on its way out."""
    going = chips.retiring_chip(retiring([account.pk]).get(account.pk), person)
    return format_html("{} {}", chips.account_chip(account), going)


def _tab(name: str, title: Any, view: str, account: Account, current: str) -> dict[str, Any]:
    url = reverse(f"admin:accounts_app_{view}", args=[account.pk])
    return {"title": title, "url": url, "count": None, "current": name == current}


class AccountList(ChangeList):
    """A page of accounts that knows which of them are being retired."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        found: list[Any] = list(self.result_list)
        going = retiring([account.pk for account in found])
        for account in found:
            account.going = chips.retiring_chip(going.get(account.pk), request.user)
        self.result_list = found


@admin.register(Account)
class AccountAdmin(Applies, RowAdmin):
    form = AccountForm
    actions_list = ("apply",)
    list_display = ("name", "chip", "user_count", "enabled", "jetstream", "owner", "description")
    list_select_related = ("system", "owner")
    LISTED = (
        "name",
        "description",
        "owner__username",
        "enabled",
        "default_role__name",
        "max_connections",
        "max_subscriptions",
        "max_payload",
        "max_leafnodes",
        "jetstream",
        "jetstream_control",
        *(f"jetstream_{name}" for name in JETSTREAM_FIELDS),
    )
    list_filter = (
        OwnStateFilter,
        ("enabled", BooleanRadioFilter),
        ("jetstream", BooleanRadioFilter),
    )
    SYSTEM = ("system",)
    search_fields = ("name", "description")
    autocomplete_fields = ("owner", "system")
    fieldsets = (
        (None, {"fields": ("system", "name", "description", "owner", "enabled", "default_role")}),
        (_("Limits"), {"fields": (("max_connections", "max_subscriptions"), ("max_payload", "max_leafnodes"))}),
        (
            _("JetStream"),
            {
                "fields": (
                    ("jetstream", "jetstream_control"),
                    ("jetstream_max_mem", "jetstream_max_file"),
                    ("jetstream_max_streams", "jetstream_max_consumers"),
                    ("jetstream_max_ack_pending", "jetstream_mem_max_stream_bytes"),
                    ("jetstream_disk_max_stream_bytes", "jetstream_max_bytes_required"),
                    "jetstream_cluster_traffic",
                )
            },
        ),
    )
    conditional_fields = dict.fromkeys(
        (f"jetstream_{name}" for name in ("control", *JETSTREAM_FIELDS)), "jetstream == true"
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        if request.resolver_match and request.resolver_match.url_name == "accounts_app_account_changelist":
            rows = rows.annotate(user_total=counted(NatsUser, "account", request.user))
        return rows

    def get_changelist(self, request: HttpRequest, **options: Any) -> Any:
        return AccountList

    @admin.display(description=_("state"))
    def chip(self, account: Any) -> Any:
        return format_html("{} {}", chips.account_chip(account), account.going)

    @admin.display(description=_("users"), ordering="user_total")
    def user_count(self, account: Any) -> int:
        return account.user_total

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fixed: list[str] = []
        if isinstance(obj, Account):
            fixed.append("system")
            if obj.done or obj.is_reserved:
                fixed.append("name")
            if obj.is_reserved:
                fixed.append("enabled")
            if obj.is_control:  # a form leaves out what it can't change
                shown = [name for _title, options in self.fieldsets for name in flatten(options["fields"])]
                fixed = [name for name in shown if name not in TOLD]
        return tuple(fixed)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        initial.setdefault("system", first_system(request.user))
        return initial

    def head(self, request: HttpRequest, object_id: str | None) -> dict[str, Any]:
        found = super().head(request, object_id)
        if found:
            past = request.path.endswith("/history/")
            account = found["nu_account"]
            found["nu_chip"] = _chips(account, request.user)
            found["nu_tabs"] = tabs(account, "history" if past else "overview", request.user)
        return found

    # --- deleting -----------------------------------------------------------

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)  # an account takes its users along: one at a time, by its name
        return actions

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if isinstance(obj, Account) and obj.is_reserved:
            return False
        return super().has_delete_permission(request, obj)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask for the account's name, and show how much goes along with it."""
        account = self._account(request, object_id)
        if not self.has_delete_permission(request, account):
            raise PermissionDenied
        problem = ""
        try:
            services.check_deletable([account])
        except ValidationError as refused:
            problem = " ".join(refused.messages)
        error = ""
        if request.method == "POST" and not problem:
            if request.POST.get("name", "").strip() != account.name:
                error = say("That is not the account's name.")
            else:
                try:
                    with transaction.atomic():
                        self.log_deletions(request, [account])
                        self.delete_model(request, account)
                except Unwritten as refused:
                    return told_again(request, refused)
                self.message_user(request, say("“%s” is deleted; the servers follow.") % account.name, messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:accounts_app_account_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": say("Delete account %s?") % account.name,
            "opts": self.opts,
            "account": account,
            "original": account,
            "parts": [tab for tab in tabs(account, "", request.user) if tab["count"]],
            "problem": problem,
            "error": error,
        }
        return TemplateResponse(request, "accounts_app/delete_account.html", context)

    # --- raw conf, states ---------------------------------------------------

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("states/", wrap(chips.states), name="accounts_app_states"),
            path("<path:object_id>/conf/", wrap(self.conf_view), name="accounts_app_account_conf"),
            *super().get_urls(),
        ]

    def _account(self, request: HttpRequest, object_id: str) -> Account:
        account = self.get_object(request, unquote(object_id))
        if account is None:
            raise Http404
        return account

    def conf_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The block that the rows stand for, as it goes into the file."""
        account = self._account(request, object_id)
        if not self.has_view_permission(request, account):
            raise PermissionDenied
        managing = manages(request.user)
        reveal = bool(request.GET.get("secrets")) and managing
        text, problem = raw_conf(account, keys=managing, secrets=reveal)
        if request.GET.get("download"):
            name = re.sub(r"[^A-Za-z0-9_-]", "", account.name) or "account"
            return HttpResponse(
                text,
                content_type="text/plain; charset=utf-8",
                headers={"Content-Disposition": f'attachment; filename="{name}.conf"', "Cache-Control": "no-store"},
            )
        context = {
            **self.admin_site.each_context(request),
            **head_of(account),
            "nu_chip": _chips(account, request.user),
            "title": account.name,
            "opts": self.opts,
            "original": account,
            "text": text[:SHOWN],
            "more": len(text) > SHOWN,
            "problem": problem,
            "reveal": reveal,
            "has_hashes": MASK in text,
            "manages": managing,
            "nu_tabs": tabs(account, "conf", request.user),
            "media": PAGE_MEDIA,
        }
        return TemplateResponse(request, "accounts_app/conf.html", context)
