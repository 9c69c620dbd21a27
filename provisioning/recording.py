"""Writing down what was seen: the revision, the blocks that it changed, and how far the rows are done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts_app.models import CONFIG_MODELS, Account, Server, System, record
from accounts_app.natsconf.render import RENDERER, Block, logins
from accounts_app.natsconf.spec_json import spec_to_json
from accounts_app.natsconf.specs import AccountSpec
from accounts_app.natsconf.tree import whole
from provisioning.binary import OLDEST, parse_version, too_old
from provisioning.drift import SHOWN, in_words
from provisioning.enforced import SHARED_ROLES, Enforced, specs_of
from provisioning.events import revision_recorded
from provisioning.jetstream.wishes import forgive
from provisioning.models import Revision, RevisionBlock
from provisioning.plan import Plan
from provisioning.server import Seen
from provisioning.workshop import Goal


@dataclass(frozen=True, slots=True)
class Proof:
    """What made the servers' answer a proof. digests: {server name: what it should report}."""

    number: int
    sha256: str
    text_sha256: str
    config_digest: str


@transaction.atomic
def record_revision(
    system: System,
    proof: Proof,
    step: dict[str, Block],
    goal: Goal,
    enforced: Enforced,
    seen: Iterable[Seen],
    timings: dict[str, float],
    reason: str,
) -> Revision:
    """One row for what the servers were seen to hold, and a block for each account that it changed."""
    changed = [name for name, block in step.items() if enforced.shas.get(name) != block.sha256]
    gone = sorted(enforced.shas.keys() - step.keys())
    before = {name: tree for name in (*changed, *gone) if (tree := enforced.tree(name)) is not None}
    after = {name: step[name].tree for name in changed}
    revision = Revision.objects.create(
        system=system,
        number=proof.number,
        sha256=proof.sha256,
        text_sha256=proof.text_sha256,
        config_digest=proof.config_digest,
        renderer=RENDERER,
        wanted=goal.taken.wanted,
        authors=_authors(enforced.revision),
        reason=reason,
        changes=in_words(
            whole(before),
            whole(after),
            [goal.specs[name] for name in changed if name in goal.specs],
            lambda: specs_of(system.pk, [*changed, *gone]),
        ),
        servers=[
            {"name": one.name, "digest": one.config_digest, "proof": _proof(one, proof), "revision": one.revision}
            for one in seen
        ],
        timings=timings,
        snapshot_at=goal.taken.at,
    )
    rows = [_block(revision, name, step[name], _spec(system, name, step[name], goal)) for name in sorted(changed)]
    rows += [RevisionBlock(system=system, revision=revision, account=name, current=False) for name in gone]
    shared = _shared(revision, goal)
    if shared.sha256 != enforced.shared_sha256:
        rows.append(shared)
    replaced = [row.account for row in rows]
    for start in range(0, len(replaced), 500):
        RevisionBlock.objects.filter(system=system, current=True, account__in=replaced[start : start + 500]).update(
            current=False
        )
    RevisionBlock.objects.bulk_create(rows, batch_size=200)
    _drop_old(system, revision)
    forgive(system.pk, changed)
    transaction.on_commit(lambda: enforced.remember(revision, step, shared.sha256))
    return revision


def _proof(one: Seen, proof: Proof) -> str:
    return "digest" if proof.config_digest and one.config_digest == proof.config_digest else "metadata"


def add_servers(enforced: Enforced, seen: Iterable[Seen]) -> None:
    """Write down what servers report that have re-read the last revision's file after it was recorded: those that
    were away then, and those whose main file has changed since."""
    revision = enforced.revision
    if revision is None:
        return
    known = {server["name"]: server for server in revision.servers}
    for one in seen:
        known[one.name] = {
            "name": one.name,
            "digest": one.config_digest,
            "proof": "digest" if one.config_digest == revision.config_digest else "metadata",
            "revision": one.revision,
        }
    revision.servers = [known[name] for name in sorted(known)]
    revision.save(update_fields=["servers"])


def _block(revision: Revision, name: str, block: Block, spec: AccountSpec | None) -> RevisionBlock:
    return RevisionBlock(
        system=revision.system,
        revision=revision,
        account=name,
        sha256=block.sha256,
        conf=RevisionBlock.pack_tree(block.tree),
        spec=RevisionBlock.pack(spec_to_json(spec)) if spec else b"",
        users=len(logins(block.tree)),
        jetstream="jetstream" in block.tree,
    )


def _spec(system: System, name: str, block: Block, goal: Goal) -> AccountSpec | None:
    """What the rows say of an account; of one that could not follow them, what they said before."""
    asked = goal.blocks.get(name)
    if asked is not None and asked.sha256 == block.sha256:
        return goal.specs.get(name)
    return next(iter(specs_of(system.pk, [name])), None)


def _shared(revision: Revision, goal: Goal) -> RevisionBlock:
    text = spec_to_json(AccountSpec(SHARED_ROLES, roles=goal.taken.shared))
    sha256 = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return RevisionBlock(
        system=revision.system, revision=revision, account=SHARED_ROLES, sha256=sha256, spec=RevisionBlock.pack(text)
    )


def _drop_old(system: System, revision: Revision) -> None:
    """Forget the contents of revisions beyond REVISIONS_KEPT, never a block that is needed to know the rest."""
    oldest = revision.number - settings.REVISIONS_KEPT
    if oldest > 0 and revision.number % 50 == 0:
        stale = RevisionBlock.objects.filter(system=system, current=False, revision__number__lt=oldest)
        stale.exclude(conf=b"", spec=b"").update(conf=b"", spec=b"")


