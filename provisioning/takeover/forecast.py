"""What a take-over will do, before it does anything: in values, and in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from accounts_app.credentials import GENERATED_COST
from accounts_app.natsconf.notes import Note
from accounts_app.natsconf.residual import Residual
from accounts_app.natsconf.specs import AccountSpec, IdentitySpec, SecretSpec
from provisioning.takeover.seeing import Look

_COST_10_S = 0.071  # seconds of processor for one bcrypt check at cost 10; each step of the cost doubles it
_CHEAP_S = 0.0003  # of an nkey
SHOWN = 8  # places that a person is shown


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
class Part:
    """What it is for one server. opened: it lets anybody in now, and won't any more; waits_s: for how long new logins
    wait for the reload, at most if `clients` is None; digest: of all its files as they were judged, with stand-ins for
    what is only made when it is taken."""

    seen: Look = field(repr=False)
    residual: Residual = field(default_factory=Residual, repr=False)
    opened: bool = False
    clients: Clients | None = None
    waits_s: float = 0.0
    digest: str = ""

    @property
    def runs(self) -> bool:
        """Whether a nats-server of this machine was started with it."""
        return self.seen.process is not None

    def reload(self) -> str:
        """What its clients feel, for a person."""
        waits = f"new logins wait about {self.waits_s:.2g} s" if self.waits_s >= 0.01 else "nobody waits for it"
        if self.clients is None:
            who = "All clients are checked again by the reload and stay connected"
            return f"{who}; were every user connected once, {waits}."
        count = self.clients.count
        who = f"{count} client{'' if count == 1 else 's'}"
        closed = f"{self.clients.closed} of them are disconnected" if self.clients.closed else "none is disconnected"
        return f"{who} {'is' if count == 1 else 'are'} checked again by the reload, {closed}; {waits}."


@dataclass(frozen=True, slots=True)
class Forecast:
    """parts: each server's, the first of them with the main file beside which nunect writes.

    refusals: why it can't be done; weak: what a person should look at; left: what becomes of includes and variables.
    differences: what accounts, users and permissions would not be as before.
    restart: why and how the server is stopped and started instead of a reload.
    overwritten: what becomes of rows that the system has already.
    generated: what was judged, with stand-ins; identity: nunect's in it.
    """

    parts: tuple[Part, ...] = field(repr=False)
    refusals: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    accounts: int = 0
    users: int = 0
    system_account: str = "$SYS"
    restart: tuple[str, ...] = ()
    overwritten: tuple[str, ...] = ()
    generated: str = field(default="", repr=False)
    identity: IdentitySpec | None = field(default=None, repr=False)

    @property
    def possible(self) -> bool:
        """Whether nothing stands against it."""
        return not self.refusals

    @property
    def counted(self) -> str:
        """How many accounts and users, in words."""
        accounts = f"{self.accounts} account{'' if self.accounts == 1 else 's'}"
        return f"{accounts} with {self.users} user{'' if self.users == 1 else 's'}"

    @property
    def seen(self) -> Look:
        """The first main file."""
        return self.parts[0].seen

    @property
    def looks(self) -> tuple[Look, ...]:
        """All main files."""
        return tuple(part.seen for part in self.parts)

    @property
    def residual(self) -> Residual:
        """What stays of the first."""
        return self.parts[0].residual

    @property
    def texts(self) -> dict[str, str]:
        """{file: text} of all that is written beside the generated file."""
        return {name: text for part in self.parts for name, text in part.residual.texts.items()}

    @property
    def digest(self) -> str:
        """What the first server would report."""
        return self.parts[0].digest

    @property
    def opened(self) -> bool:
        """Whether any of them lets anybody in now."""
        return any(part.opened for part in self.parts)

    @property
    def runs(self) -> bool:
        """Whether any of them runs on this machine."""
        return any(part.runs for part in self.parts)

    @property
    def clients(self) -> Clients | None:
        """The clients of all that run; None when of one nobody could tell."""
        return None if any(part.runs and part.clients is None for part in self.parts) else self._known_clients()

    @property
    def waits_s(self) -> float:
        """Seconds that a new login waits for a reload, at the server where it is longest."""
        return max(part.waits_s for part in self.parts)

    def sentences(self) -> Iterator[str]:
        """What will happen, for a person."""
        yield f"{self.counted} {'becomes' if self.accounts == 1 else 'become'} rows."
        if self.overwritten:
            yield "The system has rows already, which become what the conf says:"
            yield from (f"  {text}" for text in self.overwritten)
        mains = [str(seen.main) for seen in self.looks]
        yield from (f"{main} is written anew, and what it was stays beside it." for main in mains)
        yield from (f"{name} is made." for name in self.texts if name not in mains)
        yield from self.left
        if self.differences:
            yield "Not as before:"
            yield from (f"  {text}" for text in self.differences)
        else:
            which = "The server" if len(mains) == 1 else f"All {len(mains)} servers"
            yield f"{which} will see the same accounts, users and permissions as before."
        if self.opened:
            yield "Anybody gets in without a credential now. That ends, and such clients are disconnected."
        yield from self.restart or self._reloads()
        yield from self.weak[:SHOWN]
        if len(self.weak) > SHOWN:
            yield f"… and {len(self.weak) - SHOWN} more such places (--json prints all)."

    def _known_clients(self) -> Clients | None:
        """The clients of those that tell; None where none does."""
        told = [part.clients for part in self.parts if part.clients is not None]
        users: Counter[str] = Counter()
        for each in told:
            users.update(each.users)
        return Clients(users, sum(each.closed for each in told)) if told else None

    def _reloads(self) -> Iterator[str]:
        if not self.runs:
            yield "No nats-server of this machine runs with this file: its next start will be the first with it."
            return
        yield "A reload does it; nothing needs a restart."
        if len(self.parts) == 1:
            yield self.parts[0].reload()
            return
        for part in self.parts:
            idle = "No nats-server of this machine runs with it: its next start will be the first with it."
            yield f"{part.seen.main}: {part.reload() if part.runs else idle}"
        clients = self._known_clients()
        if clients is not None:
            count = f"{'' if self.clients else 'at least '}{clients.count} client{'' if clients.count == 1 else 's'}"
            yield f"Together {count}, {clients.closed or 'none'} of them disconnected."


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
