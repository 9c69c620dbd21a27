"""The one receiver: a committed change hints at a run."""

from __future__ import annotations

from typing import Any

from accounts_app.wanted import wanted_committed
from provisioning.hints import send_hint


def ask_for_run(sender: Any, system_id: int, **kwargs: Any) -> None:
    """A rolled-back save asks for nothing; a broker that is down does not undo a save."""
    send_hint(system_id)


def connect() -> None:
    wanted_committed.connect(ask_for_run, dispatch_uid="provisioning.ask_for_run")
