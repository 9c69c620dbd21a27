"""Servers that don't know nunect: nobody knocks there, for each try is an error in their log."""

from __future__ import annotations

from accounts_app.models import System
from provisioning.models import Difference

NO_WAY_IN = (
    "The conf there names none of nunect's users, and the system has no login: `nunect system test` prints the lines "
    "that let nunect in."
)


def ways_in(system: System) -> tuple[bool, bool]:
    """Whether the servers may let nunect in, and whether by every user of its own; by the last look, where nunect only
    observes."""
    seen = Difference.objects.filter(system=system).first() if system.stage == System.Stage.OBSERVED else None
    return (True, True) if seen is None else (seen.unasked != NO_WAY_IN, seen.knows_nunect)