def _authors(since: Revision | None) -> list[dict[str, str]]:
    """Who changed configuration rows since a revision, and through which door."""
    found: set[tuple[str, str]] = set()
    for model in CONFIG_MODELS:
        history = model.history.all()
        if since is not None:
            history = history.filter(history_date__gt=since.snapshot_at)
        rows = history.order_by().values_list("history_user__username", "door").distinct()[:20]
        found.update((name or "", door) for name, door in rows)
    return [{"person": person, "door": door} for person, door in sorted(found)]


def keep_rows(system: System, goal: Goal, plan: Plan, enforced: Enforced) -> None:
    """What the rows say beyond the conf (descriptions, roles that nobody has) is kept with the block that the
    servers go on holding, so that a revert knows it."""
    moved = Account.objects.filter(system=system, done__lt=F("wanted")).values_list("name", flat=True)
    for name in set(moved) - plan.failed.keys() - plan.held.keys():
        spec, block = goal.specs.get(name), plan.target.get(name)
        if spec is not None and block is not None and enforced.shas.get(name) == block.sha256:
            RevisionBlock.objects.filter(system=system, account=name, current=True).update(
                spec=RevisionBlock.pack(spec_to_json(spec))
            )


@transaction.atomic
def settle(system: System, goal: Goal, plan: Plan, *, reached: bool, revision: int | None = None) -> None:
    """Write how far each account is: enforced, held or failed. reached: the plan's target is what runs.

    At once with the system's revision: nobody is told that an account is enforced, and of the revision before.
    """
    System.objects.select_for_update().get(pk=system.pk)  # before its accounts, as whoever changes rows locks them
    behind = QuerySet[Account](Account).filter(system=system).exclude(done=F("wanted"), problem_kind="")
    rows = list(behind.only("name", "wanted", "done", "problem_kind", "problem", "problem_wanted", "refused"))
    touched = []
    for row in rows:
        counter = goal.counters.get(row.name)
        if counter is None:
            continue
        kind, why = _verdict(row.name, plan)
        if kind:
            refused = sorted(plan.refused.get(row.name, ()))
            if (row.problem_kind, row.problem, row.problem_wanted, row.refused) != (kind, why, counter, refused):
                row.problem_kind, row.problem, row.problem_wanted, row.refused = kind, why, counter, refused
                touched.append(row)
                record(f"account {kind}", row, why=why)
        elif reached:
            row.done, row.problem_kind, row.problem, row.problem_wanted, row.refused = counter, "", "", 0, []
            touched.append(row)
    columns = ["done", "problem_kind", "problem", "problem_wanted", "refused"]
    QuerySet[Account](Account).bulk_update(touched, columns, batch_size=200)
    if reached:
        gone = sorted(plan.failed.keys() - goal.counters.keys())
        quiet = {} if gone else {"problem": "", "problem_step": "", "problem_at": None}
        told = {"revision": revision or F("revision"), "done": goal.taken.wanted, "checked_at": timezone.now()}
        QuerySet(System).filter(pk=system.pk).update(**told, **quiet)
        if gone:  # no row of theirs could say it
            note_problem(system.pk, "leaving", " ".join(plan.failed[name] for name in gone))
    transaction.on_commit(lambda: revision_recorded.send_robust(sender=System, system_id=system.pk))


def _verdict(account: str, plan: Plan) -> tuple[str, str]:
    if account in plan.failed:
        return Account.Problem.FAILED.value, plan.failed[account]
    if account in plan.held:
        return Account.Problem.HELD.value, plan.held[account]
    return "", ""


def note_problem(system_id: int, step: str, detail: str, words: str = "") -> None:
    """Show on the system what keeps its servers from following; writes once for the same words."""
    text = f"{detail}\n{words}".strip()
    changed = QuerySet[System](System).filter(pk=system_id).exclude(problem=text, problem_step=step)
    if changed.update(problem=text, problem_step=step, problem_at=timezone.now()):
        record("run failed", System.objects.get(pk=system_id), step=step, why=text)


def note_servers(system: System, seen: Iterable[Seen], sha256: str) -> None:
    """Write what was seen of each server; the ones known before that did not answer are unreachable."""
    now, answered = timezone.now(), set()
    for one in seen:
        answered.add(one.name)
        Server.objects.update_or_create(
            system=system,
            name=one.name,
            defaults={
                "server_id": one.server_id,
                "version": one.version,
                "host": one.host,
                "state": _state(one, sha256),
                "detail": too_old(one.version) if parse_version(one.version) < OLDEST else "",
                "config_digest": one.config_digest,
                "revision": one.revision,
                "generated_sha256": one.sha256,
                "jetstream_max_mem": one.jetstream_max_mem,
                "jetstream_max_file": one.jetstream_max_file,
                "config_load_time": one.config_load_time,
                "seen_at": now,
            },
        )
    silent = Server.objects.filter(system=system).exclude(name__in=answered)
    silent.exclude(state=Server.State.UNREACHABLE).update(state=Server.State.UNREACHABLE)


def _state(one: Seen, sha256: str) -> Server.State:
    if parse_version(one.version) < OLDEST:
        return Server.State.TOO_OLD
    if one.sha256 == sha256:
        return Server.State.IN_SYNC
    return Server.State.PENDING if one.sha256 else Server.State.FOREIGN


__all__ = ["SHOWN", "Proof", "keep_rows", "note_problem", "note_servers", "record_revision", "settle"]
