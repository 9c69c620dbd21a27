"""The text of a blueprint → its spec; what is wrong is said for all places at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from accounts_app.documents_text import read_texts
from accounts_app.natsconf.document import Misfit

from .checking import check_body
from .measures import read_bytes, read_duration
from .parameters import MOST, MOST_ENTRIES, read_default
from .references import NAME
from .samples import check_samples
from .specs import NEEDS, SIMPLE, TYPES, BlueprintError, BlueprintSpec, ParameterSpec, ValueSpec

LONGEST_TEXT = 512 * 1024  # characters
MOST_PARAMETERS = 50
MOST_COLUMNS = 20
RESERVED = frozenset(("item",))
_TOP = ("blueprint", "version", "title", "description", "parameters", "values", "accounts")
_COMMON = ("type", "title", "help", "default", "required")
_OF_TYPE: dict[str, tuple[str, ...]] = {
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
_BLUEPRINT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", re.ASCII)


def read_blueprint(text: str) -> BlueprintSpec:
    """The blueprint that a text (YAML or JSON) says. Raises BlueprintError, or DocumentError with line and column."""
    if len(text) > LONGEST_TEXT:
        raise BlueprintError([Misfit("blueprint", f"A blueprint has at most {LONGEST_TEXT:,} characters.")])
    documents = read_texts(text)
    if len(documents) > 1:
        raise BlueprintError([Misfit("document 2", "A text holds one blueprint.")])
    return read_data(documents[0])


def read_data(data: Any) -> BlueprintSpec:
    """The same of JSON values."""
    reader = _Reader()
    spec = reader.blueprint(data)
    if not reader.places:
        reader.places += check_body(spec)
    if not reader.places:
        reader.places += check_samples(spec)
    if reader.places:
        raise BlueprintError(reader.places)
    return spec


class _Reader:
    def __init__(self) -> None:
        self.places: list[Misfit] = []

    def wrong(self, where: str, sentence: str) -> None:
        if len(self.places) < 200:
            self.places.append(Misfit(where, sentence))

    def blueprint(self, data: Any) -> BlueprintSpec:
        top = self.map(data, "blueprint", _TOP)
        name = self.text(top, "blueprint", "", 64)
        if name and not _BLUEPRINT.fullmatch(name):
            self.wrong("blueprint", "A blueprint's name holds small letters, digits and - only, such as work-queue.")
        if not name and not self.places:
            self.wrong("blueprint", "Say the blueprint's name here.")
        version = top.get("version")
        if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version < 2**31:
            self.wrong("version", "This must be a whole number from 1 on.")
            version = 1
        parameters = self.named(top, "parameters", self.parameter)
        if len(parameters) > MOST_PARAMETERS:
            self.wrong("parameters", f"A blueprint has at most {MOST_PARAMETERS} parameters.")
        known = {each.name for each in parameters}
        values = self.named(top, "values", self.value)
        for each in values:
            if each.name in known:
                self.wrong(f"values.{each.name}", "There is a parameter of this name.")
        accounts = top.get("accounts")
        if not isinstance(accounts, list) or not accounts:
            self.wrong("accounts", "A blueprint makes one account at least: this must be a list of them.")
            accounts = []
        return BlueprintSpec(
            name,
            version,
            self.text(top, "title", "", 200) or _title(name),
            self.text(top, "description", "", 500).strip(),
            parameters,
            values,
            tuple(accounts),
        )

    # --- parameters -----------------------------------------------------------

    def named(self, top: Mapping[str, Any], key: str, read: Any) -> tuple[Any, ...]:
        """What stands under a map of names."""
        found = top.get(key)
        if found is None:
            return ()
        if not isinstance(found, dict):
            self.wrong(key, "This must be a map of names.")
            return ()
        made = []
        for name, said in found.items():
            at = f"{key}.{name}"
            if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
                self.wrong(at, "A name here has small letters, digits and _, and begins with a letter.")
            else:
                made.append(read(name, said, at))
        return tuple(made)

    def parameter(self, name: str, data: Any, at: str, among: tuple[str, ...] = TYPES) -> ParameterSpec:
        kind = self.kind(data, at, among)
        keys = (*_COMMON, *_OF_TYPE[kind])
        found = self.map(data, at, tuple(key for key in keys if among is TYPES or key != "needs"))
        needs = self.text(found, "needs", at, 20)
        if needs and needs not in NEEDS:
            self.wrong(f"{at}.needs", f"This must be one of {', '.join(NEEDS)}.")
        spec = ParameterSpec(
            name,
            kind,  # type: ignore[arg-type]
            self.text(found, "title", at, 200) or _title(name),
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

    def value(self, name: str, data: Any, at: str) -> ValueSpec:
        if not isinstance(data, dict) or "case" not in data:
            return ValueSpec(name, plain=data)
        found = self.map(data, at, ("case", "of", "else"))
        case, of = found.get("case"), found.get("of")
        if not isinstance(case, str):
            self.wrong(f"{at}.case", "This must be a reference such as ${size}.")
            case = ""
        if not isinstance(of, dict):
            self.wrong(f"{at}.of", "This must be a map: what the case may be, and the value that goes with it.")
            of = {}
        keys = {key if isinstance(key, str) else str(key).lower(): value for key, value in of.items()}
        return ValueSpec(name, case, keys, found.get("else"), "else" in found)

    # --- values ---------------------------------------------------------------

    def map(self, data: Any, at: str, known: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.wrong(at, "This must be a map.")
            return {}
        for key in data:
            if key not in known:
                where = f"{at}.{key}" if known is not _TOP else str(key)
                self.wrong(where, f"There is no such key here; there are {', '.join(known)}.")
        return {key: value for key, value in data.items() if key in known}

    def text(self, found: Mapping[str, Any], key: str, at: str, longest: int) -> str:
        value, here = found.get(key), f"{at}.{key}" if at else key
        if value is None:
            return ""
        if not isinstance(value, str) or not _storable(value):
            self.wrong(here, "This must be text.")
            return ""
        if len(value) > longest:
            self.wrong(here, f"This has {len(value):,} characters; at most {longest} are possible.")
        return value

    def flag(self, found: Mapping[str, Any], key: str, at: str, default: bool) -> bool:
        value = found.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(f"{at}.{key}", "This must be true or false.")
            return default
        return value


def _storable(text: str) -> bool:
    return not any(one == "\x00" or "\ud800" <= one <= "\udfff" for one in text)


def _title(name: str) -> str:
    words = name.replace("_", " ").replace("-", " ")
    return words[:1].upper() + words[1:]
