"""The admin of the rows: one door to the same services as all others."""

from accounts_app.admin import accounts, audit, people, roles, search, sharing, systems, tokens, users

__all__ = ["accounts", "audit", "people", "roles", "search", "sharing", "systems", "tokens", "users"]
