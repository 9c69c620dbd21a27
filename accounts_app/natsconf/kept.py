"""Users' entries that remember how they are written: a save then costs what it changed, not what the account holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .specs import AccountSpec, RoleSpec, UserSpec


class Kept(dict[str, Any]):
    """A map that nobody changes. Whoever has worked something out of it notes it here for the next time.

    text: (level, what `emit_value` wrote); json: what `canonical` wrote; rights: its permissions as one key;
    bare, opened: the same entry without permissions, and with those that allow everything.
    """

    __slots__ = ("bare", "json", "opened", "rights", "text")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.text: tuple[int, str] | None = None
        self.json: str | None = None
        self.rights: str | None = None
        self.bare: Kept | None = None
        self.opened: Kept | None = None


@dataclass(slots=True)
class Entries:
    """The entries of an account's users as they were last made.

    They hold for the same roles and account name only; `successor` forgets them when those changed.
    """

    context: tuple[object, ...] = ()
    made: dict[UserSpec, tuple[Kept, ...]] = field(default_factory=dict)
    former: dict[UserSpec, tuple[Kept, ...]] = field(default_factory=dict)

    @classmethod
    def successor(cls, former: Entries | None, spec: AccountSpec, shared: tuple[RoleSpec, ...]) -> Entries:
        """What a next rendering fills, with what the former one made at hand."""
        context = (spec.name, spec.default_role, spec.roles, shared)
        same = former is not None and former.context == context
        return cls(context, former=former.made if former is not None and same else {})

    def of(self, user: UserSpec, make: Iterator[dict[str, Any]]) -> tuple[Kept, ...]:
        """The entries of a user: the former ones, or those that `make` yields."""
        entries = self.former.get(user)
        if entries is None:
            entries = tuple(Kept(entry) for entry in make)
        self.made[user] = entries
        return entries

    def end(self) -> Entries:
        """Let go of what nobody asked for."""
        self.former = {}
        return self
