"""A form made of a blueprint's parameters: what is asked, what was given, and what is wrong with it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as say

from provisioning.blueprints.measures import size_words
from provisioning.blueprints.parameters import MOST_ENTRIES, by_parameter
from provisioning.blueprints.specs import BlueprintSpec, ParameterSpec
from provisioning.blueprints.submit import Look

PREFIX = "p-"  # of the fields' names, so that a parameter may be called as a field of the page is
_MONO = ("token", "account_name", "user_name", "subject", "nkey", "bytes", "duration")
_EXAMPLES = {"bytes": "10GiB", "duration": "7d", "subject": "orders.>", "nkey": "U…", "account_name": "SHOP"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. about: its title and help, what it may be, and what it is without."""

    name: str
    needed: bool
    about: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field. kind: its widget; value: as the page shows it; hint: what may be given; sample: a CSV's header."""

    spec: ParameterSpec
    kind: str
    value: Any
    hint: str = ""
    sample: str = ""
    errors: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return PREFIX + self.spec.name

    @property
    def title(self) -> str:
        return self.spec.title or self.spec.name.replace("_", " ").capitalize()

    @property
    def mono(self) -> bool:
        return self.spec.type in _MONO or (self.spec.of is not None and self.spec.of.type in _MONO)

    @property
    def optional(self) -> bool:
        return not self.spec.required and self.kind not in ("flag", "choice")

    @property
    def columns(self) -> list[Column]:
        """Of a table, in the order of its sample."""
        return [
            Column(each.name, each.required and each.default is None, " · ".join(filter(None, _about(each))))
            for each in self.spec.columns
        ]

    @property
    def example(self) -> str:
        return _EXAMPLES.get(self.spec.type, "")


def fields_of(spec: BlueprintSpec, given: Mapping[str, Any] | None, look: Look | None = None) -> list[Field]:
    """The fields of a blueprint's form. given: None before anything was."""
    errors = by_parameter(look.faults) if look is not None else {}
    return [
        Field(
            each,
            _kind(each),
            _shown(each, each.default if given is None else given.get(each.name)),
            _hint(each),
            _sample(each),
            tuple(errors.get(each.name, ())),
        )
        for each in spec.parameters
    ]


def given_of(spec: BlueprintSpec, request: HttpRequest) -> dict[str, Any]:
    """What a person has put into the form. Raises UnicodeDecodeError for a file that is no text."""
    found: dict[str, Any] = {}
    for each in spec.parameters:
        name = PREFIX + each.name
        if each.type == "flag":
            found[each.name] = bool(request.POST.get(name))
            continue
        upload = request.FILES.get(f"{name}-file") or request.FILES.get(name)
        text = upload.read().decode("utf-8-sig") if upload else request.POST.get(name, "")
        found[each.name] = text.replace("\r\n", "\n") if each.type in ("list", "table", "text") else text.strip()
    return found


def missing(spec: BlueprintSpec, given: Mapping[str, Any], look: Look) -> tuple[list[str], list[tuple[str, str]]]:
    """(titles of what still has to be given, [(title, what is wrong)] of the rest)

    The title is "" where the sentence begins with it: Account name "a b" ….
    """
    titles = {each.name: Field(each, "", "").title for each in spec.parameters}
    needed: dict[str, None] = {}
    wrong: list[tuple[str, str]] = []
    for fault in look.faults:
        if fault.parameter in titles and given.get(fault.parameter) in ("", None):
            needed.setdefault(titles[fault.parameter])
        else:
            title = titles.get(fault.parameter, fault.parameter)
            wrong.append(("" if fault.sentence.startswith(title) else title, fault.sentence))
    return list(needed), wrong


def _about(spec: ParameterSpec) -> list[str]:
    """What is to be known of a column, in parts; "" for none."""
    choices = [f"{value} ({title})" if title and title != value else value for value, title in spec.choices.items()]
    return [
        ": ".join(filter(None, (spec.title, spec.help))),
        say("one of %s") % ", ".join(choices) if choices else "",
        say("%s when empty") % _default(spec) if spec.default not in (None, "") else "",
    ]


def _default(spec: ParameterSpec) -> str:
    """A column's default as a CSV would have it."""
    if isinstance(spec.default, bool):
        return "true" if spec.default else "false"
    return str(_shown(spec, spec.default))


def _kind(spec: ParameterSpec) -> str:
    if spec.type in ("flag", "choice", "list", "table"):
        return spec.type
    return "area" if spec.type == "text" and (spec.most or 0) > 200 else "line"


def _shown(spec: ParameterSpec, value: Any) -> Any:
    """A value as its widget has it."""
    if spec.type == "flag":
        return value in (True, "true", "yes", "on", "1")
    if value is None:
        return ""
    if spec.type == "table" and isinstance(value, list):
        return _csv([column.name for column in spec.columns], value)
    if spec.type == "list" and isinstance(value, list):
        return "\n".join(map(str, value))
    if spec.type == "bytes" and isinstance(value, int) and value >= 0:
        return size_words(value).removesuffix(" bytes").replace(",", "")
    return str(value)


def _csv(names: list[str], rows: Iterable[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([["" if row.get(name) is None else row.get(name) for name in names] for row in rows])
    return out.getvalue()


def _hint(spec: ParameterSpec) -> str:
    if spec.type == "table":
        most = MOST_ENTRIES["table"] if spec.most is None else spec.most
        return say("A CSV with a header line, up to %s rows.") % f"{most:,}"
    if spec.type == "list":
        return say("One a line, or with commas between.")
    return ""


def _sample(spec: ParameterSpec) -> str:
    """The header of a table, with one row that shows what goes into it."""
    return _csv([column.name for column in spec.columns], []).strip() if spec.type == "table" else ""
