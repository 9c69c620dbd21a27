"""What one row alone can be wrong in, before any server is asked."""

from __future__ import annotations

from typing import Any

from accounts_app.jetstream.names import check_name
from accounts_app.jetstream.settings import settings_of
from accounts_app.jetstream.wire import FILLED, SERVERS_OWN, Config
from accounts_app.jetstream.words import check_canonical, read_value

TELLING = FILLED | SERVERS_OWN  # saying the default of these is not the same as saying nothing


def check(kind: str, name: str, config: Config) -> dict[str, str]:
    """{setting: sentence} of what can't be, "name" for the name; {} when a server may take it."""
    wrong: dict[str, str] = {}
    try:
        check_name(kind, name)
    except ValueError as refused:
        wrong["name"] = str(refused)
    settings = settings_of(kind)
    for key, value in config.items():
        if key not in settings:
            wrong[key] = "There is no such setting."
            continue
        try:
            check_canonical(settings[key], value)
        except ValueError as refused:
            wrong[key] = str(refused)
    return wrong


def read_config(kind: str, said: Config) -> tuple[dict[str, Any], dict[str, str]]:
    """({setting: canonical value} of what is said beside defaults, {setting: sentence} of what can't be read)."""
    settings = settings_of(kind)
    config: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, value in said.items():
        if name not in settings:
            wrong[name] = "There is no such setting."
            continue
        try:
            config[name] = None if value is None else read_value(settings[name], value)
        except ValueError as refused:
            wrong[name] = str(refused)
    kept = {name: value for name, value in config.items() if value is not None}
    return {name: value for name, value in kept.items() if value != settings[name].default or name in TELLING}, wrong
