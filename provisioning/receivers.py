"""The receivers: a committed change hints at a run, and a run at streams and jobs that wait for it."""

from __future__ import annotations

from typing import Any

from accounts_app.asset_changes import Warned
from accounts_app.preview import looked
from accounts_app.wanted import assets_committed, wanted_committed
from provisioning.events import revision_recorded
from provisioning.hints import send_assets_hint, send_hint


def ask_for_run(sender: Any, system_id: int, **kwargs: Any) -> None:
    """A rolled-back save asks for nothing; a broker that is down does not undo a save."""
    send_hint(system_id)


def look_again(sender: Any, system_id: int, **kwargs: Any) -> None:
    """Imported when it is heard: the steps of jobs know models, which are not ready yet when this is connected."""
    from provisioning.jetstream.wishes import is_due
    from provisioning.jobs.waking import look_again

    if is_due(system_id):
        send_assets_hint(system_id)
    look_again(system_id)


def ask_for_assets(sender: Any, system_id: int, **kwargs: Any) -> None:
    """The same for streams and consumers, which go to the servers by JetStream's API."""
    send_assets_hint(system_id)


def tell_what_was_left(sender: Any, **seen: Any) -> list[Warned]:
    """What comes back with accounts that were retired, beside all else that a preview says."""
    from provisioning.coming_back import told

    return told(**{name: seen[name] for name in ("system_id", "made", "after")})


def connect() -> None:
    assets_committed.connect(ask_for_assets, dispatch_uid="provisioning.ask_for_assets")
    wanted_committed.connect(ask_for_run, dispatch_uid="provisioning.ask_for_run")
    looked.connect(tell_what_was_left, dispatch_uid="provisioning.tell_what_was_left")
    revision_recorded.connect(look_again, dispatch_uid="provisioning.look_again")
