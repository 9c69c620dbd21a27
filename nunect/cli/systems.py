"""A whole system: what it runs beside what nunect would write, and whether nunect writes there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from nunect.cli import output
from nunect.cli.client import Failure
from nunect.cli.progress import Waiting
from nunect.cli.resources import RESOURCES, find
from nunect.cli.session import Session, command_options
from nunect.cli.words import Commands
from nunect.cli.writing import FAILED, How, change, finish, must_ask, preview, show_preview, sure, write_options

DIFFERS = 2


@click.group(cls=Commands, short_help="Add a system, try the way to it, observe, manage, release or remove it.")
def system() -> None:
    """Systems that nunect didn't start, what they run beside what nunect would write, and whether nunect writes there.

    NAME may be left out where there is one system.
    """


_name = click.argument("name", default="", metavar="[NAME]")
_confirm = click.option("--confirm", default="", metavar="NAME", help="The system's name, where nobody can be asked.")


@system.command("add", short_help="Add servers that nunect didn't start: they are only observed.")
@click.argument("name")
@click.option("--url", required=True, help="Where they are: nats:// or tls://host:4222, several with commas.")
@click.option("--conf-dir", required=True, metavar="DIR", help="Folder of their conf on this machine, or an empty one.")
@click.option("--ca", type=click.File(), metavar="FILE", help="Who has signed their certificates, as PEM.")
@click.option("--cert", type=click.File(), metavar="FILE", help="nunect's certificate, for servers that ask for one.")
@click.option("--key", type=click.File(), metavar="FILE", help="Its key, without a passphrase.")
@click.option("--tls-first", is_flag=True, help="They speak TLS before anything else.")
@click.option("--user", default="", metavar="NAME", help="A user of their system account.")
@click.option("--secret-file", type=click.File(), metavar="FILE", help="Its password, or a seed; “-”: stdin.")
@write_options
@command_options
def add(session: Session, name: str, how: How, **given: Any) -> int:
    """Add servers that nunect didn't start. Nothing is written to them: they are only observed.

    Then the way to them is tried, as `system test` does; with --dry-run it is tried and nothing is kept.
    """
    files = {"tls_ca": given["ca"], "tls_certificate": given["cert"], "tls_key": given["key"]}
    body = {"name": name, "nats_url": given["url"], "conf_dir": given["conf_dir"], "login_user": given["user"]}
    body |= {"tls_first": given["tls_first"], **{field: file.read() for field, file in files.items() if file}}
    if given["secret_file"]:
        body["login_secret"] = given["secret_file"].read().strip("\r\n")
    if how.dry_run and not session.as_json:
        preview(session, "POST", "systems/", body)
        output.say(f"{output.plain(name)} would be added, and only observed.")
        way = {field: value for field, value in body.items() if field not in ("name", "conf_dir")}
        code = _tried(session, "POST", "systems/connection/", way)
        if code:
            output.say(
                "Lines of the conf that let nunect in are told once it is added: they hold its own key.", err=True
            )
        return code
    data = change(session, "POST", "systems/", body, how=how)
    if data is None:
        return 0
    if session.as_json:
        output.print_json(data)
        return 0
    output.say(f"nunect observes {output.plain(name)} from now on, and writes nothing.", err=True)
    code = _tried(session, "GET", f"systems/{data['id']}/connection/")
    if code == 0:
        said = "Next: `nunect import FILE` makes rows of their conf, `nunect system difference` says what is left."
        output.say(said, err=True)
    return code


@system.command("test", short_help="Try the way to its servers, step by step.")
@_name
@command_options
def test(session: Session, name: str) -> int:
    """Try the way to each server: name, port, server, TLS, login, account, version, rights. Says what is wrong, and the
    lines of the server's conf that mend it. Ends with 1 when something is."""
    return _tried(session, "GET", f"systems/{_found(session, name)['id']}/connection/")


