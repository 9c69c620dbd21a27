"""The prefix under which a user may hear answers to its requests, where that is its own."""

from __future__ import annotations

from accounts_app.models import NatsUser
from accounts_app.natsconf import subjects

PUBLIC = "_INBOX"


def private_inbox(user: NatsUser) -> str:
    """What clients of this user must set as inbox prefix ("_INBOX.svc"); "" when the usual one will do.

    Source: ADR-33 of NATS; a client whose requests go out with an inbox that it can't hear waits for ever.
    """
    allowed = _subscribes(user)
    if allowed is None or any(subjects.covers(each, f"{PUBLIC}.>") for each in allowed):
        return ""
    own = sorted(each for each in allowed if each.startswith(PUBLIC) and each.endswith(".>"))
    prefix = own[0].removesuffix(".>") if own else ""
    return "" if subjects.has_wildcard(prefix) else prefix


def _subscribes(user: NatsUser) -> list[str] | None:
    """What the user may subscribe without a queue, templates filled in; None for everything."""
    role = user.role
    if user.access == NatsUser.Access.INHERIT:
        role = user.account.default_role
    if user.access == NatsUser.Access.ALL or (user.access == NatsUser.Access.INHERIT and role is None):
        return None
    rows = role.permissions.all() if role is not None else user.permissions.all()
    found = []
    for row in rows:
        if (row.action, row.effect, row.queue) == ("subscribe", "allow", ""):
            try:
                found.append(subjects.expand(row.subject, user.name, user.account.name))
            except ValueError:  # a name that no subject takes; the renderer says so
                continue
    return found
