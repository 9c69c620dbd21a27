"""How the parts of a blueprint are read: each refusal has its place, and reading goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts_app.natsconf.document import Misfit

_MOST_PLACES = 200


class Reader:
    """Reads values; what is wrong gathers in `places`."""

    def __init__(self) -> None:
        self.places: list[Misfit] = []

    def wrong(self, where: str, sentence: str) -> None:
        """Note one place that is wrong."""
        if len(self.places) < _MOST_PLACES:
            self.places.append(Misfit(where or "blueprint", sentence))

    def map(self, data: Any, at: str, known: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.wrong(at, "This must be a map.")
            return {}
        for key in data:
            if key not in known:
                where = f"{at}.{key}" if at else str(key)
                self.wrong(where, f"There is no such key here; there are {', '.join(known)}.")
        return {key: value for key, value in data.items() if key in known}

    def text(self, found: Mapping[str, Any], key: str, at: str, longest: int) -> str:
        value, here = found.get(key), f"{at}.{key}" if at else key
        if value is None:
            return ""
        if not isinstance(value, str) or not _storable(value):
            self.wrong(here, "This must be text.")
            return ""
        if len(value) > longest:
            self.wrong(here, f"This has {len(value):,} characters; at most {longest} are possible.")
        return value

    def flag(self, found: Mapping[str, Any], key: str, at: str, default: bool) -> bool:
        value = found.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(f"{at}.{key}", "This must be true or false.")
            return default
        return value


def _storable(text: str) -> bool:
    return not any(one == "\x00" or "\ud800" <= one <= "\udfff" for one in text)


def title_of(name: str) -> str:
    """What a name is called where nobody says."""
    words = name.replace("_", " ").replace("-", " ")
    return words[:1].upper() + words[1:]
