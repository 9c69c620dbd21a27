"""What an act would change, before it is done: it is done, looked at, and taken back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import transaction
from django.dispatch import Signal
from django.utils.translation import gettext as _

from accounts_app import asset_changes
from accounts_app.asset_changes import Warned
from accounts_app.conf_text import NKEY, conf_lines
from accounts_app.credentials import NewSecret, public_of
from accounts_app.models import Account, System
from accounts_app.natsconf import nkeys
from accounts_app.natsconf.changes import Change, value_of
from accounts_app.natsconf.diff import diff
from accounts_app.natsconf.render import Block, RenderError, render_account
from accounts_app.natsconf.specs import AccountSpec
from accounts_app.natsconf.tree import whole
from accounts_app.natsconf.user_changes import names_by_nkey
from accounts_app.row_writer import parts
from accounts_app.snapshot import read_accounts, read_shared_roles
from accounts_app.wanted import asset_accounts, counted

T = TypeVar("T")
looked = Signal()  # sent with system_id, made ({name: spec} of accounts that come) and after (a Moment): answers Warned


@dataclass(frozen=True, slots=True)
class Preview(Generic[T]):
    """answer: what the act returned; changes: what it means to clients, in NATS's words; conf: the lines of
    the difference as `conf_lines` makes them; faults: accounts that could not be applied, and why; warnings: what
    the servers would refuse of streams and consumers, or lose."""

    answer: T
    changes: tuple[Change, ...]
    conf: tuple[dict[str, str], ...]
    faults: tuple[str, ...]
    warnings: tuple[Warned, ...] = ()

    def as_dict(self, secrets: Mapping[str, NewSecret] | None = None) -> dict[str, Any]:
        """The preview as JSON values, without the answer. secrets: what the act has made for new users."""
        told = by_name(secrets or {})
        return {
            "changes": [
                {"account": change.account, "text": told(str(change)), "removes_access": change.removes_access}
                for change in self.changes
            ],
            "conf": told("\n".join(line["text"] for line in self.conf)),
            "faults": list(self.faults),
            "warnings": [warned.as_dict() for warned in self.warnings],
        }


def by_name(secrets: Mapping[str, NewSecret]) -> Callable[[str], str]:
    """Puts the names of users in place of nkeys that a look has made: the same look again says the same."""
    fresh = {
        public_of(nkeys.decode_seed(secret.secret)[1]): _("‹new nkey of %s›") % name
        for name, secret in secrets.items()
        if secret.kind == "nkey"
    }
    return lambda text: NKEY.sub(lambda key: fresh.get(key[0], key[0]), text) if fresh else text


def preview(system: System, act: Callable[[], T]) -> Preview[T]:
    """Do `act` on rows of a system, say what it changes, and leave every row as it was.

    Whatever `act` raises comes through.
    """
    with transaction.atomic():
        with transaction.atomic():
            answer = act()
            touched, kept = counted(system.pk), asset_accounts(system.pk)
            after, kept_after = _Side(system, touched), asset_changes.moment(system.pk, kept)
            transaction.set_rollback(True)
        before, kept_before = _Side(system, touched), asset_changes.moment(system.pk, kept)
    names = sorted(before.specs.keys() | after.specs.keys())
    known = names_by_nkey([*before.specs.values(), *after.specs.values()])
    changes = diff(whole(before.trees()), whole(after.trees()), known)
    changes += _hands(before.owners, after.owners)
    changes += asset_changes.changes(kept_before, kept_after)
    warnings = asset_changes.warnings(kept_before, kept_after)
    if made := {name: spec for name, spec in after.specs.items() if name not in before.specs}:
        answers: list[tuple[Any, Any]] = looked.send(Preview, system_id=system.pk, made=made, after=kept_after)
        warnings += [warned for _, more in answers for warned in more]
    conf = [line for name in names for line in conf_lines(name, before.text(name), after.text(name))]
    return Preview(answer, tuple(changes), tuple(conf), tuple(after.faults), tuple(warnings))


class _Side:
    """The accounts of one moment as conf blocks. faults: those that can't be rendered; they have none."""

    def __init__(self, system: System, touched: Iterable[int]) -> None:
        specs = read_accounts(touched)
        self.specs: Mapping[str, AccountSpec] = {spec.name: spec for spec in specs.values()}
        self.owners: dict[str, str] = {}
        for part in parts(list(specs)):
            owned = Account.objects.filter(pk__in=part, owner__isnull=False)
            self.owners |= dict(owned.values_list("name", "owner__username"))
        self.faults: list[str] = []
        self.blocks: dict[str, Block] = {}
        shared = read_shared_roles(system.pk)
        enabled = Account.objects.filter(system=system, enabled=True)
        present: Collection[str] = frozenset(enabled.values_list("name", flat=True))
        for name, spec in self.specs.items():
            if spec.enabled:
                try:
                    self.blocks[name] = render_account(spec, shared, system.identity, present)
                except RenderError as refused:
                    self.faults.append(str(refused))

    def trees(self) -> dict[str, Any]:
        return {name: block.tree for name, block in self.blocks.items()}

    def text(self, account: str) -> str:
        return self.blocks[account].text if account in self.blocks else ""


def _hands(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    """Accounts that get another owner. before, after: {account: user name}."""
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            told = f"is owned by {value_of(new)}" if new else "has no owner any more"
            yield Change("setting", name, f"account `{name}` {told}" + (f" (was {value_of(old)})" if old else ""))
