"""From a blueprint to an account in use: what it would make, making it, and its credentials."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from nunect.cli import documents, output
from nunect.cli.client import Failure, Refused
from nunect.cli.credentials import Folder, pick_up, show
from nunect.cli.durations import Duration, said
from nunect.cli.following import follow, verdict
from nunect.cli.jobs import end_of, job
from nunect.cli.objects import pairs
from nunect.cli.progress import Waiting
from nunect.cli.resources import RESOURCES, find
from nunect.cli.session import Session, command_options, system_option
from nunect.cli.words import meant
from nunect.cli.writing import FAILED, How, preview, send, show_preview, show_warnings, sure

_COLUMNS = ("set", "type", "default", "what")


@click.command(short_help="Make an account from a blueprint, and hand over its credentials.")
@click.argument("blueprint", metavar="BLUEPRINT")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A parameter; lists as [a, b].")
@click.option(
    "--set-file",
    "files",
    multiple=True,
    metavar="NAME=FILE",
    help="A parameter from a file: a table from a CSV with a header line; “-”: stdin.",
)
@click.option("--version", type=click.IntRange(1), metavar="N", help="This version, not the newest that is enabled.")
@system_option
@click.option("--dry-run", is_flag=True, help="Say what it would make, and make nothing.")
@click.option("--no-follow", is_flag=True, help="Don't wait for the job; prints its one-time link.")
@click.option("--link", is_flag=True, help="Print the one-time link for the owner, rather than the credentials.")
@click.option("--link-for", "lifetime", type=Duration(), metavar="3d", help="How long the link stays good.")
@click.option("--creds-to", type=click.Path(file_okay=False), metavar="FOLDER", help="Write the credentials there.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask, also when it takes access away.")
@click.option("--idempotency-key", "key", default="", metavar="KEY", help="The same key again: done once.")
@command_options
def provision(
    session: Session,
    blueprint: str,
    given: tuple[str, ...],
    files: tuple[str, ...],
    version: int | None,
    system: str,
    dry_run: bool,
    no_follow: bool,
    link: bool,
    lifetime: timedelta | None,
    creds_to: str | None,
    yes: bool,
    key: str,
) -> int:
    """Make what a BLUEPRINT describes, and follow the job until a client can connect.

    Its credentials come once, at the end: on stdout, into --creds-to, or behind the --link. `nunect blueprints`
    lists what there is, `nunect blueprints NAME` tells its parameters and the columns of its tables. Exit code 4
    when the job failed.
    """
    if link and creds_to:
        raise click.UsageError("--link and --creds-to: the credentials go one way or the other.")
    body: dict[str, Any] = {"parameters": _parameters(given, files)}
    body |= {"system": system} if system else {}
    body |= {"version": version} if version is not None else {}
    body |= {"lifetime_s": round(lifetime.total_seconds())} if lifetime is not None else {}
    path = f"blueprints/{_found(session, blueprint)['name']}/provision/"
    try:
        told = preview(session, "POST", path, body, what="Looking")
    except Refused as refused:
        raise _as_typed(refused) from refused
    if dry_run:
        if session.as_json:
            output.print_json(told)
        else:
            _show(told)
        return FAILED if told.get("faults") else 0
    loses = any(each["severity"] == "loses" for each in told["warnings"])
    if loses or any(each.get("removes_access") for each in told["changes"]):
        show_preview(told, err=True)
        sure("Go on?", yes)
    else:
        show_warnings(told, err=True)
    folder = Folder(creds_to) if creds_to and not no_follow else None
    if folder is not None:
        folder.check()
    answer = send(session, "POST", path, body, how=How(key=key or str(uuid.uuid4())), what="Asking")
    if no_follow:
        return _left(session, answer.data)
    return _to_the_end(session, answer.data, link, folder)


@job.command("new-credentials", short_help="New credentials for its users; the former ones end.")
@click.argument("number", type=click.IntRange(1, 10**18), metavar="ID")
@click.option("--link", is_flag=True, help="Print the one-time link for the owner, rather than the credentials.")
@click.option("--creds-to", type=click.Path(file_okay=False), metavar="FOLDER", help="Write the credentials there.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@command_options
def new_credentials(session: Session, number: int, link: bool, creds_to: str | None, yes: bool) -> int:
    """Give the users of a job new credentials, as when the first ones were lost. The former ones end."""
    if link and creds_to:
        raise click.UsageError("--link and --creds-to: the credentials go one way or the other.")
    title = output.plain(str(session.client.get(f"jobs/{number}/").data["title"]))
    folder = Folder(creds_to) if creds_to else None
    if folder is not None:
        folder.check()
    sure(f"Replace the credentials of job {number} ({title})? Clients that have the former ones are shut out.", yes)
    answer = send(session, "POST", f"jobs/{number}/hand-over/", how=How(), what="Asking")
    return _to_the_end(session, answer.data, link, folder)


@click.command(short_help="List blueprints, or tell the parameters of one.")
@click.argument("name", required=False, metavar="[BLUEPRINT]")
@command_options
def blueprints(session: Session, name: str | None) -> None:
    """List the blueprints that may be provisioned, or tell the parameters of one."""
    if name is None:
        with Waiting("Reading"):
            rows = session.client.get("blueprints/").data["results"]
        if session.as_json:
            output.print_json(rows)
            return
        output.table(rows, ("name", "version", "title", "enabled", "shipped"))
        output.say("`nunect blueprints NAME` tells the parameters, `nunect provision NAME` makes it.", err=True)
        return
    row = _found(session, name)
    if session.as_json:
        output.print_json(row)
        return
    output.say(f"{click.style(row['title'], bold=True)} ({output.plain(row['name'])}, version {row['version']})")
    if row.get("description"):
        output.say(output.plain(row["description"]))
    told, needed = row["parameters"]["properties"], row["parameters"]["required"]
    rows = [line for name, each in told.items() for line in _parameters_told(name, each, name in needed)]
    output.table(rows, _COLUMNS)


@click.command(short_help="Take an account off the servers: frozen now, gone after a while.")
@click.argument("account", metavar="ACCOUNT")
@click.option(
    "--window",
    type=Duration(),
    default="24h",
    show_default=True,
    metavar="24h",
    help="So long it is frozen and can be had back by `nunect job cancel`.",
)
@click.option(
    "--data",
    type=click.Choice(("keep", "delete")),
    default="keep",
    show_default=True,
    help="What becomes of its streams and their messages; those in memory are lost in any case.",
)
@click.option("--confirm", default="", metavar="NAME", help="The account's name once more, where nobody can be asked.")
@click.option("--follow", "watch", is_flag=True, help="Watch until it is gone.")
@click.option("--dry-run", is_flag=True, help="Say what it would take away, and do nothing.")
@command_options
def retire(
    session: Session, account: str, window: timedelta, data: str, confirm: str, watch: bool, dry_run: bool
) -> int:
    """Retire an ACCOUNT: its users are shut out at once, and after --window it goes from the servers.

    Until then `nunect job cancel ID` gives it back as it was.
    """
    row = find(session.client, RESOURCES["accounts"], account)
    path, body = f"accounts/{row['id']}/retire/", {"window_s": round(window.total_seconds()), "data": data}
    if dry_run or not confirm:
        told = preview(session, "POST", path, {**body, "confirm": row["name"]}, what="Looking what that takes away")
        if dry_run and session.as_json:
            output.print_json(told)
        else:
            show_preview(told, err=not dry_run)
        if dry_run:
            return 0
        name = output.plain(row["name"])
        goes = {"keep": "stays in the servers' store", "delete": "is deleted with it"}[data]
        output.say(
            f"This shuts the users of {name} out at once, and removes it after {said(window)}. Its data {goes}.",
            err=True,
        )
        confirm = click.prompt("Type the name of the account to go on", err=True, default="", show_default=False)
    answer = send(session, "POST", path, {**body, "confirm": confirm}, how=How(), what="Asking")
    told = answer.data["job"]
    if watch:
        return end_of(session, follow(session, int(told["id"])))
    if session.as_json:
        output.print_json(answer.data)
        return 0
    if window:
        back = f"`nunect job cancel {told['id']}` gives it back until it goes"
        output.say(f"Job {told['id']} freezes it now; {back}.", err=True)
    else:
        output.say(f"Job {told['id']} removes it now; `nunect job {told['id']}` tells how far it is.", err=True)
    return 0


# --- helpers -------------------------------------------------------------------------------------


def _to_the_end(session: Session, data: Mapping[str, Any], link: bool, folder: Folder | None) -> int:
    """Follow a job that makes credentials, and hand them over; the exit code."""
    number, hand_over = int(data["job"]["id"]), data.get("hand_over")
    try:
        row = follow(session, number)
    except (KeyboardInterrupt, click.Abort, Failure):
        output.say(f"Job {number} goes on without you: `nunect job follow {number}`.", err=True)
        _say_link(hand_over)
        raise
    if row["state"] == "done" and (hand_over is None or _made_none(row)):
        output.say("There are no new credentials: those that are there stay.", err=True)
        hand_over = None
    if row["state"] != "done" or hand_over is None or link:
        if hand_over is not None and row["state"] in ("done", "failed"):
            _say_link(hand_over, alone=not session.as_json and row["state"] == "done")
        return end_of(session, {**row, "hand_over": hand_over} if session.as_json else row)
    users = pick_up(session.client, hand_over["token"])
    kept = folder.keep(users) if folder is not None else ""
    if session.as_json:
        output.print_json({**row, "credentials": kept or users})
        return 0
    output.say(verdict(row), err=True)
    if kept:
        output.say(f"{output.count(len(users), 'credential')}: {kept}", err=True)
    else:
        show(users)
    return 0


def _found(session: Session, name: str) -> dict[str, Any]:
    """The blueprint of a name, or a Failure that says which was meant."""
    answer = session.client.get(f"blueprints/{name}/", fine=(404,)) if name.replace("-", "").isalnum() else None
    if answer is None or answer.status == 404:
        rows = session.client.get("blueprints/").data["results"]
        raise Failure(meant(name, [row["name"] for row in rows], "blueprint"))
    found: dict[str, Any] = answer.data
    return found


def _show(told: Mapping[str, Any]) -> None:
    """What a blueprint would make: the change in words, and what to know besides."""
    output.say(click.style(output.plain(str(told["title"])), bold=True))
    show_preview(told)
    for note in told["notes"]:
        output.say(output.plain(note))


def _as_typed(refused: Refused) -> Failure:
    """What is wrong with parameters, at the names that were typed."""
    said = [": ".join(filter(None, (name.removeprefix("parameters."), text))) for name, text in refused.places]
    return Failure(*said, *([refused.hint] if refused.hint else []), problem=refused.problem)


def _parameters(given: Sequence[str], files: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in (*_values(given), *_contents(files)):
        if name in found:
            raise click.UsageError(f"“{name}” is given twice.", click.get_current_context())
        found[name] = value
    return found


def _values(given: Sequence[str]) -> Iterator[tuple[str, Any]]:
    return ((name, documents.value(text)) for name, text in pairs(given))


def _contents(files: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """A file as its text; of a YAML or JSON file what it says."""
    for name, file in pairs(files):
        text = documents.content(file)
        if Path(file).suffix in (".yaml", ".yml", ".json"):
            parts = list(documents.parts_of(file, text))
            yield name, parts[0].data if len(parts) == 1 else [part.data for part in parts]
        else:
            yield name, text


def _parameters_told(name: str, schema: Mapping[str, Any], needed: bool) -> Iterator[dict[str, Any]]:
    """The row of a parameter, and below that of a table one for each of its columns."""
    row = _parameter(name, schema, needed)
    items = next((each["items"] for each in schema.get("anyOf", ()) if "items" in each), None)
    if schema.get("x-type") != "table" or items is None:
        yield row
        return
    taken = f"A CSV with a header line and these columns, by --set-file {name}=FILE."
    yield {**row, "what": " ".join(filter(None, (row["what"], taken)))}
    for column, each in items["properties"].items():
        yield {**_parameter(column, each, column in items["required"]), "set": f"  {column}"}


def _parameter(name: str, schema: Mapping[str, Any], needed: bool) -> dict[str, Any]:
    """A parameter of a JSON Schema as a row of a table."""
    words = ": ".join(filter(None, (str(schema.get("title") or ""), str(schema.get("description") or ""))))
    return {
        "set": name,
        "type": " | ".join(map(str, schema["enum"])) if "enum" in schema else str(schema.get("x-type", "")),
        "default": "(needed)" if needed else output.cell(schema.get("default")),
        "what": output.plain(words),
    }


def _left(session: Session, data: Mapping[str, Any]) -> int:
    """A job that nobody follows: its number, and the link that is told this once."""
    if session.as_json:
        output.print_json(data)
        return 0
    number = data["job"]["id"]
    output.say(f"Job {number} has begun: `nunect job follow {number}`.", err=True)
    _say_link(data.get("hand_over"), alone=True)
    return 0


def _made_none(row: Mapping[str, Any]) -> bool:
    """Whether a job had no credentials to hand over."""
    return any((step["name"], step["state"]) == ("credentials", "skipped") for step in row["steps"])


def _say_link(hand_over: Mapping[str, Any] | None, *, alone: bool = False) -> None:
    """The one-time link; alone: on stdout."""
    if hand_over is None:
        return
    until = f"{hand_over['expires_at'][:16].replace('T', ' ')} UTC"
    output.say(f"Its credentials wait behind a link that works once, until {until}:", err=True)
    output.say(hand_over["url"], err=not alone)
