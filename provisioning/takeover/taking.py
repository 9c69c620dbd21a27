"""Taking a main file over: rows, files, reload, proof; and back again, byte for byte."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts_app import credentials
from accounts_app.importing import import_conf
from accounts_app.models import NatsUser, System, record
from accounts_app.natsconf.digest import digest
from accounts_app.natsconf.render import Generated, assemble
from accounts_app.natsconf.sameness import differences
from accounts_app.systems import name_system_account, new_system
from provisioning import managing, pipeline
from provisioning.errors import NotManaged, NotVerified, Unreachable
from provisioning.files import GENERATED, Intent, Writer, sole_writer, text_hash
from provisioning.models import Revision
from provisioning.numbers import next_fence, next_number
from provisioning.server import Fleet
from provisioning.takeover import globalstore_names as names
from provisioning.takeover import journal as journals
from provisioning.takeover.forecast import Forecast, waiting_s
from provisioning.takeover.journal import Journal, step
from provisioning.takeover.judging import judge, tree_of
from provisioning.takeover.looking import look
from provisioning.takeover.machine import Process, ask_http, client_url, find_process, monitoring_url
from provisioning.takeover.seeing import Look, divide, see
from provisioning.workshop import forget, make_goal

_LAST = 2**62  # a fencing number that no run reaches


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done. revision: the one that the servers hold now, None when none runs. said: sentences for a person."""

    system: str
    revision: Revision | None
    said: tuple[str, ...]


def take(
    path: Path,
    name: str,
    environ: Mapping[str, str] | None = None,
    *,
    url: str = "",
    agrees: Callable[[Forecast], bool] = lambda forecast: not forecast.differences,
) -> Outcome | None:
    """Take a main file over into the system of this name, which is made when there is none.

    url: how nunect reaches the server, when it isn't as the conf says, or its certificate has another name.
    agrees: is shown the forecast, and nothing happens when it says no (then None is returned). A take-over that was
    cut short is ended when all its files were written, and else put back first. Raises NotManaged for what can't be
    taken over, and the ProvisioningError of the step that failed; the files are then as they were.
    """
    names.refuse_moved(path.absolute())
    ended = _mend(path.absolute(), environ)
    if ended is not None:
        return _applied(*ended)
    forecast = look(path, System.objects.filter(name=name).first(), environ)
    if not forecast.possible:
        raise NotManaged("This conf can't be taken over.", "\n".join(forecast.refusals))
    if not agrees(forecast):
        return None
    seen = forecast.seen
    if not seen.is_current:
        raise NotVerified("The files were changed since they were looked at: look again.")
    system = _rows(seen, name, url or client_url(seen.parsed.tree))
    step("takeover rows")
    with sole_writer(seen.main.parent, next_fence(system.pk), settings.PROVISIONING_LOCK_TIMEOUT) as writer:
        if not seen.is_current:  # somebody else was faster
            raise NotVerified("The files were changed since they were looked at: look again.")
        residual = divide(seen, system.guard_nkey)
        journal, generated = _prepared(seen, system, residual.texts, forecast.differences)
        with _else_back(journal, seen.process):
            _write(journal, writer, generated, residual.texts)
            if seen.process is not None:
                _reload(seen.process.pid, system, generated.sha256, journal.digest_after, forecast.waits_s)
        _managed(system, journal)
    return _applied(system, journal, seen.process)


def _mend(main: Path, environ: Mapping[str, str] | None) -> tuple[System, Journal, Process | None] | None:
    """End a take-over that was cut short once all its files were written; put any other back."""
    if journals.find(main, "begun") is None:
        return None
    with _for_good(main.parent) as writer:
        journal = journals.find(main, "begun")  # one that runs has ended by now
        if journal is None:
            return None
        system = System.objects.filter(name=journal.system).first()
        managed = system is not None and system.stage == System.Stage.MANAGED
        if system is None or not (managed or journals.is_written(journal)):
            journals.put_back(journal)
            journal.save("undone")
            return None
        seen = see(main, environ)
        if not managed and seen.process is not None:
            waits_s = waiting_s(seen.reading.accounts, None)
            with _else_back(journal, seen.process):
                _reload(seen.process.pid, system, writer.intent.sha256, journal.digest_after, waits_s)
        return system, _managed(system, journal, again=managed), seen.process


