"""Documents of accounts: what they would change, making it so, and what the rows say now."""

from __future__ import annotations

import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from nunect.cli import documents, output, revisions
from nunect.cli.client import WRITE_S, Answer, Failure, Refused
from nunect.cli.documents import Wanted
from nunect.cli.progress import Steps, Waiting
from nunect.cli.secrets_file import SecretsFile, tell_secrets
from nunect.cli.session import Session, command_options, system_option
from nunect.cli.writing import (
    FAILED,
    How,
    changed_rows,
    differs,
    named,
    preview,
    send,
    show_preview,
    standing,
    state_of_system,
    sure,
    tell_sync,
    troubled,
)

WOULD_CHANGE = 2  # exit code of `plan`
LONGEST_S = 60  # that one request may wait
Command = TypeVar("Command", bound=Callable[..., Any])


def file_options(command: Command) -> Command:
    """The files to read, for which system, and whether other accounts go."""
    for option in (
        click.option(
            "--prune", is_flag=True, help="Accounts that the documents don't name are deleted, but the servers' own."
        ),
        click.option(
            "-f",
            "--file",
            "files",
            multiple=True,
            metavar="FILE",
            type=click.Path(),
            help="A document in YAML or JSON, “-” for stdin, or a folder of them; may be given several times.",
        ),
        system_option,
        click.argument("more", nargs=-1, metavar="[FILE]...", type=click.Path()),
    ):
        command = option(command)
    return command


@click.command(short_help="Say what `apply` would change; exit code 2 when that is not nothing.")
@file_options
@click.option("--conf", is_flag=True, help="Show the difference of the servers' conf, too.")
@command_options
def plan(session: Session, files: tuple[str, ...], more: tuple[str, ...], system: str, prune: bool, conf: bool) -> int:
    """Say what `apply` would change, in NATS's words. Nothing is written.

    Exit code 0: nothing; 2: something; 1: it can't be done.
    """
    with Waiting("Reading") as waiting:
        wanted = _read((*files, *more), waiting, prune, system)
    told = _preview(session, wanted, prune)
    if session.as_json:
        output.print_json(told)
    else:
        show_preview(told, conf=conf)
        if differs(told) and not conf:
            output.say("`--conf` shows the servers' conf; `nunect apply` does it.", err=True)
    if not differs(told):
        _warn(session, wanted)
    if told.get("faults"):
        return FAILED
    return WOULD_CHANGE if differs(told) else 0


@click.command(short_help="Make the accounts what documents say, all or nothing.")
@file_options
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@click.option("--conf", is_flag=True, help="Show the difference of the servers' conf before asking.")
@click.option(
    "--wait",
    "wait_s",
    type=click.IntRange(0, 3600),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Wait until the servers enforce it; exit code 3 when they don't by then.",
)
@click.option(
    "--secrets-to", type=click.Path(dir_okay=False), metavar="FILE", help="Write new users' secrets there, not here."
)
@click.option("--idempotency-key", "key", default="", metavar="KEY", help="The same key again: done once.")
@command_options
def apply(
    session: Session,
    files: tuple[str, ...],
    more: tuple[str, ...],
    system: str,
    prune: bool,
    yes: bool,
    conf: bool,
    wait_s: int,
    secrets_to: str | None,
    key: str,
) -> int:
    """Make the accounts that documents name exactly what they say, all or nothing.

    The plan is shown first, and a person is asked; --yes where there is none. Secrets of new users are told once,
    on stdout or with --secrets-to.
    """
    steps = Steps(silent=session.as_json)
    with steps.step("read", "Reading") as step:
        wanted = _read((*files, *more), step.waiting, prune, system)
        step.said = wanted.summary()
    with steps.step("compare", "Comparing") as step:
        told = _preview(session, wanted, prune)
        step.said = output.count(len(told["changes"]), "change")
    if not differs(told) and not key:
        if not session.as_json:
            output.say("Nothing to change.", err=True)
        nothing: dict[str, Any] = {"created": {}, "updated": {}, "deleted": {}, "secrets": {}}
        data = _stand(session, steps, wanted, wait_s, nothing)
        if session.as_json:
            output.print_json(data)
        return tell_sync(data, How(wait_s=wait_s), silent=session.as_json)
    secrets_file = SecretsFile(secrets_to, again=bool(key), needed=_makes_users(told))
    secrets_file.check()
    if differs(told):
        if not session.as_json or not yes:
            show_preview(told, conf=conf, err=True)
        sure("Apply this?", yes)
    with secrets_file as keep:
        key = key or str(uuid.uuid4())
        answer = _apply(session, steps, wanted, prune, key)
        data = answer.data
        secrets = data.get("secrets") or {}
        kept = keep(secrets)
    if not session.as_json:
        if answer.headers.get("idempotent-replayed"):
            output.say("This key was answered before: this is the same answer, nothing was done again.", err=True)
        tell_secrets(secrets, kept)
    try:
        if differs(told):
            data = _follow(session, steps, wanted, prune, key, wait_s, data)
        else:
            data = _stand(session, steps, wanted, wait_s, data)
    finally:  # whoever stops waiting still gets what is told once
        if session.as_json:
            output.print_json({**data, "secrets": kept or secrets})
    return tell_sync(data, How(wait_s=wait_s), silent=session.as_json)


