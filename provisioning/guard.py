"""Guards: changes that wait for a person's yes, because a slip would be dear."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from accounts_app.natsconf.render import Block, logins
from accounts_app.natsconf.specs import IdentitySpec
from provisioning.enforced import Enforced

FEW, SHARE, MANY = 10, 0.10, 100  # more than FEW users and more than SHARE of all, or more than MANY


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a change of one account waits."""

    account: str
    reason: str


def check(
    changed: Collection[str],
    target: Mapping[str, Block],
    enforced: Enforced,
    identity: IdentitySpec,
    *,
    expired: Callable[[], Collection[str]],
    streams_of: Callable[[str], int | None],
    waiting: Collection[str] = (),
) -> list[Stop]:
    """What of a change must wait. waiting: accounts whose very change waits already; it doesn't hold others.
    expired: gives users (names and nkeys) whose time has come; they never wait. streams_of: gives how many
    streams an account keeps, None when nobody can tell.
    """
    stops = [*_identity(changed, target, enforced, identity), *_streams(changed, target, enforced, streams_of)]
    fresh = [account for account in changed if account not in waiting]
    for accounts in (fresh, [account for account in changed if account in waiting]):
        stops += _users_going(accounts, target, enforced, expired, certain=accounts is not fresh)
    return stops


def _users_going(
    changed: Collection[str],
    target: Mapping[str, Block],
    enforced: Enforced,
    expired: Callable[[], Collection[str]],
    *,
    certain: bool,
) -> list[Stop]:
    """A rotated credential is one login less and one more, so that nobody goes; but a conf knows nkey users by
    their key alone, so only a few new logins make up for lost ones. certain: hold whatever the count."""
    going: dict[str, int] = {}
    for account in changed:
        if account not in enforced.shas:
            continue
        block = target.get(account)
        before, after = logins(enforced.tree(account)), logins(block.tree if block else None)
        gone = before - after
        lost = len(gone.difference(expired())) - min(FEW, len(after - before)) if gone else 0
        if lost > 0:
            going[account] = lost
    count, of = sum(going.values()), sum(enforced.users.values())
    if not (certain or count > MANY or (count > FEW and count > SHARE * of)):
        return []
    return [
        Stop(account, f"{lost:,} of its users would go ({count:,} of {of:,} in the whole system).")
        for account, lost in sorted(going.items())
    ]


def _streams(
    changed: Collection[str], target: Mapping[str, Block], enforced: Enforced, streams_of: Callable[[str], int | None]
) -> list[Stop]:
    stops = []
    for account in sorted(enforced.jetstream.intersection(changed)):
        block = target.get(account)
        if block is not None and "jetstream" in block.tree:
            continue
        streams = streams_of(account)
        if streams is None:
            stops.append(Stop(account, "It would lose JetStream, and no server can say whether it keeps streams."))
        elif streams:
            what = "would go" if block is None else "would lose JetStream"
            stops.append(Stop(account, f"It {what}, and keeps {streams} stream{'s' if streams > 1 else ''}."))
    return stops


def _identity(
    changed: Collection[str], target: Mapping[str, Block], enforced: Enforced, identity: IdentitySpec
) -> list[Stop]:
    home = identity.system_account
    if home not in changed or home not in enforced.shas:
        return []
    own = {identity.control, identity.relay}
    block = target.get(home)
    if own <= logins(enforced.tree(home)) and block is not None and own <= logins(block.tree):
        return []
    return [Stop(home, "nunect's own identity would change; with the wrong one it could not reload the servers again.")]
