"""What a blueprint says, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from accounts_app.natsconf.document import DocumentError

Type = Literal[
    "text",
    "token",
    "account_name",
    "user_name",
    "subject",
    "nkey",
    "choice",
    "whole",
    "bytes",
    "duration",
    "flag",
    "list",
    "table",
]
TYPES: tuple[str, ...] = get_args(Type)
SIMPLE: tuple[str, ...] = tuple(kind for kind in TYPES if kind not in ("list", "table"))
FREE = frozenset(("text", "user_name"))  # may hold blanks, dots and wildcards: never a part of a subject
NEEDS = ("mqtt", "websocket")  # listeners that the servers of a system may lack


class BlueprintError(DocumentError):
    """A blueprint that can't be read, with every place that is wrong."""


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One parameter, one column of a table, or what the entries of a list are.

    least, most: of a number, of bytes, of nanoseconds; of the characters of a text; of the entries of a list or
    table. choices: {value: title}. of: what the entries of a list are. columns, unique: of a table; unique names the
    columns in which no value stands twice. needs: a listener that the servers must have when this is true.
    """

    name: str
    type: Type
    title: str = ""
    help: str = ""
    default: Any = None
    required: bool = True
    choices: Mapping[str, str] = field(default_factory=dict)
    least: int | None = None
    most: int | None = None
    wildcards: bool = True
    of: ParameterSpec | None = None
    columns: tuple[ParameterSpec, ...] = ()
    unique: tuple[str, ...] = ()
    needs: str = ""


@dataclass(frozen=True, slots=True)
class ValueSpec:
    """A value that follows from parameters. case: a reference, "" for none; then `plain` is the value.

    of: {what the case may be, as text: the value}; other: for all the rest, when there is one.
    """

    name: str
    case: str = ""
    of: Mapping[str, Any] = field(default_factory=dict)
    other: Any = None
    has_other: bool = False
    plain: Any = None


@dataclass(frozen=True, slots=True)
class BlueprintSpec:
    """One version of a blueprint. accounts: as a document has them, with references in them."""

    name: str
    version: int
    title: str = ""
    description: str = ""
    parameters: tuple[ParameterSpec, ...] = ()
    values: tuple[ValueSpec, ...] = ()
    accounts: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def parameter(self, name: str) -> ParameterSpec | None:
        """The parameter of this name, None when there is none."""
        return next((each for each in self.parameters if each.name == name), None)
