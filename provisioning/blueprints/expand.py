"""A blueprint and values of its parameters → a document: references filled in, lists repeated, nothing evaluated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from accounts_app.natsconf.document import Misfit

from .parameters import Given
from .references import Reference, pieces
from .specs import BlueprintError, BlueprintSpec, ValueSpec

MOST_VALUES = 500_000  # of a document
CONTROL = ("for_each", "as", "when", "unless", "value")


class Origin(NamedTuple):
    """Where a value came from. row: of a table or list, counted from 0; -1: none."""

    parameter: str
    row: int = -1
    column: str = ""


@dataclass(frozen=True, slots=True)
class Expanded:
    """document: what `read_document` reads; origins: {place such as "accounts[0].name": where it came from}.

    numbers: {place of an entry of a list: its number in the blueprint}, where these may differ.
    """

    document: dict[str, Any]
    origins: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict, repr=False)
    numbers: Mapping[str, int] = field(default_factory=dict, repr=False)

    def origins_of(self, where: str) -> tuple[Origin, ...]:
        """Where that place, or the nearest around it, came from."""
        while where:
            if found := self.origins.get(where):
                return found
            where = where[: max(where.rfind("."), where.rfind("["), 0)]
        return ()

    def place_in_blueprint(self, where: str) -> str:
        """A place of the document as the blueprint counts it."""
        found, end = "", 0
        for match in _ENTRY.finditer(where):
            number = self.numbers.get(where[: match.end()])
            found += where[end : match.start()] + (match[0] if number is None else f"[{number}]")
            end = match.end()
        return found + where[end:]


_ENTRY = re.compile(r"\[\d+\]")


class _Bound(NamedTuple):
    value: Any
    origins: tuple[Origin, ...] = ()


_Scope = dict[str, _Bound]


def expand(spec: BlueprintSpec, given: Given) -> Expanded:
    """The document of a blueprint with these values. Raises BlueprintError with the place that can't be made."""
    scope: _Scope = {name: _Bound(value, (Origin(name),)) for name, value in given.values.items()}
    making = _Expansion()
    for each in spec.values:
        scope[each.name] = making.named(each, scope)
    accounts = making.entries(list(spec.accounts), scope, "accounts")
    return Expanded({"accounts": accounts}, making.origins, making.numbers)


class _Expansion:
    def __init__(self) -> None:
        self.origins: dict[str, tuple[Origin, ...]] = {}
        self.numbers: dict[str, int] = {}
        self.count = 0

    def named(self, each: ValueSpec, scope: _Scope) -> _Bound:
        at = f"values.{each.name}"
        if not each.case:
            return self.bound(each.plain, scope, at)
        chosen = self.bound(each.case, scope, at)
        key = as_text(chosen.value)
        if key in each.of:
            made = self.bound(each.of[key], scope, at)
        elif each.has_other:
            made = self.bound(each.other, scope, at)
        else:
            raise _wrong(at, f"There is nothing for “{key}”.")
        return _Bound(made.value, chosen.origins + made.origins)

    def bound(self, node: Any, scope: _Scope, at: str) -> _Bound:
        """The value of a node outside the document, with all that it came from."""
        apart = _Expansion()
        value = apart.value(node, scope, at)
        return _Bound(value, tuple(dict.fromkeys(each for found in apart.origins.values() for each in found)))

    def value(self, node: Any, scope: _Scope, at: str) -> Any:
        self.count += 1
        if self.count > MOST_VALUES:
            raise _wrong(at, f"The blueprint makes more than {MOST_VALUES:,} values of this.")
        if isinstance(node, str):
            return self.text(node, scope, at) if "$" in node else node
        if isinstance(node, list):
            return self.entries(node, scope, at)
        if isinstance(node, dict):
            return {key: self.value(value, scope, f"{at}.{key}") for key, value in node.items()}
        return node

    def entries(self, nodes: list[Any], scope: _Scope, at: str) -> list[Any]:
        made: list[Any] = []
        for number, node in enumerate(nodes):
            first = len(made)
            if not isinstance(node, dict) or not any(key in node for key in CONTROL):
                made.append(self.value(node, scope, f"{at}[{len(made)}]"))
            elif "for_each" in node:
                bound = self.bound(node["for_each"], scope, at)
                if not isinstance(bound.value, list):
                    raise _wrong(at, "“for_each” needs a list or a table.")
                for row, entry in enumerate(bound.value):
                    origins = tuple(Origin(each.parameter, row) for each in bound.origins if each.row < 0)
                    within = {**scope, node.get("as", "item"): _Bound(entry, origins)}
                    self.one(node, within, at, made, origins)
            else:
                self.one(node, scope, at, made, ())
            if (first, len(made)) != (number, number + 1):
                self.numbers.update((f"{at}[{place}]", number) for place in range(first, len(made)))
        return made

    def one(self, node: dict[str, Any], scope: _Scope, at: str, made: list[Any], origins: tuple[Origin, ...]) -> None:
        self.count += 1
        for key, wanted in (("when", True), ("unless", False)):
            if key in node and bool(self.bound(node[key], scope, at).value) is not wanted:
                return
        here = f"{at}[{len(made)}]"
        if origins:
            self.origins[here] = origins
        content = node["value"] if "value" in node else {key: node[key] for key in node if key not in CONTROL}
        made.append(self.value(content, scope, here))

    def text(self, text: str, scope: _Scope, at: str) -> Any:
        found = pieces(text)
        if len(found) == 1 and isinstance(found[0], Reference):
            bound = _look(found[0], scope, at)
            if bound.origins:
                self.origins[at] = bound.origins
            return bound.value
        said: list[str] = []
        origins: list[Origin] = []
        for piece in found:
            if isinstance(piece, Reference):
                bound = _look(piece, scope, at)
                if isinstance(bound.value, (list, dict)):
                    raise _wrong(at, f"“{piece}” is a list or a table, and can't be a part of a text.")
                origins += bound.origins
                said.append(as_text(bound.value))
            else:
                said.append(piece)
        if origins:
            self.origins[at] = tuple(dict.fromkeys(origins))
        return "".join(said)


def _look(reference: Reference, scope: _Scope, at: str) -> _Bound:
    bound = scope.get(reference.name)
    if bound is None:
        raise _wrong(at, f"There is no parameter or value “{reference.name}”.")
    if not reference.column:
        return bound
    if not isinstance(bound.value, dict) or reference.column not in bound.value:
        raise _wrong(at, f"“{reference.name}” has no column “{reference.column}”.")
    origins = tuple(Origin(each.parameter, each.row, reference.column) for each in bound.origins)
    return _Bound(bound.value[reference.column], origins)


def as_text(value: Any) -> str:
    """A value as a part of a text, and as the keys of `of` say it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wrong(at: str, sentence: str) -> BlueprintError:
    return BlueprintError([Misfit(at, sentence)])
