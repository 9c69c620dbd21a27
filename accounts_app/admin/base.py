"""What the admin pages of all rooms share: who sees what, lists of 50, errors at their field."""

from __future__ import annotations

from typing import Any, get_args

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin, TabularInline

from accounts_app import past, validators
from accounts_app.access import Act, may, require_reach, visible
from accounts_app.admin import chips
from accounts_app.admin.listing import Listed
from accounts_app.admin.of_systems import OfSystems
from accounts_app.models import Account, NatsUser, System
from accounts_app.models.base import ConfigModel
from accounts_app.stages import Unwritten, why_unwritten

PAGE = 50
SCRIPT = forms.Script("accounts_app/nunect.js", type="module")
PAGE_MEDIA = forms.Media(js=(SCRIPT,))  # type: ignore[arg-type]  # of pages without a form of Django's admin


def manages(person: Any) -> bool:
    """Whether a person may give credentials: then they may see what stands in the place of one."""
    return may(person, "change", NatsUser)


def first_system(person: Any) -> int | None:
    """The system that a form proposes: one that nunect manages, if there is any."""
    keys = visible(System._default_manager.order_by("pk"), person).values_list("pk", flat=True)
    return keys.filter(stage=System.Stage.MANAGED).first() or keys.first()


def counted(model: type[models.Model], link: str, person: Any) -> Any:
    """How many rows of `model`, as far as the person sees them, belong to each row of a list by `link`."""
    rows = visible(model._default_manager.filter(**{link: models.OuterRef("pk")}), person)
    totals = rows.order_by().values(link).annotate(total=models.Count("pk")).values("total")
    return Coalesce(models.Subquery(totals, output_field=models.IntegerField()), 0)


class RowForm(forms.ModelForm):
    """A form whose constraint errors stand at a field. SHOWN_AT: {field of the row: the form's field for it}."""

    SHOWN_AT: dict[str, str] = {}
    CHECKED: tuple[str, ...] = ()  # fields that are not in the form, and which constraints need nevertheless

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() - set(self.CHECKED)  # type: ignore[misc]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name, value in list(cleaned.items()):
            if isinstance(value, str):
                try:
                    validators.text(value)
                except ValidationError as refused:
                    self.add_error(name, refused)
        return cleaned

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, field in self.fields.items():
            held = getattr(self.instance, f"{name}_id", None) if isinstance(field, forms.ModelChoiceField) else None
            if held is not None and field.queryset.query.where:  # type: ignore[attr-defined]
                _keep(field, held)

    def full_clean(self) -> None:
        """A related row that can't exist is refused at its field, and not looked up again to be shown."""
        super().full_clean()
        if self.is_bound:
            for name, field in self.fields.items():
                key = self.add_prefix(name)
                if isinstance(field, forms.ModelChoiceField) and not _is_number(str(self.data.get(key) or "0")):
                    data: Any = self.data.copy()  # type: ignore[attr-defined]
                    data[key] = ""
                    self.data = data

    def _update_errors(self, errors: ValidationError) -> None:
        if hasattr(errors, "error_dict") and issubclass(self._meta.model, ConfigModel):
            moved: dict[str, list[ValidationError]] = {}
            for name, many in self._meta.model.at_fields(errors.error_dict).items():
                place = self.SHOWN_AT.get(name, name)
                moved.setdefault(place if place in self.fields else NON_FIELD_ERRORS, []).extend(many)
            errors = ValidationError(moved)
        super()._update_errors(errors)  # type: ignore[misc]


def _keep(field: Any, held: Any) -> None:
    """Let a row keep what it has, also when the person who changes the row may not choose it."""
    rows = field.queryset
    if not rows.filter(pk=held).exists():
        field.queryset = rows.model._default_manager.filter(models.Q(pk__in=rows.values("pk")) | models.Q(pk=held))


