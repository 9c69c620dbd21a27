"""Which names, secrets, durations and numbers a conf may hold, each refusal one clear sentence."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import fields

from .nkeys import decode_public
from .specs import JetStreamSpec, LimitsSpec, SecretSpec
from .subjects import InvalidValue, check_subject, shown

__all__ = [
    "CONNECTION_TYPES",
    "GLOBAL_ACCOUNT",
    "InvalidValue",
    "check_account_name",
    "check_bcrypt",
    "check_certificate_identity",
    "check_chosen_password",
    "check_connection_types",
    "check_duration",
    "check_jetstream",
    "check_limits",
    "check_password",
    "check_queue",
    "check_retiring",
    "check_role_name",
    "check_secret",
    "check_user_name",
    "duration_seconds",
]

# Spelled as the server keeps them (jwt library, user_claims.go); it reads any case.
CONNECTION_TYPES = ("STANDARD", "WEBSOCKET", "LEAFNODE", "LEAFNODE_WS", "MQTT", "MQTT_WS", "IN_PROCESS")
GLOBAL_ACCOUNT = "$G"
MAX_USER_NAME = 256  # characters
MAX_IDENTITY = 1024  # characters of a name found in a certificate
MIN_PASSWORD = 10  # characters, of one that a person chooses
MAX_PASSWORD = 72  # bytes: bcrypt looks at no more
MAX_INT32 = 2**31 - 1  # the server cuts account limits to 32 bits without a word
MAX_INT64 = 2**63 - 1

_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SYSTEM = re.compile(r"\$?[A-Za-z0-9_-]{1,64}")
_ROLE = re.compile(r"[\w][\w .:@+-]{0,63}")
_BCRYPT = re.compile(r"\$2[abxy]\$([0-9][0-9])\$[./A-Za-z0-9]{53}")
_BCRYPT_LIKE = re.compile(r"\$2[abxy]\$[0-9][0-9]\$")  # what the server takes for a hash (auth.go)
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def check_account_name(name: str, system: bool = False) -> str:
    """Return `name` if an account may be called so, else raise InvalidValue.

    Blanks break the `$SYS` protocol, dots and wildcards its subjects, and a slash leaves the
    JetStream folder (measured), so the alphabet is small. system: it is the system account,
    which may start with "$" (`$SYS`).
    """
    if not name:
        raise InvalidValue("Account name is empty.")
    if name == GLOBAL_ACCOUNT:
        raise InvalidValue('Account name "$G" is reserved for users that belong to no account.', name)
    if not (_SYSTEM if system else _ACCOUNT).fullmatch(name):
        if len(name) > 64:
            raise InvalidValue(f"Account name has {len(name)} characters; at most 64 are possible.")
        bad = next((c for c in name if not re.match(r"[A-Za-z0-9_-]", c)), name)
        raise InvalidValue(
            f'Account name {shown(name)} holds {shown(bad)}; letters, digits, "_" and "-" are possible.', bad
        )
    return name


def check_user_name(name: str) -> str:
    """Return `name` if a user may be called so: anything that comes back unchanged from a conf."""
    _check_text(name, "User name", MAX_USER_NAME)
    if not name.strip():
        raise InvalidValue("User name consists of blanks.")
    return name


def check_role_name(name: str) -> str:
    """Return `name` if a role may be called so, else raise InvalidValue.

    It never reaches a server; "/" is kept out because "*/name" means a shared role.
    """
    if not name:
        raise InvalidValue("Name is empty.")
    if name != name.strip():
        raise InvalidValue(f"Name {shown(name)} starts or ends with a blank.")
    if not _ROLE.fullmatch(name):
        raise InvalidValue(
            f"Name {shown(name)} is not possible; it starts with a letter, digit or underscore, "
            f'then has up to 63 letters, digits, blanks and any of "_ . : @ + -".',
            name,
        )
    return name


def check_queue(queue: str) -> str:
    """Return `queue` if it may name the queue groups of a right; wildcards are possible."""
    return check_subject(queue, what="Queue")


def check_certificate_identity(identity: str) -> str:
    """Return `identity` if it may be the name found in a certificate: an e-mail address, a DNS
    name, a URI or a subject such as `CN=carol,O=Acme`."""
    _check_text(identity, "Certificate identity", MAX_IDENTITY)
    bad = next((c for c in identity if unicodedata.category(c).startswith("C")), None)
    if bad:
        raise InvalidValue(f"Certificate identity {shown(identity)} holds a control character.", bad)
    if identity != identity.strip():
        raise InvalidValue(f"Certificate identity {shown(identity)} starts or ends with a blank.")
    return identity


def check_duration(text: str, what: str = "Duration", negative: bool = False) -> str:
    """Return `text` if it is a Go duration above zero such as "2s" or "1h30m".

    negative: a value below zero is possible too (the server then knows no limit).
    """
    seconds = duration_seconds(text, what)
    if seconds == 0 or (seconds < 0 and not negative):
        raise InvalidValue(f"{what} {shown(text)} must be longer than nothing.", text)
    return text


def duration_seconds(text: str, what: str = "Duration") -> float:
    """Return the length of a Go duration in seconds, else raise InvalidValue."""
    body = text[1:] if text[:1] in ("-", "+") else text
    parts = _PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise InvalidValue(
            f'{what} {shown(text)} is not a duration; write a number and its unit, such as "2s", "500ms" or "1h30m".',
            text,
        )
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > MAX_INT64 / 1e9:
        raise InvalidValue(f"{what} {shown(text)} is longer than 292 years.", text)
    return -seconds if text[0] == "-" else seconds


def check_bcrypt(text: str) -> str:
    """Return `text` if it is a bcrypt hash that the server can use. Never repeats it."""
    match = _BCRYPT.fullmatch(text)
    if match is None:
        raise InvalidValue("Password hash is not a bcrypt hash ($2a$, $2b$, $2x$ or $2y$, 60 characters).")
    if not 4 <= int(match[1]) <= 31:
        raise InvalidValue(f"Password hash has the cost {match[1]}; bcrypt knows 4 to 31.")
    return text


def check_password(text: str) -> str:
    """Return `text` if it may be hashed as a password. Never repeats it."""
    if not text:
        raise InvalidValue("Password is empty.")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidValue("Password holds a character that is not Unicode text.") from None
    if "\x00" in text:
        raise InvalidValue("Password holds a NUL character.")
    if size > MAX_PASSWORD:
        raise InvalidValue(f"Password has {size} bytes; bcrypt looks at the first {MAX_PASSWORD} only.")
    if _BCRYPT_LIKE.match(text):
        raise InvalidValue("Password looks like a bcrypt hash, which nobody could log in with.")
    return text


def check_chosen_password(text: str) -> str:
    """Return `text` if a person may choose it as a password. Never repeats it."""
    if len(check_password(text)) < MIN_PASSWORD:
        raise InvalidValue(f"A password that you choose has {MIN_PASSWORD} characters at least.")
    return text


def check_secret(secret: SecretSpec, name: str = "") -> SecretSpec:
    """Return `secret` if its identity fits its kind; an unset one ("none") holds nothing."""
    if secret.plain:
        raise InvalidValue("Password is not hashed yet.")
    if secret.kind == "password":
        check_bcrypt(secret.identity)
    elif secret.kind == "nkey":
        decode_public(secret.identity, "U")
    elif secret.kind == "certificate":
        check_certificate_identity(secret.identity)
    elif secret.kind != "none":
        raise InvalidValue(f"Credential kind {shown(secret.kind)} is not known.", secret.kind)
    return secret


def check_retiring(name: str, secret: SecretSpec, retiring: SecretSpec) -> SecretSpec:
    """Return `retiring` if it can work beside `secret` of the user `name`, else raise InvalidValue.

    The server knows a user by one key, so of two passwords only one can be in force.
    """
    check_secret(retiring)
    login = login_key(name, secret)
    if login and login == login_key(name, retiring):
        if secret.kind == retiring.kind == "password":
            raise InvalidValue(
                f"User {shown(name)} can't keep its old password beside the new one: "
                "the server knows one password a user name."
            )
        raise InvalidValue(f"User {shown(name)} has the same credential twice.")
    return retiring


def login_key(name: str, secret: SecretSpec) -> str:
    """Return what the server knows the user by: its name, its nkey or its certificate's name."""
    if secret.kind == "password":
        return name
    return secret.identity if secret.kind in ("nkey", "certificate") else ""


