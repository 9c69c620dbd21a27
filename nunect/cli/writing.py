"""How a change is asked for: first what it would do, then the change, then what the servers say to it."""

from __future__ import annotations

import contextlib
import sys
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from nunect.cli import output
from nunect.cli.client import Answer, Client, Failure, Lost, Query
from nunect.cli.progress import Waiting
from nunect.cli.session import Session

# exit codes: it is not done; it is written and not in force when --wait ends; it is written and the servers refuse it
FAILED, NOT_YET, REFUSED = 1, 3, 4
USUAL_WAIT_S = 10
PAGE, LOOK_EVERY_S, NAMED = 1000, 0.5, 3  # NAMED: accounts that a sentence names
DRY = ("dry_run", "true")
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class How:
    """How a write is made. wait_s: how long the servers are waited for; key: for a second try after a lost answer."""

    dry_run: bool = False
    wait_s: int = 0
    key: str = ""


def write_options(command: Command) -> Command:
    """--dry-run, --wait and --idempotency-key, as the argument `how`."""

    def keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
        def callback(ctx: click.Context, param: click.Parameter, value: Any) -> None:
            how = ctx.params.get("how") or How()
            ctx.params["how"] = How(**{**{each: getattr(how, each) for each in How.__slots__}, name: value})

        return callback

    for option in (
        click.option(
            "--idempotency-key",
            default="",
            metavar="KEY",
            expose_value=False,
            callback=keep("key"),
            help="The same key and request again: the same answer, done once.",
        ),
        wait_option(keep("wait_s"), USUAL_WAIT_S),
        click.option(
            "--dry-run",
            is_flag=True,
            expose_value=False,
            callback=keep("dry_run"),
            help="Say what it would change, write nothing.",
        ),
    ):
        command = option(command)
    return command


def wait_option(callback: Any, default: int) -> Callable[[Command], Command]:
    return click.option(
        "--wait",
        type=click.IntRange(0, 60),
        default=default,
        show_default=bool(default),
        metavar="SECONDS",
        expose_value=callback is None,
        callback=callback,
        help=f"Wait until the servers enforce it; exit code {NOT_YET} when they don't by then.",
    )


def send(
    session: Session,
    method: str,
    path: str,
    body: Any = None,
    *,
    how: How,
    query: Query = (),
    what: str = "Writing",
    ask: Callable[[], str] | None = None,
    shown: bool = True,
) -> Answer:
    """Ask for a change. A lost answer is told with how to get it without doing the change twice.

    shown: whether the wait is; not where the caller shows it.
    """
    client = session.client
    key = how.key or (str(uuid.uuid4()) if client.transport.remote and method == "POST" else "")
    waits = f"{what} and waiting for the servers" if how.wait_s else what
    try:
        with Waiting(waits, ask) if shown else contextlib.nullcontext():
            return client.call(method, path, query, body, wait_s=how.wait_s, key=key)
    except Lost as error:
        again = f" The same command with --idempotency-key {key} gets the answer without doing it twice." if key else ""
        raise Failure(*error.sentences, f"Whether it was done is not known.{again}") from error


def preview(
    session: Session, method: str, path: str, body: Any = None, query: Query = (), what: str = "Comparing"
) -> dict[str, Any]:
    """What a change would do; nothing is written."""
    with Waiting(what):
        told = session.client.call(method, path, [*query, DRY], body).data
    if not isinstance(told, dict) or "changes" not in told:
        raise Failure(f"{session.client.transport.where} didn't say what it would do: is it new enough?")
    return told


def differs(told: Mapping[str, Any]) -> bool:
    """Whether a preview says that anything would change, be it a description alone."""
    return bool(told.get("changes") or told.get("conf") or any((told.get("rows") or {}).values()))


