"""The command line itself: its commands, and how what went wrong is said."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from nunect.cli import (
    applying,
    completion,
    django_commands,
    doctor,
    drifts,
    holds,
    jobs,
    login,
    objects,
    output,
    provisioning,
    revisions,
    systems,
    tokens,
    users,
)
from nunect.cli.client import Failure
from nunect.cli.session import Session
from nunect.cli.words import Commands
from nunect.version import VERSION


class App(Commands):
    """Whatever goes wrong is `nunect: sentence` on stderr, and exit code 1."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        session = Session()
        _never_fail_at_a_character()
        try:
            code = super().main(
                args, prog_name=prog_name, complete_var=complete_var, standalone_mode=False, obj=session, **extra
            )
        except NoArgsIsHelpError as error:
            click.echo(error.format_message())
            sys.exit(0)
        except click.ClickException as error:
            self._end([_in_words(error)])
        except Failure as error:
            if session.as_json and error.problem is not None:
                output.print_json(error.problem, err=True)
                sys.exit(1)
            self._end(error.sentences)
        except click.Abort:
            self._end(["Stopped."])
        except OSError as error:
            self._end([f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}."])
        sys.exit(code if isinstance(code, int) else 0)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by what they are for, not by the alphabet."""
        for title, names in SECTIONS.items():
            commands = [(name, self.commands[name].get_short_help_str(90)) for name in names]
            with formatter.section(title):
                formatter.write_dl(commands)

    @staticmethod
    def _end(sentences: Sequence[str]) -> NoReturn:
        for sentence in sentences:
            click.echo(f"nunect: {output.plain(sentence)}", err=True)
        sys.exit(1)


def _never_fail_at_a_character() -> None:
    """A terminal that can't show a character gets its number."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _in_words(error: click.ClickException) -> str:
    """What was typed wrongly, and where to look."""
    text = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{text if text.endswith(('.', '?')) else f'{text}.'} See `{error.ctx.command_path} --help`."
    return text


@click.group(cls=App, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, message="nunect %(version)s")
@click.option("--local", is_flag=True, help="Work on the database of this machine, whatever `login` says.")
@click.pass_context
def app(ctx: click.Context, local: bool) -> None:
    """The control plane for NATS, at the terminal.

    With NUNECT_URL and NUNECT_TOKEN, or after `nunect login`, commands talk to that nunect; without them, to the
    database of this machine.
    """
    ctx.ensure_object(Session).here = local
    if os.environ.get("NO_COLOR"):
        ctx.color = False


def _of_django(name: str) -> click.Command:
    """A command that is handed on as it is."""

    @click.command(
        name,
        help=django_commands.COMMANDS[name][1],
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    @click.pass_context
    def handed_on(ctx: click.Context, arguments: tuple[str, ...]) -> None:
        ctx.exit(django_commands.run(name, arguments))

    return handed_on


SECTIONS = {
    "Files": ("plan", "apply", "diff", "export"),
    "Provisioning": ("blueprints", "provision", "jobs", "job", "retire"),
    "Rows": ("list", "get", "create", "update", "delete", "user"),
    "What happened": ("revisions", "revert", "holds", "drift"),
    "Surroundings": ("system", "status", "doctor", "login", "token", "completion"),
    "On the machine of nunect": tuple(django_commands.COMMANDS),
}
_COMMANDS: tuple[click.Command, ...] = (
    applying.plan,
    applying.apply,
    applying.diff,
    applying.export,
    objects.list_rows,
    objects.get_row,
    objects.create_row,
    objects.update_row,
    objects.delete_row,
    users.user,
    provisioning.blueprints,
    provisioning.provision,
    jobs.jobs,
    jobs.job,
    provisioning.retire,
    revisions.revisions,
    revisions.revert,
    holds.holds,
    drifts.drift,
    systems.system,
    doctor.status,
    doctor.doctor,
    login.login,
    tokens.token,
    completion.completion,
    *map(_of_django, django_commands.COMMANDS),
)
for _command in _COMMANDS:
    app.add_command(_command)
