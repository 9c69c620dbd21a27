"""What others changed of the conf, of streams, buckets and consumers, and the answers that a person has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from nunect.cli import output
from nunect.cli.durations import Duration, moment
from nunect.cli.objects import of_what
from nunect.cli.progress import Waiting
from nunect.cli.resources import ASSETS, RESOURCES, Resource, find
from nunect.cli.session import Session, command_options
from nunect.cli.words import Commands
from nunect.cli.writing import (
    How,
    change,
    finish,
    must_ask,
    preview,
    show_preview,
    sure,
    sure_of_losses,
    write_options,
)


@click.group(cls=Commands, invoke_without_command=True, short_help="What others changed; answers to it.")
@command_options
@click.pass_context
def drift(ctx: click.Context, session: Session) -> None:
    """List what others changed: the conf, streams, buckets and consumers; adopt, revert or ignore it.

    `nunect drift adopt conf 7` takes an edited accounts.conf into the rows, `nunect drift adopt streams ORDERS/JOBS`
    what a stream has become; a stream that nunect doesn't manage yet is managed from then on.
    """
    if ctx.invoked_subcommand is not None:
        return
    found: dict[str, list[dict[str, Any]]] = {}
    with Waiting("Reading"):
        found["conf"] = [
            row
            for state in ("open", "ignored")
            for page in session.client.pages("drifts/", [("state", state), ("limit", "1000")])
            for row in page.data["results"]
        ]
        for name in ASSETS:
            found[name] = [
                row
                for state in ("drifted", "failed")  # failed: another's stands in the place of the row's
                for page in session.client.pages(f"{name}/", [("state", state), ("limit", "1000")])
                for row in page.data["results"]
                if row["drift"]
            ]
    if session.as_json:
        output.print_json(found)
        return
    for row in found["conf"]:
        _tell_conf(row)
    for name in ASSETS:
        for row in found[name]:
            output.say(click.style(f"{name} {RESOURCES[name].called(row)}", bold=True))
            for each in row["drift"]:
                output.say(f"  {output.plain(str(each['words']))}")
    if any(found.values()):
        if found["conf"]:
            output.say("`nunect drift adopt|revert|ignore conf ID` answers a change of the conf.", err=True)
        if any(found[name] for name in ASSETS):
            output.say("`nunect drift adopt|revert|ignore RESOURCE NAME` answers it.", err=True)
    else:
        output.say("Nothing waits: when nunect last looked, everything was as the rows say.", err=True)


def _tell_conf(row: dict[str, Any]) -> None:
    ignored = ""
    if row["state"] == "ignored":
        ignored = f" (ignored until {row['ignored_until']})" if row["ignored_until"] else " (ignored)"
    output.say(click.style(f"conf {row['id']}", bold=True) + f" {output.plain(str(row['summary']))}{ignored}")
    for each in row["changes"]:
        output.say(f"  {output.plain(str(each.get('text', '')))}")


def _answer(act: str, short: str, done: str) -> Callable[..., Any]:
    """A command that answers for one row."""

    @drift.command(act, short_help=short, help=short)
    @of_what("")
    @click.argument("ref", metavar="NAME|ID")
    @click.option("--yes", "-y", is_flag=True, help="Don't ask.")
    @write_options
    @command_options
    def answer(session: Session, of: Resource, ref: str, yes: bool, how: How) -> int:
        if of.name == "drifts" and act == "adopt":
            return _adopt_conf(session, of, ref, yes, how)
        return _send(session, of, ref, act, {}, how, done, yes)

    return answer


adopt = _answer("adopt", "The row takes what is there; what nunect only observes it manages.", "is taken as it is")
revert = _answer("revert", "What is there becomes again what the row says.", "goes back to what its row says")


def _adopt_conf(session: Session, of: Resource, ref: str, yes: bool, how: How) -> int:
    """Show what becomes of the rows and what goes with it, ask, and do it."""
    row = find(session.client, of, ref)
    path = f"drifts/{row['id']}/adopt/"
    if not how.dry_run and not yes:
        must_ask(yes)
        show_preview(preview(session, "POST", path), conf=True, err=True)
        sure("Shall the rows say this?", yes)
    data = change(session, "POST", path, how=how)
    return 0 if data is None else finish(session, data, how, "The rows say what was changed by hand.")


@drift.command("ignore", short_help="Leave it as it is, for a while or until it is another difference.")
@of_what("")
@click.argument("ref", metavar="NAME|ID")
@click.option("--for", "ahead", type=Duration(), metavar="7d", help="How long; without it until it is another one.")
@write_options
@command_options
def ignore(session: Session, of: Resource, ref: str, ahead: timedelta | None, how: How) -> int:
    """Leave the difference as it is."""
    body = {} if ahead is None else {"until": moment(ahead)}
    return _send(session, of, ref, "ignore", body, how, "is left as it is")


def _send(
    session: Session, of: Resource, ref: str, act: str, body: dict[str, Any], how: How, done: str, yes: bool = False
) -> int:
    if of.name not in (*ASSETS, "drifts"):
        raise click.UsageError(f"This is for {', '.join(ASSETS)} and conf.", click.get_current_context())
    row = find(session.client, of, ref)
    path = f"{of.path}{row['id']}/{act}/"
    if act == "revert" and of.name in ASSETS and not how.dry_run:
        sure_of_losses(session, "POST", path, None, yes)
    data = change(session, "POST", path, body or None, how=how)
    if data is None:
        return 0
    if act == "adopt" and any(not each["setting"] for each in data["drift"]):  # a row that went is told as it was
        if session.as_json:
            output.print_json(data)
        else:
            output.say(f"{of.called(row)} is gone from the server, and its row is gone, too.", err=True)
        return 0
    called = f"The conf (drift {row['id']})" if of.name == "drifts" else of.called(row)
    return finish(session, data, how, f"{called} {done}.")
