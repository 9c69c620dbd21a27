"""The straight path: make the servers hold what the rows say, and write down that they do."""

from __future__ import annotations

import logging

from django.conf import settings

from accounts_app.models import Server, System
from accounts_app.natsconf.render import Generated, assemble, file_digest, next_step
from accounts_app.stages import is_managed
from provisioning import drift, recording
from provisioning.binary import OLDEST, parse_version, too_old, validate_mains
from provisioning.enforced import Enforced
from provisioning.errors import Invalid, NotVerified, ProvisioningError, Refused, Superseded, Unreachable
from provisioning.files import Intent, read_generated, sole_writer, text_hash
from provisioning.hints import clear_hint
from provisioning.jobs.gathering import wait_for_rows
from provisioning.mainfile import named
from provisioning.mains import read_mains
from provisioning.models import Drift, Revision
from provisioning.numbers import next_fence, next_number
from provisioning.observing import look
from provisioning.plan import Stuck, ask_early, find_and_keep, make_plan
from provisioning.server import Fleet, Seen, refusal, signal_reload, wait_until
from provisioning.steps import Clock, collector_at_rest
from provisioning.workshop import make_goal

logger = logging.getLogger(__name__)

ROUNDS = 1000  # a run goes on while rows keep changing; this only ends a run that can't make progress


def apply(system_id: int, *, fresh: bool = False, reason: str = "") -> Revision | None:
    """Bring a system's servers to what its rows say; the revision that they hold then.

    Safe to call twice, late, for nothing, and from several processes at once. fresh: trust no cache (the
    sweep). Raises the ProvisioningError of the step that failed; by then the problem stands on the system,
    and a refused conf has its former text back. A system that is only observed is looked at; of one that is
    released nothing is read.
    """
    stuck: dict[str, Stuck] = {}
    try:
        for _ in range(ROUNDS):
            wait_for_rows(system_id)
            try:
                with collector_at_rest():
                    if Run(system_id, stuck, fresh=fresh, reason=reason).go():
                        break
            except Superseded:
                continue
            fresh = False
    except ProvisioningError as error:
        recording.note_problem(system_id, error.step, error.detail, error.server_words)
        raise
    return Revision.objects.filter(system=system_id).first()


