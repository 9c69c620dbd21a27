"""Changes that a guard keeps back until a person says yes or no."""

from __future__ import annotations

import click

from nunect.cli import output
from nunect.cli.progress import Waiting
from nunect.cli.session import Session, command_options
from nunect.cli.words import Commands
from nunect.cli.writing import How, change, finish, write_options


@click.group(cls=Commands, invoke_without_command=True, short_help="Changes that wait for a yes or no.")
@click.option("--all", "everything", is_flag=True, help="Those that are answered, too.")
@command_options
@click.pass_context
def holds(ctx: click.Context, session: Session, everything: bool) -> None:
    """List changes that a guard keeps back; `holds yes ID` and `holds no ID` answer them."""
    if ctx.invoked_subcommand is not None:
        return
    query = [("ordering", "-id")] + ([] if everything else [("state", "open")])
    with Waiting("Reading"):
        rows = session.client.get("holds/", query).data["results"]
    if session.as_json:
        output.print_json(rows)
        return
    if not rows:
        output.say("Nothing waits for an answer.", err=True)
    for row in rows:
        whose = "all accounts" if row["account"] == "*" else output.plain(row["account"])
        head = click.style(f"{row['id']}  {whose}", bold=True)
        output.say(f"{head}  {output.word(row['state'])}  {row['created_at'][:16].replace('T', ' ')}")
        output.say(f"  {output.plain(row['reason'])}")
        for each in row["changes"][:10]:
            mark = click.style("-", fg="red") if each.get("removes_access") else click.style("+", fg="green")
            output.say(f"  {mark} {output.plain(str(each.get('text', '')))}")
        if len(row["changes"]) > 10:
            output.say(f"  … and {len(row['changes']) - 10} more (`nunect get holds {row['id']}`)")
    if any(row["state"] == "open" for row in rows):
        output.say("`nunect holds yes ID` lets one through, `nunect holds no ID` takes the rows back.", err=True)


@holds.command("yes", short_help="What was shown, and only that, goes to the servers.")
@click.argument("number", type=int, metavar="ID")
@write_options
@command_options
def yes(session: Session, number: int, how: How) -> int:
    """What was shown, and only that, goes to the servers."""
    data = change(session, "POST", f"holds/{number}/yes/", how=how)
    return 0 if data is None else finish(session, data, how, f"You said yes to {number}.")


@holds.command("no", short_help="The account's rows become again what the servers hold.")
@click.argument("number", type=int, metavar="ID")
@write_options
@command_options
def no(session: Session, number: int, how: How) -> int:
    """The account's rows become again what the servers hold."""
    data = change(session, "POST", f"holds/{number}/no/", how=how)
    return 0 if data is None else finish(session, data, how, f"You said no to {number}: the servers stay as they are.")
