"""Form fields of the settings of streams, buckets and consumers: made of the one table, in the words of people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from accounts_app.jetstream.settings import SETTINGS, UNLIMITED, Kind, Setting, settings_of
from accounts_app.jetstream.words import bytes_text, duration_text, read_value, write_value

SHORT = ("choice", "whole", "bytes", "duration", "flag", "time")  # two of them fit beside each other
MOST_PARTS = 100  # of a list of parts in one form
_PLACEHOLDERS = {"durations": "1s, 5s, 30s, 2m", "map": "team=orders", "time": "2027-01-31T12:00:00Z"}
FROM_NOW = _("With its zone; or 2h: two hours from now.")
_FROM_NOW = re.compile(r"(?:in\s+|\+)?(\d+(?:\.\d+)?(?:ms|[smhdw])(?:\s*\d+(?:ms|[smhdw]))*)\Z", re.IGNORECASE)


def text_of(setting: Setting, value: Any) -> str:
    """A canonical value as a person types it; `read_value` reads it back."""
    if value is None:
        return ""
    if setting.type == "bytes":
        return bytes_text(value)
    if setting.type == "whole":
        return "unlimited" if value == UNLIMITED else str(value)
    if setting.type == "duration":
        return "unlimited" if value == UNLIMITED else duration_text(value)
    if setting.type == "map":
        return "\n".join(f"{key}={said}" for key, said in value.items())
    written = write_value(setting, value)
    if isinstance(written, list):
        return (", " if setting.type == "durations" else "\n").join(map(str, written))
    return str(written)


def default_text(setting: Setting) -> str:
    """What stands faintly in an empty field: what counts when nothing is said."""
    if setting.default in (None, "", [], False) or setting.type in ("object", "objects", "flag"):
        return _PLACEHOLDERS.get(setting.type, "")
    if setting.type == "duration" and setting.default == 0:
        return "unlimited" if setting.section in ("", "Limits") else "0s"
    return text_of(setting, setting.default)


class PartsWidget(forms.Widget):
    """A setting that is made of settings: one map of them, or a list of maps with a button for one more."""

    template_name = "accounts_app/widgets/parts.html"

    def __init__(self, setting: Setting, depth: int = 0, *, nested: bool = False) -> None:
        super().__init__()
        self.setting, self.depth, self.nested, self.many = setting, depth, nested, setting.type == "objects"
        self.parts = {part.name: (part, widget_of(part, depth + self.many, nested=True)) for part in setting.fields}

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        if not self.many:
            return self._read(data, files, name) or None
        at = re.compile(rf"{re.escape(name)}\.(\d{{1,6}})\.")
        numbers = sorted({int(match[1]) for key in data if (match := at.match(key))})[:MOST_PARTS]
        given = (self._read(data, files, f"{name}.{number}") for number in numbers)
        return [one for one in given if one]

    def _read(self, data: Any, files: Any, name: str) -> dict[str, Any]:
        given = {}
        for key, (_part, widget) in self.parts.items():
            value = widget.value_from_datadict(data, files, f"{name}.{key}")
            value = value.strip() if isinstance(value, str) else value
            if value not in (None, "", [], False):
                given[key] = value
        return given

    def id_for_label(self, id_: str | None) -> str:
        return ""

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        disabled = bool(context["widget"]["attrs"].get("disabled"))
        rows = (value or []) if self.many else [value or {}]
        shown = [self._row(f"{name}.{number}" if self.many else name, row, disabled) for number, row in enumerate(rows)]
        more = {"many": self.many, "rows": shown, "depth": self.depth, "title": self.setting.title.lower()}
        more |= {"folds": not self.many and not self.nested, "filled": bool(value)}
        if self.many and not disabled:
            mark = f"__{self.depth}__"
            more |= {"blank": self._row(f"{name}.{mark}", {}, False), "mark": mark, "next": len(shown)}
            if self.depth == 0:  # for browsers without JavaScript; what hides it there can't hold another of its kind
                more["spare"] = self._row(f"{name}.{len(shown)}", {}, False)
        context["widget"] |= more
        return context

    def _row(self, name: str, value: Any, disabled: bool) -> list[dict[str, Any]]:
        value = value if isinstance(value, dict) else {}
        found = []
        for key, (part, widget) in self.parts.items():
            given = value.get(key)
            if part.type not in ("object", "objects") and not isinstance(given, str):
                given = _shown(part, given)
            field = f"{name}.{key}"
            attrs = {"id": f"id_{field}"} | ({"disabled": True} if disabled else {})
            html = widget.render(field, given, attrs, renderer=forms.renderers.get_default_renderer())
            nested = part.type in ("object", "objects")
            filled = bool(value.get(key))
            found.append({"id": f"id_{field}", "part": part, "html": html, "nested": nested, "open": filled})
        return found


def _shown(setting: Setting, value: Any) -> Any:
    """A canonical value as its widget takes it."""
    if setting.type == "flag":
        return bool(value)
    return text_of(setting, value)


def widget_of(setting: Setting, depth: int = 0, *, nested: bool = False) -> forms.Widget:
    """What a setting is typed into. depth: in how many lists it stands; nested: it is a part of another setting."""
    if setting.type in ("object", "objects"):
        return PartsWidget(setting, depth, nested=nested)
    if setting.type == "flag":
        return UnfoldBooleanWidget()
    if setting.type == "choice":
        return UnfoldAdminSelectWidget(choices=[(choice, choice) for choice in setting.choices])
    attrs: dict[str, Any] = {"spellcheck": "false", "autocomplete": "off", "placeholder": default_text(setting)}
    if setting.type in ("texts", "map"):
        return UnfoldAdminTextareaWidget(attrs=attrs | {"rows": 2, "data-nu-grows": ""})
    return UnfoldAdminTextInputWidget(attrs=attrs)


class SettingField(forms.Field):
    """One setting. Its clean value is canonical, None for what isn't said: then the server's default counts."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        told = f"{setting.help} {FROM_NOW}".strip() if setting.type == "time" else setting.help
        super().__init__(widget=widget_of(setting), required=False, label=_(setting.title), help_text=told)

    def prepare_value(self, value: Any) -> Any:
        """Of a form that comes back: what was typed."""
        if self.setting.type in ("object", "objects") or isinstance(value, str):
            return value
        if self.setting.type == "choice":
            return value or self.setting.default
        return _shown(self.setting, value)

    def clean(self, value: Any) -> Any:
        if isinstance(value, str):
            value = value.strip()
        if value in (None, "", []):
            return None
        if self.setting.type == "time" and isinstance(value, str):
            value = _moment(value)
        try:
            return read_value(self.setting, value)
        except ValueError as refused:
            raise ValidationError(str(refused)) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        if self.disabled:
            return False
        if self.setting.type in ("object", "objects"):
            try:
                return self.clean(data) != (initial or None)
            except ValidationError:
                return True
        return self.prepare_value(initial) != (data.replace("\r\n", "\n").strip() if isinstance(data, str) else data)


