"""NATS users: how they prove who they are, what they may do, and the secret that is shown once."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.decorators import action

from accounts_app import services
from accounts_app.admin import chips
from accounts_app.admin.base import PAGE_MEDIA, RowAdmin
from accounts_app.admin.filters import RelatedFilter, StateFilter
from accounts_app.admin.roles import WILDCARDS, PermissionInline
from accounts_app.admin.user_forms import REFUSALS, OverlapForm, UserForm, sentence
from accounts_app.models import NatsUser


def stamp(user: NatsUser) -> str:
    """Tells one credential of a user from another, so that a stale page can't replace a newer one."""
    held = f"{user.pk}:{user.credential}:{user.nkey}:{user.password_hash}:{user.certificate}"
    return hashlib.sha256(held.encode()).hexdigest()[:16]


@admin.register(NatsUser)
class NatsUserAdmin(RowAdmin):
    form = UserForm
    list_display = ("name", "account", "chip", "credential", "may", "live", "expires_at")
    list_select_related = ("account__system", "role")
    LISTED = (
        "name",
        "account__name",
        "description",
        "owner__username",
        "credential",
        "access",
        "role__name",
        "connection_types",
        "enabled",
        "expires_at",
        "created_at",
    )
    list_filter = (
        StateFilter,
        ("account", RelatedFilter),
        ("enabled", BooleanRadioFilter),
        ("credential", ChoicesDropdownFilter),
        ("access", ChoicesDropdownFilter),
        ("role", RelatedFilter),
    )
    SYSTEM = ("account__system",)
    search_fields = ("name", "description", "account__name", "nkey")
    autocomplete_fields = ("account", "role", "owner")
    inlines = (PermissionInline,)
    actions = ("disable", "enable")
    actions_detail = ("connect", "rotate", "rotate_with_overlap")
    fieldsets = (
        (None, {"fields": (("account", "owner"), ("name", "description"), "enabled", "expires_at")}),
        (_("How it proves who it is"), {"fields": ("way", "own_nkey", "own_password", "own_certificate")}),
        (
            _("What it may do"),
            {
                "fields": (
                    "access",
                    "role",
                    "allow_responses",
                    ("responses_max", "responses_expires"),
                    "connection_types",
                )
            },
        ),
    )
    conditional_fields = {
        "own_nkey": "way == 'nkey_own'",
        "own_password": "way == 'password_own'",
        "own_certificate": "way == 'certificate'",
        "role": "access == 'role'",
        "allow_responses": "access == 'own'",
        "responses_max": "access == 'own' && allow_responses == true",
        "responses_expires": "access == 'own' && allow_responses == true",
    }

    @admin.display(description=_("may"), ordering="access")
    def may(self, user: NatsUser) -> Any:
        return user.role if user.access == NatsUser.Access.ROLE else user.get_access_display()

    @admin.display(description=_("enabled"), ordering="enabled")
    def live(self, user: NatsUser) -> Any:
        if not user.enabled:
            return chips.chip("disabled")
        return _("yes") if user.is_live() else chips.chip("expired")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if not isinstance(obj, NatsUser):
            return ()
        return ("account", "proof")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if not isinstance(obj, NatsUser):
            return self.fieldsets
        first, asked, *rest = self.fieldsets
        shown = (None, {"fields": (*first[1]["fields"], "proof")})
        if not self.has_change_permission(request, obj):
            return (shown, *rest)
        return (shown, (_("Give it another credential"), {**asked[1], "classes": ("collapse",)}), *rest)

    @admin.display(description=_("proves itself by"))
    def proof(self, user: NatsUser) -> Any:
        held = user.nkey if user.credential == "nkey" else user.certificate if user.credential == "certificate" else ""
        shown = format_html('{} <code class="nu-mono nu-wrap">{}</code>', user.get_credential_display(), held)
        if user.retiring_until and user.retiring_until > timezone.now():
            until = timezone.localtime(user.retiring_until).strftime("%Y-%m-%d %H:%M %Z")
            shown = format_html("{}<br>{}", shown, say("The former one works beside it until %s.") % until)
        return shown

    def head(self, request: HttpRequest, object_id: str | None) -> dict[str, Any]:
        found = {**super().head(request, object_id), "nu_help": WILDCARDS}
        user = self.get_object(request, object_id) if object_id else None  # type: ignore[arg-type]
        if user is not None and user.access != NatsUser.Access.OWN:
            idle = say("What stands here counts with the access “own permissions” only; now it is “%s”.")
            found["nu_help"] = format_html("<strong>{}</strong>", idle % user.get_access_display())
        return found

    # --- the secret is in the answer to the POST, and nowhere else -----------

    @method_decorator(sensitive_post_parameters("own_password"))
    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        return super().changeform_view(request, *args, **options)

    def response_add(self, request: HttpRequest, obj: NatsUser, post_url_continue: str | None = None) -> HttpResponse:
        return self._told_once(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: NatsUser) -> HttpResponse:
        return self._told_once(request, obj) or super().response_change(request, obj)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        request.new_secret = getattr(form, "secret", None)  # type: ignore[attr-defined]
        return super().save_form(request, form, change)

    def _told_once(self, request: HttpRequest, user: NatsUser) -> HttpResponse | None:
        secret = getattr(request, "new_secret", None)
        return self._secret_page(request, user, secret) if secret is not None else None

    def _secret_page(
        self, request: HttpRequest, user: NatsUser, secret: services.NewSecret, note: str = ""
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": say("The secret of %s") % user.name,
            "opts": self.opts,
            "original": user,
            "secret": secret.secret,
            "kind": secret.kind,
            "note": note,
            "help": services.connection_help(user, secret.secret),
            "media": PAGE_MEDIA,
        }
        return TemplateResponse(
            request, "accounts_app/secret.html", context, headers={"Cache-Control": "no-store, private"}
        )

    # --- pages and actions of one user ---------------------------------------

    def _user(self, request: HttpRequest, object_id: Any, *, change: bool) -> NatsUser:
        user = self.get_object(request, unquote(str(object_id)))
        if user is None:
            raise Http404
        allowed = self.has_change_permission if change else self.has_view_permission
        if not allowed(request, user):
            raise PermissionDenied
        return user

    @action(description=_("Get connected"), url_path="connect", permissions=["view"], icon="cable")
    def connect(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """URL, CLI context and a snippet, without the secret, which nobody knows any more."""
        user = self._user(request, object_id, change=False)
        context = {
            **self.admin_site.each_context(request),
            "title": say("Connect %s") % user.name,
            "opts": self.opts,
            "original": user,
            "help": services.connection_help(user),
            "media": PAGE_MEDIA,
        }
        return TemplateResponse(request, "accounts_app/connect.html", context)

    @action(description=_("Rotate"), url_path="rotate", permissions=["change"], icon="autorenew")
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A new credential of the same kind; the former one ends as soon as the servers follow."""
        return self._rotate(request, object_id, overlap=False)

    @action(
        description=_("Rotate with overlap"),
        url_path="rotate-with-overlap",
        permissions=["change"],
        icon="swap_horiz",
    )
    def rotate_with_overlap(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A new credential beside the former one, until a deadline."""
        return self._rotate(request, object_id, overlap=True)

    def _rotate(self, request: HttpRequest, object_id: str, *, overlap: bool) -> HttpResponse:
        user = self._user(request, object_id, change=True)
        tomorrow = (timezone.localtime() + timedelta(days=1)).replace(second=0, microsecond=0)
        form = OverlapForm(request.POST if request.method == "POST" else None, initial={"until": tomorrow})
        error = ""
        if request.method == "POST":
            if request.POST.get("stamp") != stamp(user):
                error = say("Its credential was replaced meanwhile, perhaps by this very page. Look before you rotate.")
            elif not overlap or form.is_valid():
                try:
                    with transaction.atomic():
                        if overlap:
                            secret = services.rotate_with_overlap(user, form.cleaned_data["until"])
                        else:
                            secret = services.rotate(user)
                        self.log_change(request, user, say("Credential rotated."))
                except (*REFUSALS, IntegrityError) as refused:
                    error = sentence(refused)
                else:
                    note = say("Both work until %s.") % _when(form) if overlap else ""
                    return self._secret_page(request, user, secret, note)
        context = {
            **self.admin_site.each_context(request),
            "title": say("Rotate the credential of %s") % user.name,
            "opts": self.opts,
            "original": user,
            "overlap": overlap,
            "form": form,
            "stamp": stamp(user),
            "error": error,
            "media": PAGE_MEDIA + form.media,
        }
        return TemplateResponse(request, "accounts_app/rotate.html", context)

    @admin.action(description=_("Disable the selected users"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[NatsUser]) -> HttpResponse | None:
        count = services.disable_users(queryset)
        said = ngettext("%d user disabled; the servers follow.", "%d users disabled; the servers follow.", count)
        self._say(request, said % count)
        return HttpResponseRedirect(request.get_full_path())

    @admin.action(description=_("Enable the selected users"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[NatsUser]) -> HttpResponse | None:
        try:
            count = services.enable_users(queryset)
        except ValidationError as refused:
            self.message_user(request, sentence(refused), messages.ERROR)
        else:
            said = ngettext("%d user enabled; the servers follow.", "%d users enabled; the servers follow.", count)
            self._say(request, said % count)
        return HttpResponseRedirect(request.get_full_path())

    def _say(self, request: HttpRequest, text: str) -> None:
        self.message_user(request, text, messages.SUCCESS)


def _when(form: OverlapForm) -> str:
    return timezone.localtime(form.cleaned_data["until"]).strftime("%Y-%m-%d %H:%M %Z")
