"""Tokens for programs: made, listed, revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from nunect.cli import completing, output
from nunect.cli.client import Failure
from nunect.cli.durations import Duration, moment
from nunect.cli.progress import Waiting
from nunect.cli.resources import RESOURCES, find
from nunect.cli.session import Session, command_options
from nunect.cli.words import Commands
from nunect.cli.writing import How, send

TOKENS = RESOURCES["tokens"]


@click.group(cls=Commands, short_help="Tokens for programs: create, list, revoke.")
def token() -> None:
    """Tokens for programs. Each acts for a person, and never does more than that person may."""


@token.command("create", short_help="Make a token and print it, alone, on stdout.")
@click.argument("name")
@click.option("--scope", type=click.Choice(("read", "write", "admin")), default="read", show_default=True)
@click.option(
    "--account", "accounts", multiple=True, metavar="A", shell_complete=completing.accounts, help="Only these accounts."
)
@click.option("--expires", type=Duration(), metavar="90d", help="How long it works; for ever by default.")
@click.option("--person", default="", metavar="P", help="Whose it is; yours by default.")
@command_options
def create(
    session: Session, name: str, scope: str, accounts: tuple[str, ...], expires: timedelta | None, person: str
) -> None:
    """Make a token and print it, alone, on stdout. It is told this once.

    On the machine of nunect it is the first administrator's, unless --person names somebody.
    """
    body: dict[str, Any] = {"name": name, "scope": scope, "accounts": list(accounts)}
    if expires is not None:
        body["expires_at"] = moment(expires)
    if owner := person or _first_administrator(session):
        body["person"] = owner
    data = send(session, "POST", "tokens/", body, how=How(), what="Making it").data
    if session.as_json:
        output.print_json(data)
        return
    until = f", until {data['expires_at']}" if data["expires_at"] else ""
    reach = f", for {', '.join(data['accounts'])}" if data["accounts"] else ""
    said = f"Token {data['id']} of {data['person']}: scope {data['scope']}{reach}{until}. It is told this once:"
    output.say(output.plain(said), err=True)
    output.say(data["token"])


@token.command("list", short_help="List tokens; their secrets are nowhere.")
@click.option("--all", "everything", is_flag=True, help="Those that are revoked, too.")
@command_options
def list_tokens(session: Session, everything: bool) -> None:
    """List tokens; what they open with is nowhere."""
    with Waiting("Reading"):
        pages = session.client.pages("tokens/", [("limit", "1000")])
        rows = [row for answer in pages for row in answer.data["results"] if everything or not row["revoked_at"]]
    if session.as_json:
        output.print_json(rows)
    elif rows:
        output.table(rows, TOKENS.columns if everything else TOKENS.columns[:-1])
    else:
        output.say("There are no tokens: `nunect token create NAME` makes one.", err=True)


@token.command("revoke", short_help="Refuse tokens from now on.")
@click.argument("refs", nargs=-1, required=True, metavar="ID|NAME...", shell_complete=completing.names)
@command_options
def revoke(session: Session, refs: tuple[str, ...]) -> None:
    """Refuse tokens from now on, open connections included."""
    rows = [find(session.client, TOKENS, ref) for ref in refs]
    answers = [send(session, "DELETE", f"tokens/{row['id']}/", how=How()).data for row in rows]
    if session.as_json:
        output.print_json(answers if len(answers) > 1 else answers[0])
        return
    for row in rows:
        output.say(f"Token {row['id']} ({output.plain(row['name'])}) is revoked.", err=True)


def _first_administrator(session: Session) -> str:
    """Whose token it is where nobody has signed in: at the machine itself."""
    from nunect.cli.local import Local

    transport = session.client.transport
    if not isinstance(transport, Local):
        return ""
    name = transport.first_administrator()
    if not name:
        raise Failure("There is no administrator yet: --person says whose token it is; `nunect up` makes the first.")
    return name
