"""What people give for a blueprint's parameters → values, each refusal one sentence that names the parameter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .simple import read_simple, shown
from .specs import BlueprintSpec, ParameterSpec
from .tables import Cells, read_csv

MOST_ENTRIES = {"list": 1_000, "table": 100_000}
TOLD_ROWS = 100  # rows of a table that a job's history keeps
_FAULTS = 50  # sentences about one parameter


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with what was given for a parameter."""

    parameter: str
    sentence: str


class ParameterErrors(ValueError):
    """What can't be taken, parameter by parameter."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.parameter}: {fault.sentence}" for fault in self.faults))

    def as_dict(self) -> dict[str, list[str]]:
        """{parameter: sentences}"""
        return by_parameter(self.faults)


@dataclass(frozen=True, slots=True)
class Given:
    """values: {parameter: value}, every one of the blueprint's; places: {table: what to call each row}."""

    values: Mapping[str, Any]
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def by_parameter(faults: Iterable[Fault]) -> dict[str, list[str]]:
    """{parameter: sentences}"""
    found: dict[str, list[str]] = {}
    for fault in faults:
        found.setdefault(fault.parameter, []).append(fault.sentence)
    return found


def read_parameters(spec: BlueprintSpec, given: Any) -> Given:
    """The values of all parameters, defaults where nothing was given. Raises ParameterErrors.

    given: JSON values, or text as a form and the command line have it; tables as CSV or as a list of maps.
    """
    if not isinstance(given, Mapping):
        raise ParameterErrors([Fault("parameters", "This must be a map of parameters.")])
    known = {each.name for each in spec.parameters}
    faults = [Fault(str(name)[:60], "The blueprint has no such parameter.") for name in given if name not in known][:20]
    values: dict[str, Any] = {}
    places: dict[str, tuple[str, ...]] = {}
    for each in spec.parameters:
        reading = _Reading()
        values[each.name] = reading.parameter(each, given.get(each.name))
        faults += [Fault(each.name, sentence) for sentence in reading.faults]
        if reading.places:
            places[each.name] = reading.places
    if faults:
        raise ParameterErrors(faults)
    return Given(values, places)


def read_default(spec: ParameterSpec) -> tuple[str, ...]:
    """What is wrong with a parameter's own default, in sentences."""
    reading = _Reading()
    if spec.default != "" or spec.type in ("list", "table"):
        reading.given(spec, spec.default)
    return tuple(reading.faults)


def told(spec: BlueprintSpec, given: Given) -> dict[str, Any]:
    """The values as a job's history keeps them: long tables by their size alone."""
    return {
        name: f"{len(value):,} rows" if isinstance(value, list) and len(value) > TOLD_ROWS else value
        for name, value in given.values.items()
    }


class _Reading:
    """Of one parameter. faults: sentences."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.places: tuple[str, ...] = ()

    def parameter(self, spec: ParameterSpec, value: Any) -> Any:
        if value is None or (value == "" and spec.type != "list"):
            if spec.default is not None:
                return value if spec.default == value else self.given(spec, spec.default)
            if spec.required:
                self.faults.append("This is required.")
            return [] if spec.type in ("list", "table") else None
        return self.given(spec, value)

    def given(self, spec: ParameterSpec, value: Any) -> Any:
        if spec.type == "list":
            return self.entries(spec, value)
        if spec.type == "table":
            return self.table(spec, value)
        try:
            return read_simple(spec, value)
        except ValueError as refused:
            self.faults.append(str(refused))
            return None

    def entries(self, spec: ParameterSpec, value: Any) -> list[Any]:
        if isinstance(value, str):
            value = [part for part in (each.strip() for each in re.split(r"[,\n]", value)) if part]
        if not isinstance(value, (list, tuple)):
            self.faults.append("This must be a list.")
            return []
        if not self.fits(spec, len(value), "entries"):
            return []
        found, seen = [], set()
        for number, each in enumerate(value, 1):
            try:
                one = read_simple(spec.of or ParameterSpec("", "text"), each)
            except ValueError as refused:
                self.say(f"entry {number}: {refused}")
                continue
            if one in seen:
                self.say(f"entry {number}: {shown(one)} stands there twice.")
            seen.add(one)
            found.append(one)
        return found

    def table(self, spec: ParameterSpec, value: Any) -> list[dict[str, Any]]:
        rows = self.rows(spec, value)
        if self.faults or not self.fits(spec, len(rows), "rows"):
            return []
        found: list[dict[str, Any]] = []
        seen: dict[str, dict[Any, str]] = {name: {} for name in spec.unique}
        for place, cells in rows:
            row: dict[str, Any] = {}
            for column in spec.columns:
                row[column.name] = self.cell(column, cells.get(column.name), place)
            for name, where in seen.items():
                if row[name] is not None and where.setdefault(row[name], place) != place:
                    self.say(f"{place}, column “{name}”: {shown(row[name])} stands in {where[row[name]]}, too.")
            found.append(row)
        self.places = tuple(place for place, _ in rows)
        return found

    def rows(self, spec: ParameterSpec, value: Any) -> list[tuple[str, Cells]]:
        names = [column.name for column in spec.columns]
        needed = [column.name for column in spec.columns if column.required and column.default is None]
        if isinstance(value, str):
            rows, faults = read_csv(value, names, needed)
            for sentence in faults:
                self.say(sentence)
            return [(f"line {line}", cells) for line, cells in rows]
        if not isinstance(value, (list, tuple)):
            self.faults.append("This must be a table: CSV with a header, or a list of maps.")
            return []
        found: list[tuple[str, Cells]] = []
        for number, row in enumerate(value, 1):
            if not isinstance(row, Mapping):
                self.say(f"row {number}: This must be a map.")
                continue
            for name in row:
                if name not in names:
                    self.say(f"row {number}: There is no column {shown(name)}; there are {', '.join(names)}.")
            found.append((f"row {number}", row))
        return found

    def cell(self, column: ParameterSpec, value: Any, place: str) -> Any:
        if value is None or value == "":
            if column.default is None:
                if column.required:
                    self.say(f"{place}, column “{column.name}”: This is required.")
                return None
            value = column.default
        try:
            return read_simple(column, value)
        except ValueError as refused:
            self.say(f"{place}, column “{column.name}”: {refused}")
            return None

    def fits(self, spec: ParameterSpec, count: int, what: str) -> bool:
        least, most = spec.least or 0, MOST_ENTRIES[spec.type] if spec.most is None else spec.most
        if count < max(least, 1 if spec.required else 0):
            needs = max(least, 1)
            self.faults.append(f"At least {'one is' if needs == 1 else f'{needs:,} {what} are'} needed.")
        elif count > most:
            self.faults.append(f"At most {most:,} {what} are possible, and there are {count:,}.")
        return not self.faults

    def say(self, sentence: str) -> None:
        if len(self.faults) < _FAULTS:
            self.faults.append(sentence)
        elif len(self.faults) == _FAULTS:
            self.faults.append("There is more that is wrong.")
