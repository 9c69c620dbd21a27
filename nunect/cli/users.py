"""Users of NATS: added, given a new secret, kept out, let in, and how their clients connect."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from accounts_app.natsconf.names import CONNECTION_TYPES
from nunect.cli import completing, output
from nunect.cli.client import Failure
from nunect.cli.durations import Duration, moment
from nunect.cli.progress import Waiting
from nunect.cli.resources import RESOURCES, find
from nunect.cli.session import Session, command_options, system_option
from nunect.cli.words import Commands
from nunect.cli.writing import How, change, finish, sure, write_options

USERS = RESOURCES["users"]
_name = click.argument("ref", metavar="NAME", shell_complete=completing.users)


@click.group(cls=Commands, short_help="Add a user, rotate its secret, disable or enable it.")
def user() -> None:
    """Users of NATS."""


@user.command("add", short_help="Add a user to an account and print its secret once.")
@click.argument("account", shell_complete=completing.accounts)
@click.argument("name")
@click.option("--publish", multiple=True, metavar="SUBJECT", help="It may publish there.")
@click.option(
    "--subscribe", multiple=True, metavar="SUBJECT", help="It may subscribe there; “jobs.* workers” in a queue."
)
@click.option("--deny-publish", multiple=True, metavar="SUBJECT", help="But not there.")
@click.option("--deny-subscribe", multiple=True, metavar="SUBJECT", help="But not there.")
@click.option("--role", metavar="ROLE", help="A role of the account, or */ROLE for a shared one.")
@click.option(
    "--access",
    type=click.Choice(("own", "all", "inherit")),
    help="Its own permissions, all of its account, or the account's default.",
)
@click.option("--nkey", is_flag=True, help="It proves itself with an nkey; the default.")
@click.option("--password", is_flag=True, help="It proves itself with a password, which is made.")
@click.option("--certificate", metavar="SUBJECT", help="It proves itself with a client certificate of this subject.")
@click.option(
    "--connection-type",
    "connection_types",
    multiple=True,
    type=click.Choice(CONNECTION_TYPES, case_sensitive=False),
    metavar="TYPE",
    help=f"It may only connect like this: {', '.join(CONNECTION_TYPES)}; may be given several times.",
)
@click.option("--expires", type=Duration(), metavar="90d", help="How long it is let in; for ever by default.")
@click.option("--description", default="", metavar="TEXT")
@system_option
@write_options
@command_options
def add(
    session: Session,
    account: str,
    name: str,
    publish: tuple[str, ...],
    subscribe: tuple[str, ...],
    deny_publish: tuple[str, ...],
    deny_subscribe: tuple[str, ...],
    role: str | None,
    access: str | None,
    nkey: bool,
    password: bool,
    certificate: str | None,
    connection_types: tuple[str, ...],
    expires: timedelta | None,
    description: str,
    system: str,
    how: How,
) -> int:
    """Add a user NAME to an ACCOUNT. Its secret is made, and printed once, alone on stdout."""
    permissions = [
        _rule(action, effect, subject)
        for action, effect, subjects in (
            ("publish", "allow", publish),
            ("subscribe", "allow", subscribe),
            ("publish", "deny", deny_publish),
            ("subscribe", "deny", deny_subscribe),
        )
        for subject in subjects
    ]
    if role and permissions:
        raise click.UsageError("A user has a role or permissions of its own, not both.")
    if nkey + password + bool(certificate) > 1:
        raise click.UsageError("A user proves itself in one way: --nkey, --password or --certificate.")
    kind = "certificate" if certificate else "password" if password else "nkey"
    body: dict[str, Any] = {"account": account, "name": name, "credential": kind}
    body |= {"system": system} if system else {}
    body |= {"certificate": certificate} if certificate else {}
    body |= {"access": access} if access else {}
    body |= {"connection_types": list(connection_types)} if connection_types else {}
    body |= {"role": role} if role else {}
    body |= {"permissions": permissions} if permissions else {}
    body |= {"expires_at": moment(expires)} if expires is not None else {}
    body |= {"description": description} if description else {}
    data = change(session, "POST", "users/", body, how=how, what="Adding it")
    if data is None:
        return 0
    code = finish(session, data, how, f"User {USERS.called(data)} is there.")
    if not session.as_json:
        output.say(f"`nunect user creds {output.plain(name)}` tells how a client connects.", err=True)
    return code


@user.command("rotate", short_help="Give a user a new secret, printed once.")
@_name
@click.option("--overlap", type=Duration(), metavar="24h", help="So long the former secret works, too.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@write_options
@command_options
def rotate(session: Session, ref: str, overlap: timedelta | None, yes: bool, how: How) -> int:
    """Give a user a new secret, printed once, alone on stdout. Without --overlap the former one ends now.

    NATS knows one password for a name: with --overlap the successor of a password is an nkey.
    """
    row = find(session.client, USERS, ref)
    if overlap is not None and row["credential"] == "password" and not how.dry_run:
        output.say(
            f"{output.plain(str(row['name']))} signs in with a password now; with an overlap its successor is an "
            "nkey: clients must change how they sign in.",
            err=True,
        )
        sure("Go on?", yes)
    body = {"overlap_until": moment(overlap)} if overlap is not None else {}
    data = change(session, "POST", f"users/{row['id']}/rotate/", body, how=how, what="Rotating")
    if data is None:
        return 0
    until = f" The former one works until {body['overlap_until']}." if body else ""
    return finish(session, data, how, f"User {USERS.called(data)} has a new secret.{until}")


@user.command("disable", short_help="Keep a user out; its row stays.")
@_name
@write_options
@command_options
def disable(session: Session, ref: str, how: How) -> int:
    """Keep a user out, open connections included. Its row stays, `enable` lets it in again."""
    return _switch(session, ref, "disable", "kept out", how)


@user.command("enable", short_help="Let a user in again.")
@_name
@write_options
@command_options
def enable(session: Session, ref: str, how: How) -> int:
    """Let a user in again."""
    return _switch(session, ref, "enable", "let in", how)


@user.command("creds", short_help="Tell how a client of a user connects.")
@_name
@click.option(
    "--as",
    "kind",
    type=click.Choice(("context", "env", "snippet")),
    help="Only the context file of `nats`, the environment, or Python.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False), metavar="FILE", help="Write it to a file that only you can read."
)
@command_options
def creds(session: Session, ref: str, kind: str | None, out: str | None) -> None:
    """Tell how a client of a user connects: a context file of the `nats` command, environment, Python.

    A placeholder stands where the secret belongs: that was told once, when it was made.
    """
    row = find(session.client, USERS, ref)
    with Waiting("Reading"):
        told = session.client.get(f"users/{row['id']}/connect/").data
    seed_file = str(told["context"].get("nkey", ""))
    if seed_file:  # the same file in all of them
        told["env"] = re.sub(r"(?m)^NATS_NKEY=.*$", lambda _: f"NATS_NKEY={seed_file}", told["env"])
    put = f"Put the seed into {output.plain(seed_file)} (mode 0600)." if seed_file else ""
    texts = {
        "context": json.dumps(told["context"], indent=2, ensure_ascii=False) + "\n",
        "env": told["env"],
        "snippet": told["snippet"],
    }
    if out is not None:
        _write(Path(out), texts[kind or "context"])
        output.say(f"{out} is written. {put or 'Put the secret in its place there.'}", err=True)
    elif session.as_json:
        output.print_json(told if kind is None else {kind: told[kind]})
    elif kind is not None:
        output.say("\n".join(map(output.plain, texts[kind].rstrip("\n").split("\n"))))
        if put and kind != "snippet":
            output.say(put, err=True)
    else:
        for title, name in (("nats context", "context"), ("Environment", "env"), ("Python", "snippet")):
            output.say(click.style(title, bold=True))
            for line in texts[name].rstrip("\n").split("\n"):
                output.say(f"  {output.plain(line)}".rstrip())
            output.say()
        if put:
            output.say(put, err=True)
        output.say("The secret was told once; `nunect user rotate` makes a new one.", err=True)


def _rule(action: str, effect: str, text: str) -> dict[str, str]:
    """A permission; subscriptions may name a queue after a space."""
    subject, _, queue = text.partition(" ") if action == "subscribe" else (text, "", "")
    return {"action": action, "effect": effect, "subject": subject, "queue": queue}


def _switch(session: Session, ref: str, act: str, done: str, how: How) -> int:
    row = find(session.client, USERS, ref)
    data = change(session, "POST", f"users/{row['id']}/{act}/", how=how)
    return 0 if data is None else finish(session, data, how, f"User {USERS.called(data)} is {done}.")


def _write(path: Path, text: str) -> None:
    """A new file with mode 0600; one that is there may hold the only copy of a secret."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Failure(f"{path} is there already: name another file.") from None
    except OSError as error:
        raise Failure(f"{path} can't be written: {error.strerror}.") from error
