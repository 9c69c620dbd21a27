"""Taking main files over: rows, files, reload, proof; and back again, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from provisioning.errors import NotManaged, NotVerified
from provisioning.files import GENERATED, Intent, Writer, sole_writer, text_hash
from provisioning.machine import client_urls
from provisioning.models import Revision
from provisioning.numbers import next_fence, next_number
from provisioning.takeover import globalstore_names as names
from provisioning.takeover import journal as journals
from provisioning.takeover.forecast import Forecast, waiting_s
from provisioning.takeover.journal import Journal, Main, step
from provisioning.takeover.judging import judge, tree_of
from provisioning.takeover.looking import look
from provisioning.takeover.neighbours import is_one_of_several
from provisioning.takeover.reloading import bring_back, proofs_of_undoing, reload, running_of
from provisioning.takeover.seeing import Look, arranged, divide_all, see
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
    others: Sequence[Path] = (),
    url: str = "",
    agrees: Callable[[Forecast], bool] = lambda forecast: not forecast.differences,
) -> Outcome | None:
    """Take a main file over into the system of this name, which is made when there is none.

    others: main files of further servers, that are taken over with it. url: how nunect reaches the servers, when it
    isn't as their confs say, or a certificate has another name. agrees: is shown the forecast, and nothing happens when
    it says no (then None is returned). A take-over that was cut short is ended when all its files were written, and
    else put back first. Raises NotManaged for what can't be taken over, and the ProvisioningError of the step that
    failed; the files are then as they were.
    """
    files = arranged(path, others)
    for file in files:
        names.refuse_moved(file)
        ended = _mend(file, environ)
        if ended is not None:
            return _applied(*ended)
    forecast = look(path, System.objects.filter(name=name).first(), environ, others=others)
    if not forecast.possible:
        raise NotManaged("This conf can't be taken over.", "\n".join(forecast.refusals))
    if not agrees(forecast):
        return None
    looks = forecast.looks
    _refuse_changed(looks)
    system = _rows(looks, name, url)
    step("takeover rows")
    with sole_writer(looks[0].folder, next_fence(system.pk), settings.PROVISIONING_LOCK_TIMEOUT) as writer:
        _refuse_changed(looks)  # somebody else was faster
        texts = {name: text for each in divide_all(looks, system.guard_nkey) for name, text in each.texts.items()}
        journal, generated = _prepared(looks, system, texts, forecast.differences)
        with _else_back(journal):
            _write(journal, writer, generated, texts)
            running = running_of(journal)
            if running:
                reload(journal, running, system, generated.sha256, forecast.waits_s, joined=_are_joined(looks))
        _managed(system, journal)
    return _applied(system, journal)


def _refuse_changed(looks: Sequence[Look]) -> None:
    if not all(seen.is_current for seen in looks):
        raise NotVerified("The files were changed since they were looked at: look again.")


def _are_joined(looks: Sequence[Look]) -> bool:
    return len(looks) > 1 or any(is_one_of_several(seen.parsed.tree) for seen in looks)


def _mend(main: Path, environ: Mapping[str, str] | None) -> tuple[System, Journal] | None:
    """End a take-over that was cut short once all its files were written; put any other back."""
    begun = journals.find(main, "begun")
    if begun is None:
        return None
    with _for_good(Path(begun.main).parent) as writer:
        journal = journals.find(main, "begun")  # one that runs has ended by now
        if journal is None:
            return None
        system = System.objects.filter(name=journal.system).first()
        managed = system is not None and system.stage == System.Stage.MANAGED
        if system is None or not (managed or journals.is_written(journal)):
            _put_back(journal)
            return None
        running = running_of(journal)
        if not managed and running:
            looks = [see(Path(path), environ, folder=writer.folder) for path in running]
            waits_s = waiting_s(looks[0].reading.accounts, None)
            with _else_back(journal):
                reload(journal, running, system, writer.intent.sha256, waits_s, joined=_are_joined(looks))
        return system, _managed(system, journal, again=managed)


@contextmanager
def _else_back(journal: Journal) -> Iterator[None]:
    """Have the former files back, and running, when this fails."""
    try:
        yield
    except BaseException:
        _put_back(journal)
        raise


def _put_back(journal: Journal) -> None:
    journals.put_back(journal)
    bring_back(journal)
    journal.save("undone")


def _managed(system: System, journal: Journal, *, again: bool = False) -> Journal:
    """The servers run it: nunect manages the system, and only then says the journal that it is done.

    again: it was said already that nunect manages it, and nunect killed before the journal was.
    """
    if not again:
        with transaction.atomic():
            managing.turn_to(system, System.Stage.MANAGED)
            record("taken over", system, file=journal.main, digest=journal.digest_after, **_others(journal))
        step("takeover managed")
    journal = journal.save("taken")
    step("takeover taken")
    return journal


def _others(journal: Journal) -> dict[str, list[str]]:
    """What the trail says of further main files."""
    return {"others": [each.path for each in journal.others]} if journal.others else {}


def _applied(system: System, journal: Journal) -> Outcome:
    revision = pipeline.apply(system.pk, reason="take-over") if running_of(journal) else None
    return Outcome(system.name, revision, _told(journal, revision))


def undo(path: Path) -> Outcome:
    """Put the files back that stood there before the last take-over, and reload; nunect only observes from then on.

    path: of several main files that were taken over together, any. Raises NotManaged, NotWritten.
    """
    (main,) = arranged(path)
    names.refuse_moved(main)
    journal = journals.find(main, "begun", "taken")
    if journal is None:
        raise NotManaged(f"Nothing says that nunect has taken {main} over: there is no journal beside it.")
    if edited := journals.edited_since(journal):
        raise NotManaged(f"{edited[0]} was edited since the take-over: put your edit aside first, and back afterwards.")
    system = System.objects.filter(name=journal.system).first()
    if system is not None and system.stage == System.Stage.MANAGED:
        managing.observe(system)
    with _for_good(Path(journal.main).parent) as writer:
        _put_back(journal)
        running = running_of(journal)
        writer.forget()
    step("takeover undone")
    told = [f"{entry.path} is as it was." for entry in journal.files if entry.before]
    told += proofs_of_undoing(journal, running, system)
    if system is not None:
        record("take-over undone", system, file=journal.main, **_others(journal))
    return Outcome(journal.system, None, tuple(told))


def _for_good(folder: Path) -> AbstractContextManager[Writer]:
    """The folder's lock for bringing former files back, whichever run has written last."""
    return sole_writer(folder, _LAST, settings.PROVISIONING_LOCK_TIMEOUT)


