"""Jobs: what nunect does step by step, and what a person wants of them."""

from __future__ import annotations

from typing import Any

import click

from nunect.cli import documents, output
from nunect.cli.client import Failure
from nunect.cli.following import RESTS, follow, seconds_of, verdict
from nunect.cli.progress import Waiting
from nunect.cli.session import Session, command_options
from nunect.cli.words import Commands
from nunect.cli.writing import FAILED, NOT_YET, REFUSED, changed_rows, preview, show_preview, sure

USUAL, LONG, SHORT = 20, 8, 60  # LONG: entries of a list that are printed; SHORT: characters of a problem
STATES = ("queued", "running", "waiting", "failed", "done", "undoing", "cancelled", "rolled_back")
_number = click.argument("number", type=click.IntRange(1, 10**18), metavar="ID")
_leave = click.option("--no-follow", is_flag=True, help="Don't wait until it is done.")
_look = click.option("--dry-run", is_flag=True, help="Say what it would take away, and do nothing.")


@click.command(short_help="List jobs: provisioning, retiring, newest first.")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--account", default="", metavar="NAME", help="Only those that may touch this account.")
@click.option("--limit", type=click.IntRange(1, 1000), default=USUAL, show_default=True, metavar="N")
@command_options
def jobs(session: Session, state: str | None, account: str, limit: int) -> None:
    """List what nunect does or did step by step, newest first."""
    query = [("ordering", "-id"), ("limit", str(limit))]
    query += [("state", state)] if state else []
    query += [("account", account)] if account else []
    with Waiting("Reading"):
        rows = session.client.get("jobs/", query).data["results"]
    if session.as_json:
        output.print_json(rows)
        return
    if not rows:
        output.say("There are no jobs like that." if state or account else "There are no jobs yet.", err=True)
        return
    told = [{**row, "at": row["step"] or "", "job": row["id"], "problem": _short(row["problem"])} for row in rows]
    output.table(told, ("job", "state", "title", "at", "author", "created_at", "waits_for", "problem"))
    output.say("`nunect job show ID` tells one with its steps.", err=True)


@click.group(cls=Commands, short_help="One job: show, document, follow, log, retry, resume, cancel, roll-back.")
def job() -> None:
    """One job: how far it is, and what shall become of it."""


@job.command("show", short_help="Its steps, inputs and results.")
@_number
@command_options
def show(session: Session, number: int) -> None:
    """Show a job with its steps, inputs and results."""
    with Waiting("Reading"):
        row = session.client.get(f"jobs/{number}/").data
    if session.as_json:
        output.print_json(row)
        return
    lists = ("steps", "hand_overs", "parameters", "results")
    output.details({name: value for name, value in row.items() if name not in lists and value not in ("", None)})
    for title, values in (("Inputs", row["parameters"]), ("Results", row["results"])):
        if values:
            output.say(click.style(title, bold=True))
            output.details({name: _folded(number, name, value) for name, value in values.items()})
    output.say(click.style("Steps", bold=True))
    steps = [{**step, "seconds": f"{seconds_of(step):.1f}", "tries": step["attempts"]} for step in row["steps"]]
    output.table(steps, ("number", "title", "state", "seconds", "tries", "waits_for", "detail"))
    for step in row["steps"]:
        for each in step["result"].get("objects", ()) if step["state"] == "failed" else ():
            named = output.plain(f"{each['resource']} {each['account']}/{each['name']}")
            output.say(f"It failed at {named}: `nunect get {each['resource']} {each['id']}` tells more.")
    for each in row["hand_overs"]:
        output.say(_hand_over(each))


@job.command("document", short_help="Print what a retired account was.")
@_number
@command_options
def document(session: Session, number: int) -> None:
    """Print the document that a job keeps of an account that it retired; `nunect apply -f -` makes it again."""
    with Waiting("Reading"):
        data = session.client.get(f"jobs/{number}/").data["results"].get("document")
    if not data:
        raise Failure(f"Job {number} keeps no document: only one that retires an account does, once it is frozen.")
    if session.as_json:
        output.print_json(data)
    else:
        output.say(documents.written(data).rstrip("\n"))


@job.command("follow", short_help="Watch it until it rests.")
@_number
@click.option("--timeout", "limit_s", type=click.IntRange(1), metavar="SECONDS", help="No longer than this.")
@command_options
def follow_job(session: Session, number: int, limit_s: int | None) -> int:
    """Watch a job until it has ended or failed. Exit code 3 when --timeout is over, 4 when it failed."""
    return end_of(session, follow(session, number, limit_s or 0))


@job.command("log", short_help="Its log.")
@_number
@command_options
def log(session: Session, number: int) -> None:
    """Print the log of a job, oldest line first."""
    lines: list[dict[str, Any]] = []
    with Waiting("Reading"):
        for page in session.client.pages(f"jobs/{number}/log/", [("limit", "1000")]):
            lines += page.data["results"]
    if session.as_json:
        output.print_json(lines)
        return
    for line in lines:
        output.say(output.plain(f"{line['at'][:19].replace('T', ' ')}  {line['step']:11}  {line['text']}"))


