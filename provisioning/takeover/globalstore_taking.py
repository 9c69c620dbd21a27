"""A take-over that gives `$G`'s streams to an account, with the server stopped; and the way back.

At any moment a start finds the streams: see `globalstore_names`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from django.conf import settings

from accounts_app.importing import read_conf
from accounts_app.models import System, record
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.refusing import jetstream_is_global
from accounts_app.natsconf.tree import Tree
from provisioning import managing, pipeline
from provisioning.errors import NotManaged, NotVerified, ProvisioningError
from provisioning.files import Writer, sole_writer, text_hash
from provisioning.jetstream.client import JetStream
from provisioning.machine import find_process
from provisioning.numbers import next_fence
from provisioning.takeover import globalstore_names as names
from provisioning.takeover import globalstore_trial as trial
from provisioning.takeover import journal as journals
from provisioning.takeover import taking
from provisioning.takeover.forecast import Forecast
from provisioning.takeover.globalstore import Store, store_of
from provisioning.takeover.globalstore_inventory import Inventory, counted, lost, take_inventory
from provisioning.takeover.globalstore_names import Move
from provisioning.takeover.globalstore_running import Running, ask_running
from provisioning.takeover.globalstore_service import Service
from provisioning.takeover.journal import Journal, step
from provisioning.takeover.judging import tree_of
from provisioning.takeover.looking import look
from provisioning.takeover.seeing import Look, divide, see
from provisioning.takeover.taking import Outcome

_ANSWER_S = 20.0  # seconds until JetStream of the account must answer after the start


def look_global(path: Path, system: System | None, environ: Mapping[str, str] | None, account: str) -> Forecast:
    """The forecast, with what a copy of the store has shown. Raises NotVerified where the copy did not come up."""
    clear_left(path.absolute(), environ)
    forecast = look(path, system, environ, account)
    if not forecast.possible:
        return forecast
    store, seen = store_of(forecast.seen), forecast.seen
    after = tree_of(seen, forecast.texts, forecast.generated).tree
    try:
        running = ask_running(seen)
        tried = trial.try_on_copy(store, (seen.parsed.tree, after), _program(seen))
        if running is not None and (elsewhere := sorted(running.kept - tried.before.keys())):
            raise NotVerified(
                f"The running server has streams that are not below {store.former}, such as {elsewhere[0]}: its store "
                "is elsewhere, or they were made this moment. Say `store_dir` as it was when the server was started."
            )
    except BaseException:
        trial.clear(store)
        raise
    told = (
        f"{store.former} becomes {store.own}, and with it {tried}: on a copy all came up as before.",
        "The server is stopped for it, not reloaded: all clients are away until it is started again.",
        f"Meanwhile nunect copies what has changed since and tries it again: about {tried.took_s:.1f} s for the trial.",
        _of_memory(running),
    )
    return replace(forecast, restart=told)


def _of_memory(running: Running | None) -> str:
    if running is None:
        return "Streams in memory are gone with any stop of the server; nobody could ask it whether there are any."
    if not running.passing:
        return "No stream is in memory, where the stop would end it."
    return f"In memory, and gone with any stop of the server: {', '.join(sorted(running.passing))}."


def take_global(
    path: Path,
    name: str,
    account: str,
    environ: Mapping[str, str] | None = None,
    *,
    url: str = "",
    service: Service | None = None,
    agrees: Callable[[Forecast], bool] = lambda forecast: not forecast.differences,
) -> Outcome | None:
    """Take a main file over whose JetStream lives in `$G`: users and streams go to the account of this name.

    What was cut short is ended, or put back and begun anew. Arguments and errors are else as for `taking.take`.
    """
    service = service or Service()
    main = path.absolute()
    ended = _mend(main, service)
    if ended is not None:
        clear_left(main, environ)
        return ended
    forecast = look_global(main, System.objects.filter(name=name).first(), environ, account)
    store = store_of(forecast.seen)
    try:
        if not forecast.possible:
            raise NotManaged("This conf can't be taken over.", "\n".join(forecast.refusals))
        if not agrees(forecast):
            return None
        if not forecast.seen.is_current:
            raise NotVerified("The files were changed since they were looked at: look again.")
        system = taking._rows(forecast.looks, name, url)
        step("takeover rows")
        with sole_writer(main.parent, next_fence(system.pk), settings.PROVISIONING_LOCK_TIMEOUT) as writer:
            _move(forecast, system, store, service, writer)
    finally:
        trial.clear(store)
    return _ended(main, system, service)


def clear_left(main: Path, environ: Mapping[str, str] | None = None) -> None:
    """Remove the copy of a store that a trial of this main file has left, where nunect was killed meanwhile."""
    move = names.find(main)
    if move is not None:
        trial.clear(move.store)
    with suppress(OSError, NatsConfError):  # a conf that can't be read tells of no store
        seen = see(main, environ)
        if jetstream_is_global(seen.parsed.tree):
            trial.clear(store_of(seen))


def undo_global(path: Path, service: Service | None = None) -> Outcome:
    """Give the streams back to `$G` and put the files back, with the server stopped.

    Raises NotManaged, NotWritten, NotVerified, Unreachable; until the first of the files is put back nothing has
    changed then.
    """
    service, main = service or Service(), path.absolute()
    move, journal = names.find(main), journals.find(main, "begun", "taken")
    if move is None or journal is None:
        raise NotManaged(f"Nothing says that nunect has moved streams with {main}: there is no journal beside it.")
    if edited := journals.edited_since(journal):
        raise NotManaged(f"{edited[0]} was edited since the take-over: put your edit aside first, and back afterwards.")
    system = System.objects.filter(name=journal.system).first()
    if system is not None and system.stage == System.Stage.MANAGED:
        managing.observe(system)
    ran = find_process(main)
    seen = see(main)
    told = _back(move, journal, service, seen, ran is not None)
    if system is not None:
        record("take-over undone", system, file=str(main), streams_from=move.account)
    return Outcome(journal.system, None, told)


# Forwards


def _move(forecast: Forecast, system: System, store: Store, service: Service, writer: Writer) -> None:
    """Stop the server, try what it left on a copy, and turn names and files. Until the main file is written all is
    put back when anything fails."""
    seen = forecast.seen
    residual = divide(seen, system.guard_nkey)
    journal, generated = taking._prepared(forecast.looks, system, residual.texts, forecast.differences)
    after = tree_of(seen, residual.texts, generated.text).tree
    program = _program(seen)
    stopped = False
    try:
        service.stop(seen.main)
        stopped = seen.process is not None
        step("takeover stopped")
        before = trial.try_on_copy(store, (seen.parsed.tree, after), program).before
        service.stays_stopped(seen.main)
        Move(str(seen.main), journal.at, str(store.parent), str(store.root), store.account, before).doubled_now()
        names.double(store.former, store.own)
        step("takeover doubled")
        service.stays_stopped(seen.main)
        taking._write(journal, writer, generated, residual.texts)
    except BaseException:
        if not _is_new(journal):
            journals.put_back(journal)
            journal.save("undone")
            _forget(seen.main)
            if stopped and find_process(seen.main) is None:
                service.start()
        raise


def _mend(main: Path, service: Service) -> Outcome | None:
    """End what was cut short, or put it back; the outcome of what could be ended."""
    move = names.find(main)
    journal = journals.find(main, "begun", "taken")
    if move is not None and journal is not None and _is_new(journal):
        if move.state == "proven":
            raise NotManaged(f"{main} was taken over, and its streams are in account {move.account} already.")
        system = System.objects.filter(name=journal.system).first()
        if system is None:
            raise NotManaged(f"System “{journal.system}” of this take-over is gone: --undo gives the streams back.")
        if journal.state == "taken":
            return _managed(system, move, journal)
        return _ended(main, system, service)
    if journal is not None and journal.state == "begun":
        with taking._for_good(main.parent):
            journals.put_back(journal)
            journal.save("undone")
    if move is not None:
        _forget(main)
    return None


def _forget(main: Path) -> None:
    """The names in the account were for nothing: the main file still says `$G`."""
    move = names.find(main)
    if move is not None:
        names.drop(move.store.own)
        move.save("undone")


def _ended(main: Path, system: System, service: Service) -> Outcome:
    """The files are written: drop the former names, wait for the start, and prove. Safe to call again."""
    move, journal = names.find(main), journals.find(main, "begun", "taken")
    if move is None or journal is None:
        raise NotManaged(f"The journals beside {main} are gone.")
    names.refuse_both(move.store.own, move.store.former, move.doubled_at)
    if find_process(main) is None:
        names.drop(move.store.former)
        move = move.save("moved")
        step("takeover moved")
        service.start()
    if not service.wait_for(main, system, journal.digest_after):
        _fails(move, journal, service, "nats-server did not come up with the new files in time.")
    step("takeover started")
    try:
        names.drop(move.store.former)  # when it was started before nunect came to it
        now = _running(system, move.account)
    except ProvisioningError as error:
        _fails(move, journal, service, error.detail)
    if gone := lost(move.before, now):
        _fails(move, journal, service, "The streams did not come up as before.", "\n".join(gone[:20]))
    step("takeover verify")
    journal = journal.save("taken")
    step("takeover taken")
    return _managed(system, move, journal)


def _managed(system: System, move: Move, journal: Journal) -> Outcome:
    """All is proven: nunect manages it from now on. Safe to call again."""
    managing.turn_to(system, System.Stage.MANAGED)
    record("taken over", system, file=journal.main, digest=journal.digest_after, streams_to=move.account)
    revision = pipeline.apply(system.pk, reason="take-over")
    move.save("proven")
    told = f"Account {move.account} has what `$G` had: {counted(move.before)}. All of it is as it was, or has gone on."
    return Outcome(system.name, revision, (told, *taking._told(journal, revision)))


def _fails(move: Move, journal: Journal, service: Service, detail: str, words: str = "") -> None:
    """Give all back where nunect may stop and start the server itself; else say what a person does."""
    main = Path(journal.main)
    if service.start_command and (service.stop_command or service.signal):
        told = _back(move, journal, service, see(main), True)
        raise NotVerified(f"{detail} All is as it was before.", "\n".join(filter(None, (words, *told))))
    raise NotVerified(
        f"{detail} Conf and streams belong together as they are: start nats-server and run this again, or --undo.",
        words,
    )


def _running(system: System, account: str) -> Inventory:
    """What the account keeps on the running server."""
    deadline = time.monotonic() + _ANSWER_S
    while True:
        try:
            with JetStream(system) as jetstream:
                return jetstream.run(take_inventory(jetstream.api, account))
        except ProvisioningError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


# Back


def _back(move: Move, journal: Journal, service: Service, seen: Look, ran: bool) -> tuple[str, ...]:
    """Have the server stopped, try the way back on a copy, turn files and names, start it when it ran."""
    main, store, program = Path(journal.main), move.store, _program(seen)
    if _is_new(journal):
        names.refuse_both(store.own, store.former, move.doubled_at)
    told: list[str] = []
    try:
        if _is_new(journal):
            trial.copy_ahead(store, store.account)
        service.stop(main)
        step("takeover back stopped")
        with taking._for_good(main.parent) as writer:
            if _is_new(journal):
                told.append(_tried_back(move, journal, seen, program))
                service.stays_stopped(main)
                move = move.doubled_now()
                names.double(store.own, store.former)
                step("takeover back doubled")
                service.stays_stopped(main)
            journals.put_back(journal)
    except BaseException:
        if ran and _is_new(journal) and find_process(main) is None:
            names.drop(store.former)
            service.start()
        raise
    finally:
        trial.clear(store)
    with taking._for_good(main.parent) as writer:
        names.drop(store.own)
        step("takeover back dropped")
        journal.save("undone")
        move.save("undone")
        writer.forget()
    step("takeover undone")
    told += [f"{entry.path} is as it was." for entry in journal.files if entry.before]
    if ran:
        service.start()
    return tuple(told)


def _tried_back(move: Move, journal: Journal, seen: Look, program: str) -> str:
    former = _former_tree(journal, seen)
    try:
        tried = trial.try_on_copy(move.store, (seen.parsed.tree, former), program, back=True)
    except trial.DoesNotStart:
        found = trial.look_back(move.store, former, program)
        if gone := lost(move.before, found):
            raise NotVerified("On a copy of the store the streams did not come up.", "\n".join(gone[:20])) from None
        return f"`$G` has what it had: {counted(found)}. No nats-server starts with the conf of the take-over."
    return f"`$G` has what account {move.account} had: {tried}."


def _former_tree(journal: Journal, seen: Look) -> Tree:
    """What the conf said before: its copy stands in the same folder, and includes are as they were."""
    backup = next(entry.backup for entry in journal.files if entry.path == journal.main)
    return read_conf(Path(backup), seen.environ).tree


def _is_new(journal: Journal) -> bool:
    """Whether the main file on disk is the one that nunect wrote, so that a start looks into the account's folder."""
    main = Path(journal.main)
    after = next(entry.after for entry in journal.files if entry.path == journal.main)
    return main.exists() and text_hash(main.read_bytes()) == after


def _program(seen: Look) -> str:
    return trial.same_binary(seen.process.pid if seen.process else None)