# Rows


@transaction.atomic
def _rows(looks: Sequence[Look], name: str, url: str) -> System:
    """The system of these main files, with rows of what they say. url: "" for the system's, or where they listen."""
    first = looks[0]
    system = System.objects.filter(name=name).first() or new_system(
        name, stage=System.Stage.OBSERVED, drift_policy=System.DriftPolicy.ASK
    )
    name_system_account(system, first.reading.system_account)
    system.conf_dir = str(first.folder)
    system.nats_url = url or client_urls((seen.parsed.tree for seen in looks), system.nats_url)
    system.full_clean(exclude=["guard_nkey", "control_nkey", "relay_nkey", "jetstream_nkey"])
    system.save()
    report = import_conf(system, first.meant)
    if report.refused:
        raise NotManaged("This conf can't be taken over.", "\n".join(note.sentence for note in report.notes))
    return system


# Files


def _prepared(
    looks: Sequence[Look], system: System, texts: Mapping[str, str], expected: tuple[str, ...]
) -> tuple[Journal, Generated]:
    """Render the rows, have it judged and compared as it will be, and write the journal. expected: the differences."""
    forget(system.pk)
    goal = make_goal(system.pk, fresh=True)
    if goal.faults:
        raise NotManaged("Some accounts can't be rendered.", "\n".join(sorted(goal.faults.values())))
    generated = assemble(goal.blocks, next_number(system.pk))
    marks = dict(
        NatsUser.objects.filter(system=system).exclude(fingerprint="").values_list("password_hash", "fingerprint")
    )
    mains, changes = [], []
    for seen in looks:
        after = judge(seen, texts, generated.text)
        changes += differences(
            seen.meant.tree,
            tree_of(seen, texts, generated.text).tree,
            system.identity,
            hashed=lambda plain, hash_: marks.get(hash_) == credentials.fingerprint(plain),
        )
        mains.append(Main(str(seen.main), digest(seen.parsed.tree), after))
    told = tuple(dict.fromkeys(map(str, changes)))
    if told != expected:
        raise NotVerified("What would be written is not what was forecast.", "\n".join(told))
    files = journals.order([seen.main for seen in looks], texts, (looks[0].generated, generated.text))
    at = timezone.now().strftime("%Y%m%dT%H%M%SZ")
    return journals.begin(mains, system.name, at, files), generated


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
        step(f"takeover {journal.named(entry.path)}")


# Words


def _told(journal: Journal, revision: Revision | None) -> tuple[str, ...]:
    kept = ", ".join(entry.backup for entry in journal.files if entry.backup)
    return (*_proofs(journal, revision), f"What stood there before: {kept}.")


def _proofs(journal: Journal, revision: Revision | None) -> Iterator[str]:
    if revision is None:
        yield "Start nats-server, then `nunect enforce`."
        return
    if not journal.others:
        yield f"The server runs revision {revision.number}: it reports {journal.digest_after}."
        return
    running = running_of(journal)
    for main in journal.mains:
        if main.path in running:
            yield f"The server of {main.path} runs revision {revision.number}: it reports {main.digest_after}."
        else:
            yield f"No nats-server runs with {main.path}: its next start will be the first with it."
