"""What a shell offers when somebody presses Tab: only what costs little."""

from __future__ import annotations

import click

from nunect.cli.client import Client, Failure
from nunect.cli.config import ConfigError, find_target
from nunect.cli.resources import RESOURCES, Resource, resource

OFFERED, PATIENCE_S = 50, 2.0


def names(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Names of rows; over the network only, for a local answer would take longer than typing it."""
    try:
        of = _of(ctx)
        target = None if (ctx.obj is not None and ctx.obj.here) else find_target()
        if of is None or target is None or of.by not in ("name", "subject", "source"):
            return []
        from nunect.cli.remote import Remote

        query = [("fields", of.by), ("limit", str(OFFERED)), ("search", begun)]
        rows = Client(Remote(target)).get(of.path, query, timeout_s=PATIENCE_S).data["results"]
        found = dict.fromkeys(str(row[of.by]) for row in rows)
        return [name for name in found if name.startswith(begun) and name.isprintable()]
    except (Failure, ConfigError, KeyError, TypeError):
        return []


def users(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Names of users."""
    ctx.params["of"] = RESOURCES["users"]
    return names(ctx, param, begun)


def accounts(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Names of accounts."""
    ctx.params["of"] = RESOURCES["accounts"]
    return names(ctx, param, begun)


def filters(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """KEY= of a list."""
    of = _of(ctx)
    return [f"{name}=" for name in of.filters if name.startswith(begun)] if of is not None else []


def fields(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """FIELD= of a row."""
    of = _of(ctx)
    known = [name for name in of.columns if name not in ("id", "sync")] if of is not None else []
    return [f"{name}=" for name in known if name.startswith(begun)]


def _of(ctx: click.Context) -> Resource | None:
    word = ctx.params.get("of")
    if word is None or isinstance(word, Resource):
        return word
    try:
        return resource(str(word))
    except Failure:
        return None