class Run:
    """One round of the path, from one snapshot to one recorded revision."""

    def __init__(self, system_id: int, stuck: dict[str, Stuck], *, fresh: bool, reason: str) -> None:
        """stuck: accounts that servers won't let go, which the rounds of a run tell each other."""
        self.system_id, self.stuck, self.fresh, self.reason = system_id, stuck, fresh, reason
        self.foreign: set[str] = set()
        self.newcomers: set[str] = set()  # servers that hold the revision and weren't there when it was proven

    def go(self) -> bool:
        """True when nothing is left to do; False when another round is worth it."""
        clear_hint(self.system_id)
        self.clock = Clock(self.system_id)
        fence = next_fence(self.system_id)
        self.goal = make_goal(self.system_id, fresh=self.fresh)
        self.clock.ends("snapshot")
        self.enforced = Enforced.load(self.system_id, fresh=self.fresh)
        self.system = self.goal.taken.system
        if self.system.stage != System.Stage.MANAGED:
            look(self.goal)
            return True
        with ask_early(self.goal, self.enforced) as early, Fleet(self.system) as self.fleet:
            self.mains = read_mains(self.system.folder, self.system.guard_nkey)
            self.seen = self._look()
            self.plan = make_plan(
                self.system,
                self.goal,
                self.enforced,
                self.fleet,
                self.seen,
                early,
                mains=self.mains,
                stuck=self.stuck,
            )
            leaving = self.enforced.shas.keys() - self.plan.target.keys()
            running = {name: self.enforced.tree(name) or {} for name in leaving}
            self.step = dict(next_step(running, self.plan.target))
            self.clock.ends("plan")
            with sole_writer(self.system.folder, fence, settings.PROVISIONING_LOCK_TIMEOUT) as self.writer:
                if Revision.objects.filter(system=self.system_id, number__gt=self.enforced.number).exists():
                    raise Superseded("Another run has recorded a revision meanwhile.")
                if not is_managed(self.system_id):  # from here on the lock keeps it so
                    raise Superseded("nunect no longer manages this system.")
                return self._make_true()

    def _look(self) -> list[Seen]:
        there = Server.objects.filter(system=self.system_id).exclude(state=Server.State.UNREACHABLE)
        seen = self.fleet.see(() if self.fresh else list(there.values_list("name", flat=True)))
        for one in seen:
            if parse_version(one.version) < OLDEST:
                recording.note_servers(self.system, seen, "")
                raise Unreachable(f"{one.name}: {too_old(one.version)}")
        return seen

    def _make_true(self) -> bool:
        generated, known = self._generated()
        found = read_generated(self.system.folder)
        foreign = self._foreign_servers()
        difference = drift.in_file(
            found,
            self.enforced.revision,
            self.writer.intent,
            self.enforced.text,
            self.system.folder,
            self._others(),
        )
        difference = difference or foreign
        row = drift.remember(self.system, difference) if difference is not None else None
        if row is not None and row.waits:
            recording.note_servers(self.system, self.seen, generated.sha256)
            if row.state == Drift.State.IGNORED:
                drift.wait_ignored(self.system, row)
            else:
                recording.note_problem(self.system_id, "drift", row.summary + " It waits for your answer.")
            return True
        self.text_sha256 = text_hash(generated.text)
        as_it_should = found is not None and text_hash(found) == self.text_sha256
        if not as_it_should and not self._write(generated, judge=not known):
            return False
        stale = [
            one
            for one in self.seen
            if (one.sha256, one.revision) != (generated.sha256, generated.revision) or one.server_id in self.foreign
        ]
        to_reload = bool(stale) or (self.fleet.unauthorized and not self.seen)
        if to_reload and not self._reload(
            stale, generated, repairing=row is not None and row.state == Drift.State.REPAIRED
        ):
            return False
        return self._record(generated, known)

    def _generated(self) -> tuple[Generated, bool]:
        """The file to hold, and whether the last revision says the same.

        What a run that died was about to write keeps its number, so that it can be recognised on the servers.
        """
        revision = self.enforced.revision
        if revision and {name: block.sha256 for name, block in self.step.items()} == self.enforced.shas:
            return assemble(self.step, revision.number), True
        intent = self.writer.intent
        if intent.number > self.enforced.number:
            resumed = assemble(self.step, intent.number)
            if resumed.sha256 == intent.sha256:
                return resumed, False
        return assemble(self.step, next_number(self.system_id)), False

    def _foreign_servers(self) -> drift.Difference | None:
        """Servers that run neither the last revision nor what an unfinished run was about to write.

        nunect's mark alone is no proof here: a file edited by hand keeps it. The digest decides, by the main
        file of now or as it was recorded (a main file may have been edited and not yet re-read).
        """
        revision = self.enforced.revision
        if revision is None:
            return None
        recorded = {revision.config_digest, *(server["digest"] for server in revision.servers)}
        unfinished = self.writer.intent.sha256 if self.writer.intent.number > revision.number else ""
        held_by = {server["name"] for server in revision.servers}
        self.newcomers = {
            one.server_id for one in self.seen if one.sha256 == revision.sha256 and one.name not in held_by
        }
        suspects = [
            one
            for one in self.seen
            if not (unfinished and one.sha256 == unfinished)
            and (one.sha256 != revision.sha256 or one.config_digest not in recorded)
        ]
        if suspects:
            now = {file_digest(main.tree, self.enforced.generated()) for main in self.mains}
            suspects = [one for one in suspects if one.config_digest not in now and not self._is_behind(one)]
        self.foreign = {one.server_id for one in suspects}
        several = self.mains if len(self.mains) > 1 else ()
        files = {str(main.tree.get("server_name")): named(main.path, self.system.folder) for main in several}
        return drift.in_servers([one for one in suspects if one.server_id not in self.newcomers], files)

    def _is_behind(self, one: Seen) -> bool:
        """Whether it runs an earlier revision, as it did then: it was away, and did nothing of its own."""
        earlier = Revision.objects.filter(system=self.system_id, number=one.revision or 0, sha256=one.sha256).first()
        then = [] if earlier is None else [server["digest"] for server in earlier.servers if server["name"] == one.name]
        return one.config_digest in then

    def _others(self) -> list[str]:
        """Further main files, as they are called in the folder."""
        return [named(main.path, self.system.folder) for main in self.mains[1:]]

    def _write(self, generated: Generated, *, judge: bool) -> bool:
        """Put the file in its place. Where nobody can be asked to reload, the whole is judged first:
        the next start of a server must not fail on it. False: accounts at fault were set aside."""
        changed = self.plan.changed(self.enforced)
        if judge and (not self.seen or self.enforced.revision is None or len(changed) > 200):
            try:
                validate_mains(self.system.folder, generated.text, self._others())
            except Invalid as error:
                return self._set_aside(error)
        self.clock.ends("validate")
        self.writer.replace(
            generated.text, Intent(self.writer.fence, generated.revision, generated.sha256, self.text_sha256)
        )
        self.clock.ends("write")
        return True

    def _reload(self, stale: list[Seen], generated: Generated, *, repairing: bool) -> bool:
        """Ask the servers to re-read; False when they refused and accounts were set aside."""
        try:
            if self.fleet.connected:
                answers = self.fleet.reload(one.server_id for one in stale)
                if any(answers.values()):
                    raise refusal(answers, self.seen)
            else:
                signal_reload(settings.NATS_PID_FILE)
                wait_until(self.fleet, generated.sha256, settings.NATS_REQUEST_TIMEOUT * 5)
            self.clock.ends("reload")
            self._verify(generated)
        except (Refused, NotVerified) as error:
            self._put_back(repairing)
            if isinstance(error, Refused):
                return self._set_aside(error)
            raise
        return True

    def _verify(self, generated: Generated) -> None:
        names = {one.name for one in self.seen}
        answers = self.fleet.see(names)
        # one that has just come is the next run's; after a signal all have
        self.seen = [one for one in answers if not names or one.name in names]
        wrong = [one.name for one in self.seen if one.sha256 != generated.sha256]
        if wrong:
            raise NotVerified(f"{', '.join(wrong)} answered “reloaded” and runs another configuration.")
        if not self.seen:
            raise Unreachable("No server answered after its reload.")
        self.clock.ends("verify")

    def _put_back(self, repairing: bool) -> None:
        """Bring the former conf back, on disk and on the servers that took the new one."""
        if repairing and self.enforced.revision:
            text = self.enforced.text()
            revision = self.enforced.revision
            self.writer.replace(text, Intent(self.writer.fence, revision.number, revision.sha256, text_hash(text)))
        else:
            self.writer.put_back()
        if self.fleet.connected and self.enforced.revision:
            former = self.enforced.revision.sha256
            names = {one.name for one in self.seen}
            other = [one.server_id for one in self.fleet.see(names) if one.name in names and one.sha256 != former]
            if other:
                self.fleet.reload(other)

    def _set_aside(self, error: Invalid | Refused) -> bool:
        """Find the accounts at fault and mark them; the next round goes on without them.

        Raises the error when no account is to blame.
        """
        present = self.plan.asked(self.enforced)
        words = error.server_words or error.detail
        if not find_and_keep(self.plan, self.goal, self.enforced, present):
            own = self.plan.goal.taken.identity.control_account
            changed = [name for name in self.plan.changed(self.enforced) if name != own]
            if not changed:
                raise error
            leaving = set(self.plan.leaving(self.enforced)).intersection(changed)
            for account in leaving or changed:
                why = f"Account “{account}” can't go: {words}" if account in leaving else words
                self.plan.refuse(account, why, self.enforced)
                if account in leaving:
                    self.stuck[account] = why, frozenset(self.plan.refused[account])
        recording.settle(self.system, self.goal, self.plan, reached=False)
        logger.error(
            "the servers refuse a change", extra={"accounts": sorted(self.plan.failed), "detail": error.detail}
        )
        return False

    def _record(self, generated: Generated, known: bool) -> bool:
        """Write down what the servers hold now; True when nothing is left to do."""
        if self.seen and not known:
            proof = recording.Proof(
                generated.revision, generated.sha256, self.text_sha256, file_digest(self.mains[0].tree, generated)
            )
            revision = recording.record_revision(
                self.system, proof, self.step, self.goal, self.enforced, self.seen, self.clock.timings, self.reason
            )
            logger.info("servers hold a new revision", extra={"revision": revision.number, **self.clock.timings})
        elif known and (proven := self.foreign | self.newcomers):
            recording.add_servers(self.enforced, [one for one in self.seen if one.server_id in proven])
        recording.note_servers(self.system, self.seen, generated.sha256)
        reached = (known or bool(self.seen)) and self.step.keys() == self.plan.target.keys()
        if reached:
            recording.keep_rows(self.system, self.goal, self.plan, self.enforced)
        recording.settle(self.system, self.goal, self.plan, reached=reached, revision=generated.revision)
        self.clock.ends("record")
        if not self.seen:
            raise Unreachable(self.fleet.problem or f"No server answers at {self.system.url}.")
        drift.forget_open(self.system)
        return (
            reached and System.objects.values_list("wanted", flat=True).get(pk=self.system_id) == self.goal.taken.wanted
        )
