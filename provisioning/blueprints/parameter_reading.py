"""What a blueprint says of a parameter → its spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .measures import read_bytes, read_duration
from .parameters import MOST_ENTRIES, read_default
from .reader import Reader, title_of
from .references import NAME
from .simple import MOST
from .specs import NEEDS, SIMPLE, TYPES, ParameterSpec

MOST_COLUMNS = 20
COMMON = ("type", "title", "help", "default", "required")
OF_TYPE: dict[str, tuple[str, ...]] = {
    "text": ("min", "max"),
    "token": ("min", "max"),
    "account_name": (),
    "user_name": (),
    "subject": ("wildcards",),
    "nkey": (),
    "choice": ("choices",),
    "whole": ("min", "max"),
    "bytes": ("min", "max"),
    "duration": ("min", "max"),
    "flag": ("needs",),
    "list": ("of", "min", "max"),
    "table": ("columns", "unique", "min", "max"),
}


class ParameterReader(Reader):
    """Reads parameters, the columns of tables and the entries of lists."""

    def parameter(self, name: str, data: Any, at: str, among: tuple[str, ...] = TYPES) -> ParameterSpec:
        kind = self.kind(data, at, among)
        keys = (*COMMON, *OF_TYPE[kind])
        found = self.map(data, at, tuple(key for key in keys if among is TYPES or key != "needs"))
        needs = self.text(found, "needs", at, 20)
        if needs and needs not in NEEDS:
            self.wrong(f"{at}.needs", f"This must be one of {', '.join(NEEDS)}.")
        spec = ParameterSpec(
            name,
            kind,  # type: ignore[arg-type]
            self.text(found, "title", at, 200) or title_of(name),
            self.text(found, "help", at, 500).strip(),
            found.get("default"),
            self.flag(found, "required", at, True),
            self.choices(found, at) if kind == "choice" else {},
            self.bound(found, "min", kind, at),
            self.bound(found, "max", kind, at),
            self.flag(found, "wildcards", at, True),
            self.entries(found, at) if kind == "list" else None,
            self.columns(found, at) if kind == "table" else (),
            self.unique(found, at),
            needs,
        )
        if spec.least is not None and spec.most is not None and spec.least > spec.most:
            self.wrong(f"{at}.min", "This is more than “max”.")
        elif not self.places and spec.default is not None:
            for sentence in read_default(spec):
                self.wrong(f"{at}.default", sentence)
        return spec

    def kind(self, data: Any, at: str, among: tuple[str, ...]) -> str:
        kind = data.get("type", "text") if isinstance(data, dict) else "text"
        if kind == "secret":
            self.wrong(f"{at}.type", "A secret is never a parameter: nunect makes credentials, and hands them over.")
        elif kind not in among:
            self.wrong(f"{at}.type", f"This must be one of {', '.join(among)}.")
        return kind if kind in among else "text"

    def choices(self, found: Mapping[str, Any], at: str) -> dict[str, str]:
        said, here = found.get("choices"), f"{at}.choices"
        pairs = (
            list(said.items())
            if isinstance(said, dict)
            else [(each, each) for each in said]
            if isinstance(said, list)
            else []
        )
        if not isinstance(said, (dict, list)) or not pairs:
            self.wrong(here, "Say the choices: a list, or a map of choices and titles.")
            return {}
        for value, title in pairs:
            if any(isinstance(each, bool) or not isinstance(each, (str, int)) for each in (value, title)):
                self.wrong(here, "A choice must be text.")
                return {}
        return {str(value): str(title) for value, title in pairs}

    def bound(self, found: Mapping[str, Any], key: str, kind: str, at: str) -> int | None:
        value, here = found.get(key), f"{at}.{key}"
        if value is None:
            return None
        try:
            if kind in ("bytes", "duration"):
                return read_bytes(value) if kind == "bytes" else read_duration(value)
        except ValueError as refused:
            self.wrong(here, str(refused))
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(here, "This must be a whole number.")
            return None
        most = MOST_ENTRIES.get(kind) or MOST.get(kind)
        if most is not None and not 0 <= value <= most:
            self.wrong(here, f"This must be between 0 and {most:,}.")
        return value

    def entries(self, found: Mapping[str, Any], at: str) -> ParameterSpec:
        said = found.get("of", "text")
        return self.parameter("entry", {"type": said} if isinstance(said, str) else said, f"{at}.of", SIMPLE)

    def columns(self, found: Mapping[str, Any], at: str) -> tuple[ParameterSpec, ...]:
        columns = found.get("columns")
        if not isinstance(columns, dict) or not columns or len(columns) > MOST_COLUMNS:
            self.wrong(f"{at}.columns", f"Say the columns, {MOST_COLUMNS} at most: a map of names.")
            return ()
        made = []
        for name, said in columns.items():
            here = f"{at}.columns.{name}"
            if not isinstance(name, str) or not NAME.fullmatch(name):
                self.wrong(here, "A column's name has small letters, digits and _, and begins with a letter.")
            else:
                made.append(self.parameter(name, {} if said is None else said, here, SIMPLE))
        return tuple(made)

    def unique(self, found: Mapping[str, Any], at: str) -> tuple[str, ...]:
        said = found.get("unique")
        listed = [said] if isinstance(said, str) else said or []
        columns = found.get("columns")
        if not isinstance(listed, list) or not all(isinstance(columns, dict) and each in columns for each in listed):
            self.wrong(f"{at}.unique", "This must name columns of the table.")
            return ()
        return tuple(listed)
