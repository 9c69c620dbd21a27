"""What a document is refused for → the parameter that it came from, down to the line of a table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from accounts_app.wrong import Wrong
from provisioning.blueprints.expand import Expanded, Origin
from provisioning.blueprints.parameters import Fault, Given

_ROW = re.compile(r"Account “(?P<account>[^”]*)”(?:, (?P<kind>user|role|export) “(?P<name>.*)”)?")


class Placed(NamedTuple):
    """faults: of parameters; problems: what came from none of them."""

    faults: tuple[Fault, ...]
    problems: tuple[str, ...]


def of_places(expanded: Expanded, given: Given, places: Iterable[tuple[str, str]]) -> Placed:
    """(place of the document, sentence) → the parameters at fault."""
    faults: dict[Fault, None] = {}
    problems: dict[str, None] = {}
    for where, sentence in places:
        if origin := _origin(expanded, where):
            faults.setdefault(Fault(origin.parameter, _row(origin, given) + sentence))
        else:
            problems.setdefault(f"{where}: {sentence}")
    return Placed(tuple(faults), tuple(problems))


def of_rows(expanded: Expanded, given: Given, places: Iterable[Wrong]) -> Placed:
    """The same for what rows are refused for, which names accounts and users instead of places."""
    found = _Finder(expanded.document)
    faults: dict[Fault, None] = {}
    problems: dict[str, None] = {}
    for place in places:
        origin = _origin(expanded, found.place(place))
        if origin is None:
            problems.setdefault(str(place))
        else:
            faults.setdefault(Fault(origin.parameter, f"{_row(origin, given)}{place.sentence}"))
    return Placed(tuple(faults), tuple(problems))


def _origin(expanded: Expanded, where: str) -> Origin | None:
    """The one that says most: a column of a row, a row, a parameter; of several the one asked for last."""
    found = expanded.origins_of(where)
    return max(reversed(found), key=lambda each: (each.column != "", each.row), default=None)


def _row(origin: Origin, given: Given) -> str:
    if origin.row < 0:
        return ""
    places = given.places.get(origin.parameter)
    said = places[origin.row] if places else f"entry {origin.row + 1}"
    return f"{said}, column “{origin.column}”: " if origin.column else f"{said}: "


class _Finder:
    """Places of accounts and users in a document by their names."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.accounts: dict[str, str] = {}
        self.within: dict[tuple[str, str, str], str] = {}
        for number, account in enumerate(document["accounts"]):
            at, name = f"accounts[{number}]", str(account.get("name"))
            self.accounts.setdefault(name, at)
            for kind, key in (("user", "users"), ("role", "roles")):
                for place, row in enumerate(account.get(key) or ()):
                    self.within.setdefault((name, kind, str(row.get("name"))), f"{at}.{key}[{place}]")
            for place, export in enumerate(account.get("exports") or ()):
                self.within.setdefault((name, "export", str(export.get("subject"))), f"{at}.exports[{place}]")

    def place(self, wrong: Wrong) -> str:
        match = _ROW.fullmatch(wrong.where) or _ROW.match(wrong.where)
        if match is None:
            return ""
        account = match["account"]
        at = self.within.get((account, match["kind"] or "", match["name"] or ""), self.accounts.get(account, ""))
        if match["kind"] == "export" and wrong.field == "account":
            return f"{at}.accounts"
        return f"{at}.{wrong.field}" if at and wrong.field else f"{at}.name" if at else ""
