"""What a run would write: the rows' wish, less what is faulty or must wait for a person."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from django.db.models import QuerySet
from django.utils import timezone

from accounts_app.models import Account, NatsUser, System, record
from accounts_app.natsconf.render import Block, block_of, certificate_users, closure, control_block, logins
from accounts_app.natsconf.revoked import without_revoked
from provisioning import faults, guard
from provisioning.drift import in_words
from provisioning.enforced import Enforced, specs_of
from provisioning.faults import PROBED, Early
from provisioning.mainfile import MainFile, Need, named
from provisioning.models import Drift, Hold
from provisioning.rerendering import wait_for_form
from provisioning.server import Fleet, Seen
from provisioning.workshop import Goal

Stuck = tuple[str, frozenset[str]]  # why it can't go, and fingerprints of what was refused


@dataclass(slots=True)
class Plan:
    """target: the blocks to reach; held and failed: {account: why} for those kept as they are enforced.

    needed: {login: which main file names it} of those that no server would be without. refused: {account: what of it
    the binary or a server has refused}, each as `fingerprint` says it.
    """

    goal: Goal
    target: dict[str, Block]
    needed: dict[str, Need] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    refused: dict[str, set[str]] = field(default_factory=dict)

    def keep(self, account: str, enforced: Enforced) -> None:
        """Leave an account as the servers hold it; nunect's control account imports what that shows."""
        identity = self.goal.taken.identity
        if account == identity.control_account:
            return  # it follows the others, whatever is wrong with its rows
        block, wished = enforced.block(account), self.target.get(account)
        if block is None:
            self.target.pop(account, None)
        else:
            self.target[account] = block
        if (block.shows if block else ()) != (wished.shows if wished else ()):
            shown = {name: each.shows for name, each in self.target.items()}
            own = control_block(identity, shown)
            self.target[own.account] = own

    def fail(self, account: str, why: str, enforced: Enforced) -> None:
        """Leave an account as the servers hold it, less the logins that its rows no longer have: a fault must
        not keep anybody in. Where even that was refused, it stays whole. One that should go stays without users."""
        self.failed[account] = why
        self.keep(account, enforced)
        block = self.target.get(account)
        if block is None:
            return
        tree = without_revoked(
            block.tree, self.goal.specs.get(account), {*self.goal.taken.identity.nkeys, *self.needed}
        )
        if tree is not block.tree:
            less = block_of(account, tree)
            if less.sha256 not in self.refused.get(account, ()):
                self.target[account] = less

    def refuse(self, account: str, why: str, enforced: Enforced) -> None:
        """What the account would have become is not tried again, until it or a neighbour changes."""
        self.refused.setdefault(account, set()).add(self.fingerprint(account))
        self.fail(account, why, enforced)

    def fingerprint(self, account: str) -> str:
        """The account's block together with those that it exchanges subjects with; of a block that is less
        than the rows ask for, that block alone."""
        block, asked = self.target.get(account), self.goal.blocks.get(account)
        if block is not None and (asked is None or block.sha256 != asked.sha256):
            return block.sha256
        near = sorted(closure([account], self.goal.specs))
        shas = [self.goal.blocks[name].sha256 if name in self.goal.blocks else "" for name in near]
        told = "".join(f"{name}:{sha256}\n" for name, sha256 in zip(near, shas, strict=True))
        return hashlib.sha256(told.encode()).hexdigest()

    def leaving(self, enforced: Enforced) -> list[str]:
        """Accounts that the servers hold and the rows don't ask for any more: disabled or deleted."""
        return sorted(enforced.shas.keys() - self.goal.blocks.keys() - self.goal.faults.keys())

    def changed(self, enforced: Enforced) -> list[str]:
        """Accounts whose block is not the enforced one, new and vanishing ones among them."""
        names = {name for name, block in self.target.items() if enforced.shas.get(name) != block.sha256}
        return sorted(names | (enforced.shas.keys() - self.target.keys()))

    def asked(self, enforced: Enforced) -> list[str]:
        """Those of them that stay, and that rows have changed: nunect's control account only follows them, and
        is never at fault."""
        own = self.goal.taken.identity.control_account
        return [name for name in self.changed(enforced) if name in self.target and name != own]


