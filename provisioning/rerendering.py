"""After an upgrade that writes the same rows in another form: one reload of every server, when a person says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db.models import QuerySet
from django.utils import timezone

from accounts_app.models import System, record
from accounts_app.natsconf.render import RENDERER, RenderError, assemble, crowded, logins, render_account
from accounts_app.natsconf.specs import AccountSpec, RoleSpec
from accounts_app.natsconf.tree import whole
from accounts_app.row_writer import parts
from provisioning.drift import in_words
from provisioning.enforced import SHARED_ROLES, Enforced, specs_of
from provisioning.models import Hold

if TYPE_CHECKING:
    from provisioning.plan import Plan


def wait_for_form(plan: Plan, system: System, enforced: Enforced) -> None:
    """Leave everything as the servers hold it, when nothing but its form would change, until somebody agrees.

    A change of rows takes the new form along, since it reloads every server anyway; so does whatever would take a
    login away. A yes counts for the form that was shown.
    """
    holds = Hold.objects.filter(system=system, account=Hold.EVERY)
    mine = list(holds.filter(state__in=(Hold.State.OPEN, Hold.State.APPROVED)))
    changed = plan.changed(enforced) if _is_of_another(enforced) else []
    if not changed or not _is_only_form(plan, enforced, changed):
        _end(mine)
        return
    asked = holds.filter(target_sha256=assemble(plan.target, 0).sha256)
    if asked.filter(state=Hold.State.APPROVED).exists():
        return
    if not asked.filter(state__in=(Hold.State.OPEN, Hold.State.REFUSED)).exists():
        _end(mine)
        _ask(plan, system, enforced, changed)
    plan.target = enforced.blocks()


def _is_of_another(enforced: Enforced) -> bool:
    """Whether another version of nunect, which writes another form, has written what the servers hold."""
    return enforced.revision is not None and enforced.revision.renderer != RENDERER


def _is_only_form(plan: Plan, enforced: Enforced, changed: list[str]) -> bool:
    """Whether nobody comes or goes, and what the rows said when the servers took them would be written just so.

    nunect's control account follows the others, and may be new: an older version had none.
    """
    taken = plan.goal.taken
    own = taken.identity.control_account
    asked = [name for name in changed if name != own]
    compared = [*asked, own] if own in enforced.shas else asked
    if any(name not in plan.target or name not in enforced.shas for name in asked):
        return False
    enforced.read(compared)
    if any(logins(enforced.tree(name)) != logins(plan.target[name].tree) for name in compared):
        return False
    kept = _kept(enforced.system_id, asked)
    if kept is None:  # by another version, so that only the counters tell
        return taken.wanted == taken.system.done
    before, shared = kept
    if before == {name: plan.goal.specs.get(name) for name in asked} and shared == taken.shared:
        return True
    return _are_written(before.values(), shared, plan)


def _kept(system_id: int, accounts: list[str]) -> tuple[dict[str, AccountSpec], tuple[RoleSpec, ...]] | None:
    """({account: its spec}, shared roles) when the servers took them; None where that can't be read in full."""
    specs = {spec.name: spec for part in parts([*accounts, SHARED_ROLES]) for spec in specs_of(system_id, part)}
    shared = specs.pop(SHARED_ROLES, None)
    return (specs, shared.roles) if shared is not None and specs.keys() == set(accounts) else None


def _are_written(specs: Iterable[AccountSpec], shared: tuple[RoleSpec, ...], plan: Plan) -> bool:
    """Whether this version would write these accounts just so, had their rows stayed as they were."""
    around, identity = plan.goal.specs.values(), plan.goal.taken.identity
    present, in_the_way = {each.name for each in around if each.enabled}, crowded(around)
    try:
        return all(
            render_account(spec, shared, identity, present, None, in_the_way).sha256 == plan.target[spec.name].sha256
            for spec in specs
        )
    except RenderError:
        return False


def _ask(plan: Plan, system: System, enforced: Enforced, changed: list[str]) -> None:
    before = {name: tree for name in changed if (tree := enforced.tree(name)) is not None}
    after = {name: plan.target[name].tree for name in changed}
    specs = [plan.goal.specs[name] for name in changed if name in plan.goal.specs]
    count = f"{len(changed)} account{'' if len(changed) == 1 else 's'}"
    hold = Hold.objects.create(
        system=system,
        account=Hold.EVERY,
        reason=(
            f"This version of nunect writes {count} in another form; the rows are the same. It takes one reload of "
            "every server: say yes when it suits. The next change that servers need to know takes it along."
        ),
        changes=in_words(whole(before), whole(after), specs),
        target_sha256=assemble(plan.target, 0).sha256,
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
