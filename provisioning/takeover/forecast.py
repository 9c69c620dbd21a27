"""What a take-over will do, before it does anything: in values, and in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from accounts_app.credentials import GENERATED_COST
from accounts_app.natsconf.reading import Note
from accounts_app.natsconf.residual import Residual
from accounts_app.natsconf.specs import AccountSpec, IdentitySpec, SecretSpec
from provisioning.takeover.seeing import Look

_COST_10_S = 0.071  # seconds of processor for one bcrypt check at cost 10; each step of the cost doubles it
_CHEAP_S = 0.0003  # of an nkey
SHOWN = 20  # places that a person is shown


@dataclass(frozen=True, slots=True)
class Clients:
    """Who is connected now. users: {login: connections}; closed: those let in without a credential.

    None instead of this: nobody could tell.
    """

    users: Mapping[str, int]
    closed: int = 0

    @property
    def count(self) -> int:
        """All connections."""
        return sum(self.users.values()) + self.closed


@dataclass(frozen=True, slots=True)
class Forecast:
    """refusals: why it can't be done; weak: what a person should look at; left: what becomes of includes and variables.

    differences: what accounts, users and permissions would not be as before; opened: the server lets anybody in now,
    and won't any more; waits_s: for how long new logins wait for the reload, at most if `clients` is None.
    restart: why and how the server is stopped and started instead of a reload.
    generated, digest: what was judged, with stand-ins for what is only made when it is taken; identity: nunect's in it.
    """

    seen: Look = field(repr=False)
    refusals: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    accounts: int = 0
    users: int = 0
    system_account: str = "$SYS"
    opened: bool = False
    restart: tuple[str, ...] = ()
    clients: Clients | None = None
    waits_s: float = 0.0
    residual: Residual = field(default_factory=Residual, repr=False)
    generated: str = field(default="", repr=False)
    digest: str = ""
    identity: IdentitySpec | None = field(default=None, repr=False)

    @property
    def possible(self) -> bool:
        """Whether nothing stands against it."""
        return not self.refusals

    def sentences(self) -> Iterator[str]:
        """What will happen, for a person."""
        yield f"{self.accounts} accounts with {self.users} users become rows."
        main = str(self.seen.main)
        yield f"{main} is written anew, and what it was stays beside it."
        yield from (f"{name} is made." for name in self.residual.texts if name != main)
        yield from self.left
        yield from self.weak[:SHOWN]
        if len(self.weak) > SHOWN:
            yield f"… and {len(self.weak) - SHOWN} more such places (--json prints all)."
        if self.differences:
            yield "Not as before:"
            yield from (f"  {text}" for text in self.differences)
        else:
            yield "The server will see the same accounts, users and permissions as before."
        if self.opened:
            yield "Anybody gets in without a credential now. That ends, and such clients are disconnected."
        if self.restart:
            yield from self.restart
        elif self.seen.process is None:
            yield "No nats-server of this machine runs with this file: its next start will be the first with it."
        else:
            yield "A reload does it; nothing needs a restart."
            yield self._reload()

    def _reload(self) -> str:
        waits = f"new logins wait about {self.waits_s:.2g} s" if self.waits_s >= 0.01 else "nobody waits for it"
        if self.clients is None:
            who = "All clients are checked again by the reload and stay connected"
            return f"{who}; were every user connected once, {waits}."
        count = self.clients.count
        who = f"{count} client{'' if count == 1 else 's'}"
        closed = f"{self.clients.closed} of them are disconnected" if self.clients.closed else "none is disconnected"
        return f"{who} {'is' if count == 1 else 'are'} checked again by the reload, {closed}; {waits}."


def said(notes: Iterable[Note], verdict: str) -> tuple[str, ...]:
    """The sentences of the notes with this verdict, each with its place."""
    return tuple(
        f"{note.position.file}:{note.position.line}:{note.position.column}: {note.sentence}"
        if note.position
        else note.sentence
        for note in notes
        if note.verdict == verdict
    )


def waiting_s(accounts: Iterable[AccountSpec], clients: Clients | None) -> float:
    """Seconds that a reload takes to check all clients again. No clients known: as if each user had one."""
    known = {} if clients is None else clients.users
    total = 0.0
    for account in accounts:
        for user in account.users:
            login = user.secret.identity if user.secret.kind == "nkey" else user.name
            count = 1 if clients is None else known.get(login, 0)
            total += count * _check_s(user.secret)
    return total


def _check_s(secret: SecretSpec) -> float:
    """Seconds to check a credential as it will be: a password in clear becomes a hash of the low cost."""
    if secret.kind != "password":
        return _CHEAP_S
    cost = GENERATED_COST if secret.plain else int(secret.identity[4:6])
    return float(_COST_10_S * 2 ** (cost - 10))
