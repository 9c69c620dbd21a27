"""Rows that a system has already, beside the conf whose accounts they are to become."""

from __future__ import annotations

from accounts_app.known_hashes import with_known_hashes
from accounts_app.models import System
from accounts_app.natsconf.comparable import comparable
from accounts_app.natsconf.tree import whole
from provisioning.drift import in_words
from provisioning.takeover.seeing import Look
from provisioning.workshop import make_goal


def overwritten(system: System | None, seen: Look) -> tuple[str, ...]:
    """Return what would become of the rows, in NATS's words; nothing for rows that say the same, or a new system."""
    if system is None:
        return ()
    goal = make_goal(system.pk, fresh=True)
    rows = comparable(whole({name: block.tree for name, block in goal.blocks.items()}), goal.taken.identity)
    if not any(rows["accounts"].values()):
        return ()
    conf = comparable(seen.meant.tree, goal.taken.identity, seen.reading.system_account)
    words = in_words(rows, with_known_hashes(system, conf), seen.reading.accounts, goal.specs.values)
    return tuple(word["text"] for word in words)
