"""What stands behind the ? of an address: a parameter that nobody knows is told, not overlooked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError

from accounts_app import validators
from accounts_app.api.problems import Invalid

OF_LISTS = frozenset(("cursor", "fields", "limit", "ordering", "search"))
OFTEN = frozenset(("account",))  # of an export: each names one account more
MAY_BE_EMPTY = frozenset(("cursor", "fields", "search"))
OF_WRITES = frozenset(("dry_run",))
_TRUE = {"true": True, "1": True, "false": False, "0": False}


def only_known(request: Any, known: Collection[str]) -> None:
    """Raise Invalid for a parameter that is not among these, or that no database could hold."""
    for name in request.query_params:
        if name not in known:
            raise Invalid(_shown(name), "There is no such parameter here.")
        if name not in OFTEN and len(request.query_params.getlist(name)) > 1:
            raise Invalid(name, "This parameter is given twice.")
        if name not in MAY_BE_EMPTY and "" in request.query_params.getlist(name):
            raise Invalid(name, "This parameter has no value.")
        for value in request.query_params.getlist(name):
            try:
                validators.text(value)
            except ValidationError as refused:
                raise Invalid(name, refused.messages[0]) from refused


def flag(request: Any, name: str) -> bool:
    """A yes or no of the address."""
    text = request.query_params.get(name, "false").lower()
    if text not in _TRUE:
        raise Invalid(name, "This must be true or false.")
    return _TRUE[text]


def _shown(name: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in name[:80])
