"""What a form of a stream, bucket or consumer would do: what is wrong, what changes, what the server would say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS

from accounts_app.admin import asset_values as values
from accounts_app.admin.asset_forms import AssetForm
from accounts_app.forecasting import forecast_of
from accounts_app.jetstream.differences import in_words
from accounts_app.jetstream.settings import settings_of
from accounts_app.jetstream.wire import effective
from accounts_app.models import Asset

ICONS = {"refused": "block", "loses": "remove_circle", "note": "info"}


@dataclass(frozen=True, slots=True)
class Warned:
    """What comes of it, in one sentence. severity: "refused", "loses" or "note"."""

    severity: str
    setting: str
    sentence: str

    @property
    def icon(self) -> str:
        return ICONS[self.severity]


@dataclass(frozen=True, slots=True)
class Changed:
    setting: str
    before: str
    after: str


@dataclass(slots=True)
class Outlook:
    """needed: labels of fields that are still empty; wrong: [(label, sentence)]; new: it would be made."""

    new: bool
    needed: list[str] = field(default_factory=list)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    changes: list[Changed] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)

    @property
    def calm(self) -> bool:
        """Nothing is wrong, lost or refused."""
        return not (self.needed or self.wrong or any(one.severity != "note" for one in self.warnings))


def outlook(form: AssetForm, row: Asset | None) -> Outlook:
    """What the bound form would do. row: what it changes, None for a new one."""
    found = Outlook(new=row is None)
    if not form.is_valid():
        for name, errors in form.errors.as_data().items():
            label = "" if name == NON_FIELD_ERRORS else str(form.fields[name].label or name)
            if any(error.code == "required" for error in errors):
                found.needed.append(label)
                continue
            found.wrong += [(label, " ".join(error.messages)) for error in errors]
        return found
    made: Any = form.instance
    kind, named = values.kind_of_row(made), {name: one.title for name, one in settings_of(form.KIND).items()}
    if row is not None:
        before, after = effective(kind, form.before), effective(kind, made.config)
        for name, title in named.items():
            if before[name] != after[name]:
                old, new = in_words(kind, name, before[name]), in_words(kind, name, after[name])
                found.changes.append(Changed(title, old, new))
    for one in forecast_of(made):
        found.warnings.append(Warned(one.severity, named.get(one.setting, ""), one.sentence))
    found.warnings.sort(key=lambda one: list(ICONS).index(one.severity))
    return found
