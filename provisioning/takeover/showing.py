"""What becomes of each file of a take-over, as a person may see it: in words, and as a difference without secrets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from accounts_app.conf_text import MASK, NKEY, masked
from accounts_app.natsconf.hiding import Secrets, find_secrets, hidden
from provisioning.takeover.forecast import Forecast
from provisioning.takeover.judging import tree_of

Becomes = Literal["rewritten", "made", "generated", "left", "kept"]
LINES = 1500  # of one file's difference
_ANEW = re.compile(r"\.nunect(?:-\d+)?(?=\.[^.]*\Z|\Z)")
_KINDS = {"+": "plus", "-": "minus", "@": "at"}
_OWN = "U… (nunect's own)"


@dataclass(frozen=True, slots=True)
class ShownFile:
    """One file. becomes: what happens to it; words: the same in a sentence; lines: the unified difference, secrets
    masked, [] where the file stays; cut: there are more of them."""

    path: str
    becomes: Becomes
    words: str
    lines: tuple[str, ...] = ()
    added: int = 0
    removed: int = 0
    cut: bool = False

    def as_kinds(self) -> list[dict[str, str]]:
        """The lines as [{kind, text}] for a page."""
        return [{"kind": _KINDS.get(line[:1], "same"), "text": line} for line in self.lines]


def shown_files(forecast: Forecast, *, keys: bool) -> tuple[ShownFile, ...]:
    """All files that the main files are made of now, and those that they will be. keys: public nkeys are shown, too."""
    before = {name: _text(Path(name)) for seen in forecast.looks for name in seen.hashes}
    secrets = find_secrets([*before.values(), *forecast.texts.values()])
    show = _Show(forecast, before, secrets, keys)
    return tuple(show.files())


def secrets_in(paths: Iterable[str]) -> Secrets:
    """What must not be shown of files as they stand."""
    return find_secrets(_text(Path(name)) for name in paths)


class _Show:
    def __init__(self, forecast: Forecast, before: Mapping[str, str], secrets: Secrets, keys: bool) -> None:
        self.forecast, self.before, self.secrets, self.keys = forecast, before, secrets, keys
        self.mains = [str(seen.main) for seen in forecast.looks]

    def files(self) -> Iterator[ShownFile]:
        texts = self.forecast.texts
        generated = str(self.forecast.seen.generated)
        if not texts:
            return
        words = "Your own lines stay as they are; what nunect owns goes, and its include comes."
        for main in self.mains:
            yield self._changed(main, "rewritten", words, texts[main])
        for path in texts:
            if path not in self.mains:
                origin = _ANEW.sub("", path)
                words = f"What is left of {origin}, which is no longer included."
                yield self._changed(path, "made", words, texts[path], origin)
        kept = f"{self.forecast.counted}, and nunect's own"
        again = " It stands in place of yours, of which a copy stays." if generated in self.before else ""
        words = f"Generated from the rows, from now on at each change: {kept}.{again}"
        yield self._changed(generated, "generated", words, self.forecast.generated)
        included = {
            name for seen in self.forecast.looks for name in tree_of(seen, texts, self.forecast.generated).includes
        }
        for path in self.before:
            if path in (*self.mains, generated):
                continue
            if path in included:
                yield ShownFile(path, "kept", "Stays as it is, and is included as before.")
            else:
                yield ShownFile(path, "left", "Stays on disk as it is, and is no longer included.")

    def _changed(self, path: str, becomes: Becomes, words: str, text: str, origin: str = "") -> ShownFile:
        old = self._lines(self.before.get(origin or path, ""))
        new = self._lines(text)
        found = list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]
        added, removed = (sum(line.startswith(sign) for line in found) for sign in "+-")
        return ShownFile(path, becomes, words, tuple(found[:LINES]), added, removed, len(found) > LINES)

    def _lines(self, text: str) -> list[str]:
        told = hidden(text, self.secrets, MASK)
        identity = self.forecast.identity
        if identity is not None:
            for own in (identity.guard, identity.control, identity.relay, identity.jetstream):
                told = told.replace(own, _OWN) if own else told
        told = masked(told, keys=self.keys)
        return told.encode("utf-8", "surrogateescape").decode("utf-8", "replace").splitlines()


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def told_words(text: str, secrets: Secrets, *, keys: bool) -> str:
    """What a server said of a conf, without the secrets that stand in its files."""
    for secret in secrets.texts:
        text = text.replace(secret, MASK) if len(secret) >= 4 else text
    text = masked(text)
    return text if keys else NKEY.sub(MASK, text)
