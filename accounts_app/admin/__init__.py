"""The admin of the rows: one door to the same services as all others."""

from accounts_app.admin import (
    accounts,
    assets,
    audit,
    completing,
    people,
    roles,
    search,
    sharing,
    systems,
    tokens,
    users,
)

__all__ = [
    "accounts",
    "assets",
    "audit",
    "completing",
    "people",
    "roles",
    "search",
    "sharing",
    "systems",
    "tokens",
    "users",
]
