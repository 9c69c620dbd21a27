"""The text of a blueprint → its spec; what is wrong is said for all places at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from accounts_app.documents_text import read_texts
from accounts_app.natsconf.document import Misfit

from .checking import check_body
from .parameter_reading import ParameterReader
from .reader import title_of
from .references import NAME
from .samples import check_samples
from .specs import BlueprintError, BlueprintSpec, ValueSpec

LONGEST_TEXT = 512 * 1024  # characters
MOST_PARAMETERS = 50
RESERVED = frozenset(("item",))
TOP = ("blueprint", "version", "title", "description", "parameters", "values", "accounts")
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


class _Reader(ParameterReader):
    def blueprint(self, data: Any) -> BlueprintSpec:
        top = self.map(data, "", TOP)
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
            self.text(top, "title", "", 200) or title_of(name),
            self.text(top, "description", "", 500).strip(),
            parameters,
            values,
            tuple(accounts),
        )

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
