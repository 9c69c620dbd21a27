"""Looking at a system that nunect only observes: what it would write, beside what runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.utils import timezone

from accounts_app.importing import read_specs
from accounts_app.known_hashes import with_known_hashes
from accounts_app.models import System
from accounts_app.natsconf.comparable import comparable, logins_of, same_spelling
from accounts_app.natsconf.digest import digest
from accounts_app.natsconf.reading import Reading
from accounts_app.natsconf.refusing import system_account
from accounts_app.natsconf.specs import CONTROL_ACCOUNT, AccountSpec
from accounts_app.natsconf.tree import RenderError, Tree, whole
from accounts_app.natsconf.user_changes import READ_INTO
from provisioning.binary import refusal_of
from provisioning.drift import in_words
from provisioning.files import MAIN
from provisioning.mainfile import named
from provisioning.models import Difference, Revision, difference
from provisioning.recording import note_servers
from provisioning.running_conf import RunningConf, Unreadable, read_others, read_running
from provisioning.server import Fleet, Seen
from provisioning.strangers import NO_WAY_IN
from provisioning.workshop import Goal, make_goal

_OWN = (
    f"{difference.OWN}: the guard, two users in `%s`, and account `{CONTROL_ACCOUNT}`, to which accounts "
    "with JetStream show their streams"
)


def look(goal: Goal) -> None:
    """Write down how the conf that runs differs from what the rows ask for. Of a released system nothing is read."""
    if goal.taken.system.stage == System.Stage.OBSERVED:
        Difference.objects.update_or_create(system=goal.taken.system, defaults=_look(goal))


def look_now(system: System) -> Difference:
    """The difference of this moment, whatever the stage; written down only for an observed system."""
    goal = make_goal(system.pk, fresh=True)
    told = _look(goal)
    if goal.taken.system.stage == System.Stage.OBSERVED:
        return Difference.objects.update_or_create(system=goal.taken.system, defaults=told)[0]
    return Difference(system=goal.taken.system, **told)


def _look(goal: Goal) -> dict[str, Any]:
    system = goal.taken.system
    told: dict[str, Any] = dict.fromkeys(("where", "ours", "theirs", "unknown", "unasked"), "")
    told |= {"words": [], "own": [], "servers": [], "checked_at": timezone.now()}
    try:
        running = read_running(system.folder)
        others = read_others(system.folder, system.guard_nkey)
    except Unreadable as error:
        return told | {"unknown": str(error)}
    told["where"] = str(running.path)
    reading, theirs = read_specs(system, running.parsed)
    if reading.refused:
        return told | {"unknown": " ".join(note.sentence for note in reading.notes if note.verdict == "refused")}
    words = _words(goal, running, reading)
    if not set(goal.taken.identity.nkeys) <= logins_of(running.parsed.tree):
        told["own"] = [{"text": _OWN % system.system_account, "removes_access": False}]
    told["own"] += [word for word in words if READ_INTO in word["text"]]
    told["words"] = [word for word in words if READ_INTO not in word["text"]]
    told["ours"] = _digest(goal, goal.specs.values())
    told["theirs"] = _digest(goal, theirs)
    told["servers"], told["unasked"] = _ask(goal, running, others)
    return _with_others(goal, told, running, others)


def _with_others(
    goal: Goal, told: dict[str, Any], running: RunningConf, others: Sequence[RunningConf]
) -> dict[str, Any]:
    """The look, with what further main files say otherwise than the first: each such word begins with its file."""
    identity, folder = goal.taken.identity, goal.taken.system.folder

    def meant(conf: RunningConf) -> Tree:
        return comparable(conf.parsed.tree, identity, system_account(conf.parsed.tree))

    words, first = list(told["words"]), meant(running)
    for each in others:
        if meant(each) == first:
            continue
        reading, theirs = read_specs(goal.taken.system, each.parsed)
        name = named(each.path, folder)
        if reading.refused:
            why = " ".join(note.sentence for note in reading.notes if note.verdict == "refused")
            return told | {"words": [], "unknown": f"{name}: {why}"}
        own = [word for word in _words(goal, each, reading) if READ_INTO not in word["text"]]
        words += [{**word, "text": f"{name}: {word['text']}"} for word in own if word not in told["words"]]
        missing = [word for word in words if word in told["words"] and word not in own]
        words = [word | {"text": f"{MAIN}: {word['text']}"} if word in missing else word for word in words]
        if told["theirs"] == told["ours"]:
            told["theirs"] = _digest(goal, theirs)
    return told | {"words": words}


def _words(goal: Goal, running: RunningConf, reading: Reading) -> list[dict[str, Any]]:
    """What would change for people, from what runs to what the rows ask for."""
    identity = goal.taken.identity
    before = comparable(running.parsed.tree, identity, reading.system_account)
    before = with_known_hashes(goal.taken.system, before)
    after = comparable(whole({name: block.tree for name, block in goal.blocks.items()}), identity)
    for account in goal.faults.keys() & before["accounts"].keys():  # as long as its rows are faulty, it would stay
        after["accounts"][account] = before["accounts"][account]
    words = [{"text": fault, "removes_access": False} for fault in goal.faults.values()]
    words += [
        {"text": note.sentence, "removes_access": True}
        for note in reading.notes
        if note.verdict == "refused" and len(note.path) == 1
    ]
    return words + in_words(before, after, goal.specs.values())


def _digest(goal: Goal, specs: Iterable[AccountSpec]) -> str:
    try:
        return digest(same_spelling(specs, goal.taken.shared, goal.taken.identity))
    except RenderError:
        return ""


def _ask(goal: Goal, running: RunningConf, others: Sequence[RunningConf]) -> tuple[list[dict[str, Any]], str]:
    """([{name, digest, runs_it, refusal, where}] of the servers that answer, why nobody could be asked). A server whose
    main file is none of these can't be judged by them."""
    if not running.is_whole:
        return [], ""
    mains = {digest(each.parsed.tree): each for each in (running, *others)}
    system = goal.taken.system
    ours = goal.taken.identity
    known = {ours.control, ours.relay} & logins_of(running.parsed.tree)
    if system.stage == System.Stage.OBSERVED and not system.login_secret and not known:
        return [], NO_WAY_IN
    with Fleet(system) as fleet:
        seen = fleet.see()
        why = fleet.problem
    if system.stage == System.Stage.OBSERVED:
        note_servers(
            system, seen, Revision.objects.filter(system=system).values_list("sha256", flat=True).first() or "-"
        )
    told = []
    for one in seen:
        conf = mains.get(one.config_digest)
        runs_it = True if conf else None
        if conf is None and (conf := _main_of(one, mains.values(), alone=len(seen) == 1)):
            runs_it = False
        refusal = refusal_of(conf.path) if conf and runs_it is False else ""
        where = str(conf.path) if conf else ""
        told.append(
            {"name": one.name, "digest": one.config_digest, "runs_it": runs_it, "refusal": refusal, "where": where}
        )
    return told, why


def _main_of(one: Seen, mains: Iterable[RunningConf], *, alone: bool) -> RunningConf | None:
    """The main file that a server starts with, by its name; where there is one server, a file without a name."""
    names = {str(conf.parsed.tree.get("server_name", "")): conf for conf in mains}
    return names.get(one.name) or (names.get("") if alone else None)
