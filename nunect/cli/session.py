"""What all commands share: the client that fits the surroundings, and --json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, cast

import click

from nunect.cli.client import Client, Failure
from nunect.cli.config import ConfigError, find_target
from nunect.version import VERSION

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass
class Session:
    """One run of the command line. here: this machine's own database, whatever `login` says."""

    here: bool = False
    as_json: bool = False

    @cached_property
    def client(self) -> Client:
        """Raises Failure when there is no nunect to talk to."""
        try:
            target = None if self.here else find_target()
        except ConfigError as error:
            raise Failure(str(error)) from error
        if target is not None:
            from nunect.cli.remote import Remote

            return Client(Remote(target), VERSION)
        from nunect.cli.local import Local

        return Client(Local(), VERSION)


pass_session = click.make_pass_decorator(Session, ensure=True)


system_option = click.option(
    "--system", default="", metavar="NAME", help="The system, where there are several and it isn't plain which."
)


def command_options(command: Command) -> Command:
    """--json, and the session as the first argument."""

    def keep(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        ctx.ensure_object(Session).as_json |= value

    option = click.option(
        "--json", is_flag=True, expose_value=False, callback=keep, help="Print the answer as JSON and nothing else."
    )
    return cast(Command, option(pass_session(command)))