def show_preview(told: Mapping[str, Any], *, conf: bool = False, err: bool = False) -> None:
    """A preview in words: what takes access away first, then the rest, what stays, and how many rows."""
    changes = told.get("changes") or []
    taking = [each for each in changes if each.get("removes_access")]
    staying = [each for each in changes if each.get("stays")]
    others = [each for each in changes if not each.get("removes_access") and not each.get("stays")]
    for title, style, chosen in (
        ("Takes away", {"fg": "red"}, taking),
        ("Changes", {"fg": "green"}, others),
        ("Stays", {"dim": True}, staying),
    ):
        if chosen:
            output.say(click.style(f"{title} ({len(chosen):,}):", bold=True, **style), err=err)
            output.lines_of((_line(each) for each in chosen), err=err)
    if conf and told.get("conf"):
        output.diff(str(told["conf"]), err=err)
    rows = changed_rows(told.get("rows") or {})
    if rows:
        output.say(f"Rows: {rows}.", err=err)
    if not differs(told):
        output.say("Nothing would change.", err=err)
    for fault in told.get("faults") or []:
        output.say(f"{click.style('The servers would refuse it:', fg='red')} {output.plain(str(fault))}", err=err)
    show_warnings(told, err=err)
    _show_adoption(told.get("adoption") or {}, err=err)


def _show_adoption(told: Mapping[str, Any], *, err: bool) -> None:
    """What goes with the adoption of a conf that was edited by hand, and what clients see of it."""
    for title, style, lines in (
        ("Goes with it", {"fg": "red"}, told.get("lost")),
        ("Stays, though no conf says it", {"dim": True}, told.get("kept")),
    ):
        if lines:
            output.say(click.style(f"{title} ({len(lines):,}):", bold=True, **style), err=err)
            output.lines_of((f"  {output.plain(str(line))}" for line in lines), err=err)
    if then := told.get("then"):
        output.say(click.style(f"Clients see change then ({len(then):,}):", bold=True, fg="yellow"), err=err)
        output.lines_of((_line(each) for each in then), err=err)


def show_warnings(told: Mapping[str, Any], *, err: bool = False) -> None:
    """What a preview says of streams and buckets: what is lost, what comes back."""
    for one in told.get("warnings") or []:
        title, colour = _SEVERITIES.get(str(one.get("severity")), ("Note", "yellow"))
        said = f"{one.get('object')} of account “{one.get('account')}”: {one.get('text')}"
        output.say(f"{click.style(f'{title}:', fg=colour)} {output.plain(said)}", err=err)


_SEVERITIES = {"refused": ("The servers would refuse it", "red"), "loses": ("Loses data", "red")}


def _tell_warnings(warnings: list[Mapping[str, Any]]) -> None:
    """What comes of the row that was just written."""
    for one in warnings:
        title, colour = _SEVERITIES.get(str(one.get("severity")), ("Note", "yellow"))
        said = ": ".join(filter(None, (str(one.get("setting") or ""), str(one.get("text") or ""))))
        output.say(f"{click.style(f'{title}:', fg=colour)} {output.plain(said)}", err=True)


def tell_sync(data: Any, how: How, *, silent: bool = False) -> int:
    """Say on stderr how far the servers are, and what to do next; the exit code."""
    if isinstance(data, Mapping) and not silent:
        _tell_warnings(data.get("warnings") or [])
    sync = data.get("sync") if isinstance(data, Mapping) else None
    if not isinstance(sync, Mapping):
        return 0
    state, problem = str(sync.get("state", "")), output.plain(str(sync.get("problem") or ""))
    sentence = {
        "applied": "every server enforces it"
        + (f", revision {sync['revision']}" if sync.get("revision") else "")
        + ".",
        "pending": f"written; the servers {'did not follow within' if how.wait_s else 'follow'}"
        + (f" {how.wait_s} s. `nunect status` and `nunect doctor` say why." if how.wait_s else "."),
        "held": f"written, and held until somebody answers: `nunect holds`, `nunect drift`. {problem}",
        "failed": f"written, and the servers refuse it: {problem or 'see `nunect doctor`.'}",
    }.get(state, problem)
    if state == "held" and "only observes" in problem:
        sentence = f"written here. {problem}"
    if not silent:
        output.say(f"{output.word(state)}: {sentence}".rstrip(), err=True)
    if state == "failed":
        return REFUSED
    return NOT_YET if how.wait_s and state in ("pending", "held") else 0


def troubled(client: Client, state: str, names: Collection[str] | None = None, system: str = "") -> dict[str, str]:
    """{account: the problem's words} of accounts in a state. names: of these alone."""
    query = [("state", state), ("fields", "name,sync"), ("limit", str(PAGE)), *([("system", system)] if system else [])]
    return {
        str(row["name"]): output.plain(str(row["sync"].get("problem") or ""))
        for page in client.pages("accounts/", query)
        for row in page.data["results"]
        if names is None or row["name"] in names
    }


