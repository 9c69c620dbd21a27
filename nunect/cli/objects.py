"""Rows of any resource: list, get, create, update, delete."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from nunect.cli import completing, documents, output
from nunect.cli.client import Failure, Refused
from nunect.cli.progress import Waiting
from nunect.cli.resources import ASSETS, RESOURCES, Resource, find, resource, several, spread
from nunect.cli.session import Session, command_options, system_option
from nunect.cli.words import meant
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

PAGE = 1000  # rows that one request may bring
USUAL = 100


class ResourceType(click.ParamType):
    """The name of a resource → Resource."""

    name = "resource"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Resource:
        return value if isinstance(value, Resource) else resource(value)


def of_what(act: str) -> Any:
    """RESOURCE as the first argument. act: what is done to it; "" for reading."""

    def names(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
        known = [name for name, each in RESOURCES.items() if not act or act in each.writes]
        return [name for name in known if name.startswith(begun)]

    return click.argument("of", type=ResourceType(), metavar="RESOURCE", shell_complete=names)


@click.command("list", short_help="List rows: users, accounts, revisions …")
@of_what("")
@click.argument("narrowed", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=completing.filters)
@click.option("--search", default="", metavar="TEXT", help="Rows that hold this text.")
@click.option("--fields", default="", metavar="A,B", help="Only these fields.")
@click.option("--order", default="", metavar="FIELD", help="Ordered by id, name …; -FIELD turns it round.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help=f"The first N rows; {USUAL} by default.")
@click.option("--all", "everything", is_flag=True, help="All rows.")
@click.option("--csv", "as_csv", is_flag=True, help="For spreadsheets.")
@command_options
def list_rows(
    session: Session,
    of: Resource,
    narrowed: tuple[str, ...],
    search: str,
    fields: str,
    order: str,
    limit: int | None,
    everything: bool,
    as_csv: bool,
) -> None:
    """List the rows of a RESOURCE, narrowed by KEY=VALUE.

    Resources: systems servers accounts roles users permissions exports imports mappings streams kv-buckets
    object-buckets consumers revisions holds drifts tokens audit.
    """
    query = [*_filters(of, narrowed), *(("search", search) for _ in range(bool(search)))]
    order = order or ("-id" if of.newest_first else "")
    query += [(name, value) for name, value in (("fields", fields), ("ordering", order)) if value]
    most = None if everything else limit or USUAL
    if as_csv:
        _as_csv(session, of, query, most)
        return
    rows, more = _rows(session, of, query, most)
    if session.as_json:
        output.print_json(rows)
        return
    if not rows:
        output.say(f"There are no {of.name} like that." if narrowed or search else f"There are no {of.name}.", err=True)
        return
    output.table(rows, [name.strip() for name in fields.split(",")] if fields else _columns(session, of, rows))
    if more:
        output.say(f"These are the first {len(rows):,}; --all lists all, --limit N more of them.", err=True)


@click.command("get", short_help="Show rows with all their fields.")
@of_what("")
@click.argument("refs", nargs=-1, required=True, metavar="NAME|ID...", shell_complete=completing.names)
@command_options
def get_row(session: Session, of: Resource, refs: tuple[str, ...]) -> None:
    """Show rows of a RESOURCE by name, ACCOUNT/NAME or id, with all their fields."""
    rows = []
    with Waiting("Reading") as waiting:
        for number, ref in enumerate(refs):
            waiting.at(number, len(refs))
            rows.append(session.client.get(f"{of.path}{find(session.client, of, ref)['id']}/").data)
    if session.as_json:
        output.print_json(rows[0] if len(rows) == 1 else rows)
        return
    for number, row in enumerate(rows):
        if number:
            output.say()
        output.details(row)


@click.command("create", short_help="Create a row: `create users name=svc account=ACME`.")
@of_what("create")
@click.argument("given", nargs=-1, metavar="[FIELD=VALUE]...", shell_complete=completing.fields)
@click.option("-f", "--file", default="", metavar="FILE", help="Rows as YAML or JSON maps, “-” for stdin.")
@system_option
@write_options
@command_options
def create_row(session: Session, of: Resource, given: tuple[str, ...], file: str, system: str, how: How) -> int:
    """Create rows of a RESOURCE from FIELD=VALUE, from a FILE, or both.

    A value is text; true, null, numbers, [lists], {maps} and "quoted text" are read as YAML. Permissions may be lines:
    'permissions=[publish orders.>, deny publish orders.secret]'.
    """
    _check_writes(of, "create")
    bodies = [body if not system else {"system": system, **body} for body in _bodies(given, file)]
    if not any(bodies):
        raise click.UsageError("Say its fields, such as name=svc, or -f FILE.", click.get_current_context())
    _check_fields(session, of, bodies)
    if len(bodies) > 1 and how.key:
        raise click.UsageError("One --idempotency-key is for one row.")
    code = 0
    for number, body in enumerate(bodies):
        what = f"Creating {number + 1:,} of {len(bodies):,}" if len(bodies) > 1 else "Creating"
        data = change(session, "POST", of.path, body, how=how, what=what)
        if data is not None:
            code = max(code, _created(session, of, data, how))
    return code


@click.command("update", short_help="Change fields of a row: `update users svc enabled=false`.")
@of_what("update")
@click.argument("ref", metavar="NAME|ID", shell_complete=completing.names)
@click.argument("given", nargs=-1, metavar="[FIELD=VALUE]...", shell_complete=completing.fields)
@click.option("-f", "--file", default="", metavar="FILE", help="Fields as a YAML or JSON map, “-” for stdin.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask where a stream or bucket would lose data.")
@write_options
@command_options
def update_row(session: Session, of: Resource, ref: str, given: tuple[str, ...], file: str, yes: bool, how: How) -> int:
    """Change fields of one row of a RESOURCE; the others stay."""
    _check_writes(of, "update")
    bodies = list(_bodies(given, file))
    if len(bodies) != 1 or not bodies[0]:
        raise click.UsageError("Say which fields, such as enabled=false, or -f FILE.", click.get_current_context())
    _check_fields(session, of, bodies)
    path = f"{of.path}{find(session.client, of, ref)['id']}/"
    if of.name in ASSETS and not how.dry_run:
        sure_of_losses(session, "PATCH", path, bodies[0], yes)
    data = change(session, "PATCH", path, bodies[0], how=how)
    if data is None:
        return 0
    return finish(session, data, how, f"{_first_letter(of.one)} {of.called(data)} is changed.")


@click.command("delete", short_help="Delete rows; what that would change is shown first.")
@of_what("delete")
@click.argument("refs", nargs=-1, required=True, metavar="NAME|ID...", shell_complete=completing.names)
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@click.option(
    "--data",
    type=click.Choice(("keep", "delete")),
    help="Of streams, buckets and consumers: what becomes of their data; without it their own `deletion` says so.",
)
@write_options
@command_options
def delete_row(session: Session, of: Resource, refs: tuple[str, ...], yes: bool, data: str | None, how: How) -> int:
    """Delete rows of a RESOURCE. What it would change is shown first, and a person is asked."""
    _check_writes(of, "delete")
    if data and of.name not in ASSETS:
        raise click.UsageError(f"--data is for {', '.join(ASSETS)}.", click.get_current_context())
    query = [("data", data)] if data else []
    code = 0
    rows = [find(session.client, of, ref) for ref in refs]
    if not how.dry_run:
        must_ask(yes)
    for row in rows:
        path = f"{of.path}{row['id']}/"
        if not yes and not how.dry_run:
            show_preview(preview(session, "DELETE", path, query=query), err=True)
            sure(f"Delete {of.one} {of.called(row)}?", yes)
        answer = change(session, "DELETE", path, how=how, query=query, what="Deleting")
        if answer is not None:
            done = "revoked" if of.name == "tokens" else "deleted"
            code = max(code, finish(session, answer, how, f"{_first_letter(of.one)} {of.called(row)} is {done}."))
    return code


# --- helpers -------------------------------------------------------------------------------------


def _first_letter(text: str) -> str:
    """It stands at the beginning of a sentence; “KV” stays as it is."""
    return text[:1].upper() + text[1:]


def pairs(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """KEY=VALUE → (key, value)."""
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.UsageError(f"“{text}” is not like KEY=VALUE.", click.get_current_context())
        yield key, value


def _filters(of: Resource, texts: Sequence[str]) -> list[tuple[str, str]]:
    found = list(pairs(texts))
    for key, _ in found:
        if key not in of.filters:
            if not of.filters:
                raise click.UsageError(f"{of.name} are narrowed by --search alone.")
            raise click.UsageError(meant(key, of.filters, f"filter of {of.name}"))
    return found


def _rows(
    session: Session, of: Resource, query: list[tuple[str, str]], most: int | None
) -> tuple[list[dict[str, Any]], bool]:
    """The first `most` rows, and whether there are more."""
    rows: list[dict[str, Any]] = []
    asked = [*query, ("limit", str(min(PAGE, most or PAGE)))]
    with Waiting(f"Listing {of.name}") as waiting:
        for answer in session.client.pages(of.path, asked):
            rows += answer.data["results"]
            waiting.at(len(rows), most or 0, f"{len(rows):,}")
            if most is not None and len(rows) >= most:
                return rows[:most], len(rows) > most or bool(answer.data["next"])
    return rows, False


def _columns(session: Session, of: Resource, rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """What a person reads of the rows: their system, too, where there are several."""
    if "system" in rows[0] and (spread(rows) or several(session.client)):
        return (of.columns[0], "system", *of.columns[1:])
    return of.columns


def _as_csv(session: Session, of: Resource, query: list[tuple[str, str]], most: int | None) -> None:
    """Pages of CSV as one; a page is as long as what is left."""
    left, first = most, True
    asked = [*query, ("limit", str(min(PAGE, most or PAGE)))]
    for answer in session.client.pages(of.path, asked, accept="text/csv"):
        head, _, rest = answer.body.decode().partition("\n")
        if first and head.strip():
            sys.stdout.write(head + "\n")
        sys.stdout.write(rest)
        first = False
        if left is not None:
            left -= min(PAGE, left)
            if left <= 0:
                return


def _bodies(given: Sequence[str], file: str) -> Iterator[dict[str, Any]]:
    """What stands in the file, one body for each row, with what is given on top."""
    said = {key: documents.value(text) for key, text in pairs(given)}
    found: list[Any] = [{}]
    if file:
        found = []
        for part in documents.parts_of(file, documents.content(file)):
            found += part.data if isinstance(part.data, list) else [part.data]
    for number, body in enumerate(found):
        if not isinstance(body, dict):
            raise Failure(f"{file}, row {number + 1} must be a map of fields.")
        row = {**body, **said}
        if isinstance(row.get("permissions"), list):
            row["permissions"] = [permission(line) for line in row["permissions"]]
        yield row


def permission(line: Any) -> Any:
    """ "deny publish orders.secret" → the map that REST takes; what is none stays as it is."""
    if not isinstance(line, str):
        return line
    words = line.split()
    effect = words.pop(0) if words and words[0] in ("allow", "deny") else "allow"
    if len(words) not in (2, 3) or words[0] not in ("publish", "subscribe"):
        raise Failure(f"“{line}” is no permission: it reads like “publish orders.>” or “deny subscribe jobs.* queue”.")
    return {"action": words[0], "effect": effect, "subject": words[1], "queue": (words[2:] or [""])[0]}


def _check_writes(of: Resource, act: str) -> None:
    if act not in of.writes:
        able = ", ".join(name for name, each in RESOURCES.items() if act in each.writes)
        raise Failure(f"{of.name.capitalize()} can't be {act.rstrip('e')}ed here; {able} can.")


def _check_fields(session: Session, of: Resource, bodies: Sequence[dict[str, Any]]) -> None:
    """REST would not say that it doesn't know a field, so a list is asked for it first."""
    names = sorted({name for body in bodies for name in body})
    for name in names:
        if "," in name:
            raise Failure(f"{name}: There is no such field.")
    try:
        session.client.get(of.path, [("limit", "1"), ("fields", ",".join(names))])
    except Refused as refused:
        if [name for name, _ in refused.places] != ["fields"]:
            raise
        raise Failure(refused.places[0][1], problem=refused.problem) from refused


def _created(session: Session, of: Resource, data: dict[str, Any], how: How) -> int:
    code = finish(session, data, how, f"{_first_letter(of.one)} {of.called(data)} is created (id {data.get('id')}).")
    if of.name == "tokens" and not session.as_json:
        output.say(str(data.get("token", "")))
    return code