@contextmanager
def _else_back(journal: Journal, process: Process | None) -> Iterator[None]:
    """Have the former files back, and running, when this fails."""
    try:
        yield
    except BaseException:
        journals.put_back(journal)
        if process is not None:
            _signal(process.pid)
        journal.save("undone")
        raise


def _managed(system: System, journal: Journal, *, again: bool = False) -> Journal:
    """The server runs it: nunect manages the system, and only then says the journal that it is done.

    again: it was said already that nunect manages it, and nunect killed before the journal was.
    """
    if not again:
        with transaction.atomic():
            managing.turn_to(system, System.Stage.MANAGED)
            record("taken over", system, file=journal.main, digest=journal.digest_after)
        step("takeover managed")
    journal = journal.save("taken")
    step("takeover taken")
    return journal


def _applied(system: System, journal: Journal, process: Process | None) -> Outcome:
    revision = pipeline.apply(system.pk, reason="take-over") if process is not None else None
    return Outcome(system.name, revision, _told(journal, revision))


def undo(path: Path) -> Outcome:
    """Put the files back that stood there before the last take-over, and reload; nunect only observes from then on.

    Raises NotManaged, NotWritten.
    """
    main = path.absolute()
    names.refuse_moved(main)
    journal = journals.find(main, "begun", "taken")
    if journal is None:
        raise NotManaged(f"Nothing says that nunect has taken {main} over: there is no journal beside it.")
    if edited := journals.edited_since(journal):
        raise NotManaged(f"{edited[0]} was edited since the take-over: put your edit aside first, and back afterwards.")
    process = find_process(main)
    system = System.objects.filter(name=journal.system).first()
    if system is not None and system.stage == System.Stage.MANAGED:
        managing.observe(system)
    with _for_good(main.parent) as writer:
        journals.put_back(journal)
        journal.save("undone")
        writer.forget()
    step("takeover undone")
    told = [f"{entry.path} is as it was." for entry in journal.files if entry.before]
    if process is not None:
        _signal(process.pid)
        told.append(_proof_of_undoing(see(path), journal, system))
    else:
        told.append("No nats-server runs with it.")
    if system is not None:
        record("take-over undone", system, file=str(main))
        later = max(Revision.objects.filter(system=system).count() - 1, 0)
        if later:
            told.append(f"{later} later revision{'s' if later > 1 else ''} of system “{system}” went with it.")
    return Outcome(journal.system, None, tuple(told))


def _for_good(folder: Path) -> AbstractContextManager[Writer]:
    """The folder's lock for bringing former files back, whichever run has written last."""
    return sole_writer(folder, _LAST, settings.PROVISIONING_LOCK_TIMEOUT)


# Rows


@transaction.atomic
def _rows(seen: Look, name: str, url: str) -> System:
    """The system of this main file, with rows of what it says."""
    system = System.objects.filter(name=name).first() or new_system(name, stage=System.Stage.OBSERVED)
    name_system_account(system, seen.reading.system_account)
    system.conf_dir, system.nats_url = str(seen.main.parent), url
    system.full_clean(exclude=["guard_nkey", "control_nkey", "relay_nkey", "jetstream_nkey"])
    system.save()
    report = import_conf(system, seen.meant)
    if report.refused:
        raise NotManaged("This conf can't be taken over.", "\n".join(note.sentence for note in report.notes))
    return system


# Files


