"""How it is, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from nunect.cli import output
from nunect.cli.client import Client, Refused
from nunect.cli.progress import Waiting
from nunect.cli.resources import ASSETS, RESOURCES
from nunect.cli.session import Session, command_options
from nunect.cli.writing import PAGE, named, troubled

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}
ILL = 1  # exit code


@click.command(short_help="Find what is wrong with the installation, and say the remedy.")
@command_options
def doctor(session: Session) -> int:
    """Find what is wrong with the installation, and say the remedy: servers, versions, the guard user, files, clock,
    Redis, worker, drift.

    Exit code 1 when something is wrong; a warning is none.
    """
    with Waiting("Examining"):
        told = session.client.get("doctor/").data
    if session.as_json:
        output.print_json(told)
        return 0 if told["ok"] else ILL
    findings = told["findings"]
    width = max((output.columns_of(output.plain(each["what"])) for each in findings), default=0)
    for each in findings:
        mark, colour = MARKS.get(each["level"], ("?", "red"))
        what = output.plain(each["what"])
        space = " " * (width - output.columns_of(what))
        output.say(f"{click.style(mark, fg=colour, bold=True)} {click.style(what, bold=True)}{space}  {_text(each)}")
        if each["remedy"]:
            output.say(f"  {'':{width}}  {click.style('→ ' + output.plain(each['remedy']), fg=colour)}")
    numbers = {level: sum(1 for each in findings if each["level"] == level) for level in ("error", "warning")}
    counts = [output.count(number, level) for level, number in numbers.items() if number]
    output.say(f"{' and '.join(counts)}." if counts else "All is well.", err=True)
    return 0 if told["ok"] else ILL


@click.command(short_help="Show where commands go, and how systems and servers are.")
@command_options
def status(session: Session) -> int:
    """Show where commands go, who you are there, and how its systems and servers are.

    Exit code 1 when it is not ready, when an account is failed or held, or when the servers refuse a stream,
    bucket or consumer.
    """
    client = session.client
    with Waiting("Asking"):
        told = _status(client)
    if session.as_json:
        output.print_json(told)
        return ILL if _ill(told) else 0
    me, health = told["me"], told["health"]
    reach = f", only {', '.join(me['accounts'])}" if me["accounts"] else ""
    output.say(output.plain(f"{told['where']}, version {me['version']}, as {me['person']} ({me['scope']}{reach})"))
    if health is not None:
        asked = [f"{name} {_state(part)}" for name, part in health["parts"].items() if isinstance(part, dict)]
        output.say(f"{output.word('ready' if health['ready'] else 'not ready')}: {', '.join(asked)}")
    if told["systems"]:
        output.say()
        output.table(told["systems"], ("name", "environment", "state", "revision", "checked_at", "problem"))
    if told["servers"]:
        output.say()
        output.table(told["servers"], ("name", "state", "version", "revision", "host", "seen_at", "detail"))
    for state, accounts in told["accounts"].items():
        if accounts:
            output.say()
            output.say(f"{output.count(len(accounts), 'account')} {output.word(state)}: {named(accounts)}")
    for state, kinds in told["jetstream"].items():
        for kind, number in kinds.items():
            counted = output.count(number, RESOURCES[kind].one)
            output.say(f"{counted} {output.word(state)}: `nunect list {kind} state={state}`.", err=True)
    if told["holds"]:
        output.say(f"{output.count(told['holds'], 'held change')}: `nunect holds`.", err=True)
    if health is not None and not health["ready"]:
        output.say("`nunect doctor` says what is wrong.", err=True)
    return ILL if _ill(told) else 0


def _ill(told: dict[str, Any]) -> bool:
    ready = told["health"] is None or told["health"]["ready"]
    return not ready or any(told["accounts"].values()) or any(told["jetstream"]["failed"].values())


def _status(client: Client) -> dict[str, Any]:
    """As much as the person may see: health is None, and a list empty, where they may not ask. Accounts count where
    nunect manages the servers."""
    systems = _seen(client, "systems/")
    managed = [row["name"] for row in systems if row["stage"] == "managed"]
    health = client.get("health/", fine=(403,))
    return {
        "where": client.transport.where,
        "me": client.get("me/").data,
        "health": health.data if health.status == 200 else None,
        "systems": systems,
        "servers": _seen(client, "servers/"),
        "accounts": {state: _troubled(client, state, managed) for state in ("failed", "held")},
        "jetstream": {state: _assets(client, state) for state in ("failed", "drifted")},
        "holds": len(_seen(client, "holds/", ("state", "open"), ("fields", "id"))),
    }


def _seen(client: Client, path: str, *query: tuple[str, str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with _as_far_as_allowed():
        rows += [row for page in client.pages(path, query) for row in page.data["results"]]
    return rows


def _troubled(client: Client, state: str, systems: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    with _as_far_as_allowed():
        for system in systems:
            found |= troubled(client, state, system=system)
    return found


def _assets(client: Client, state: str) -> dict[str, int]:
    """{resource: how many of it are in a state}, of those that the person may see and that there are any of."""
    query = (("state", state), ("fields", "id"), ("limit", str(PAGE)))
    found = {kind: len(_seen(client, f"{kind}/", *query)) for kind in ASSETS}
    return {kind: number for kind, number in found.items() if number}


@contextmanager
def _as_far_as_allowed() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        if refused.status != 403:
            raise


def _state(part: dict[str, Any]) -> str:
    detail = f" ({output.plain(str(part['detail']))})" if part.get("detail") else ""
    return f"{output.word(str(part.get('state', '?')))}{detail}"


def _text(finding: dict[str, Any]) -> str:
    return output.plain(str(finding["detail"]))
