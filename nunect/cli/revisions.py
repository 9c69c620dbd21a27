"""What the servers held and hold, and the way back."""

from __future__ import annotations

from typing import Any

import click

from nunect.cli import output
from nunect.cli.client import Client, Failure
from nunect.cli.progress import Waiting
from nunect.cli.resources import several, spread
from nunect.cli.session import Session, command_options, system_option
from nunect.cli.writing import How, change, differs, finish, preview, show_preview, sure, write_options

USUAL = 20


@click.command(short_help="List what the servers held, newest first.")
@click.option("--limit", type=click.IntRange(1, 1000), default=USUAL, show_default=True, metavar="N")
@system_option
@command_options
def revisions(session: Session, limit: int, system: str) -> None:
    """List the confs that every server was seen to hold, newest first."""
    query = [("ordering", "-id"), ("limit", str(limit)), *([("system", system)] if system else [])]
    with Waiting("Reading"):
        rows = session.client.get("revisions/", query).data["results"]
    if session.as_json:
        output.print_json(rows)
        return
    if not rows:
        output.say("There are no revisions yet: the first one follows the first change.", err=True)
        return
    of = ("system",) if spread(rows) or several(session.client) else ()
    output.table([_line(row) for row in rows], ("revision", *of, "created_at", "by", "changes"))
    output.say("`nunect diff N` shows what one changed, `nunect revert N` goes back to it.", err=True)


@click.command(short_help="Make the rows what they were in a revision.")
@click.argument("number", type=int, metavar="REVISION")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@system_option
@write_options
@command_options
def revert(session: Session, number: int, yes: bool, system: str, how: How) -> int:
    """Make the rows what they were in a REVISION. Credentials stay as they are now.

    What it would change is shown first, and a person is asked; --yes where there is none.
    """
    row = find(session.client, number, system)
    path = f"revisions/{row['id']}/revert/"
    if not how.dry_run:
        told = preview(session, "POST", path)
        if not differs(told):
            return _nothing(session, number, told)
        if not session.as_json or not yes:
            show_preview(told, err=True)
        sure(f"Go back to revision {number}?", yes)
    data = change(session, "POST", path, how=how, what=f"Going back to revision {number}")
    if data is None:
        return 0
    return finish(session, data, how, f"The rows are again what they were in revision {number}.")


def find(client: Client, number: int | None, system: str = "") -> dict[str, Any]:
    """The revision of that number, or the newest one; of any system, or of this one. Raises Failure."""
    query = [("ordering", "-id"), ("limit", "2"), *([("system", system)] if system else [])]
    query += [("number", str(number))] if number is not None else []
    rows: list[dict[str, Any]] = client.get("revisions/", query).data["results"]
    if not rows:
        missing = "There are no revisions yet." if number is None else f"There is no revision {number}."
        raise Failure(f"{missing} `nunect revisions` lists them.")
    if number is not None and len(rows) > 1:
        systems = ", ".join(str(row["system"]) for row in rows)
        raise Failure(f"Revision {number} is one of several systems ({systems}): say which by --system NAME.")
    return rows[0]


def title(row: dict[str, Any]) -> str:
    """ "Revision 12, 2027-01-31 12:00 by ada"."""
    return f"Revision {row['number']}, {str(row['created_at'])[:16].replace('T', ' ')} by {_authors(row)}"


def _line(row: dict[str, Any]) -> dict[str, Any]:
    texts = [str(each.get("text", "")) for each in row["changes"]]
    more = f" (+{len(texts) - 1})" if len(texts) > 1 else ""
    first = texts[0] if texts else str(row.get("reason") or "")
    return {
        "revision": row["number"],
        "system": row["system"],
        "created_at": row["created_at"],
        "by": _authors(row),
        "changes": first[:70] + ("…" if len(first) > 70 else "") + more,
    }


def _authors(row: dict[str, Any]) -> str:
    told = [str(each.get("person") or each.get("door") or "") for each in row["authors"]]
    return output.plain(", ".join(dict.fromkeys(filter(None, told)))) or "nunect"


def _nothing(session: Session, number: int, told: dict[str, Any]) -> int:
    if session.as_json:
        output.print_json(told)
    else:
        output.say(f"Nothing to change: the rows are what they were in revision {number}.", err=True)
    return 0
