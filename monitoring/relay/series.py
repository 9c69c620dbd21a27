"""Points of a second, averaged into ten seconds and into minutes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from monitoring.tables import METRICS, SUMMED

_SUMMED = [name in SUMMED for name in METRICS]
Values = tuple[float, ...]


@dataclass(slots=True)
class _Window:
    """What has come since a step began. seen: {entity: (points, sums)}"""

    step: int
    number: int = -1
    seen: dict[str, tuple[int, list[float]]] = field(default_factory=dict)

    def add(self, at: float, points: Mapping[str, Sequence[float]]) -> tuple[float, dict[str, Values]] | None:
        """The finished step before, when `at` is beyond it: (when it began, {entity: values})."""
        number = int(at) // self.step
        done = None
        if number != self.number:
            if self.seen:
                done = (float(self.number * self.step), self._values())
            self.number, self.seen = number, {}
        for entity, values in points.items():
            count, sums = self.seen.get(entity, (0, [0.0] * len(METRICS)))
            self.seen[entity] = (count + 1, [have + more for have, more in zip(sums, values, strict=True)])
        return done

    def _values(self) -> dict[str, Values]:
        return {
            entity: tuple(total if summed else total / count for total, summed in zip(sums, _SUMMED, strict=True))
            for entity, (count, sums) in self.seen.items()
        }


@dataclass(slots=True)
class Sampler:
    """Takes a point of every entity each second; says when a longer step is whole."""

    tens: _Window = field(default_factory=lambda: _Window(10))
    minutes: _Window = field(default_factory=lambda: _Window(60))

    def take(
        self, at: float, points: Mapping[str, Sequence[float]]
    ) -> tuple[tuple[float, dict[str, Values]] | None, tuple[float, dict[str, Values]] | None]:
        """(the ten seconds, the minute) that these points have ended."""
        return self.tens.add(at, points), self.minutes.add(at, points)
