"""One change of meaning, and the words that all sentences about changes share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal[
    "account_added",
    "account_removed",
    "user_added",
    "user_removed",
    "user_moved",
    "credential",
    "publish",
    "subscribe",
    "responses",
    "connection_types",
    "limits",
    "jetstream",
    "export",
    "import",
    "mapping",
    "setting",
    "asset",
]
ORDER: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]
NAMED = 3  # users that a sentence names before it counts
_LISTED = 6  # subjects that a sentence names before it counts


@dataclass(frozen=True, slots=True)
class Change:
    """One change of meaning; `str()` is its sentence.

    account: "" when it is the server's; users: those it happens to, by name, () when it is the
    account's; says: what happens to them, or the whole sentence without users; lost, gained: the
    subjects of a right; removes_access: somebody can do less than before.
    """

    kind: Kind
    account: str
    says: str
    users: tuple[str, ...] = ()
    removes_access: bool = False
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        """The one user it happens to, "" when there are none or several."""
        return self.users[0] if len(self.users) == 1 else ""

    def __str__(self) -> str:
        if not self.users:
            return self.says
        if len(self.users) == 1:
            return f"user {ticks(self.users)} of account `{self.account}` {self.says}"
        says = self.says.replace("is ", "are ", 1) if self.says.startswith("is ") else self.says
        says = says.replace("proves itself", "prove themselves", 1)
        named = ticks(self.users[:NAMED])
        if len(self.users) > NAMED:
            named += f" and {len(self.users) - NAMED} more"
        return f"{len(self.users)} users of account `{self.account}` {says}: {named}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it, its sentence as `text`."""
        return {**asdict(self), "text": str(self)}


def value_of(value: Any) -> str:
    """A value of a setting, as a sentence shows it."""
    if value is None or value == "":
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"`{value}`" if isinstance(value, str) else str(value)


def listed(found: Sequence[str]) -> str:
    """Subjects as a sentence names them: the first few."""
    shown = ticks(found[:_LISTED])
    return shown if len(found) <= _LISTED else f"{shown} and {len(found) - _LISTED} more"


def ticks(found: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in found)


def a_or_an(noun: str) -> str:
    """The noun with its article, by how it sounds: "an account", "an nkey", "a user"."""
    return f"an {noun}" if noun.startswith(("a", "e", "i", "o", "nkey")) else f"a {noun}"


def is_less(new: float, old: float) -> bool:
    """Say whether a limit is narrower than another; -1 is no limit."""
    return new != -1 and (old == -1 or new < old)
