"""What it takes to bring a stream or consumer that is there already to what a row says, and what is lost by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from accounts_app.jetstream.case import Warning
from accounts_app.jetstream.differences import Difference, differences, in_words
from accounts_app.jetstream.fixed import fixed_changes
from accounts_app.jetstream.settings import settings_of
from accounts_app.jetstream.wire import from_server, to_server

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TakingOver:
    """kind: of the settings. found: how the row and the server differ; fixed: {setting: sentence} of what can't change;
    warnings: what else the server would refuse, or lose; final: settings that could not be taken back."""

    kind: str
    found: tuple[Difference, ...]
    fixed: Mapping[str, str]
    warnings: tuple[Warning, ...]
    final: frozenset[str]

    @property
    def possible(self) -> bool:
        """Whether the server would do it at all."""
        return not self.fixed and not any(each.severity == "refused" for each in self.warnings)

    @property
    def harmless(self) -> bool:
        """Whether it may be done unasked: nothing is lost by it, and it can be undone."""
        return self.possible and not self.final and not self.warnings

    def words(self) -> str:
        """The differences, from what is there to what the row says: "storage: file → memory: it can't be changed"."""
        settings = {each.setting for each in self.found}
        others = (_clause(each) for each in self.warnings if each.setting not in settings)
        return "; ".join(dict.fromkeys((*map(self._step, self.found), *others)))

    def _step(self, each: Difference) -> str:
        title = settings_of(self.kind)[each.setting].title
        named = title if title.isupper() else f"{title[:1].lower()}{title[1:]}"
        seen, wanted = (in_words(self.kind, each.setting, value) for value in (each.seen, each.wanted))
        why = [_clause(warning) for warning in self.warnings if warning.setting == each.setting]
        if each.setting in self.fixed:
            why = ["it can't be changed"]
        elif each.setting in self.final:
            why.append("it can't be changed back")
        return ": ".join((named, f"{seen} → {wanted}", *why))


def weigh(kind: str, name: str, wanted: Config, seen: Config, told: tuple[Warning, ...]) -> TakingOver:
    """What lies between a row's config and the server's. told: what `accounts_app.jetstream.forecast` says of it."""
    fixed = fixed_changes(kind, wanted, seen)
    return TakingOver(
        kind,
        differences(kind, wanted, seen, now=timezone.now()),
        fixed,
        tuple(each for each in told if each.severity != "note" and each.setting not in fixed),
        frozenset(fixed_changes(kind, from_server(kind, seen), to_server(kind, name, wanted, seen))) - fixed.keys(),
    )


def same(kind: str, one: Config, other: Config) -> bool:
    """Whether two configs of a server say the same."""
    return not differences(kind, from_server(kind, one), other, now=timezone.now())


def _clause(warning: Warning) -> str:
    return warning.sentence.removesuffix(".")
