"""The state of streams and consumers as the database sees it, in the words of `Asset.state`: for filters and files."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

STATES = ("applied", "pending", "waits", "failed", "drifted", "leaving", "observed")  # as filters show them


def in_state(state: str) -> Q:
    """The rows that are in a state. Raises KeyError for a word that is none."""
    managed, standing = Q(managed=True), Q(problem_wanted=F("wanted")) & ~Q(problem_kind="")
    ignored = ~Q(drift_ignored="") & (Q(ignored_until=None) | Q(ignored_until__gt=timezone.now()))
    calm = Q(drift=[]) | ignored  # who looks at the servers forgets what was ignored once it is another difference
    told, moving = managed & ~standing, ~Q(wanted=F("done"))
    return {
        "observed": Q(managed=False),
        "waits": managed & standing & Q(problem_kind="waits"),
        "failed": managed & standing & Q(problem_kind="failed"),
        "leaving": told & Q(leaving=True),
        "pending": told & Q(leaving=False) & moving,
        "drifted": told & Q(leaving=False) & ~moving & ~calm,
        "applied": told & Q(leaving=False) & ~moving & calm,
    }[state]


def state_word() -> Any:
    """An expression for `annotate`: the state of each row."""
    return Case(*(When(in_state(state), then=Value(state)) for state in STATES))
