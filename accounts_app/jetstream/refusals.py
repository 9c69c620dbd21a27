"""What the server says no with, as one sentence at the setting that it is about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """setting: the one it is about, "" for none; sentence: ours, with the server's words in it where they add
    something; transient: worth another try with the same rows; words: the server's own."""

    setting: str
    sentence: str
    transient: bool
    words: str = ""


def explain(err_code: int, description: str) -> Refusal:
    """A refusal of the API (`error.err_code`, `error.description`) in words. Source: `server/errors.json`."""
    return Refusal("", f"The server refused it: {description}.", False, description)
