"""Streams and consumers: make the servers hold what the rows say, object by object."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts_app.jetstream.wire import to_server
from accounts_app.models import Asset, System, record
from provisioning import steps
from provisioning.errors import ProvisioningError
from provisioning.hints import clear_assets_hint
from provisioning.jetstream.acting import Looks, act, is_new, look
from provisioning.jetstream.client import JetStream
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
    row as "waits" or "failed", with a sentence; what waits is tried again by whoever calls next.
    """
    chosen = None if accounts is None else list(accounts)
    tried: dict[Key, int] = {}
    for _ in range(ROUNDS):
        clear_assets_hint(system_id)
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
            wishes = due(self.system.pk, accounts)  # as they are now that nobody else is at them
            api = self.client.api
            looks = self.client.run(look(api, wishes, self.servers))
            steps.reached.send(sender=_Round, step="assets look", system_id=self.system.pk)
            self._leave_traces(wishes, looks)
            steps.reached.send(sender=_Round, step="assets trace", system_id=self.system.pk)
            outcomes = self.client.run(act(api, wishes, looks, self.servers))
            steps.reached.send(sender=_Round, step="assets act", system_id=self.system.pk)
            write(outcomes)
            steps.reached.send(sender=_Round, step="assets write", system_id=self.system.pk)
        return bool(outcomes) and all(outcome.lost for outcome in outcomes)

    def _leave_traces(self, wishes: list[Wish], looks: Looks) -> None:
        """Write down what is about to be made, so that after a crash it is known to be the row's."""
        with transaction.atomic():
            for wish in wishes:
                if is_new(wish, looks[wish.key]):
                    _row(wish).update(seen=to_server(wish.kind, wish.name, wish.config))


def write(outcomes: list[Outcome]) -> None:
    """Write what came of wishes into their rows, by plain updates: they are no change that anybody asked for."""
    with transaction.atomic():
        for outcome in outcomes:
            _write(outcome)


def _write(outcome: Outcome) -> None:
    wish, now = outcome.wish, timezone.now()
    row = _row(wish)
    if outcome.result == "gone":
        for each in row.filter(leaving=True):
            each.delete()
        return
    if outcome.known:
        row.update(seen=outcome.seen, counts=outcome.counts, seen_at=now)
    if outcome.result == "done":
        row.update(done=wish.wanted, drift=[], drift_ignored="", ignored_until=None, **_problem())
        return
    if outcome.result == "foreign":
        row.update(drift=outcome.drift)
    kind = Asset.Problem.WAITS if outcome.result == "waits" else Asset.Problem.FAILED
    told = _problem(kind, outcome.sentence, outcome.setting, wish.wanted)
    if row.exclude(**told).update(**told) and kind == Asset.Problem.FAILED:
        record(f"{wish.key[0]} failed", row.first(), account=wish.account, why=outcome.sentence)
        logger.error(
            "the servers refuse a stream or consumer", extra={"account": wish.account, "name_of_it": wish.name}
        )


def _row(wish: Wish) -> QuerySet[Asset]:
    """Its row, as long as it is managed; updates of it count as no change."""
    model, pk = wish.key
    return QuerySet[Asset](MODELS[model]).filter(pk=pk, managed=True)


def _problem(kind: str = "", sentence: str = "", setting: str = "", wanted: int = 0) -> dict[str, str | int]:
    return {"problem_kind": kind, "problem": sentence, "problem_field": setting, "problem_wanted": wanted}


def _unasked(wish: Wish, why: str) -> Outcome:
    return Outcome(wish, "waits", sentence=why, known=False)


def _parts(wishes: Iterable[Wish]) -> list[list[int]]:
    """The accounts, some at a time; those that have waited before come last, so that nobody waits for them."""
    waited: dict[int, bool] = {}
    for wish in wishes:
        waited[wish.account_id] = waited.get(wish.account_id, False) or wish.waited
    ordered = sorted(waited, key=lambda account: (waited[account], account))
    return [ordered[start : start + TOGETHER] for start in range(0, len(ordered), TOGETHER)]
