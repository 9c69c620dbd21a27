"""How long, as people write it: 90d, 24h, 30m."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from accounts_app.jetstream.words import duration_text

_PARTS = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Duration(click.ParamType):
    """90d, 24h, 1h30m → timedelta."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        parts = _PARTS.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"“{value}” is no length of time: it looks like 90d, 24h or 30m.", param, ctx)
        return timedelta(seconds=sum(int(number) * _SECONDS[unit] for number, unit in parts))


def said(length: timedelta) -> str:
    """A length of time as people write it: "1d12h", "no time"."""
    return duration_text(round(length.total_seconds()) * 10**9) if length else "no time"


def moment(ahead: timedelta) -> str:
    """The moment so far ahead, as REST takes it. Raises click.UsageError when no calendar reaches there."""
    try:
        return (datetime.now(UTC) + ahead).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    except OverflowError as error:
        raise click.UsageError("That is too far ahead.") from error