def _prepared(
    seen: Look, system: System, texts: Mapping[str, str], expected: tuple[str, ...]
) -> tuple[Journal, Generated]:
    """Render the rows, have it judged and compared as it will be, and write the journal. expected: the differences."""
    forget(system.pk)
    goal = make_goal(system.pk, fresh=True)
    if goal.faults:
        raise NotManaged("Some accounts can't be rendered.", "\n".join(sorted(goal.faults.values())))
    generated = assemble(goal.blocks, next_number(system.pk))
    after = judge(seen.main, texts, generated.text, seen.environ, seen.process.cwd if seen.process else None)
    tree = tree_of(seen.main, texts, generated.text, seen.environ).tree
    marks = dict(
        NatsUser.objects.filter(system=system).exclude(fingerprint="").values_list("password_hash", "fingerprint")
    )
    changes = differences(
        seen.meant.tree,
        tree,
        system.identity,
        hashed=lambda plain, hash_: marks.get(hash_) == credentials.fingerprint(plain),
    )
    if tuple(map(str, changes)) != expected:
        raise NotVerified("What would be written is not what was forecast.", "\n".join(map(str, changes)))
    files = journals.order(seen.main, texts, generated.text)
    at = timezone.now().strftime("%Y%m%dT%H%M%SZ")
    digests = (digest(seen.parsed.tree), after)
    return journals.begin(seen.main, system.name, at, digests, files), generated


def _write(journal: Journal, writer: Writer, generated: Generated, texts: Mapping[str, str]) -> None:
    for entry in journal.files:
        path = Path(entry.path)
        if path.name == GENERATED and path.parent == writer.folder:
            writer.replace(
                generated.text, Intent(writer.fence, generated.revision, generated.sha256, text_hash(generated.text))
            )
        else:
            like = path if path.exists() else Path(journal.main)
            journals.put(path, texts[entry.path].encode("utf-8", "surrogateescape"), like=like)
        step(f"takeover {'main' if entry.path == journal.main else path.name}")


# Servers


def _signal(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        raise Unreachable(f"nats-server (process {pid}) can't be signalled: {error.strerror}.") from error


def _reload(pid: int, system: System, mark: str, expected: str, waits_s: float) -> None:
    """Signal, and wait until the server says itself that it runs the new conf. Raises Unreachable, NotVerified.

    mark: sha256 in the generated file's own metadata; expected: the digest of all files.
    """
    _signal(pid)
    step("takeover reload")
    deadline = time.monotonic() + settings.NATS_REQUEST_TIMEOUT * 5 + 3 * waits_s
    with Fleet(system, own=True) as fleet:
        while True:
            seen = fleet.see(1)
            marked = bool(seen) and all(one.sha256 == mark for one in seen)
            if marked and all(one.config_digest == expected for one in seen):
                break
            if time.monotonic() > deadline and marked:  # one that began with files half written has the mark before
                told = next(one.config_digest for one in seen if one.config_digest != expected)
                raise NotVerified(f"nats-server reports {told}, and {expected} was judged.")
            if time.monotonic() > deadline:
                why = fleet.problem or "It still runs the former configuration."
                raise Unreachable(f"nats-server did not take the new files: {why}")
            time.sleep(0.05)
            fleet.connect()
    step("takeover verify")


def _proof_of_undoing(seen: Look, journal: Journal, system: System | None) -> str:
    """Wait until the server runs the former conf, as far as anybody can know, and say how that is known."""
    url = monitoring_url(seen.parsed.tree)
    deadline = time.monotonic() + settings.NATS_REQUEST_TIMEOUT * 5
    while time.monotonic() < deadline:
        varz = ask_http(url, "varz")
        if varz is not None and varz.get("config_digest") == journal.digest_before:
            return f"nats-server runs the former configuration: it reports {journal.digest_before}."
        if not url and system is not None:
            with Fleet(system, own=True) as fleet:
                if fleet.unauthorized:
                    return "nats-server runs the former configuration: it no longer knows nunect."
        time.sleep(0.05)
    return "nats-server was signalled; look into its log whether it runs the former configuration."


def _told(journal: Journal, revision: Revision | None) -> tuple[str, ...]:
    kept = ", ".join(entry.backup for entry in journal.files if entry.backup)
    proof = f"The server runs revision {revision.number}: it reports {journal.digest_after}." if revision else ""
    return tuple(
        filter(None, (proof or "Start nats-server, then `nunect enforce`.", f"What stood there before: {kept}."))
    )
