"""Tokens: made and shown once, listed, revoked; never changed and never deleted."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import action

from accounts_app import past, services
from accounts_app.access import may, visible
from accounts_app.address import address_of
from accounts_app.admin import chips
from accounts_app.admin.base import PAGE_MEDIA, RowForm, Visible
from accounts_app.admin.filters import RelatedFilter
from accounts_app.admin.listing import Listed
from accounts_app.door import DOORS
from accounts_app.models import Account, AuditEntry, Token

NAMED = 3  # accounts that a row of the list names
_PUBLIC = re.compile(r"nun_([0-9a-f]{12})")


def state_of(token: Token) -> str:
    """Whether the token lets somebody in, or what keeps it from that."""
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= timezone.now():
        return "expired"
    return "active" if token.person.is_active else "disabled"


def _entry(told: AuditEntry) -> past.Entry:
    door = str(DOORS.get(told.door, told.door))
    who = told.person_name or door
    return past.Entry(told.at, who, door if told.person_name else "", told.act, "", "", ())


class TokenStateFilter(DropdownFilter):
    """Tokens that let somebody in, and such as don't any more."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, chips.STATES[name][1]) for name in ("active", "expired", "revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        state = self.value()
        if state == "active":
            return queryset.filter(pk__in=Token.objects.alive().values("pk"))
        if state == "expired":
            return queryset.filter(revoked_at=None, expires_at__lte=timezone.now())
        return queryset.exclude(revoked_at=None) if state == "revoked" else queryset


class TokenForm(RowForm):
    """Makes the token while it is checked, so that what the service refuses stands at its field.

    maker: who asks for it; made: the token and its bare text.
    """

    maker: Any = None
    made: tuple[Token, str] | None = None

    class Meta:
        model = Token
        fields = ("name", "person", "scope", "accounts", "expires_at")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        person = self.fields.get("person")
        if person is not None:
            person.initial = self.maker.pk
            person.help_text = _(
                "It never may more than this person. A program of its own gets a service account: add it under "
                "People with password-based authentication disabled, make it staff, and give it what it needs."
            )

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors or not self.is_bound:
            return
        data = self.cleaned_data
        try:
            self.made = services.make_token(
                data.get("person") or self.maker,
                data["name"],
                scope=data["scope"],
                accounts=[account.name for account in data["accounts"]],
                expires_at=data["expires_at"],
                seen_by=self.maker,
            )
        except ValidationError as refused:
            for name, sentences in refused.message_dict.items():
                self.add_error(name if name in self.fields else None, sentences)
        else:
            self.instance = self.made[0]

    def save(self, commit: bool = True) -> Any:
        self.save_m2m = self._saved  # type: ignore[method-assign]
        return self.instance

    def _saved(self) -> None:
        """The service has saved what belongs to it."""


