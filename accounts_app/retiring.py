"""Accounts that are on their way out: their rows don't tell it, so the room that takes them away says so here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from django.utils import timezone
from django.utils.translation import gettext as _


@dataclass(frozen=True, slots=True)
class Retiring:
    """job: its number; until: when the undo window ends, None before it begins; failed: the job has stopped."""

    job: int
    until: datetime | None
    failed: bool

    def __str__(self) -> str:
        if self.failed:
            return _("retiring, job %d failed") % self.job
        if self.until is None or self.until <= timezone.now():
            return _("retiring")
        until = timezone.localtime(self.until)
        return _("retiring, removed on %s") % f"{until.day} {until:%b %H:%M %Z}"


Teller: TypeAlias = "Callable[[Collection[int]], Mapping[int, Retiring]]"
_tellers: list[Teller] = []


def told_by(teller: Teller) -> None:
    """Have `teller` asked from now on, by primary keys of accounts, in a fixed number of queries."""
    if teller not in _tellers:
        _tellers.append(teller)


def retiring(accounts: Collection[int]) -> dict[int, Retiring]:
    """{account: how it goes} of those that are on their way out."""
    found: dict[int, Retiring] = {}
    for teller in _tellers if accounts else ():
        found |= teller(accounts)
    return found
