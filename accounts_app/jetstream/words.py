"""Values of settings ⇄ what people write: "7d", "1GiB", a list with commas; canonical values are the server's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from accounts_app.jetstream.settings import MAX_INT64, Setting

_LEAST_BARE_NS = 1_000_000  # below, a number without a unit was rather meant as seconds
_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
    "y": 31_536_000_000_000_000,
}
_WRITTEN = ("d", "h", "m", "s", "ms", "us", "ns")
_POWERS = tuple(enumerate(("k", "m", "g", "t", "p", "e"), start=1))
_BYTES = {"": 1, "b": 1}  # as a server reads its conf: 1K is 1000, 1KB and 1KiB are 1024 (`conf/lex.go`)
_BYTES |= {unit: 1000**power for power, unit in _POWERS}
_BYTES |= {unit + end: 1024**power for power, unit in _POWERS for end in ("b", "i", "ib")}
_WRITTEN_SIZES = {"TiB": 1024**4, "GiB": 1024**3, "MiB": 1024**2, "KiB": 1024}
_READABLE = 10_240  # units, beyond which a plain number is as easy to read
_CENTURY = 100
_NUMBER = r"(?:[0-9]{1,25}(?:\.[0-9]{0,25})?|\.[0-9]{1,25})"
_DURATION = re.compile(rf"({_NUMBER})\s*(ns|us|µs|μs|ms|s|m|h|d|w|y)\s*")
_SIZE = re.compile(rf"({_NUMBER})\s*([a-z]{{0,3}})", re.IGNORECASE)
_WHOLE = re.compile(r"-?[0-9]{1,25}")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)")
_NO_LIMIT = ("unlimited", "no limit", "none", "never", "forever")
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def read_value(setting: Setting, value: Any) -> Any:
    """The canonical value of what a person or a program wrote; None is the setting's default.

    Durations become nanoseconds, sizes bytes, times RFC 3339 text in UTC. A text may stand for a list (lines or
    commas) and for a map (lines of key=value). Raises ValueError with one sentence, without the setting's name.
    """
    return setting.default if value is None else _READ[setting.type](setting, value)


def write_value(setting: Setting, canonical: Any) -> Any:
    """A canonical value as JSON for people, which `read_value` reads back: durations as "7d", sizes as numbers."""
    if canonical is None:
        return None
    if setting.type == "duration":
        return duration_text(canonical)
    if setting.type == "durations":
        return [duration_text(each) for each in canonical]
    if setting.type == "object":
        return _written(setting, canonical)
    if setting.type == "objects":
        return [_written(setting, each) for each in canonical]
    return canonical


def duration_text(ns: int) -> str:
    """Nanoseconds as people write them, exactly: "7d", "1h30m", "500ms", "0s"."""
    if ns == 0:
        return "0s"
    text, rest = "", abs(ns)
    for unit in _WRITTEN:
        count, rest = divmod(rest, _NS[unit])
        text += f"{count}{unit}" if count else ""
    return f"-{text}" if ns < 0 else text


def duration_words(ns: int) -> str:
    """Nanoseconds as a sentence says them: exactly, but from a century on in years alone ("292 years")."""
    years = abs(ns) // _NS["y"]
    return f"{'-' if ns < 0 else ''}{years} years" if years >= _CENTURY else duration_text(ns)


def bytes_words(size: int) -> str:
    """A size as a sentence says it: exactly, but from a PiB on what comes closest ("8 EiB")."""
    for unit, factor in (("EiB", 1024**6), ("PiB", 1024**5)):
        if size >= factor:
            return f"{round(size / factor, 1):g} {unit}"
    text = bytes_text(size)
    return f"{size:,} bytes" if text.isdigit() else text


def bytes_text(size: int) -> str:
    """A size as people write it, exactly: 1073741824 → "1GiB", 1500 → "1500", -1 → "unlimited"."""
    if size == -1:
        return "unlimited"
    for unit, factor in _WRITTEN_SIZES.items():
        if size and size % factor == 0 and size // factor < _READABLE:
            return f"{size // factor}{unit}"
    return str(size)


def check_canonical(setting: Setting, value: Any) -> Any:
    """Return a value that is canonical already, or raise ValueError: what stands in a row."""
    if setting.type == "duration":
        return _in_bounds(setting, _plain_whole(value), duration_words)
    if setting.type == "durations":
        if not isinstance(value, list):
            raise ValueError("This must be a list.")
        return [_in_bounds(setting, _plain_whole(each), duration_words) for each in value]
    return read_value(setting, value)


def _text(setting: Setting, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("This must be text.")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("This text holds a character that can't be stored (NUL or half of a pair).")
    return value


def _texts(setting: Setting, value: Any) -> list[str]:
    if isinstance(value, str):
        value = [each.strip() for each in re.split(r"[\n,]", value) if each.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError("This must be a list of texts.")
    return [_text(setting, each) for each in value]


def _choice(setting: Setting, value: Any) -> str:
    found = _text(setting, value).strip().lower()
    if found not in setting.choices:
        raise ValueError(f"This must be one of {', '.join(setting.choices)}.")
    return found


def _whole(setting: Setting, value: Any) -> int:
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _NO_LIMIT:
            return _no_limit(setting)
        if not _WHOLE.fullmatch(text):
            raise ValueError("This must be a whole number.")
        value = int(text)
    return _in_bounds(setting, _plain_whole(value), str)


def _plain_whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("This must be a whole number.")
    return value


def _bytes(setting: Setting, value: Any) -> int:
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError("This must be a size: a number of bytes, or such as 512MiB or 10GiB.")
        return _in_bounds(setting, value, _size_text)
    text = value.strip()
    if text.lower() in _NO_LIMIT:
        return _no_limit(setting)
    if text in ("-1", "0"):
        return _in_bounds(setting, int(text), _size_text)
    found = _SIZE.fullmatch(text)
    factor = _BYTES.get(found[2].lower()) if found else None
    if found is None or factor is None:
        raise ValueError("This must be a size: a number of bytes, or such as 512MiB or 10GiB.")
    exact = Fraction(found[1]) * factor
    if exact.denominator != 1:
        raise ValueError("This is no whole number of bytes.")
    return _in_bounds(setting, int(exact), _size_text)


def _duration(setting: Setting, value: Any) -> int:
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _NO_LIMIT:
            return _no_limit(setting)
        if text == "0":
            return _in_bounds(setting, 0, duration_words)
        parts = _DURATION.findall(text)
        if not parts or _DURATION.sub("", text):
            raise ValueError("This must be a duration: a number and its unit, such as 7d, 1h30m or 500ms.")
        exact = sum(Fraction(number) * _NS[unit] for number, unit in parts)
        if not isinstance(exact, int) and exact.denominator != 1:
            raise ValueError("This is finer than a nanosecond.")
        return _in_bounds(setting, int(exact), duration_words)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("This must be a duration: a number and its unit, such as 7d, 1h30m or 500ms.")
    if 0 < abs(value) < _LEAST_BARE_NS:
        raise ValueError("A duration needs its unit, such as 30s: a bare number is in nanoseconds.")
    return _in_bounds(setting, value, duration_words)


def _durations(setting: Setting, value: Any) -> list[int]:
    if isinstance(value, str):
        value = [each for each in re.split(r"[\n,]", value) if each.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError("This must be a list of durations, such as 1s, 5s, 1m.")
    return [_duration(setting, each) for each in value]


def _flag(setting: Setting, value: Any) -> bool:
    found = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise ValueError("This must be true or false.")
    return found


def _time(setting: Setting, value: Any) -> str | None:
    if value == "":
        return None
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        if found is None:
            raise ValueError
        moment = datetime.fromisoformat(f"{found[1]}T{found[2]}{found[4].upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("This must be a date and time with its zone, such as 2027-01-31T12:00:00Z.") from None
    fraction = (found[3] or "").rstrip("0")
    return moment.replace(tzinfo=None).isoformat() + (f".{fraction}Z" if fraction else "Z")


def _map(setting: Setting, value: Any) -> dict[str, str]:
    if isinstance(value, str):
        value = [line for line in value.splitlines() if line.strip()]
    if isinstance(value, list | tuple):
        pairs = [_text(setting, each).partition("=") for each in value]
        if any(not sign for _, sign, _ in pairs):
            raise ValueError("Each line must be key=value.")
        value = {key.strip(): said.strip() for key, _, said in pairs}
    if not isinstance(value, Mapping):
        raise ValueError("This must be a map of texts.")
    return {_key(setting, key): _text(setting, said) for key, said in value.items()}


def _key(setting: Setting, key: Any) -> str:
    if not _text(setting, key):
        raise ValueError("A key must not be empty.")
    return str(key)


def _object(setting: Setting, value: Any) -> dict[str, Any] | None:
    if value == "":
        return None
    if not isinstance(value, Mapping):
        raise ValueError(f"This must be a map of {', '.join(field.name for field in setting.fields)}.")
    known = {field.name: field for field in setting.fields}
    for name in value:
        if name not in known:
            raise ValueError(f"There is no “{str(name)[:40]}” here; there is {', '.join(known)}.")
    found: dict[str, Any] = {}
    for name, field in known.items():
        try:
            one = read_value(field, value.get(name))
        except ValueError as refused:
            raise ValueError(f"{name}: {refused}") from None
        if field.needed and one in (None, ""):
            raise ValueError(f"{name}: This field is required.")
        if one != field.default:
            found[name] = one
    return found or None


def _objects(setting: Setting, value: Any) -> list[dict[str, Any]]:
    if value == "":
        return []
    if not isinstance(value, list | tuple):
        raise ValueError("This must be a list of maps.")
    found = []
    for number, each in enumerate(value, start=1):
        try:
            one = _object(setting, each)
        except ValueError as refused:
            raise ValueError(f"{number}. entry: {refused}") from None
        found.append(one or {})
    return found


def _written(setting: Setting, canonical: Mapping[str, Any]) -> dict[str, Any]:
    known = {field.name: field for field in setting.fields}
    return {name: write_value(known[name], value) if name in known else value for name, value in canonical.items()}


def _in_bounds(setting: Setting, number: int, told: Callable[[int], str]) -> int:
    least, most = max(setting.least, -MAX_INT64), min(setting.most, MAX_INT64)
    if number == 0 and least < 0:  # the server takes its default for it
        return int(setting.default)
    if number < least:
        raise ValueError(f"This must be {told(least)}{' (no limit)' if least == -1 else ''} or more.")
    if number > most:
        raise ValueError(f"This must be {told(most)} or less.")
    return number


def _size_text(size: int) -> str:
    return bytes_words(size) if size > 0 else str(size)


def _no_limit(setting: Setting) -> int:
    if setting.least == -1:
        return -1
    if setting.least == 0 and setting.default == 0:
        return 0
    raise ValueError("This can't be without a limit.")


_READ: dict[str, Callable[[Setting, Any], Any]] = {
    "text": _text,
    "texts": _texts,
    "choice": _choice,
    "whole": _whole,
    "bytes": _bytes,
    "duration": _duration,
    "durations": _durations,
    "flag": _flag,
    "time": _time,
    "map": _map,
    "object": _object,
    "objects": _objects,
}
