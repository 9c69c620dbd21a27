"""A main file of somebody's own → what stays of it when nunect owns the accounts, and the reasons against that.

All but what nunect owns stays byte for byte: order, spelling, comments, includes. Texts come and go as arguments.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import forms
from .account import AUTHORIZATION_TIMEOUT_S
from .errors import ConfSyntaxError
from .notes import Note, Verdict
from .outline import CantOutline, File, Statement, outline
from .ownership import Ownership, decide, walk
from .parse import Parsed, Path, Position, join, parse
from .refusing import refusals
from .removing import Edit, edited, guard_edit, removal
from .tree import Tree

TAIL = (
    "# From here on nunect: {generated} holds accounts and users, and is generated from rows.",
    "# The guard is a user{where} whose seed nobody has. While it stands before the include, nobody gets in",
    "# without a credential, whatever the generated file says or lacks.",
)


@dataclass(frozen=True, slots=True)
class Residual:
    """What a take-over would write beside the generated file.

    texts: {file: text} of the main file, under its own name, and of includes that are written anew under another
    one; empty when something is refused. gone: files that are no longer included, and stay as they are. notes: what
    becomes of which place.
    """

    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    gone: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def refused(self) -> tuple[Note, ...]:
        """The reasons why this conf can't be taken over."""
        return tuple(note for note in self.notes if note.verdict == "refused")


def split(
    parsed: Parsed,
    file: str,
    read: Callable[[str], str],
    guard: str,
    *,
    environ: Mapping[str, str] | None = None,
    exists: Callable[[str], bool] = lambda name: False,
    generated: str = "accounts.conf",
    housed: bool = False,
) -> Residual:
    """Return what stays of the conf `parsed` was read from, with the guard and `include` of the generated file.

    read: the text of a file, the first one too; exists: whether a name is taken, so that no file is replaced;
    guard: a public nkey whose seed nobody has; generated: the way to nunect's file from the folder of the first;
    housed: what lives in `$G` gets an account. Nothing is raised for a conf that can't be split: the notes say why.
    """
    notes = list(refusals(parsed, housed=housed))
    if notes:
        return Residual(notes=tuple(notes))
    splitter = _Splitter(parsed, file, read, guard, exists, generated)
    try:
        result = splitter.split()
        if not result.refused:
            splitter.prove(result, environ or {})
    except (_Refusal, CantOutline) as refusal:
        return Residual(notes=(Note(refusal.position, (), "refused", refusal.reason),))
    return result if housed or result.refused else replace(result, notes=(*result.notes, *_times(parsed)))


class _Refusal(Exception):
    def __init__(self, position: Position, reason: str) -> None:
        super().__init__(reason)
        self.position, self.reason = position, reason