def _moment(text: str) -> str:
    """A moment; "2h" is two hours from now. What is neither stays as it was typed."""
    found = _FROM_NOW.match(text)
    if found is None:
        return text
    unit = Setting("from_now", "duration", "", least=0)
    try:
        ns = read_value(unit, found[1])
        return (timezone.now() + timedelta(microseconds=ns // 1000)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):
        raise ValidationError(say("This is too far away.")) from None


def fields_of(kind: Kind) -> dict[str, forms.Field]:
    """{setting: its field}, of all settings of a kind."""
    return {setting.name: SettingField(setting) for setting in SETTINGS[kind]}


def sections_of(kind: Kind) -> dict[str, list[Setting]]:
    """{section: its settings}, in the order of the table; the first is ""."""
    found: dict[str, list[Setting]] = {"": []}
    for setting in SETTINGS[kind]:
        found.setdefault(setting.section, []).append(setting)
    return found


def lines_of(settings: list[Setting]) -> list[Any]:
    """Names of settings as lines of a fieldset: two short ones share a line."""
    lines: list[Any] = []
    waiting = ""
    for setting in settings:
        if setting.type not in SHORT:
            lines += [waiting] if waiting else []
            lines.append(setting.name)
            waiting = ""
        elif waiting:
            lines.append((waiting, setting.name))
            waiting = ""
        else:
            waiting = setting.name
    return [*lines, waiting] if waiting else lines


def as_written(kind: Kind, config: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical settings as the services take them: as people write them."""
    known = settings_of(kind)
    return {name: write_value(known[name], value) for name, value in config.items()}
