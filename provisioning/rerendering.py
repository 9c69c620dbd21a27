"""After an upgrade that writes the same rows in another form: one reload of every server, when a person says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db.models import QuerySet
from django.utils import timezone

from accounts_app.models import System, record
from accounts_app.natsconf.render import RENDERER, assemble, logins
from accounts_app.natsconf.tree import whole
from provisioning.drift import in_words
from provisioning.enforced import Enforced
from provisioning.models import Hold

if TYPE_CHECKING:
    from provisioning.plan import Plan


def wait_for_form(plan: Plan, system: System, enforced: Enforced, holds: Iterable[Hold]) -> None:
    """Leave everything as the servers hold it, when nothing but its form would change, until somebody agrees.

    A change of rows takes the new form along, since it reloads every server anyway; so does a yes, and whatever would
    take a login away. holds: the system's open and approved ones.
    """
    mine = [hold for hold in holds if hold.account == Hold.EVERY]
    changed = plan.changed(enforced) if _is_of_another(enforced) else []
    if not changed or not _is_only_form(plan, enforced, changed):
        _end(mine)
        return
    target = assemble(plan.target, 0).sha256
    asked = Hold.objects.filter(system=system, account=Hold.EVERY, target_sha256=target)
    if not asked.filter(state__in=(Hold.State.OPEN, Hold.State.REFUSED)).exists():
        _end(mine)
        _ask(plan, system, enforced, changed, target)
    plan.target = enforced.blocks()


def _is_of_another(enforced: Enforced) -> bool:
    """Whether another version of nunect, which writes another form, has written what the servers hold."""
    return enforced.revision is not None and enforced.revision.renderer != RENDERER


def _is_only_form(plan: Plan, enforced: Enforced, changed: list[str]) -> bool:
    taken = plan.goal.taken
    if taken.wanted != taken.system.done:  # rows have changed, or somebody wants it
        return False
    if any(name not in plan.target or name not in enforced.shas for name in changed):
        return False
    enforced.read(changed)
    return all(logins(enforced.tree(name)) == logins(plan.target[name].tree) for name in changed)


def _ask(plan: Plan, system: System, enforced: Enforced, changed: list[str], target: str) -> None:
    before = {name: tree for name in changed if (tree := enforced.tree(name)) is not None}
    after = {name: plan.target[name].tree for name in changed}
    specs = [plan.goal.specs[name] for name in changed if name in plan.goal.specs]
    count = f"{len(changed)} account{'' if len(changed) == 1 else 's'}"
    hold = Hold.objects.create(
        system=system,
        account=Hold.EVERY,
        reason=(
            f"This version of nunect writes {count} in another form; the rows are the same. It takes one reload of "
            "every server: say yes when it suits. The next change of rows takes it along."
        ),
        changes=in_words(whole(before), whole(after), specs),
        target_sha256=target,
    )
    record("change held", hold, account=hold.account, reason=hold.reason)


def _end(holds: Iterable[Hold]) -> None:
    """What was asked about is on its way to the servers, or no longer asked for."""
    for state, end in ((Hold.State.OPEN, Hold.State.GONE), (Hold.State.APPROVED, Hold.State.APPLIED)):
        pks = [hold.pk for hold in holds if hold.state == state]
        if pks:
            QuerySet(Hold).filter(pk__in=pks, state=state).update(
                state=end, **({"decided_at": timezone.now()} if end == Hold.State.GONE else {})
            )