def _tried(session: Session, method: str, path: str, body: Any = None) -> int:
    with Waiting("Trying"):
        told = session.client.call(method, path, (), body).data
    if session.as_json:
        output.print_json(told)
    else:
        for server in told["servers"]:
            _show_steps(server)
    return 0 if told["ok"] else FAILED


def _show_steps(server: Mapping[str, Any]) -> None:
    output.say(click.style(output.plain(server["url"]), bold=True))
    marks = {"ok": click.style("✓", fg="green"), "failed": click.style("✗", fg="red"), "untried": "·"}
    for step in server["steps"]:
        output.say(f"  {marks[step['state']]} {step['name']:8} {output.plain(step['text'])}".rstrip())
        if step["lines"]:
            output.say(f"    These lines of its conf mend it, after a {step['needs']}:")
            for line in step["lines"].splitlines():
                output.say(f"      {output.plain(line)}")


@system.command("difference", short_help="What nunect would change of what runs.")
@_name
@command_options
def difference(session: Session, name: str) -> int:
    """Look at what runs now, and say what nunect would change of it. Ends with 2 when it would, with 1 when that can't
    be told."""
    row = _found(session, name)
    with Waiting("Looking"):
        told = session.client.get(f"systems/{row['id']}/difference/").data
    if session.as_json:
        output.print_json(told)
    else:
        _show(told)
    return FAILED if told["unknown"] else 0 if told["is_none"] else DIFFERS


@system.command("adopt", short_help="The rows take what was edited in the conf of an observed system.")
@_name
@click.option("--yes", is_flag=True, help="Without asking again.")
@write_options
@command_options
def adopt(session: Session, name: str, yes: bool, how: How) -> int:
    """The rows take what differs in the conf that nunect only observes. It shows what becomes of them, and asks."""
    address = f"systems/{_found(session, name)['id']}/difference/adopt/"
    body: dict[str, Any] = {}
    if not how.dry_run and not yes:
        must_ask(yes)
        told = preview(session, "POST", address, body)
        show_preview(told, conf=True, err=True)
        sure("Shall the rows say this?", yes)
        body = {"stamp": told["adoption"]["stamp"]}
    data = change(session, "POST", address, body, how=how)
    return 0 if data is None else _turned(session, data, how, "The rows say what stands in the conf.")


@system.command("observe", short_help="Only look from now on: nothing is written any more.")
@_name
@write_options
@command_options
def observe(session: Session, name: str, how: How) -> int:
    """Only look from now on: nothing is written any more. Rows may change; `system difference` says what is left."""
    row = _found(session, name)
    data = change(session, "POST", f"systems/{row['id']}/observe/", how=how)
    return 0 if data is None else _turned(session, data, how, f"nunect only observes {row['name']} from now on.")


@system.command("manage", short_help="Write again: the servers are brought to what the rows say.")
@_name
@_confirm
@write_options
@command_options
def manage(session: Session, name: str, confirm: str, how: How) -> int:
    """Write again: the servers are brought to what the rows say. It shows what that changes, and asks for the name."""
    row = _found(session, name)
    address = f"systems/{row['id']}/manage/"
    if how.dry_run or not confirm:
        body = {"confirm": row["name"]}
        told = preview(session, "POST", address, body, what="Looking")
        if how.dry_run and session.as_json:
            output.print_json(told)
            return 0
        show_preview(told, err=not how.dry_run)
        if how.dry_run:
            return 0
    data = change(session, "POST", address, {"confirm": confirm or _asked(row)}, how=how)
    return 0 if data is None else finish(session, data, how, f"nunect manages {row['name']} from now on.")


