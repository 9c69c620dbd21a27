"""The core's checks as Django validators: admin, REST and import say the same sentence."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

from accounts_app.jetstream.names import check_asset_name
from accounts_app.natsconf import names, nkeys, subjects
from accounts_app.natsconf.specs import CONTROL_ACCOUNT


def _say(check: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    try:
        check(*arguments, **options)
    except ValueError as refused:
        raise ValidationError(str(refused)) from refused


def account_name(value: str) -> None:
    """An account's name; the servers' own `$SYS` and `$G` and nunect's own are let through, for their rows exist."""
    if value not in ("$SYS", "$G", CONTROL_ACCOUNT):
        _say(names.check_account_name, value)


def role_name(value: str) -> None:
    _say(names.check_role_name, value)


def user_name(value: str) -> None:
    _say(names.check_user_name, value)


def subject(value: str) -> None:
    """A subject with or without wildcards."""
    _say(subjects.check_subject, value)


def mapping_source(value: str) -> None:
    """A subject that a conf can hold as a key."""
    _say(subjects.check_source, value)


def subject_template(value: str) -> None:
    """A subject that may hold `{{name()}}` and `{{account-name()}}`."""
    _say(subjects.check_template, value)


def asset_name(value: str) -> None:
    """The name of a stream or consumer."""
    _say(check_asset_name, value)


def queue(value: str) -> None:
    _say(names.check_queue, value)


def duration(value: str) -> None:
    """A Go duration such as "2s" or "1m30s"."""
    _say(names.check_duration, value)


def bcrypt_hash(value: str) -> None:
    _say(names.check_bcrypt, value)


def user_nkey(value: str) -> None:
    """A user's public nkey, "U" and 55 more characters."""
    _say(nkeys.decode_public, value, "U")


def certificate_identity(value: str) -> None:
    _say(names.check_certificate_identity, value)


def connection_types(value: Any) -> None:
    """A list of the server's connection types."""
    if not isinstance(value, list):
        raise ValidationError("Connection types are a list.")
    _say(names.check_connection_types, value)


def servers_url(value: str) -> None:
    """Where servers are: nats://host:4222, several with commas between them."""
    for one in value.split(","):
        try:
            parts = urlsplit(one.strip())
            wrong = parts.scheme not in ("nats", "tls", "ws", "wss") or not parts.hostname or parts.port == 0
        except ValueError:
            wrong = True
        if wrong:
            raise ValidationError("Give a URL such as nats://host:4222 (nats, tls, ws or wss).")
        if parts.username is not None or parts.password is not None:
            raise ValidationError(
                "Give no credential in the URL: it is shown and logged, and nunect has keys of its own."
            )


def folder(value: str) -> None:
    """A folder that is there and can be written to."""
    path = Path(value)
    if not path.is_absolute() or not path.is_dir():
        raise ValidationError("There is no such folder on this machine; give its whole path.")
    if not os.access(path, os.W_OK | os.X_OK):
        raise ValidationError("nunect may not write into this folder.")


def text(value: str) -> None:
    """Free text that every door can store and show: no NUL, no half characters."""
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValidationError("This text holds a character that can't be stored (NUL or half of a pair).")