def make_plan(
    system: System,
    goal: Goal,
    enforced: Enforced,
    fleet: Fleet,
    seen: Iterable[Seen],
    early: Early,
    mains: Sequence[MainFile],
    stuck: Mapping[str, Stuck],
) -> Plan:
    """Decide, in this order: what can't be rendered, what was refused before, what the main files or the
    servers have no room for, what a guard holds, what is only another form, and what the server's binary refuses (asked
    already: early).

    stuck: {account: what servers have said in this run, as it should go}.
    """
    plan = Plan(goal, dict(goal.blocks), _first_needs(mains, "user"))
    for account, reason in goal.faults.items():
        if account in goal.specs and goal.specs[account].enabled:
            plan.fail(account, reason, enforced)
    _fail_as_before(plan, system, enforced)
    for account, (words, refused) in stuck.items():
        plan.refused[account] = set(refused)
        plan.fail(account, words, enforced)
    _keep_bound(plan, enforced, mains)
    _keep_needed(plan, enforced)
    _refuse_certificates(plan, enforced, mains)
    _check_room(plan, enforced, seen)
    holds = Hold.objects.filter(system=system, state__in=(Hold.State.OPEN, Hold.State.APPROVED))
    _hold(plan, system, goal, enforced, fleet, list(holds.exclude(account=Hold.EVERY)))
    wait_for_form(plan, system, enforced)
    _probe(plan, goal, enforced, early)
    return plan


def ask_early(goal: Goal, enforced: Enforced) -> Early:
    """Let the binary begin to judge all that the rows ask for."""
    names = Plan(goal, goal.blocks).asked(enforced)
    few = names if len(names) <= PROBED else ()
    running = {name: tree for name in few if (tree := enforced.tree(name)) is not None}
    return Early(names, goal.blocks, goal.specs, running)


def _fail_as_before(plan: Plan, system: System, enforced: Enforced) -> None:
    """What was refused and has not changed since, nor has what it depends on, is not tried again."""
    rows = Account.objects.filter(system=system, problem_kind=Account.Problem.FAILED).exclude(refused=[])
    for account, problem, refused in rows.values_list("name", "problem", "refused"):
        if account in plan.failed:
            plan.refused[account] = set(refused)
        elif (account in plan.target or account in enforced.shas) and plan.fingerprint(account) in refused:
            plan.refused[account] = set(refused)
            plan.fail(account, problem, enforced)


def _first_needs(mains: Iterable[MainFile], kind: str) -> dict[str, Need]:
    """{name: where the first of the main files needs it}."""
    found: dict[str, Need] = {}
    for need in (need for main in mains for need in main.needs if need.kind == kind):
        found.setdefault(need.name, need)
    return found


def _keep_bound(plan: Plan, enforced: Enforced, mains: Iterable[MainFile]) -> None:
    """An account that a main file binds leafnodes to can't go: its server would not take that, or start."""
    bound, folder = _first_needs(mains, "account"), plan.goal.taken.system.folder
    for account in plan.leaving(enforced):
        if account in bound and account not in plan.failed:
            where = bound[account].where(folder)
            why = f"{where} binds leafnodes to account “{account}”: take that out first. It stays, without users."
            plan.fail(account, why, enforced)


def _keep_needed(plan: Plan, enforced: Enforced) -> None:
    """A user whom a main file names can't go, or change its name: its server would not take that, or start."""
    if not plan.needed:
        return
    for account in plan.changed(enforced):
        before, after = enforced.tree(account), plan.target.get(account)
        gone = sorted((logins(before) & plan.needed.keys()) - logins(after.tree if after else None))
        if gone and account not in plan.failed:
            where = plan.needed[gone[0]].where(plan.goal.taken.system.folder)
            plan.fail(account, f"{where} names user “{gone[0]}” as no_auth_user: take that out first.", enforced)


def _refuse_certificates(plan: Plan, enforced: Enforced, mains: Sequence[MainFile]) -> None:
    """Without `verify_and_map` a certificate's user could sign in with an empty password (measured)."""
    lacking = next((main for main in mains if not main.maps_certificates), None)
    if lacking is None:
        return
    whose = "the main file's" if lacking is mains[0] else f"{named(lacking.path, plan.goal.taken.system.folder)}'s"
    for account in plan.changed(enforced):
        users = certificate_users(plan.target[account].tree) if account in plan.target else []
        if users:
            why = (
                f"User “{users[0]}” proves itself by a certificate, and {whose} tls block lacks "
                "“verify_and_map: true”: anybody could sign in under that name."
            )
            plan.fail(account, why, enforced)


def _check_room(plan: Plan, enforced: Enforced, seen: Iterable[Seen]) -> None:
    servers = list(seen)
    limits = {
        "max_mem": min((one.jetstream_max_mem for one in servers if one.jetstream_max_mem), default=None),
        "max_file": min((one.jetstream_max_file for one in servers if one.jetstream_max_file), default=None),
    }
    changed = plan.changed(enforced)
    if not any("jetstream" in plan.target[name].tree for name in changed if name in plan.target):
        return
    before = {name: faults.reserved(enforced.block(name)) for name in changed if name in enforced.jetstream}
    for account, why in faults.over_commit(changed, plan.target, list(plan.target), before, limits).items():
        plan.fail(account, why, enforced)


