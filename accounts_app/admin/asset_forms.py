"""The forms of streams, buckets and consumers: their settings as fields, what they lose beside it."""

from __future__ import annotations

from functools import cache
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminRadioSelectWidget

from accounts_app.admin.asset_fields import SettingField, fields_of
from accounts_app.admin.base import RowForm
from accounts_app.assets import check_keeps_streams
from accounts_app.forecasting import foreseen
from accounts_app.jetstream.names import check_name, stream_of
from accounts_app.jetstream.settings import Kind
from accounts_app.models import Asset, Consumer, Stream

_FIXED = _("This can't change once it is there.")
_SAYS_DEFAULT = ("choice", "flag")  # fields that always say something


class AssetForm(RowForm):
    """A form whose settings are fields. KIND: by which settings. looks: it is only looked at, and nothing is saved:
    then what the server would refuse is no error of it."""

    KIND: Kind
    looks = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, field in self.setting_fields().items():
            self.initial[name] = self.instance.config.get(name)
            if self.instance.pk and self.instance.seen is not None and field.setting.fixed:
                field.disabled = True
                field.help_text = f"{field.help_text} {_FIXED}".strip()
        if self.instance.pk and self.instance.state == "failed" and self.instance.problem_field in self.fields:
            at = self.fields[self.instance.problem_field]
            at.help_text = format_html('{} <span class="nu-error">{}</span>', at.help_text, self.instance.problem)
        if "deletion" in self.fields:
            self.fields["deletion"].widget = UnfoldAdminRadioSelectWidget(choices=Asset.Deletion.choices, radio_style=2)

    def setting_fields(self) -> dict[str, SettingField]:
        return {name: field for name, field in self.fields.items() if isinstance(field, SettingField)}

    def config(self) -> dict[str, Any]:
        """{setting: canonical value} that the row shall say; what is unchanged stays as it was said."""
        said = dict(self.instance.config if self.instance.pk else {})
        for name, change in self.config_changes().items():
            if change is None:
                said.pop(name, None)
            else:
                said[name] = change
        return said

    def config_changes(self) -> dict[str, Any]:
        """{setting: canonical value, None for the default} that the person has changed."""
        changed: dict[str, Any] = {}
        for name, field in self.setting_fields().items():
            if name not in self.cleaned_data or field.disabled or not self[name]._has_changed():  # type: ignore[attr-defined]
                continue
            value = self.cleaned_data[name]
            said = self.initial.get(name)
            if field.setting.type in _SAYS_DEFAULT and value == field.setting.default and said is None:
                continue
            changed[name] = value
        return changed

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        for owner in ("account", "stream"):
            if cleaned.get(owner) is not None and self.instance._state.adding:
                try:
                    check_keeps_streams(getattr(cleaned[owner], "account", cleaned[owner]))
                except ValidationError as refused:
                    self.add_error(owner, " ".join(refused.messages))
        return cleaned

    def clean_name(self) -> str:
        name = stream_of(self.KIND, self.cleaned_data["name"].strip())
        try:
            return check_name(self.KIND, name)
        except ValueError as refused:
            raise ValidationError(str(refused)) from None

    def _post_clean(self) -> None:
        self.before = dict(self.instance.config)
        self.instance.config = self.config()
        if isinstance(self.instance, Stream) and self.instance._state.adding:
            self.instance.kind = self.KIND
        super()._post_clean()  # type: ignore[misc]
        if not self.errors and not self.looks:
            told = foreseen(self.instance, self.config_changes(), new=self.instance._state.adding)
            for setting, sentences in told.refused.items():
                self.add_error(setting if setting in self.fields else None, sentences)

    def _update_errors(self, errors: ValidationError) -> None:
        """A setting's part is said at the setting: “mirror.name” at mirror. What can't be read is said alone."""
        if hasattr(errors, "error_dict"):
            unread = any(name in self.errors for name in self.setting_fields())
            moved: dict[str, list[ValidationError]] = {}
            for name, many in errors.error_dict.items():
                at = name.removeprefix("config.").partition(".")[0]
                if at not in self.errors and not (unread and at in self.setting_fields()):
                    moved.setdefault(at, []).extend(many)
            errors = ValidationError(moved)
        super()._update_errors(errors)


def whole_name(stream: Stream) -> str:
    """A stream as it is told from those of other accounts that are called the same."""
    return f"{stream.account.name}/{stream.name}"


class StreamForm(AssetForm):
    class Meta:
        model = Stream
        fields = ("account", "name", "deletion")


class ConsumerForm(AssetForm):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "stream" in self.fields:
            self.fields["stream"].label_from_instance = whole_name  # type: ignore[attr-defined]

    class Meta:
        model = Consumer
        fields = ("stream", "name", "deletion")


@cache
def form_of(kind: Kind) -> type[AssetForm]:
    """The form of a kind."""
    base: type[AssetForm] = ConsumerForm if kind == "consumer" else StreamForm
    meta = type("Meta", (base.Meta,), {})  # type: ignore[attr-defined]
    declared: dict[str, forms.Field] = fields_of(kind)
    return type(f"{kind.title()}Form", (base,), {**declared, "KIND": kind, "Meta": meta, "__module__": __name__})