@job.command("retry", short_help="Try the step that failed once more.")
@_number
@_leave
@command_options
def retry(session: Session, number: int, no_follow: bool) -> int:
    """Begin the step that failed once more, and watch it."""
    return _ask(session, number, "retry", no_follow)


@job.command("resume", short_help="Go on where it stopped.")
@_number
@_leave
@command_options
def resume(session: Session, number: int, no_follow: bool) -> int:
    """Go on where it failed, or after a cancel that has taken nothing back yet."""
    return _ask(session, number, "resume", no_follow)


@job.command("cancel", short_help="Stop it, and take back what it has done.")
@_number
@_look
@_leave
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@command_options
def cancel(session: Session, number: int, dry_run: bool, no_follow: bool, yes: bool) -> int:
    """Stop a job and take back what it has done."""
    question = "Stop job {} and take back what it has done?"
    return _ask(session, number, "cancel", no_follow, question, yes, dry_run)


@job.command("roll-back", short_help="Take back what it did, when it failed or is done.")
@_number
@_look
@_leave
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@command_options
def roll_back(session: Session, number: int, dry_run: bool, no_follow: bool, yes: bool) -> int:
    """Take back what a job did that failed or is done: rows, conf, streams and their data."""
    question = "Take back all that job {} did, data included?"
    return _ask(session, number, "roll-back", no_follow, question, yes, dry_run)


@job.command("withdraw", short_help="Let its one-time link open nothing any more.")
@_number
@command_options
def withdraw(session: Session, number: int) -> int:
    """Let the links of a job open nothing any more, as when one was sent to the wrong place."""
    row = session.client.call("POST", f"jobs/{number}/withdraw/").data
    if session.as_json:
        output.print_json(row)
    else:
        output.say("Its link opens nothing any more; `nunect job new-credentials` makes another.", err=True)
    return 0


def end_of(session: Session, row: dict[str, Any]) -> int:
    """Say how a job ended; the exit code."""
    if session.as_json:
        output.print_json(row)
    else:
        output.say(verdict(row), err=True)
    return {"done": 0, "failed": REFUSED}.get(row["state"], 0 if row["state"] in RESTS else NOT_YET)


def _ask(
    session: Session,
    number: int,
    act: str,
    no_follow: bool,
    question: str = "",
    yes: bool = True,
    dry_run: bool = False,
) -> int:
    title = output.plain(str(session.client.get(f"jobs/{number}/").data["title"]))
    if question:
        told = preview(session, "POST", f"jobs/{number}/{act}/", what="Looking what that takes away")
        if dry_run and session.as_json:
            output.print_json(told)
        elif dry_run or (told["changes"] and not session.as_json):
            show_preview(told, err=not dry_run)
        if dry_run:
            return 0
        sure(question.format(f"{number} ({title})"), yes)
    with Waiting("Asking"):
        data = session.client.call("POST", f"jobs/{number}/{act}/").data
    if no_follow:
        if session.as_json:
            output.print_json(data)
        else:
            output.say(f"Job {number} is asked to: `nunect job follow {number}`.", err=True)
        return 0
    row = follow(session, number)
    if act in ("cancel", "roll-back") and row["state"] == "done":
        raise Failure(f"Job {number} was done before it could be stopped.")
    code = end_of(session, row)
    return FAILED if act in ("cancel", "roll-back") and row["state"] == "failed" else code


def _short(problem: str) -> str:
    return problem if len(problem) <= SHORT else f"{problem[: SHORT - 1].rstrip()}…"


def _folded(number: int, name: str, value: Any) -> Any:
    """A value that fits into some lines; of a longer one how many there are, and how to see them."""
    if name == "document" and isinstance(value, dict):
        return f"{output.count(len(value.get('accounts', ())), 'account')}: `nunect job document {number}` prints it"
    if name == "changes" and isinstance(value, dict):
        return changed_rows(value) or "none"
    if isinstance(value, list | dict) and len(value) > LONG:
        return f"{len(value):,} {'entries' if isinstance(value, dict) else name}: --json prints them"
    return value


def _hand_over(each: dict[str, Any]) -> str:
    users = output.count(len(each["users"]), "credential")
    if each["opened_at"]:
        return output.plain(
            f"{users} picked up {each['opened_at'][:16].replace('T', ' ')} by {each['opened_by'] or 'nobody known'} "
            f"from {each['opened_from'] or 'here'}."
        )
    if each["withdrawn_at"]:
        return f"{users}: the link was withdrawn." if each["users"] else "There was nothing to hand over."
    ready = "wait behind the one-time link" if each["ready_at"] else "will wait behind the one-time link"
    return f"{users} {ready} until {each['expires_at'][:16].replace('T', ' ')}."
