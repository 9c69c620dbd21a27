"""The receivers: a committed change hints at a run, and a run at the jobs that wait for it."""

from __future__ import annotations

from typing import Any

from accounts_app.wanted import wanted_committed
from provisioning.events import revision_recorded
from provisioning.hints import send_hint


def ask_for_run(sender: Any, system_id: int, **kwargs: Any) -> None:
    """A rolled-back save asks for nothing; a broker that is down does not undo a save."""
    send_hint(system_id)


def look_again(sender: Any, system_id: int, **kwargs: Any) -> None:
    """Imported when it is heard: the steps of jobs know models, which are not ready yet when this is connected."""
    from provisioning.jobs.waking import look_again

    look_again(system_id)


def connect() -> None:
    wanted_committed.connect(ask_for_run, dispatch_uid="provisioning.ask_for_run")
    revision_recorded.connect(look_again, dispatch_uid="provisioning.look_again")
