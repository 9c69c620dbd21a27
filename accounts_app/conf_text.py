"""Conf text for people's eyes: without hashes, and as a difference."""

from __future__ import annotations

import difflib
import re

from django.utils.translation import gettext as _

MASK = "••••••"
NKEY = re.compile(r"\bU[A-Z2-7]{55}\b")
_HASH = re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}")
_KINDS = {"+": "plus", "-": "minus", "@": "at"}


def masked(text: str, *, keys: bool = True) -> str:
    """A conf text without its password hashes and, unless keys, without public nkeys."""
    text = _HASH.sub(MASK, text)
    return text if keys else NKEY.sub(MASK, text)


def conf_lines(account: str, old: str, new: str) -> list[dict[str, str]]:
    """The unified diff of an account's conf block as [{kind, text}], hashes masked; [] when both are equal.

    kind: "plus", "minus", "same", or "at" for lines that say where. "": there is no such block.
    """
    if old == new:
        return []
    before, after = masked(old).splitlines(), masked(new).splitlines()
    found = list(difflib.unified_diff(before, after, lineterm=""))[2:] or [" " + _("(only password hashes differ)")]
    lines = [{"kind": _KINDS.get(text[:1], "same"), "text": text} for text in found]
    return [{"kind": "at", "text": f"accounts.{account}"}, *lines]
