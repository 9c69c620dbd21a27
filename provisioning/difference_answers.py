"""The answer to what somebody edited of a conf that nunect only observes: the rows take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts_app.adopting import Adopted, adopt_conf, read, rendered
from accounts_app.known_hashes import with_known_hashes
from accounts_app.models import Account, System, record
from accounts_app.natsconf.changes import Change
from accounts_app.natsconf.comparable import comparable
from accounts_app.natsconf.diff import diff
from accounts_app.natsconf.digest import digest
from accounts_app.natsconf.parse import Parsed
from accounts_app.natsconf.render import Block
from accounts_app.natsconf.tree import whole
from accounts_app.natsconf.user_changes import READ_INTO, names_by_nkey
from accounts_app.snapshot import read_accounts
from provisioning.running_conf import RunningConf, Unreadable, read_running

_OWN_KEYS = ("accounts", "authorization", "system_account", "system")


@transaction.atomic
def adopt(system: System, looked_at: str = "") -> Adopted:
    """The rows become what the observed conf says, where it differs from what they would render.

    looked_at: the `stamp` of what a person has been shown; another conf is refused. Nothing is written to any file.
    Raises ValidationError, ReconcileError with the places, when what it says can't be rows.
    """
    row = System.objects.select_for_update().get(pk=system.pk)
    if row.stage != System.Stage.OBSERVED:
        raise ValidationError(_("This is for a system that nunect only observes; of others, answer the drift."))
    try:
        running = read_running(row.folder)
    except Unreadable as error:
        raise ValidationError(str(error)) from error
    stamp = digest(running.parsed.tree)
    if looked_at and looked_at != stamp:
        raise ValidationError(_("The conf has changed meanwhile: look at it again."))
    reading = read(row, running.parsed)
    if reading.refused:
        raise ValidationError([note.sentence for note in reading.notes if note.verdict == "refused"])
    done = adopt_conf(
        row,
        running.parsed,
        _of_rows(row, running),
        then=lambda blocks: _left(row, running, reading.system_account, blocks),
    )
    record("difference adopted", row, changes=done.changes.as_dict(), conf=stamp)
    return replace(done, stamp=stamp)


def _of_rows(system: System, running: RunningConf) -> Parsed:
    """What the rows would render, within the main file as it stands: that decides what a user's name means."""
    around = {key: value for key, value in running.parsed.tree.items() if key.lower() not in _OWN_KEYS}
    tree = whole({name: block.tree for name, block in rendered(system).items()})
    return Parsed({**around, "system_account": system.system_account, **tree}, {}, {}, ())


def _left(
    system: System, running: RunningConf, system_account: str | None, blocks: Mapping[str, Block]
) -> tuple[Change, ...]:
    """What nunect would still change for clients, once the rows are as they are now."""
    theirs: dict[str, Any] = comparable(running.parsed.tree, system.identity, system_account)
    ours = comparable(whole({name: block.tree for name, block in blocks.items()}), system.identity)
    specs = read_accounts(Account.objects.filter(system=system).values_list("pk", flat=True)).values()
    found = diff(with_known_hashes(system, theirs), ours, names_by_nkey(specs))
    return tuple(change for change in found if READ_INTO not in str(change))
