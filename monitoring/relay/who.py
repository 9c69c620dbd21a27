"""Whose a login is. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Who:
    """The row behind a login; empty where nunect knows none."""

    user: str = ""
    user_pk: int | None = None
    account: str = ""
    account_pk: int | None = None
    owner: str = ""