class _Splitter:
    """One conf: decides for each file whether it stays, goes, or is written anew."""

    def __init__(
        self,
        parsed: Parsed,
        file: str,
        read: Callable[[str], str],
        guard: str,
        exists: Callable[[str], bool],
        generated: str,
    ) -> None:
        self.parsed, self.file, self.read, self.guard = parsed, file, read, guard
        self.exists, self.include, self.generated = exists, generated, join(file, generated)
        self.notes: list[Note] = []
        self.texts: dict[str, str] = {}
        self.gone: list[str] = []

    def split(self) -> Residual:
        text = self.read(self.file)
        self.main = outline(text, self.file, self.read)
        self.owned = decide(self.main)
        self._refuse()
        self._tell()
        kept = self._written(self.main)
        newline = "\r\n" if "\r\n" in text else "\n"
        self.texts[self.file] = kept + self._tail(kept, newline)
        return Residual(dict(self.texts), tuple(dict.fromkeys(self.gone)), tuple(self.notes))

    def _refuse(self) -> None:
        owned = self.owned
        spellings = {each.name: each for each in owned.authorizations}
        if len(spellings) > 1:
            raise _Refusal(
                owned.authorizations[-1].position,
                f"{' and '.join(f'`{name}`' for name in spellings)} are one setting, of which the server takes either, "
                "anew at each start: leave one.",
            )
        if owned.authorization is not None and owned.authorization.body is None:
            raise _Refusal(
                owned.authorization.position,
                "The guard must stand in `authorization`: write its map out here instead of a variable.",
            )
        found: dict[str, list[tuple[Statement, str]]] = {}
        for statement in self._everything():
            if statement.included is not None:
                found.setdefault(statement.included.name, []).append((statement, self._fate(statement.included)))
            elif self.generated in statement.inside and statement not in owned.gone:
                raise _Refusal(
                    statement.position,
                    f"`{statement.name}` includes {self.generated}, the name of nunect's own file: rename it.",
                )
        for name, uses in found.items():
            fates = {fate for _, fate in uses}
            if len(uses) > 1 and fates - {"stays"} and fates != {"goes"}:
                raise _Refusal(
                    uses[1][0].position,
                    f"{name} is included a second time, and part of it is nunect's from now on: include it once.",
                )

    def _everything(self) -> list[Statement]:
        body = self.owned.authorization.body if self.owned.authorization else None
        return [*walk(self.main.statements, includes=True), *walk(body or [], includes=True)]

    # What becomes of a file

    def _fate(self, file: File) -> str:
        fates = {self._fate_of(statement) for statement in file.statements} or {"stays"}
        if fates == {"stays"} and file.name == self.generated:
            return "anew"
        return fates.pop() if len(fates) == 1 else "anew"

    def _fate_of(self, statement: Statement) -> str:
        if statement.included is not None:
            return self._fate(statement.included)
        if statement in self.owned.gone:
            return "goes"
        return "anew" if statement is self.owned.authorization else "stays"

    def _written(self, file: File) -> str:
        edits: list[Edit] = []
        self._edit(file, file.statements, edits)
        return edited(file.text, edits)

    def _edit(self, file: File, statements: list[Statement], edits: list[Edit]) -> None:
        for statement in statements:
            fate = self._fate_of(statement)
            if fate == "goes":
                edits.append(removal(file.text, statement))
                if statement.included is not None:
                    self._leave(statement)
            elif fate == "anew" and statement.included is not None:
                edits.append((statement.start, statement.end, self._anew(statement)))
            elif statement is self.owned.authorization:
                edits.append(guard_edit(file.text, statement, self.guard))
                self._edit(file, statement.body or [], edits)

    def _leave(self, statement: Statement) -> None:
        assert statement.included is not None  # noqa: S101 - the caller has looked
        name = statement.included.name
        self.gone.append(name)
        self._note(statement, "left", f"{name} holds nothing but what nunect owns; it is no longer included.")

    def _anew(self, statement: Statement) -> str:
        """Write the included file under another name; the path to it, in quotes."""
        included = statement.included
        assert included is not None  # noqa: S101 - the caller has looked
        name = self._free(included.name)
        self.texts[name] = ""  # taken
        self.texts[name] = self._written(included)
        self._note(statement, "left", f"{included.name} is no longer included; what stays of it is {name}.")
        self.gone.append(included.name)
        folder = posixpath.dirname(statement.file.text[statement.start : statement.end].strip("\"'"))
        path = posixpath.join(folder, posixpath.basename(name))
        quote = '"' if '"' not in path else "'"
        if quote in path:
            raise _Refusal(statement.position, "No include can say this file's name: rename it.")
        return f"{quote}{path}{quote}"

    def _free(self, name: str) -> str:
        stem, extension = posixpath.splitext(name)
        number = 1
        while True:
            free = f"{stem}.nunect{'' if number == 1 else f'-{number}'}{extension}"
            if free not in self.texts and not self.exists(free):
                return free
            number += 1

    def _tail(self, kept: str, newline: str) -> str:
        authorization = self.owned.authorization
        where = "" if authorization is None else " of `authorization` above"
        if authorization is not None and authorization.file.name != self.file:
            where = " of `authorization` in an included file"
        lines = [line.format(generated=self.include, where=where) for line in TAIL]
        if authorization is None:
            lines.append(f'authorization {{ users: [ {{ nkey: "{self.guard}" }} ] }}')
        lines.append(f'include "{self.include}"')
        before = "" if not kept else newline if kept.endswith("\n") else newline * 2
        return before + newline.join(lines) + newline

    # Words

    def _tell(self) -> None:
        for statement in self._everything():
            if statement not in self.owned.gone:
                continue
            if statement in self.owned.dead:
                self._note(statement, "left", f"`{statement.name}` stands again below, where the server takes it from.")
            elif statement.name.lower() == "server_metadata":
                self._note(statement, "weak", f"What `{statement.name}` says here is gone: nunect writes its own.")
            elif statement in self.owned.variables:
                self._note(statement, "left", f"The variable `{statement.name}` goes: only what nunect owns used it.")

    def _note(self, statement: Statement, verdict: Verdict, sentence: str) -> None:
        path: Path = (statement.name,) if statement.name else ()
        self.notes.append(Note(statement.position, path, verdict, sentence))

    # Proof

    def prove(self, result: Residual, environ: Mapping[str, str]) -> None:
        """Read what was made, and compare: nothing but what nunect owns may differ. Raises _Refusal."""

        def read(name: str) -> str:
            return "" if name == self.generated else result.texts.get(name) or self.read(name)

        try:
            tree = parse(result.texts[self.file], file=self.file, read=read, environ=environ).tree
            same = tree == _expected(self.parsed.tree, self.owned, self.guard, tree)
        except ConfSyntaxError:
            same = False
        if not same:
            raise _Refusal(
                self.main.position(0),
                "What nunect owns can't be cut out of this file safely: write each setting on lines of its own.",
            )


def _times(parsed: Parsed) -> Iterator[Note]:
    """A login's time, where nunect writes `authorization` itself."""
    for key, value in parsed.tree.items():
        if key.lower() != "authorization" or not isinstance(value, Mapping):
            continue
        known, _ = forms.keyed(value, forms.AUTHORIZATION, "Authorization")
        timeout = known.get("timeout", AUTHORIZATION_TIMEOUT_S)
        if known.keys() & {"users", "user"} and timeout != AUTHORIZATION_TIMEOUT_S:
            sentence = (
                f"A login may take {AUTHORIZATION_TIMEOUT_S} s from now on, not {timeout}: nunect writes "
                f"`{key}` where it holds users."
            )
            yield Note(parsed.positions.get((key,)), (key,), "weak", sentence)


def _expected(before: Tree, owned: Ownership, guard: str, now: Tree) -> Tree:
    """The tree that must stay. now: the one that did; a name that stands there more than once is taken from it."""
    kept = {each.name for each in walk(owned.top) if each not in owned.gone}
    gone = {each.name for each in walk(owned.top) if each in owned.gone}
    expected: dict[str, Any] = {name: value for name, value in before.items() if name not in gone}
    expected |= {name: now[name] for name in kept & gone if name in now}
    users = {"users": [{"nkey": guard}]}
    if owned.authorization is None:
        return {**expected, "authorization": users}
    body = owned.authorization.body or []
    lost = {each.name for each in walk(body) if each in owned.gone}
    whole = before[owned.authorization.name]
    return {**expected, owned.authorization.name: {k: v for k, v in whole.items() if k not in lost} | users}