class DistinctFormSet(forms.BaseInlineFormSet):
    """Rows of an inline that may not stand there twice: said at the second one, not by the database."""

    DISTINCT: tuple[str, ...] = ()
    MESSAGE = _("This row stands here twice.")

    def validate_unique(self) -> None:
        """Django says it above the whole form; `clean` says it at the row."""

    def clean(self) -> None:
        super().clean()
        seen: set[tuple[Any, ...]] = set()
        for form in self.forms:
            data = getattr(form, "cleaned_data", None)
            if not data or data.get("DELETE") or not form.is_valid():
                continue
            key = tuple(data.get(name) for name in self.DISTINCT)
            if key in seen:
                form.add_error(self.DISTINCT[-1] if self.DISTINCT[-1] in form.fields else None, self.MESSAGE)
            seen.add(key)


class Asked:
    """Rows, choices and acts as `access` has it: no admin page knows a rule of its own."""

    opts: Any

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return visible(super().get_queryset(request), request.user)  # type: ignore[misc]

    def get_field_queryset(self, db: Any, db_field: Any, request: HttpRequest) -> models.QuerySet[Any]:
        """The rows that a related field may be set to."""
        rows = super().get_field_queryset(db, db_field, request)  # type: ignore[misc]
        return visible(db_field.remote_field.model._default_manager.all() if rows is None else rows, request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request.user, "view", self.opts.model) or may(request.user, "change", self.opts.model)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request.user, "add", self.opts.model)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request.user, "change", self.opts.model)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request.user, "delete", self.opts.model)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return any(may(request.user, act, self.opts.model) for act in get_args(Act))


def told_again(request: HttpRequest, refused: Unwritten) -> HttpResponse:
    """The same page once more, and why nothing was written."""
    messages.error(request, " ".join(refused.messages))
    return HttpResponseRedirect(request.get_full_path())


class Visible(OfSystems, Asked):
    """Lists of 50 a page, without counting the whole table twice."""

    list_per_page = PAGE
    list_max_show_all = 200
    show_full_result_count = False
    show_facets = "NEVER"
    list_filter_submit = True
    list_fullwidth = True
    warn_unsaved_form = True

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        for key, value in request.GET.items():
            no_number = key.endswith("__id__exact") and value and not _is_number(str(value))
            if no_number or "\x00" in str(value):
                return HttpResponseRedirect(f"{request.path}?e=1")  # as Django does with a filter it can't read
        try:
            return super().changelist_view(request, extra_context)  # type: ignore[misc]
        except Unwritten as refused:
            return told_again(request, refused)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the address proposes, without related rows that can't exist."""
        initial = super().get_changeform_initial_data(request)  # type: ignore[misc]
        related = {field.name for field in self.opts.get_fields() if field.many_to_one or field.many_to_many}

        def can_be(value: Any) -> bool:
            return all(_is_number(str(each)) for each in (value if isinstance(value, list) else [value]))

        return {key: value for key, value in initial.items() if key not in related or can_be(value)}


def head_of(row: Any) -> dict[str, Any]:
    """The context of `object_head.html` for one row."""
    account = row if isinstance(row, Account) else getattr(row, "account", None)
    owner = account or (row if isinstance(row, System) else getattr(row, "system", None))
    system = owner if owner is None or isinstance(owner, System) else owner.system
    return {
        "nu_unwritten": why_unwritten(system) if system is not None else "",
        "nu_chip": chips.chip_of(row),
        "nu_key": f"{owner._meta.model_name}-{owner.pk}" if owner is not None else "",
        "nu_state": owner.state if owner is not None else "",
        "nu_problem": owner.problem if owner is not None else "",
        "nu_account": account,
        "nu_last": row.history.select_related("history_user").order_by("-history_id").first(),
    }


def _system_of(row: Any) -> System:
    """The system whose conf a change of the row may move; only its key is known."""
    return System(pk=row.affects()[0])


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _check_number(text: str) -> None:
    """Not found, rather than an error, for what can't be a primary key."""
    if not _is_number(text):
        raise Http404


