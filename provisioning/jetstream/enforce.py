"""Streams and consumers: make the servers hold what the rows say, object by object."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts_app.jetstream.wire import to_server
from accounts_app.models import Asset, System, record
from accounts_app.stages import is_managed
from provisioning import steps
from provisioning.errors import ProvisioningError
from provisioning.hints import clear_assets_hint
from provisioning.jetstream import strangers
from provisioning.jetstream.acting import Looks, act, is_new, look
from provisioning.jetstream.client import JetStream
from provisioning.jetstream.columns import write_columns
from provisioning.jetstream.locks import sole_enforcer
from provisioning.jetstream.readiness import Servers, names, waits_of
from provisioning.jetstream.wishes import MODELS, Key, Outcome, Wish, due

logger = logging.getLogger(__name__)

ROUNDS = 100  # a run goes on while rows keep changing; this only ends one that can't make progress
TOGETHER = 32  # accounts that are worked at at once
LOCK_TIMEOUT_S = 20.0  # for another worker that is at the same accounts
SILENT = 2  # parts of a run that nobody answered at all, after which the rest is not asked


def enforce(system_id: int, accounts: Iterable[int] | None = None) -> None:
    """Bring the streams and consumers of a system, or of some of its accounts (primary keys), to the servers.

    Safe to call twice, late, for nothing, and from several processes at once. What can't be done now stands on the
    row as "waits" or "failed", with a sentence; what waits is tried again by whoever calls next. Where nunect doesn't
    manage the system, nothing is asked and nothing written.
    """
    chosen = None if accounts is None else list(accounts)
    tried: dict[Key, int] = {}
    for _ in range(ROUNDS):
        clear_assets_hint(system_id)
        if not is_managed(system_id):
            return
        wishes = [wish for wish in due(system_id, chosen) if tried.get(wish.key) != wish.wanted]
        if not wishes:
            return
        _Round(System.objects.get(pk=system_id)).go(wishes)
        tried.update((wish.key, wish.wanted) for wish in wishes)


class _Round:
    """One pass over the rows that are behind."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.servers = Servers.of(system)

    def go(self, wishes: list[Wish]) -> None:
        waiting = waits_of(self.system, {wish.account_id for wish in wishes}, self.servers)
        write([_unasked(wish, waiting[wish.account_id]) for wish in wishes if wish.account_id in waiting])
        ready = [wish for wish in wishes if wish.account_id not in waiting]
        if not ready:
            return
        parts = _parts(ready)
        try:
            with JetStream(self.system) as self.client:
                silent = 0
                while parts and silent < SILENT:
                    silent = silent + 1 if self._meet(parts[0]) else 0
                    parts.pop(0)
            why = f"Waits for {names(self.servers.away) if self.servers.away else 'JetStream'} to answer."
        except ProvisioningError as error:
            why = f"Waits. {error.detail}"
        left = {account for part in parts for account in part}
        write([_unasked(wish, why) for wish in ready if wish.account_id in left])

    def _meet(self, accounts: list[int]) -> bool:
        """Meet all wishes of these accounts; True when nobody answered any of them."""
        with sole_enforcer(self.system.folder, accounts, LOCK_TIMEOUT_S):
            if not is_managed(self.system.pk):
                return False
            wishes = due(self.system.pk, accounts)  # as they are now that nobody else is at them
            api = self.client.api
            looks = self.client.run(look(api, wishes, self.servers))
            steps.reached.send(sender=_Round, step="assets look", system_id=self.system.pk)
            met = strangers.meet(self.system.pk, wishes, looks)
            self._leave_traces(wishes, looks)
            steps.reached.send(sender=_Round, step="assets trace", system_id=self.system.pk)
            outcomes = self.client.run(act(api, wishes, looks, self.servers, met))
            steps.reached.send(sender=_Round, step="assets act", system_id=self.system.pk)
            write(outcomes)
            steps.reached.send(sender=_Round, step="assets write", system_id=self.system.pk)
        return bool(outcomes) and all(outcome.lost for outcome in outcomes)

    def _leave_traces(self, wishes: list[Wish], looks: Looks) -> None:
        """Write down what is about to be made, so that after a crash it is known to be the row's."""
        new = [wish for wish in wishes if is_new(wish, looks[wish.key])]
        with transaction.atomic():
            _write([(wish, {"seen": to_server(wish.kind, wish.name, wish.config)}) for wish in new])


def write(outcomes: list[Outcome]) -> None:
    """Write what came of wishes into their rows, by plain updates: they are no change that anybody asked for."""
    now = timezone.now()
    with transaction.atomic():
        _write([(each.wish, _columns(each, now)) for each in outcomes if each.result in ("done", "waits")])
        for outcome in outcomes:
            if outcome.result == "gone":
                for row in _row(outcome.wish).filter(leaving=True):
                    row.delete()
            elif outcome.result in ("failed", "foreign"):
                _tell(outcome, _columns(outcome, now))


def _columns(outcome: Outcome, now: datetime) -> dict[str, Any]:
    """What an outcome writes into its row."""
    wish = outcome.wish
    found: dict[str, Any] = {}
    if outcome.known:
        found |= {"seen": outcome.seen, "counts": outcome.counts, "seen_at": now}
    if outcome.result == "done":
        at_rest = {"done": wish.wanted, "drift": [], "drift_ignored": "", "ignored_until": None}
        return {**found, **at_rest, **_problem("", "", "", 0)}
    if outcome.result == "foreign":
        found["drift"] = outcome.drift
    kind = Asset.Problem.WAITS if outcome.result == "waits" else Asset.Problem.FAILED
    return {**found, **_problem(str(kind), outcome.sentence, outcome.setting, wish.wanted)}


def _problem(kind: str, sentence: str, setting: str, wanted: int) -> dict[str, str | int]:
    return {"problem_kind": kind, "problem": sentence, "problem_field": setting, "problem_wanted": wanted}


def _write(told: list[tuple[Wish, dict[str, Any]]]) -> None:
    for name, model in MODELS.items():
        rows = (({"pk": wish.key[1], "managed": True}, columns) for wish, columns in told if wish.key[0] == name)
        write_columns(model, rows)


def _tell(outcome: Outcome, columns: dict[str, Any]) -> None:
    """Write a refusal, and into the trail when it is another one than before."""
    wish = outcome.wish
    again = _row(wish).filter(problem=outcome.sentence, problem_wanted=wish.wanted).exists()
    row = _row(wish).first() if _row(wish).update(**columns) else None
    if row is not None and not again:
        record(f"{wish.key[0]} failed", row, account=wish.account, why=outcome.sentence)
        logger.error("the servers refuse a stream or consumer", extra={"account": wish.account, "called": wish.name})


def _row(wish: Wish) -> QuerySet[Asset]:
    """Its row, as long as it is managed; updates of it count as no change."""
    model, pk = wish.key
    return QuerySet[Asset](MODELS[model]).filter(pk=pk, managed=True)


def _unasked(wish: Wish, why: str) -> Outcome:
    return Outcome(wish, "waits", sentence=why, known=False)


def _parts(wishes: Iterable[Wish]) -> list[list[int]]:
    """The accounts, some at a time; those that have waited before come last, so that nobody waits for them."""
    waited: dict[int, bool] = {}
    for wish in wishes:
        waited[wish.account_id] = waited.get(wish.account_id, False) or wish.waited
    ordered = sorted(waited, key=lambda account: (waited[account], account))
    return [ordered[start : start + TOGETHER] for start in range(0, len(ordered), TOGETHER)]
