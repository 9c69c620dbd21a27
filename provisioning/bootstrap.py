"""The first start: a system with its own identity, and a file that a server can start with."""

from __future__ import annotations

from django.conf import settings

from accounts_app.door import through
from accounts_app.models import System
from accounts_app.natsconf.render import assemble
from accounts_app.stages import is_managed
from accounts_app.systems import new_system
from provisioning import drift
from provisioning.binary import validate_folder
from provisioning.enforced import Enforced
from provisioning.errors import Invalid
from provisioning.files import Intent, read_generated, sole_writer, text_hash
from provisioning.numbers import next_fence, next_number
from provisioning.workshop import make_goal


def ensure_system(name: str = "default") -> System:
    """The first system, made when there is none."""
    existing = System.objects.order_by("pk").first()
    if existing is not None:
        return existing
    with through("command", reason="first start"):
        return new_system(name)


def settle_files(system: System) -> None:
    """Before a server starts: see that accounts.conf is one that it would start with.

    A file that is fine stays as it is, even when the rows have moved on: the worker sees to that. A missing
    or broken one is written anew, as the servers last held it, or from the rows when they never held any. Where
    nunect doesn't manage the system, nothing is.
    """
    if not is_managed(system.pk):
        return
    enforced = Enforced.load(system.pk)
    with sole_writer(system.folder, next_fence(system.pk), settings.PROVISIONING_LOCK_TIMEOUT) as writer:
        found = read_generated(system.folder)
        difference = drift.in_file(found, enforced.revision, writer.intent, enforced.text, system.folder)
        if found is not None and (difference is None or difference.usable) and _starts(system, found):
            return
        if difference is not None:
            drift.remember(system, difference)
        if enforced.revision is not None:
            generated = assemble(enforced.blocks(), enforced.number)
        else:
            blocks = make_goal(system.pk, fresh=True).blocks
            generated = assemble(blocks, writer.intent.number or next_number(system.pk))
        validate_folder(system.folder, generated.text)
        writer.replace(
            generated.text, Intent(writer.fence, generated.revision, generated.sha256, text_hash(generated.text))
        )


def _starts(system: System, found: bytes) -> bool:
    try:
        validate_folder(system.folder, found.decode("utf-8"))
    except (Invalid, UnicodeDecodeError):
        return False
    return True
