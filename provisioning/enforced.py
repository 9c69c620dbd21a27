"""What the servers hold now, by the revisions: the other side of every comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from accounts_app.natsconf.render import Block, Generated, assemble, block_of, logins
from accounts_app.natsconf.spec_json import UnknownVersion, spec_from_json
from accounts_app.natsconf.specs import AccountSpec
from provisioning.models import Revision, RevisionBlock

SHARED_ROLES = "*"  # the block that keeps the system's shared roles; it has no conf of its own

_recorded: dict[int, Enforced] = {}  # {system: what this process recorded last}


@dataclass(slots=True)
class Enforced:
    """The last revision of a system and its blocks, fetched when they are asked for.

    shas: {account: sha256}; users: {account: number of users}; jetstream: accounts that have it.
    """

    system_id: int
    revision: Revision | None = None
    shas: dict[str, str] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    jetstream: frozenset[str] = frozenset()
    shared_sha256: str = ""
    _trees: dict[str, dict[str, Any]] = field(default_factory=dict)
    _blocks: dict[str, Block] = field(default_factory=dict)

    @classmethod
    def load(cls, system_id: int, *, fresh: bool = False) -> Enforced:
        """fresh: read all anew, whatever this process recorded itself."""
        revision = Revision.objects.filter(system=system_id).first()
        known = None if fresh else _recorded.get(system_id)
        if known is not None and known.revision == revision and known.sha256 == (revision and revision.sha256):
            known.revision = revision
            return known
        rows = RevisionBlock.objects.filter(system=system_id, current=True)
        found = cls(system_id, revision)
        jetstream = set()
        for account, sha256, users, has_jetstream in rows.values_list("account", "sha256", "users", "jetstream"):
            if account == SHARED_ROLES:
                found.shared_sha256 = sha256
                continue
            found.shas[account], found.users[account] = sha256, users
            if has_jetstream:
                jetstream.add(account)
        found.jetstream = frozenset(jetstream)
        return found

    @property
    def sha256(self) -> str | None:
        return self.revision.sha256 if self.revision else None

    @property
    def number(self) -> int:
        return self.revision.number if self.revision else 0

    def tree(self, account: str) -> dict[str, Any] | None:
        """The account's conf tree as the servers hold it, None when they don't know it. Renders nothing."""
        if account not in self.shas:
            return None
        if account not in self._trees:
            row = RevisionBlock.objects.only("conf").get(system=self.system_id, account=account, current=True)
            self._trees[account] = row.tree
        return self._trees[account]

    def block(self, account: str) -> Block | None:
        """The account's block, rendered from its tree: dearer than the tree alone."""
        tree = self.tree(account)
        if tree is not None and account not in self._blocks:
            self._blocks[account] = block_of(account, tree)
        return self._blocks.get(account)

    def remember(self, revision: Revision, blocks: Mapping[str, Block], shared_sha256: str) -> None:
        """A revision of these blocks was recorded: the next run need not read them again."""
        same = {name for name, block in blocks.items() if self.shas.get(name) == block.sha256}
        _recorded[self.system_id] = Enforced(
            self.system_id,
            revision,
            {name: block.sha256 for name, block in blocks.items()},
            {name: self.users[name] if name in same else len(logins(block.tree)) for name, block in blocks.items()},
            frozenset(name for name, block in blocks.items() if "jetstream" in block.tree),
            shared_sha256,
            {name: block.tree for name, block in blocks.items()},
            dict(blocks),
        )

    def read(self, accounts: Iterable[str]) -> None:
        """Fetch the trees of these accounts together, where there are many of them."""
        missing = [name for name in accounts if name in self.shas and name not in self._trees]
        for start in range(0, len(missing), 500):
            rows = RevisionBlock.objects.filter(
                system=self.system_id, current=True, account__in=missing[start : start + 500]
            )
            self._trees |= {row.account: row.tree for row in rows.only("account", "conf")}

    def blocks(self) -> dict[str, Block]:
        """All blocks that the servers hold."""
        self.read(self.shas)
        return {name: block for name in self.shas if (block := self.block(name)) is not None}

    def generated(self) -> Generated:
        """The generated file as the last revision wrote it."""
        return assemble(self.blocks(), self.number)

    def text(self) -> str:
        """Its text."""
        return self.generated().text


def specs_of(system_id: int, accounts: Iterable[str]) -> list[AccountSpec]:
    """What the rows of these accounts said when the servers took them, as far as it is kept."""
    rows = RevisionBlock.objects.filter(system=system_id, account__in=list(accounts)[:500], current=True)
    found = []
    for text in (row.spec_text for row in rows.only("spec")):
        with suppress(UnknownVersion):
            found += [spec_from_json(text)] if text else []
    return found
