"""`nunect takeover FILE`: nunect manages the accounts of a server that somebody has set up by hand, or no longer."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from accounts_app.door import through
from accounts_app.models import System
from accounts_app.natsconf.errors import NatsConfError
from provisioning.errors import ProvisioningError
from provisioning.takeover import doors
from provisioning.takeover.forecast import Forecast
from provisioning.takeover.globalstore import store_of
from provisioning.takeover.globalstore_names import find
from provisioning.takeover.globalstore_service import SIGNALS, Service
from provisioning.takeover.globalstore_taking import clear_left, look_global, take_global, undo_global
from provisioning.takeover.globalstore_trial import clear
from provisioning.takeover.looking import look
from provisioning.takeover.returning import foresee
from provisioning.takeover.seeing import arranged
from provisioning.takeover.taking import Outcome, take, undo


class Command(BaseCommand):
    """Say what taking a main file over means, ask, do it, prove it; or undo it."""

    help = "Take over the accounts of running nats-servers, by their main files; --undo gives them back, byte for byte."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the server's main file, nats-server.conf")
        parser.add_argument(
            "others", metavar="FILE", nargs="*", help="main files of further servers, in the same folder or below"
        )
        parser.add_argument(
            "--system", metavar="NAME", default="", help="into this system; it is made when there is none"
        )
        parser.add_argument(
            "--url",
            metavar="URL",
            default="",
            help="how nunect reaches the server, if not by what the file says; several with commas between them",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, write nothing")
        parser.add_argument("--yes", action="store_true", help="don't ask")
        parser.add_argument("--undo", action="store_true", help="put the files back that stood there before")
        parser.add_argument("--json", action="store_true", help="print what would happen, or has, as JSON")
        parser.add_argument(
            "--global-account",
            metavar="NAME",
            default="",
            help="users and streams of `$G` go to an account of this name, while the server is stopped",
        )
        parser.add_argument(
            "--stop-command", metavar="COMMAND", default="", help="stops the server, for streams in `$G`"
        )
        parser.add_argument("--start-command", metavar="COMMAND", default="", help="starts it again")
        parser.add_argument(
            "--signal", choices=sorted(SIGNALS), default="", help="how nunect stops the server itself, by its process"
        )
        parser.add_argument(
            "--wait", metavar="SECONDS", type=float, default=600.0, help="how long to wait for the stop and the start"
        )
        parser.add_argument(
            "--env",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a variable that the server takes from its environment, where its process can't be asked",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json, self.yes = options["json"], options["yes"]
        path, environ = Path(options["file"]), dict(_pair(text) for text in options["env"])
        others = [Path(name) for name in options["others"]]
        try:
            with through("command", reason=f"take-over of {path.name}"):
                if options["undo"]:
                    self._undo(path, environ, options)
                elif options["global_account"]:
                    if others:
                        raise CommandError(
                            "--global-account is for one server: its store is moved while it is stopped."
                        )
                    self._with_streams(path, environ, options)
                elif options["dry_run"]:
                    system = System.objects.filter(name=_system(options["system"], path)).first()
                    self._show(look(path, system, environ, others=others))
                else:
                    name, url = _system(options["system"], path), options["url"]
                    self._tell(take(path, name, environ, others=others, url=url, agrees=self._agrees))
        except OSError as error:
            raise CommandError(f"{error.filename or path} can't be read: {error.strerror}.") from error
        except NatsConfError as error:
            raise CommandError(str(error)) from error
        except ProvisioningError as error:
            words = "".join(f"\n  {line}" for line in error.server_words.splitlines())
            raise CommandError(f"{error.detail}{words}") from error
        except ValidationError as error:
            raise CommandError(
                "Nothing was taken over:\n" + "\n".join(f"  {text}" for text in error.messages)
            ) from error
        except DatabaseError as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"Nothing was taken over: the database refused ({reason}).") from error

    def _undo(self, path: Path, environ: dict[str, str], options: dict[str, Any]) -> None:
        (main,) = arranged(path)
        if not options["dry_run"]:
            clear_left(main, environ)
        returning = foresee(main, environ)
        if self.as_json and options["dry_run"]:
            told = {name: getattr(returning, name) for name in ("files", "in_the_way", "changes", "later")}
            self.stdout.write(json.dumps(told, indent=2, ensure_ascii=False))
        if returning.in_the_way:
            raise CommandError("\n  ".join(("Nothing is put back as it stands:", *returning.in_the_way)))
        if not self.as_json:
            self.stdout.write("\n".join(returning.sentences()))
        if options["dry_run"]:
            return
        back = partial(undo_global, path, self._service(options)) if find(main) else partial(undo, path)
        self._tell(back() if self.yes or self._asks("Put the former files back?") else None)

    def _with_streams(self, path: Path, environ: dict[str, str], options: dict[str, Any]) -> None:
        name, account = _system(options["system"], path), options["global_account"]
        if options["dry_run"]:
            forecast = look_global(path, System.objects.filter(name=name).first(), environ, account)
            clear(store_of(forecast.seen))
            self._show(forecast)
            return
        service = self._service(options)
        self._tell(take_global(path, name, account, environ, url=options["url"], service=service, agrees=self._agrees))

    def _service(self, options: dict[str, Any]) -> Service:
        said = self.stderr.write if self.as_json else self.stdout.write
        return Service(
            options["stop_command"],
            options["start_command"],
            options["signal"],
            options["wait"],
            lambda text: (said(text), None)[1],
        )

    def _agrees(self, forecast: Forecast) -> bool:
        if not self.as_json:
            self._show(forecast)
        return self.yes or self._asks("Take it over?")

    def _asks(self, question: str) -> bool:
        if not sys.stdin.isatty():
            raise CommandError(f"{question} Nobody is here to ask: say --yes.")
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")

    def _show(self, forecast: Forecast) -> None:
        if self.as_json:
            told = {"possible": forecast.possible, "refusals": forecast.refusals, "sentences": []}
            told |= {"differences": forecast.differences, "files": forecast.texts}
            told["overwritten"] = forecast.overwritten
            if forecast.possible:
                told["sentences"] = list(forecast.sentences())
            told["weak"] = forecast.weak
            self.stdout.write(json.dumps(told, indent=2, ensure_ascii=False))
        elif forecast.possible:
            self.stdout.write("\n".join(forecast.sentences()))
        if not forecast.possible:
            words = "".join(f"\n  {text}" for text in forecast.refusals)
            raise CommandError(f"This conf can't be taken over.{words}")

    def _tell(self, outcome: Outcome | None) -> None:
        if outcome is None:
            self.stdout.write("Nothing was changed.")
        elif self.as_json:
            number = outcome.revision.number if outcome.revision else None
            told = {"system": outcome.system, "revision": number, "said": outcome.said}
            self.stdout.write(json.dumps(told, indent=2, ensure_ascii=False))
        else:
            self.stdout.write("\n".join(outcome.said))


def _system(name: str, path: Path) -> str:
    """The system's name; where nobody says it that of the one that has this folder, or of the only one."""
    found = name or doors.usual_system(path)
    if found:
        return found
    names = System.objects.order_by("pk").values_list("name", flat=True)
    raise CommandError(f"Say which system with --system: one of {', '.join(names)}, or a new name.")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise CommandError("--env takes NAME=VALUE.")
    return name, value