@click.command(short_help="Show what a revision changed of the servers' conf.")
@click.argument("number", required=False, type=int, metavar="[REVISION]")
@system_option
@command_options
def diff(session: Session, number: int | None, system: str) -> int:
    """Show what a revision changed of the servers' conf, the newest one by default."""
    row = revisions.find(session.client, number, system)
    with Waiting("Comparing"):
        told = session.client.get(f"revisions/{row['id']}/diff/").data
    if session.as_json:
        output.print_json({"revision": row["number"], **told})
        return 0
    output.say(revisions.title(row), err=True)
    output.diff(told["diff"]) if told["diff"] else output.say("It changed nothing of the conf.", err=True)
    if not told["complete"]:
        output.say("It is longer than this; the admin shows all of it.", err=True)
    return 0


@click.command(short_help="Write what the rows say as a document that `apply` reads.")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("-o", "--output", "to", type=click.Path(dir_okay=False), metavar="FILE", help="Write it there.")
@click.option("--secrets", is_flag=True, help="With password hashes and public nkeys; keep it to yourself.")
@system_option
@command_options
def export(session: Session, accounts: tuple[str, ...], to: str | None, secrets: bool, system: str) -> int:
    """Write what the rows say as a document; `apply` of it changes nothing."""
    query = [("account", name) for name in accounts]
    query += [("secrets", "true")] if secrets else []
    query += [("system", system)] if system else []
    with Waiting("Reading the rows"):
        data = session.client.get("apply/", query, timeout_s=WRITE_S).data
    with Waiting("Writing"):
        as_json = session.as_json or (to or "").endswith(".json")
        text = json.dumps(data, indent=2) + "\n" if as_json else documents.written(data)
    if to is None:
        output.say(text.rstrip("\n"))
        return 0
    _write(Path(to), text, 0o600 if secrets else 0o644)
    users = sum(len(account.get("users", ())) for account in data["accounts"])
    said = f"{output.count(len(data['accounts']), 'account')}, {output.count(users, 'user')}"
    output.say(f"{to}: {said}. `nunect plan -f {to}` compares it with the rows.", err=True)
    return 0


# --- helpers -------------------------------------------------------------------------------------


def _read(names: Sequence[str], waiting: Waiting, prune: bool, system: str) -> Wanted:
    if not names:
        raise click.UsageError("Say which document: -f FILE, or -f - for stdin.", click.get_current_context())
    wanted = documents.read(names, waiting)
    if prune and wanted.data.get("accounts") in (None, []):
        raise Failure("The documents name no account; --prune would delete all of them.")
    if system and wanted.data.setdefault("system", system) != system:
        raise Failure(f"The documents are for system “{wanted.system()}”, and --system says “{system}”.")
    return wanted


def _query(prune: bool) -> list[tuple[str, str]]:
    return [("prune", "true")] if prune else []


def _preview(session: Session, wanted: Wanted, prune: bool) -> dict[str, Any]:
    try:
        return preview(session, "POST", "apply/", wanted.data, _query(prune))
    except Refused as refused:
        raise wanted.failure(refused) from refused


def _warn(session: Session, wanted: Wanted) -> None:
    """Name the accounts that are not in force although nothing would change."""
    for state in ("failed", "held"):
        found = troubled(session.client, state, wanted.accounts(), wanted.system())
        if found:
            output.say(f"nunect: warning: {output.count(len(found), 'account')} {state}: {named(found)}", err=True)


def _stand(session: Session, steps: Steps, wanted: Wanted, wait_s: int, data: dict[str, Any]) -> dict[str, Any]:
    """The answer with how the servers stand to accounts that nothing was written to."""
    with steps.step("enforce", "Asking how the servers stand", state_of_system(session.client)) as step:
        sync = standing(session.client, wanted.accounts(), wanted.system(), wait_s)
        step.good, step.said = sync["state"] == "applied", str(sync["state"])
    return {**data, "sync": sync}


def _makes_users(told: Mapping[str, Any]) -> bool:
    """Whether a preview makes users, whose secrets are told once."""
    return bool(((told.get("rows") or {}).get("created") or {}).get("user"))


def _apply(session: Session, steps: Steps, wanted: Wanted, prune: bool, key: str) -> Answer:
    """Write it; the answer."""
    with steps.step("write", "Writing") as step:
        try:
            how = How(key=key)
            answer = send(session, "POST", "apply/", wanted.data, how=how, query=_query(prune), shown=False)
        except Refused as refused:
            raise wanted.failure(refused) from refused
        step.said = changed_rows({act: answer.data.get(act) for act in ("created", "updated", "deleted")})
    return answer


def _follow(
    session: Session, steps: Steps, wanted: Wanted, prune: bool, key: str, wait_s: int, data: dict[str, Any]
) -> dict[str, Any]:
    """The answer when the servers are there, or when the time is over.

    The same request with the same key is answered again, once the servers have what it asked for.
    """
    deadline = time.monotonic() + wait_s
    if not wait_s:
        return data
    with steps.step("enforce", "Waiting for the servers", state_of_system(session.client)) as step:
        while data["sync"]["state"] == "pending" and (left := deadline - time.monotonic()) > 0:
            how = How(wait_s=max(1, min(LONGEST_S, round(left))), key=key)
            data = send(
                session, "POST", "apply/", wanted.data, how=how, query=_query(prune), what="Written", shown=False
            ).data
        sync = data["sync"]
        step.good = sync["state"] == "applied"
        step.said = f"revision {sync['revision']}" if step.good and sync["revision"] else str(sync["state"])
    return data


def _write(path: Path, text: str, mode: int) -> None:
    """Put a whole file in place of another."""
    try:
        number, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        Path(beside).chmod(mode)
        Path(beside).replace(path)
    except OSError as error:
        raise Failure(f"{path} can't be written: {error.strerror}.") from error