def check_connection_types(types: Iterable[str]) -> tuple[str, ...]:
    """Return `types` sorted and without repetitions, in the server's spelling."""
    found = set()
    for name in types:
        if name.upper() not in CONNECTION_TYPES:
            raise InvalidValue(
                f"Connection type {shown(name)} is not known; known are {', '.join(CONNECTION_TYPES)}.",
                name,
            )
        found.add(name.upper())
    return tuple(sorted(found))


def check_limits(limits: LimitsSpec) -> LimitsSpec:
    """Return `limits` if the server can hold each: -1 (no limit) up to 2147483647."""
    for each in fields(limits):
        _check_number(f"Limit {each.name}", getattr(limits, each.name), MAX_INT32)
    return limits


def check_jetstream(jetstream: JetStreamSpec) -> JetStreamSpec:
    """Return `jetstream` if the server can hold each of its limits."""
    for each in fields(jetstream):
        if each.name not in ("max_bytes_required", "cluster_traffic"):
            _check_number(f"JetStream limit {each.name}", getattr(jetstream, each.name), MAX_INT64)
    if jetstream.cluster_traffic not in ("", "system", "owner"):
        raise InvalidValue(
            f'JetStream cluster_traffic {shown(jetstream.cluster_traffic)} is not known; "system" and "owner" are.',
            jetstream.cluster_traffic,
        )
    return jetstream


def _check_number(what: str, value: int | None, highest: int) -> None:
    if value is not None and not -1 <= value <= highest:
        raise InvalidValue(f"{what} is {value}; -1 (no limit) to {highest} are possible.", str(value))


def _check_text(text: str, what: str, limit: int) -> None:
    if not text:
        raise InvalidValue(f"{what} is empty.")
    if len(text) > limit:
        raise InvalidValue(f"{what} has {len(text)} characters; at most {limit} are possible.")
    if "\x00" in text:
        raise InvalidValue(f"{what} {shown(text)} holds a NUL character.", "\x00")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidValue(f"{what} {shown(text)} holds half a character (a lone surrogate).")