def _hold(plan: Plan, system: System, goal: Goal, enforced: Enforced, fleet: Fleet, holds: list[Hold]) -> None:
    changed = plan.changed(enforced)
    shas = {name: block.sha256 for name, block in plan.target.items()}
    stops = guard.check(
        changed,
        plan.target,
        enforced,
        system.identity,
        expired=cache(lambda: _expired(system, changed)),
        streams_of=fleet.streams_of,
        waiting={hold.account for hold in holds if _waits_for(hold, shas)},
    )
    agreed = [hold for hold in holds if hold.state == Hold.State.APPROVED]
    spent = [hold.pk for hold in agreed if hold.target_sha256 == enforced.shas.get(hold.account, "")]
    if spent:  # a yes is for once: the same change another day is asked about again
        Hold.objects.filter(pk__in=spent, state=Hold.State.APPROVED).update(state=Hold.State.APPLIED)
    approved = {(hold.account, hold.target_sha256) for hold in agreed if hold.pk not in spent}
    for adopted in Drift.objects.filter(system=system, state=Drift.State.ADOPTING).values_list("adopted", flat=True):
        approved.update(adopted["blocks"].items())  # it runs already, and somebody has seen it
    waiting = set()
    for stop in stops:
        if (stop.account, shas.get(stop.account, "")) in approved:
            continue
        plan.held[stop.account] = " ".join(filter(None, (plan.held.get(stop.account), stop.reason)))
        waiting.add(stop.account)
    for account in waiting:
        _remember_hold(system, account, plan, goal, enforced)
        plan.keep(account, enforced)
    # One that another run has made of newer rows, or that a person has answered meanwhile, is not this run's to end.
    over = [hold.pk for hold in holds if hold.account not in waiting and hold.created_at < goal.taken.at]
    Hold.objects.filter(pk__in=over, state=Hold.State.OPEN).update(state=Hold.State.GONE, decided_at=timezone.now())


def _waits_for(hold: Hold, shas: Mapping[str, str]) -> bool:
    """Whether it is open, for leaving users, and for exactly what the plan would write."""
    same = shas.get(hold.account, "") == hold.target_sha256
    return hold.state == Hold.State.OPEN and same and "users would go" in hold.reason


def _remember_hold(system: System, account: str, plan: Plan, goal: Goal, enforced: Enforced) -> None:
    block = plan.target.get(account)
    sha256 = block.sha256 if block else ""
    open_hold = Hold.objects.filter(system=system, account=account, state=Hold.State.OPEN).first()
    if open_hold is not None:
        if open_hold.target_sha256 == sha256:
            return
        open_hold.state, open_hold.decided_at = Hold.State.GONE, timezone.now()
        open_hold.save(update_fields=["state", "decided_at"])
    before = {"accounts": {account: enforced.tree(account)}} if account in enforced.shas else {"accounts": {}}
    after = {"accounts": {account: block.tree}} if block else {"accounts": {}}
    hold = Hold.objects.create(
        system=system,
        account=account,
        reason=plan.held[account],
        changes=in_words(
            before, after, [spec] if (spec := goal.specs.get(account)) else (), lambda: specs_of(system.pk, [account])
        ),
        target_sha256=sha256,
    )
    record("change held", hold, account=account, reason=hold.reason)


def _expired(system: System, accounts: list[str]) -> set[str]:
    gone: QuerySet[NatsUser] = NatsUser.objects.filter(system=system, expires_at__lte=timezone.now())
    rows = gone.filter(account__name__in=accounts[:PROBED]).values_list("name", "nkey", "certificate")
    return {login for row in rows for login in row if login}


def _probe(plan: Plan, goal: Goal, enforced: Enforced, early: Early) -> None:
    present = plan.asked(enforced)
    if not present or len(present) > PROBED:
        return  # too many to be worth it: the whole file is judged before it is written
    if early.words(present, plan.target) != "":
        find_and_keep(plan, goal, enforced, present)


def find_and_keep(plan: Plan, goal: Goal, enforced: Enforced, names: list[str]) -> bool:
    """Find which of these accounts the binary refuses and keep them as enforced; True when there were any."""
    touched = set(names)

    def judge(part: Iterable[str]) -> str:
        tried = set(part)
        blocks = {name: block for name, block in plan.target.items() if name in tried or name not in touched}
        for name in touched - tried:
            block = enforced.block(name)
            if block is not None:
                blocks[name] = block
        return faults.probe(sorted(tried), blocks, goal.specs)

    found = faults.find_faults(names, judge)
    for account, words in found.items():
        plan.refuse(account, words, enforced)
    return bool(found)
