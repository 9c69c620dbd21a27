"""Rendered blocks, kept in this process: only accounts whose counter moved are rendered again."""

from __future__ import annotations

from dataclasses import dataclass, field

from accounts_app.natsconf.render import (
    Block,
    RenderError,
    check_logins,
    check_sharing,
    control_block,
    crowded,
    listed_accounts,
    render_account,
)
from accounts_app.natsconf.specs import AccountSpec, IdentitySpec, RoleSpec
from accounts_app.snapshot import Taken, take_snapshot


@dataclass(frozen=True, slots=True)
class Piece:
    """One account as last rendered. fault: why it could not be, "" when it could.

    spec: what its rows said then.
    """

    wanted: int
    spec: AccountSpec
    block: Block | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """What the rows ask for. blocks: {account: block} of the enabled ones; faults: {account: sentence};
    specs: {account: what its rows said}, disabled and faulty ones too; counters: {account: wanted}."""

    taken: Taken
    blocks: dict[str, Block]
    faults: dict[str, str]
    specs: dict[str, AccountSpec]
    counters: dict[str, int]


_Around = tuple[frozenset[str], frozenset[tuple[str, str]]]  # accounts that are rendered, and what is crowded


@dataclass(slots=True)
class _Shelf:
    identity: IdentitySpec
    roles: tuple[RoleSpec, ...]
    pieces: dict[int, Piece] = field(default_factory=dict)
    present: frozenset[str] = frozenset()
    crowded: frozenset[tuple[str, str]] = frozenset()


_shelves: dict[int, _Shelf] = {}


def make_goal(system_id: int, *, fresh: bool) -> Goal:
    """Read the rows in one moment and render what moved. fresh: ignore everything kept."""
    shelf = None if fresh else _shelves.get(system_id)
    known = {pk: piece.wanted for pk, piece in shelf.pieces.items()} if shelf else None
    taken = take_snapshot(system_id, known)
    if shelf is not None and shelf.identity != taken.identity:
        return make_goal(system_id, fresh=True)
    if shelf is None:
        shelf = _shelves[system_id] = _Shelf(taken.identity, taken.shared)
    shelf.roles = taken.shared
    for pk in shelf.pieces.keys() - taken.counters.keys():
        del shelf.pieces[pk]
    specs = _specs(shelf, taken)
    present = frozenset(spec.name for spec in specs if spec.enabled)
    now_crowded = crowded(specs)
    turned = {account for account, _ in now_crowded ^ shelf.crowded}
    appeared = present ^ shelf.present
    around = (present, now_crowded)
    for pk, piece in shelf.pieces.items():
        if pk not in taken.moved and (piece.spec.name in turned or listed_accounts(piece.spec) & appeared):
            shelf.pieces[pk] = _render(piece.spec, shelf, around, piece.wanted, piece)
    for pk, spec in taken.moved.items():
        shelf.pieces[pk] = _render(spec, shelf, around, taken.counters[pk][1], shelf.pieces.get(pk))
    shelf.present, shelf.crowded = around
    return _goal(taken, shelf, thorough=known is None)


def forget(system_id: int) -> None:
    """Drop what is kept of a system, as a restarted process would have."""
    _shelves.pop(system_id, None)


def _specs(shelf: _Shelf, taken: Taken) -> list[AccountSpec]:
    """What the rows of every account say now."""
    return [piece.spec for pk, piece in shelf.pieces.items() if pk not in taken.moved] + list(taken.moved.values())


def _render(spec: AccountSpec, shelf: _Shelf, around: _Around, wanted: int, former: Piece | None) -> Piece:
    present, in_the_way = around
    try:
        before = former.block if former else None
        block = render_account(spec, shelf.roles, shelf.identity, present, before, in_the_way)
        return Piece(wanted, spec, block)
    except RenderError as error:
        return Piece(wanted, spec, None, str(error))


def _goal(taken: Taken, shelf: _Shelf, *, thorough: bool) -> Goal:
    """thorough: look for logins that two accounts share, too. The tables allow none, so once a sweep is enough."""
    specs = {piece.spec.name: piece.spec for piece in shelf.pieces.values()}
    faults = {piece.spec.name: piece.fault for piece in shelf.pieces.values() if piece.fault}
    twice = check_logins(specs.values(), taken.identity) if thorough else ()
    for wrong in (*check_sharing(specs.values()), *twice):
        faults.setdefault(wrong.account, str(wrong))
    blocks = {
        piece.spec.name: piece.block
        for piece in shelf.pieces.values()
        if piece.block is not None and piece.spec.enabled and piece.spec.name not in faults
    }
    shown = {name: block.shows for name, block in blocks.items()}
    own = control_block(taken.identity, shown)  # after the others, whatever its own counter says
    blocks[own.account] = own
    return Goal(taken, blocks, faults, specs, dict(taken.counters.values()))
