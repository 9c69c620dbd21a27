"""One value of each simple type: what people give → what a document takes, or one sentence that says why not."""

from __future__ import annotations

import json
import re
from typing import Any

from accounts_app.jetstream.settings import UNLIMITED
from accounts_app.jetstream.words import duration_words
from accounts_app.natsconf import names, nkeys, subjects

from .measures import read_bytes, read_duration, size_words, write_duration
from .specs import ParameterSpec

MOST = {"text": 500, "token": 64, "account_name": 64, "user_name": 200, "subject": 500, "choice": 500, "nkey": 56}
LARGEST = 2**63 - 1
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def read_simple(spec: ParameterSpec, value: Any) -> Any:
    """One value of a type that is neither list nor table. Raises ValueError with a sentence."""
    return _READ[spec.type](spec, value)


def _text(spec: ParameterSpec, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("This must be text.")
    least, most = spec.least or 0, MOST[spec.type] if spec.most is None else spec.most
    if len(value) > most:
        raise ValueError(f"This has {len(value):,} characters; at most {most:,} are possible.")
    if len(value) < least:
        raise ValueError(f"This has {len(value):,} characters; at least {least:,} are needed.")
    if any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("This holds a character that can't be stored (NUL or half of a pair).")
    nkeys.refuse_seed(value)
    return value


def _token(spec: ParameterSpec, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        value = str(value)  # a YAML that was meant as a name
    found = _text(spec, value)
    if not _TOKEN.fullmatch(found):
        raise ValueError(
            "This must be one word of letters, digits, - and _, which begins with a letter or digit: it becomes a part "
            f"of subjects and names, and {shown(found)} can't."
        )
    return found


def _account_name(spec: ParameterSpec, value: Any) -> str:
    return names.check_account_name(_text(spec, value))


def _user_name(spec: ParameterSpec, value: Any) -> str:
    return names.check_user_name(_text(spec, value))


def _subject(spec: ParameterSpec, value: Any) -> str:
    found = subjects.check_subject(_text(spec, value), wildcards=spec.wildcards)
    if found.startswith(("$", "_INBOX", ">", "*")):
        raise ValueError(f"{shown(found)} reaches into what NATS keeps for itself: begin with a word of your own.")
    return found


def _nkey(spec: ParameterSpec, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("This must be text.")
    nkeys.decode_public(value, "U")
    return value


def _choice(spec: ParameterSpec, value: Any) -> str:
    said = _scalar(value)
    if said not in spec.choices:
        raise ValueError(f"This must be one of {', '.join(spec.choices)}.")
    return said


def _whole(spec: ParameterSpec, value: Any) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST:
        raise ValueError("This must be a whole number.")
    return _between(spec, value, "{:,}".format)


def _bytes(spec: ParameterSpec, value: Any) -> int:
    found = read_bytes(value)
    if found == UNLIMITED and spec.most is None:
        return found
    return _between(spec, LARGEST if found == UNLIMITED else found, size_words)


def _duration(spec: ParameterSpec, value: Any) -> str:
    return write_duration(_between(spec, read_duration(value), duration_words))


def _flag(spec: ParameterSpec, value: Any) -> bool:
    found = value if isinstance(value, bool) else _FLAGS.get(str(value).strip().lower())
    if found is None:
        raise ValueError("This must be true or false.")
    return found


_READ = {
    "text": _text,
    "token": _token,
    "account_name": _account_name,
    "user_name": _user_name,
    "subject": _subject,
    "nkey": _nkey,
    "choice": _choice,
    "whole": _whole,
    "bytes": _bytes,
    "duration": _duration,
    "flag": _flag,
}


def _between(spec: ParameterSpec, value: int, words: Any) -> int:
    if spec.least is not None and value < spec.least:
        raise ValueError(f"This must be {words(spec.least)} at least.")
    if spec.most is not None and value > spec.most:
        raise ValueError(f"This must be {words(spec.most)} at most.")
    return value


def _scalar(value: Any) -> str:
    """A value as the keys of a map write it."""
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, (bool, int, float)) else ""


def shown(value: Any) -> str:
    """What was given, in quotes, cut when long, invisible characters escaped."""
    text = str(value)
    cut = text if len(text) <= 60 else text[:59] + "…"
    return "“" + "".join(one if one.isprintable() else ascii(one)[1:-1] for one in cut) + "”"