def named(accounts: Mapping[str, str]) -> str:
    """ "BIG: its words; SMALL: its words; and 3 more"."""
    told = [": ".join(filter(None, (output.plain(name), why))) for name, why in list(accounts.items())[:NAMED]]
    more = len(accounts) - len(told)
    return "; ".join(told) + (f"; and {more:,} more" if more else "")


def standing(client: Client, names: Collection[str], system: str, wait_s: int) -> dict[str, Any]:
    """{state, revision, problem} of accounts that nothing was written to; pending ones are waited for."""
    deadline = time.monotonic() + wait_s
    pending = troubled(client, "pending", names, system)
    while pending and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(LOOK_EVERY_S, left))
        pending = troubled(client, "pending", names, system)
    found = {state: troubled(client, state, names, system) for state in ("failed", "held")}
    found = {"failed": found["failed"], "pending": pending, "held": found["held"]}
    state = next((state for state, accounts in found.items() if accounts), "applied")
    systems = client.get("systems/").data["results"]
    revision = next((row["revision"] for row in systems if len(systems) == 1 or row["name"] == system), None)
    return {"state": state, "revision": revision, "problem": named(found.get(state, {}))}


def change(
    session: Session, method: str, path: str, body: Any = None, *, how: How, query: Query = (), what: str = "Writing"
) -> dict[str, Any] | None:
    """Do a change and answer its row, or with --dry-run say what it would do and answer None."""
    if how.dry_run:
        told = preview(session, method, path, body, query)
        if session.as_json:
            output.print_json(told)
        else:
            show_preview(told, conf=True)
        return None
    answer = send(session, method, path, body, how=how, query=query, what=what, ask=state_of_system(session.client))
    data: dict[str, Any] = answer.data if isinstance(answer.data, dict) else {}
    return data


def finish(session: Session, data: Mapping[str, Any], how: How, said: str) -> int:
    """Say what was done and how far the servers are; the exit code. A secret stands alone on stdout."""
    if session.as_json:
        output.print_json(data)
        return tell_sync(data, how, silent=True)
    output.say(said, err=True)
    for kind, secret in (data.get("secret") or {}).items():
        output.say(f"Its {kind} is told once, keep it now:", err=True)
        output.say(secret)
    return tell_sync(data, how)


def sure(question: str, yes: bool) -> None:
    """Go on only when a person says so. Raises click.UsageError where nobody can be asked."""
    if yes:
        return
    must_ask(yes)
    if not click.confirm(question, err=True):
        raise Failure("Nothing was changed.")


def sure_of_losses(session: Session, method: str, path: str, body: Any, yes: bool) -> None:
    """Ask before a change by which messages would be lost."""
    if yes:
        return
    told = preview(session, method, path, body, what="Looking what that loses")
    if any(one.get("severity") == "loses" for one in told.get("warnings") or ()):
        show_warnings(told, err=True)
        sure("Go on?", yes)


def must_ask(yes: bool, say: str = "--yes") -> None:
    """Refuse early what nobody is there to confirm. say: the option that does."""
    if not yes and not sys.stdin.isatty():
        raise Failure(f"Nobody is here to be asked: say {say} when it shall be done.")


def state_of_system(client: Client) -> Callable[[], str] | None:
    """For a line of progress: the state that the systems are in, asked over the network only."""
    if not client.transport.remote:
        return None

    def ask() -> str:
        rows = client.get("systems/", [("fields", "name,state")], timeout_s=5.0).data["results"]
        return ", ".join(f"{row['name']}: {row['state']}" for row in rows[:3])

    return ask


def _line(change: Mapping[str, Any]) -> str:
    account, text = str(change.get("account") or ""), str(change.get("text", ""))
    where = "" if not account or account in text else f"{account}: "
    told = output.plain(where + text)
    if change.get("stays"):
        return click.style(f"  = {told}", dim=True)
    mark = click.style("-", fg="red") if change.get("removes_access") else click.style("+", fg="green")
    return f"  {mark} {told}"


def changed_rows(rows: Mapping[str, Any]) -> str:
    """ "3 users created, 1 account deleted"."""
    return ", ".join(
        f"{output.rows_of(str(kind), int(number))} {act}"
        for act, kinds in rows.items()
        if isinstance(kinds, Mapping)
        for kind, number in kinds.items()
        if number
    )
