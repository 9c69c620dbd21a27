"""Revisions, held changes and drift become events in the transaction that writes their rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models.signals import post_save
from django.utils import timezone

from accounts_app.models import Account, AuditEntry
from monitoring.archive import keep_now
from monitoring.events import Event
from provisioning.models import Drift, Hold, Revision
from provisioning.telling import authors_of, in_words

logger = logging.getLogger(__name__)
EACH = 5  # accounts of a revision that have an event each; of more, one event tells
SAID = 3  # changes that a sentence names before it counts
KEPT = 20  # changes beside the sentence
_ANSWERS = {  # what a person decides is an act of the trail: its rows change without a signal
    "held change approved": "said yes to the held change of {whose}",
    "held change refused": "said no to the held change of {whose}",
    "drift to be repaired": "asked for the repair of what others changed",
    "drift adopted": "adopted what others changed",
    "drift ignored": "lets be what others changed",
}


def connect() -> None:
    for sender, receiver in (
        (Revision, revision_recorded),
        (Hold, hold_saved),
        (Drift, drift_saved),
        (AuditEntry, answered),
    ):
        post_save.connect(receiver, sender=sender, dispatch_uid=f"monitoring.{sender.__name__}")


def revision_recorded(sender: Any, instance: Revision, created: bool, **kwargs: Any) -> None:
    """An event for each account that it changed, one for all of them when they are many."""
    if created and not kwargs.get("raw"):
        _keep(instance.system_id, lambda: _of_revision(instance))


def _of_revision(revision: Revision) -> Iterable[Event]:
    changes = [change for change in revision.changes if isinstance(change, dict)]
    parts: dict[str, list[Any]] = {}
    for change in changes:
        parts.setdefault(str(change.get("account") or ""), []).append(change)
    named = sorted(name for name in parts if name)
    known = dict(_accounts(revision.system_id, named[:EACH]))
    if not 0 < len(named) <= EACH or "" in parts:  # also what is the server's own, or was too much to be listed
        named, parts = [""], {"": changes}
    who = authors_of(revision)
    said = in_words(parts[name] for name in named)
    for name, lines in zip(named, said, strict=True):
        pk, owner = known.get(name, (None, ""))
        yield Event(
            at=revision.created_at.timestamp(),
            id=f"revision:{revision.number}:{name}",
            kind="revision",
            text=f"Revision {revision.number} by {who}: {_sentence([line.text for line in lines], revision.reason)}",
            account=name,
            account_pk=pk,
            owner=owner,
            revision=revision.number,
            detail={"who": who, "reason": revision.reason, "changes": [line.text for line in lines[:KEPT]]},
        )


def hold_saved(sender: Any, instance: Hold, created: bool, **kwargs: Any) -> None:
    """A guard keeps a change back."""
    if created and not kwargs.get("raw"):
        _keep(instance.system_id, lambda: [_of_hold(instance)])


def _of_hold(hold: Hold) -> Event:
    (lines,) = in_words([hold.changes])
    return Event(
        at=hold.created_at.timestamp(),
        id=f"hold:{hold.pk}:open",
        kind="revision",
        level="warning",
        text=f"A change of {_whose(hold)} waits for a person's yes: {hold.reason}",
        reason=hold.reason,
        detail={"hold": hold.pk, "changes": [line.text for line in lines[:KEPT]]},
        **_place(hold.system_id, hold.account),
    )


def _whose(hold: Hold) -> str:
    return "all accounts" if hold.account == Hold.EVERY else f"`{hold.account}`"


def drift_saved(sender: Any, instance: Drift, created: bool, **kwargs: Any) -> None:
    """Somebody else changed something, and what became of it."""
    if not kwargs.get("raw"):
        _keep(instance.system_id, lambda: [_of_drift(instance, created)])


def _of_drift(drift: Drift, created: bool) -> Event:
    waits = drift.state in (Drift.State.OPEN, Drift.State.APPROVED)
    ends = {
        Drift.State.OPEN: "It waits for a person.",
        Drift.State.APPROVED: "It is to be repaired.",
        Drift.State.REPAIRED: "nunect puts back what the rows say.",
        Drift.State.IGNORED: "It is ignored.",
        Drift.State.ADOPTING: "The rows say it, too.",
        Drift.State.ADOPTED: "The rows say it, too.",
        Drift.State.GONE: "It is another one now.",
    }[Drift.State(drift.state)]
    (lines,) = in_words([drift.changes])
    return Event(
        at=(drift.found_at if created else drift.answered_at or timezone.now()).timestamp(),
        id=f"drift:{drift.pk}:{drift.state}",
        kind="drift",
        level="error" if waits else "warning",
        text=f"{drift.summary.rstrip('.')}. {ends}",
        detail={"drift": drift.pk, "where": drift.where, "changes": [line.text for line in lines[:KEPT]]},
    )


def answered(sender: Any, instance: AuditEntry, created: bool, **kwargs: Any) -> None:
    """A person has decided about a held change or a drift."""
    if created and instance.act in _ANSWERS and not kwargs.get("raw"):
        model: Any = Hold if instance.object_type == Hold._meta.model_name else Drift
        row = model.objects.filter(pk=instance.object_id).first()
        if row is not None:
            _keep(row.system_id, lambda: [_of_answer(instance, row)])


def _of_answer(entry: AuditEntry, row: Hold | Drift) -> Event:
    account = row.account if isinstance(row, Hold) else ""
    whose = _whose(row) if isinstance(row, Hold) else ""
    who = entry.person_name or "nunect itself"
    about = row.reason if isinstance(row, Hold) else row.summary
    place = _place(row.system_id, account) if account else {}
    return Event(
        at=entry.at.timestamp(),
        id=f"{entry.object_type}:{row.pk}:{entry.act}:{entry.pk}",
        kind="revision" if isinstance(row, Hold) else "drift",
        text=f"{who} {_ANSWERS[entry.act].format(whose=whose)}: {about}",
        detail={"who": who, entry.object_type: row.pk},
        **place,
    )


def _keep(system_id: int, told: Callable[[], Iterable[Event]]) -> None:
    """Write events beside the row that they are of; a table of events that refuses is no reason to refuse the row."""
    try:
        with transaction.atomic():
            keep_now(system_id, told())
    except DatabaseError as error:
        logger.error("an event of a row was not archived", extra={"detail": type(error).__name__})


def _place(system_id: int, name: str) -> dict[str, Any]:
    """The account of an event, with what its row says."""
    pk, owner = next((found for _, found in _accounts(system_id, [name])), (None, ""))
    return {"account": name, "account_pk": pk, "owner": owner}


def _accounts(system_id: int, names: list[str]) -> Iterable[tuple[str, tuple[int, str]]]:
    """(name, (key, owner's name)) of accounts."""
    rows = Account.objects.filter(system=system_id, name__in=names)
    for name, pk, owner in rows.values_list("name", "pk", "owner__username"):
        yield name, (pk, owner or "")


def _sentence(lines: list[str], reason: str) -> str:
    said = "; ".join(lines[:SAID]) or reason.rstrip(".") or "nothing that words tell"
    return f"{said}; and {len(lines) - SAID} more." if len(lines) > SAID else f"{said}."