@system.command("release", short_help="Let go, and leave one plain conf that a person can keep.")
@_name
@_confirm
@click.option("--own", type=click.Choice(["stay", "go"]), default="stay", help="nunect's own users in that conf.")
@click.option("--keep-files", is_flag=True, help="Leave the files as they are: main file and generated file.")
@click.option("--undo", is_flag=True, help="Put the former files back, byte for byte, and observe.")
@click.option("--dry-run", is_flag=True, help="Say what would change in the main file, and change nothing.")
@command_options
def release(session: Session, name: str, confirm: str, own: str, keep_files: bool, undo: bool, dry_run: bool) -> int:
    """Let go: nothing is written or looked at any more, and the rows are only there to be read.

    The generated file becomes a part of the main file, which means the same and is yours from then on.
    """
    row = _found(session, name)
    address = f"systems/{row['id']}/release/"
    if dry_run:
        told = preview(session, "POST", address, {"confirm": row["name"], "own": own}, what="Looking")
        output.print_json(told) if session.as_json else show_preview(told, conf=True)
        return 0
    body = {"confirm": confirm or _asked(row)}
    if not undo:
        body |= {"own": own, "files": "keep" if keep_files else "one"}
    with Waiting("Taking back" if undo else "Letting go"):
        data = session.client.call("POST", f"{address}undo/" if undo else address, (), body).data
    if session.as_json:
        output.print_json(data)
        return 0
    if undo:
        output.say(output.plain(data["said"]), err=True)
        return 0
    output.say(f"nunect has let go of {output.plain(row['name'])}.", err=True)
    if data["main"]:
        mains = len(data["kept"]) - 1  # beside the generated file's
        each = f"Each of the {mains} main files holds what nunect generated" if mains > 1 else ""
        now = each or f"{output.plain(data['main'])} is the one conf now"
        output.say(f"{now}. {output.plain(data['proof'])}", err=True)
        output.say(f"The former files: {', '.join(map(output.plain, data['kept']))}.", err=True)
        output.say(f"`nunect system release {output.plain(row['name'])} --undo` puts them back.", err=True)
    return 0


@system.command("remove", short_help="Forget a system that nunect doesn't manage, with all its rows.")
@click.argument("name")
@_confirm
@command_options
def remove(session: Session, name: str, confirm: str) -> int:
    """Forget a system that nunect doesn't manage, with all its rows. Nothing is written to its servers or files."""
    row = _found(session, name)
    body = {"confirm": confirm or _asked(row)}
    data = session.client.call("POST", f"systems/{row['id']}/remove/", (), body).data
    if session.as_json:
        output.print_json(data)
    else:
        output.say(
            f"nunect has forgotten {output.plain(row['name'])}; its servers and files are as they were.", err=True
        )
    return 0


def _found(session: Session, name: str) -> dict[str, Any]:
    """The system of that name, or the only one. Raises Failure."""
    if name:
        return find(session.client, RESOURCES["systems"], name)
    rows: list[dict[str, Any]] = session.client.get("systems/").data["results"]
    if len(rows) != 1:
        told = ", ".join(output.plain(row["name"]) for row in rows)
        raise Failure(f"There are several systems: say which one: {told}." if rows else "There is no system yet.")
    return rows[0]


def _asked(row: Mapping[str, Any]) -> str:
    must_ask(yes=False, say="--confirm NAME")
    return str(click.prompt(f"Type the name of the system ({output.plain(row['name'])})", err=True))


def _turned(session: Session, data: Mapping[str, Any], how: How, said: str) -> int:
    """What is held from now on is no failure of what was asked for."""
    if session.as_json:
        output.print_json(data)
    else:
        output.say(said, err=True)
    return 0


def _show(told: Mapping[str, Any]) -> None:
    output.say(click.style(f"{told['system']} is {told['stage']}. {output.plain(told['summary'])}", bold=True))
    if told["words"]:
        show_preview({"changes": told["words"]})
    for word in told["own"]:
        output.say(f"  Besides: {output.plain(word['text'])}")
    for server in told["servers"]:
        word = {True: "runs it", False: "runs something else"}.get(server["runs_it"], "starts with another file")
        where = server.get("where", "")
        file = f" ({output.plain(where)})" if where not in ("", told["where"]) else ""
        output.say(f"  {output.plain(server['name'])}{file}: {word}")
        if server["refusal"]:
            output.say(f"  It would refuse what stands there: {output.plain(server['refusal'])}")
    if told["unasked"]:
        output.say(output.plain(told["unasked"]), err=True)