@admin.register(Token)
class TokenAdmin(Listed, Visible, ModelAdmin):
    form = TokenForm
    list_display = ("name", "chip", "begins", "person", "scope", "reaches", "expires_at", "last_used_at")
    LISTED = ("name", "public", "person__username", "scope", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_before_template = "accounts_app/list_head.html"
    change_form_outer_before_template = "accounts_app/token_head.html"
    search_fields = ("name", "public", "person__username")
    autocomplete_fields = ("person", "accounts")
    actions = ("revoke_selected",)
    actions_detail = ("revoke",)
    fields = ("name", "scope", "accounts", "expires_at")
    SHOWN = ("name", "begins", "person", "scope", "reaches", "created_at", "expires_at", "last_used_at", "revoked_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        seen = Prefetch("accounts", visible(Account.objects.order_by("name"), request.user))
        return super().get_queryset(request).select_related("person").prefetch_related(seen)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Also by what a token begins with; the rest of a token that somebody pasted is not looked at."""
        found = _PUBLIC.match(search_term.strip())
        return super().get_search_results(request, queryset, found[1] if found else search_term)

    def get_list_filter(self, request: HttpRequest) -> Any:
        people = [("person", RelatedFilter)] if may(request.user, "view", get_user_model()) else []
        return [TokenStateFilter, ("scope", ChoicesDropdownFilter), *people, ("accounts", RelatedFilter)]

    @admin.display(description=_("state"))
    def chip(self, token: Token) -> Any:
        return chips.chip(state_of(token))

    @admin.display(description=_("begins with"), ordering="public")
    def begins(self, token: Token) -> Any:
        return format_html('<code class="nu-mono">{}</code>', token.prefix)

    @admin.display(description=_("accounts"))
    def reaches(self, token: Token) -> Any:
        if not token.restricted:
            return _("all that its person sees")
        names = [account.name for account in token.accounts.all()]
        if not names:
            return _("none that is left")
        more = say(" and %d more") % (len(names) - NAMED) if len(names) > NAMED else ""
        return ", ".join(names[:NAMED]) + more

    # --- never changed, never deleted ----------------------------------------

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As REST has it, where a token is deleted."""
        return may(request.user, "delete", Token)

    # --- a new one, shown once ------------------------------------------------

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            return self.SHOWN
        return ("name", "person", *self.fields[1:]) if request.user.is_superuser else self.fields  # type: ignore[union-attr]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.SHOWN if obj is not None else ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        if obj is not None:
            options["help_texts"] = dict.fromkeys(self.SHOWN, "")
        form = super().get_form(request, obj, change, **options)
        return type("TokenForm", (form,), {"maker": request.user}) if obj is None else form

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        request.new_token = form.made[1]  # type: ignore[attr-defined]
        return super().save_form(request, form, change)

    def save_model(self, request: HttpRequest, obj: Token, form: Any, change: bool) -> None:
        """The service has saved it."""

    def response_add(self, request: HttpRequest, obj: Token, post_url_continue: str | None = None) -> HttpResponse:
        """The bare token is in the answer to the POST, and nowhere else."""
        bare = request.new_token  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),
            "title": say("The token %s") % obj.name,
            "opts": self.opts,
            "original": obj,
            "bare": bare,
            "url": address_of("/", request).rstrip("/"),
            "media": PAGE_MEDIA,
        }
        return TemplateResponse(
            request, "accounts_app/token_secret.html", context, headers={"Cache-Control": "no-store, private"}
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        token = self.get_object(request, unquote(object_id)) if object_id else None
        head = {"chip": self.chip(token), "list": self._of_person(token)} if token is not None else {}
        buttons = {"show_save_and_continue": False, "show_save_and_add_another": False}
        return super().changeform_view(
            request, object_id, form_url, {**buttons, "nu_token": head, **(extra_context or {})}
        )

    def _of_person(self, token: Token) -> str:
        return reverse("admin:accounts_app_token_changelist") + f"?person__id__exact={token.person_id}"

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What the trail says of the token, whichever door it was."""
        token = self.get_object(request, unquote(object_id))
        if token is None:
            raise Http404
        if not self.has_view_permission(request, token):
            raise PermissionDenied
        told = AuditEntry.objects.filter(object_type="token", object_id=str(token.pk))
        context = {
            **self.admin_site.each_context(request),
            "title": say("History of %s") % token,
            "opts": self.opts,
            "original": token,
            "nu_chip": self.chip(token),
            "entries": [_entry(entry) for entry in told[: past.SHOWN]],
            "media": PAGE_MEDIA,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "accounts_app/past.html", context)

    # --- revoking -------------------------------------------------------------

    def get_actions_detail(self, request: HttpRequest, object_id: Any = None) -> Any:
        token = self.get_object(request, unquote(str(object_id)))
        if token is None or token.revoked_at is not None:
            return []
        return super().get_actions_detail(request, object_id)

    @action(description=_("Revoke"), url_path="revoke", permissions=["revoke"], icon="block")
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then take the token back for good."""
        token = self.get_object(request, unquote(str(object_id)))
        if token is None:
            raise Http404
        if not self.has_view_permission(request, token):
            raise PermissionDenied
        if request.method == "POST":
            with transaction.atomic():
                if services.revoke_tokens(self.get_queryset(request).filter(pk=token.pk)):
                    self.log_change(request, token, say("Token revoked."))
            self.message_user(request, say("“%s” is revoked: nobody gets in with it.") % token, messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:accounts_app_token_change", args=[token.pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": say("Revoke the token %s?") % token,
            "opts": self.opts,
            "original": token,
            "chip": self.chip(token),
            "media": PAGE_MEDIA,
        }
        return TemplateResponse(request, "accounts_app/token_revoke.html", context)

    @admin.action(description=_("Revoke the selected tokens"), permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Token]) -> HttpResponse | None:
        count = services.revoke_tokens(queryset)
        said = ngettext("%d token revoked.", "%d tokens revoked.", count)
        self.message_user(request, said % count, messages.SUCCESS)
        return HttpResponseRedirect(request.get_full_path())
