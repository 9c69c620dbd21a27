"""Commands that know what was meant by a word that was typed wrongly."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import click

FEW = 16  # names that a sentence can list


def meant(word: str, known: Iterable[str], what: str) -> str:
    """A sentence: there is no such word, and which one was meant, or which there are. known: what one may use."""
    names = list(known)
    if not names:
        return f"There is no {what} that you may use."
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    near = near or [name for name in names if len(word) > 1 and name.startswith(word)][:1]
    if near:
        return f"There is no {what} “{word}”; did you mean {near[0]}?"
    return f"There is no {what} “{word}”." + (f" There are {', '.join(names)}." if len(names) <= FEW else "")


class Commands(click.Group):
    """A group of commands whose typos are answered with the command that was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if self.get_command(ctx, word) is None and not ctx.resilient_parsing and not word.startswith("-"):
            sentence = meant(word, self.list_commands(ctx), "command")
            raise click.UsageError(sentence, None if "did you mean" in sentence else ctx)
        return super().resolve_command(ctx, args)
