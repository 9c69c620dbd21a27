"""Rates from counters that begin anew when their server does. Pure."""

from __future__ import annotations

from collections.abc import Sequence

SMOOTHED_S = 0.2  # two looks closer together than this say nothing of a rate


class Rates:
    """Change per second of some counters that are read together.

    A counter that has fallen, or whose server has started since, counts from zero: nothing is ever negative.
    """

    __slots__ = ("at", "since", "totals", "values")

    def __init__(self, at: float, counters: Sequence[int], since: str = "") -> None:
        self.at, self.totals, self.since = at, tuple(counters), since
        self.values: tuple[float, ...] = (0.0,) * len(self.totals)

    def take(self, at: float, counters: Sequence[int], since: str = "") -> tuple[int, ...]:
        """Read the counters again; how much each has grown. at: seconds; since: when their server started."""
        past = self.totals if since == self.since else (0,) * len(self.totals)
        grown = tuple(max(0, now - then) if now >= then else now for now, then in zip(counters, past, strict=True))
        passed = at - self.at
        if passed >= SMOOTHED_S:
            self.values = tuple(round(each / passed, 2) for each in grown)
            self.at = at
        elif since == self.since:
            return (0,) * len(self.totals)  # the next look counts it
        self.totals, self.since = tuple(counters), since
        return grown