class RowAdmin(Listed, Visible, SimpleHistoryAdmin, ModelAdmin):
    """A configuration row with its history."""

    form = RowForm
    change_form_outer_before_template = "accounts_app/object_head.html"
    list_before_template = "accounts_app/list_head.html"

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(
                request, object_id, form_url, {**self.head(request, object_id), **(extra_context or {})}
            )
        except IntegrityError:
            self.message_user(
                request,
                _("Somebody else saved the same thing at this moment. Look at it, then try again."),
                messages.ERROR,
            )
            return HttpResponseRedirect(request.get_full_path())
        except Unwritten as refused:
            return told_again(request, refused)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except Unwritten as refused:
            return told_again(request, refused)

    def head(self, request: HttpRequest, object_id: str | None) -> dict[str, Any]:
        """What `object_head.html` shows: the chip, the reason, the last change."""
        row = self.get_object(request, unquote(object_id)) if object_id else None
        if row is None or not self.has_view_permission(request, row):
            return {}
        return head_of(row)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What happened to the row and its parts, also after it is gone."""
        _check_number(unquote(object_id))
        row = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        last = row if row is not None else self._gone(request, object_id)
        if last is None:
            raise Http404
        found = past.entries(last, keys=manages(request.user))
        context = {
            **self.admin_site.each_context(request),
            **(self.head(request, object_id) if row is not None else {}),
            "title": _("History of %s") % last,
            "opts": self.opts,
            "original": row,
            "entries": found,
            "added": past.ADDED,
            "more": len(found) >= past.SHOWN,
            "media": PAGE_MEDIA,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "accounts_app/past.html", context)

    def _gone(self, request: HttpRequest, object_id: str) -> models.Model | None:
        """A row that is gone, as it last was; None for one that is there, and not for this person to see."""
        if self.model._base_manager.filter(pk=object_id).exists():
            return None
        if not visible(self.model.history.filter(id=object_id), request.user).exists():
            return None
        return past.last_of(self.model, object_id)

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        _check_number(object_id)
        _check_number(version_id)
        if self.get_object(request, object_id) is None and self._gone(request, object_id) is None:
            raise Http404
        return super().history_form_view(request, object_id, version_id, extra_context)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> Any:
        context.setdefault("show_save_and_continue", False)  # a save stays on the page anyway
        return super().render_change_form(request, context, *args, **options)

    # --- no further than the person reaches, as with any other door ------------

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        require_reach(request.user, _system_of(form.instance))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        system = _system_of(obj)
        with transaction.atomic():
            super().delete_model(request, obj)
            require_reach(request.user, system)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        systems = {system.pk: system for system in map(_system_of, queryset)}
        with transaction.atomic():
            super().delete_queryset(request, queryset)
            for system in systems.values():
                require_reach(request.user, system)

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return self._back_to(request, obj) or super().response_post_save_add(request, obj)

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return self._back_to(request, obj) or super().response_post_save_change(request, obj)

    def _back_to(self, request: HttpRequest, row: Any) -> HttpResponse | None:
        """The row's own page, where the chip turns, and where a refusal is told to the person who saved."""
        if not self.has_view_permission(request, row):
            return None
        kept = {"preserved_filters": self.get_preserved_filters(request), "opts": self.opts}
        page = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[quote(row.pk)])
        return HttpResponseRedirect(add_preserved_filters(kept, page))

    class Media:
        js = (SCRIPT,)

    @admin.display(description=_("state"))
    def chip(self, row: Any) -> Any:
        return chips.chip_of(row)


class RowInline(Asked, TabularInline):
    """Rows that belong to the object of the page."""

    extra = 0
    hide_title = True
    show_change_link = False


class ReadOnlyAdmin(Visible, ModelAdmin):
    """Something that nunect observed or wrote down: shown, never edited. acts: what people may be allowed to do to it,
    by permissions of its model."""

    acts: tuple[Act, ...] = ("view",)
    actions = None
    warn_unsaved_form = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
