"""What a person decides: yes or no to a held change, back to a revision, try again."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts_app.door import current_door
from accounts_app.models import Account, System, record
from accounts_app.natsconf.spec_json import UnknownVersion, spec_from_json
from accounts_app.natsconf.specs import AccountSpec
from accounts_app.reconcile import reconcile
from accounts_app.row_writer import Changes
from accounts_app.stages import check_written
from accounts_app.wanted import want
from provisioning.enforced import SHARED_ROLES
from provisioning.models import Hold, Revision, RevisionBlock


def _who() -> Any:
    return current_door().person


def _decide(hold: Hold, state: Hold.State) -> None:
    decided = Hold.objects.filter(pk=hold.pk, state=Hold.State.OPEN).update(
        state=state, decided_at=timezone.now(), decided_by=_who()
    )
    if not decided:
        raise ValidationError(_("Somebody has answered this already, or the change has moved on."))
    record(f"held change {state}", hold, account=hold.account, reason=hold.reason)


@transaction.atomic
def approve(hold: Hold) -> None:
    """Yes: what was shown, and only that, goes to the servers."""
    check_written(hold.system)
    _decide(hold, Hold.State.APPROVED)
    _want(hold.system_id, hold.account)


@transaction.atomic
def refuse(hold: Hold) -> None:
    """No: the account's rows become again what the servers hold. Where only the form would change, nothing follows."""
    _decide(hold, Hold.State.REFUSED)
    if hold.account == Hold.EVERY:
        return
    block = RevisionBlock.objects.filter(system=hold.system_id, account=hold.account, current=True).first()
    if block is not None:
        reconcile(hold.system, [_spec(block)])
    _want(hold.system_id, hold.account)


@transaction.atomic
def revert_to(revision: Revision) -> Changes:
    """Make the configuration rows what they were in a revision, through the same path as any change.

    Credentials stay as they are now; a disabled or expired user stays so; a user that is gone comes
    back disabled and without a credential; accounts that no server holds stay as they are. Raises
    ValidationError when its contents are no longer kept.
    """
    then, shared = contents_of(revision)
    held = RevisionBlock.objects.filter(system=revision.system_id, current=True).exclude(sha256="")
    unknown = Account.objects.filter(system=revision.system_id).exclude(name__in=held.values("account"))
    keep = frozenset(unknown.values_list("name", flat=True))
    changes = reconcile(revision.system, then, shared_roles=shared, prune=True, keep=keep, restore=True)
    record("reverted", revision, to=revision.number)
    return changes


def contents_of(revision: Revision) -> tuple[list[AccountSpec], tuple[Any, ...]]:
    """The specs of all accounts as a revision left them, and the shared roles."""
    upto = RevisionBlock.objects.filter(system=revision.system_id, revision__number__lte=revision.number)
    latest = upto.values("account").annotate(newest=Max("pk")).values("newest")
    accounts: list[AccountSpec] = []
    shared: tuple[Any, ...] = ()
    for block in RevisionBlock.objects.filter(pk__in=latest):
        if block.account == SHARED_ROLES:
            shared = _spec(block).roles
        elif block.sha256:
            accounts.append(_spec(block))
    return accounts, shared


def _spec(block: RevisionBlock) -> AccountSpec:
    if not block.spec:
        raise ValidationError(_("This revision is too old: what its rows said is no longer kept."))
    try:
        return spec_from_json(block.spec_text)
    except UnknownVersion as error:
        raise ValidationError(str(error)) from error


@transaction.atomic
def try_again(target: System | Account) -> None:
    """Ask for a run with the same rows, also for accounts that a server refused."""
    system_id = target.pk if isinstance(target, System) else target.system_id
    check_written(System(pk=system_id))
    accounts = QuerySet[Account](Account).filter(system=system_id, problem_kind=Account.Problem.FAILED)
    if isinstance(target, Account):
        accounts = accounts.filter(pk=target.pk)
    want(system_id)  # locks the system, which goes before its accounts
    accounts.update(problem_kind="", problem="", refused=[])
    record("try again", target)


def _want(system_id: int, account: str) -> None:
    want(system_id, Account.objects.filter(system=system_id, name=account).values_list("pk", flat=True))
