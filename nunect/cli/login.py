"""Which nunect later commands talk to."""

from __future__ import annotations

import os
import sys

import click

from nunect.cli import output
from nunect.cli.client import Client, Failure
from nunect.cli.config import ConfigError, Target, clean_url, config_file, read_login, write_login
from nunect.cli.progress import Waiting
from nunect.cli.remote import Remote
from nunect.cli.session import Session, command_options
from nunect.version import VERSION


@click.command(short_help="Remember the address and token of a nunect.")
@click.argument("url", required=False, metavar="[URL]")
@click.option("--token", default="", metavar="TOKEN", help="The token, “-” to read it from stdin; asked for otherwise.")
@click.option("--forget", is_flag=True, help="Forget what was remembered: work on this machine's database again.")
@command_options
def login(session: Session, url: str | None, token: str, forget: bool) -> int:
    """Remember the address and token of a nunect, for later commands.

    The token is checked first, and kept in a file that only you can read.
    """
    try:
        if forget:
            return _forget()
        target = Target(clean_url(url or _asked_url()), _token(token))
        with Waiting("Asking it who you are"):
            me = Client(Remote(target), VERSION).get("me/").data
        if not isinstance(me, dict) or "person" not in me:
            raise Failure(f"{target.url} is no nunect, or one without this API.")
        path = write_login(target)
    except ConfigError as error:
        raise Failure(str(error)) from error
    if session.as_json:
        output.print_json({**me, "url": target.url, "file": str(path)})
    else:
        reach = f", for {', '.join(me['accounts'])}" if me.get("accounts") else ""
        output.say(f"Logged in to {target.url} as {output.plain(me['person'])}: scope {me['scope']}{reach}.", err=True)
        output.say(f"Kept in {path}. `nunect status` shows how it is.", err=True)
    if os.environ.get("NUNECT_URL") or os.environ.get("NUNECT_TOKEN"):
        output.say("NUNECT_URL or NUNECT_TOKEN is set and comes before this login.", err=True)
    return 0


def _asked_url() -> str:
    url = os.environ.get("NUNECT_URL", "")
    if url or not sys.stdin.isatty():
        if url:
            return url
        raise Failure("Say where nunect is: nunect login https://nunect.example.com --token -")
    try:
        known = read_login()
    except ConfigError:
        known = None
    answer: str = click.prompt("Address of nunect", default=known.url if known else None, err=True)
    return answer


def _token(given: str) -> str:
    if given and given != "-":
        token = given
    elif given == "-" or not sys.stdin.isatty():
        token = os.environ.get("NUNECT_TOKEN", "") if not given else ""
        token = token or sys.stdin.readline()
    else:
        token = click.prompt(
            "Token (starts with nun_; the admin or `nunect token create` makes one)", hide_input=True, err=True
        )
    token = token.strip()
    if not token:
        raise Failure("There was no token: --token TOKEN, or on stdin with --token -.")
    return token


def _forget() -> int:
    path = config_file()
    try:
        path.unlink()
        output.say(f"{path} is gone; commands work on the database of this machine.", err=True)
    except FileNotFoundError:
        output.say("Nobody was logged in.", err=True)
    except OSError as error:
        raise Failure(f"{path} can't be deleted: {error.strerror}.") from error
    return 0
