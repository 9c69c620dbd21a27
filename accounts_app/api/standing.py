"""How far the servers are with what a write has changed: accounts by their counters, assets by theirs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from django.db.models import F, Q

from accounts_app.access import reaches_all
from accounts_app.models import Account, Consumer, Stream, System
from accounts_app.models.base import ConfigModel
from accounts_app.models.jetstream import Asset
from accounts_app.stages import HELD
from accounts_app.wanted import assets_counted, counted, shared_counted

Target: TypeAlias = "int | tuple[str, int]"  # an account, or ("stream" or "consumer", primary key)
SYNC_OF_ASSETS = {  # {state of an asset: what `sync` says}
    "observed": "applied",
    "drifted": "applied",
    "applied": "applied",
    "leaving": "pending",
    "pending": "pending",
    "waits": "pending",
    "failed": "failed",
}
_WEIGHT = {"applied": 0, "held": 1, "failed": 2, "pending": 3}


def targets_of(system: System, also: Iterable[Target] = ()) -> dict[str, int]:
    """{target: counter} of what this transaction changed, and of what else is asked for.

    A target is "7", an account; "stream:12" or "consumer:12"; or "" for the system itself.
    """
    asked = list(also)
    changed = counted(system.pk)
    accounts = changed.union(each for each in asked if isinstance(each, int))
    assets = assets_counted(system.pk).union(each for each in asked if isinstance(each, tuple))
    targets = _counters(Account, "", accounts)
    for model in (Stream, Consumer):
        name = model._meta.model_name or ""
        targets |= _counters(model, f"{name}:", [pk for kind, pk in assets if kind == name])
    if changed or shared_counted(system.pk):
        targets[""] = System.objects.values_list("wanted", flat=True).get(pk=system.pk)
    return targets


def _counters(model: Any, prefix: str, pks: Iterable[int]) -> dict[str, int]:
    asked, found = sorted(pks), dict[str, int]()
    for start in range(0, len(asked), 500):
        rows = model.objects.filter(pk__in=asked[start : start + 500]).order_by()
        found |= {f"{prefix}{pk}": wanted for pk, wanted in rows.values_list("pk", "wanted")}
    return found


def home_of(result: Any) -> Iterable[Target]:
    """What a row that was answered stands or falls with: an asset with itself, all others with their account."""
    row = result[0] if isinstance(result, tuple) else result
    if isinstance(row, Asset) and row.pk:
        return [(row._meta.model_name or "", row.pk)]
    return row.affects()[1] if isinstance(row, ConfigModel) and row.pk else ()


def of_accounts(system: System, names: Iterable[str]) -> list[Target]:
    """Accounts by name, with those of their streams and consumers that the servers don't have yet."""
    accounts = list(Account.objects.filter(system=system, name__in=names).values_list("pk", flat=True))
    behind = ~Q(wanted=F("done"))
    streams = Stream.objects.filter(behind, account__in=accounts, managed=True).order_by().values_list("pk", flat=True)
    consumers = Consumer.objects.filter(behind, stream__account__in=accounts, managed=True).order_by()
    return [
        *accounts,
        *(("stream", pk) for pk in streams),
        *(("consumer", pk) for pk in consumers.values_list("pk", flat=True)),
    ]


def sync_of(system: System, targets: dict[str, int], person: Any) -> dict[str, Any]:
    """{state, revision, problem}: whether the servers enforce what was asked for.

    The system's own problem may name any account: who is kept to single ones isn't told. What nunect doesn't write,
    because it only observes the system, is held.
    """
    rows = _standing(targets)  # before the system: the revision told is then no older than the one that did it
    now = System.objects.values("wanted", "done", "problem", "revision", "stage").get(pk=system.pk)
    if not reaches_all(person):
        now["problem"] = ""
    accounts = any(":" not in target for target in rows)
    state, problem, field = "applied", "", ""
    for target, wanted in targets.items():
        row = rows.get(target)
        if row is not None:
            one, why, where = _how_far(row, wanted, now["problem"])
        elif ":" in target:  # an asset that is gone, as it was meant to
            one, why, where = "applied", "", ""
        else:  # the system, or an account that is gone
            behind = now["done"] < (wanted if not target else targets[""])
            one, where = ("pending" if behind and not (accounts and not target) else "applied"), ""
            why = now["problem"] if behind else ""
        if _WEIGHT[one] > _WEIGHT[state]:
            state = one
        if not problem:
            problem, field = why, where
    if state == "pending" and now["stage"] != System.Stage.MANAGED:
        state, problem, field = "held", HELD, ""
    told = {"state": state, "revision": now["revision"], "problem": problem}
    return told | {"field": field} if any(":" in target for target in targets) else told


def _standing(targets: Iterable[str]) -> dict[str, dict[str, Any]]:
    """{target: how far it is} of those that are there."""
    fields = ("pk", "wanted", "done", "problem_kind", "problem", "problem_wanted")
    of_assets = (*fields, "problem_field", "managed", "leaving")
    found: dict[str, dict[str, Any]] = {}
    for model, prefix, columns in (
        (Account, "", fields),
        (Stream, "stream:", of_assets),
        (Consumer, "consumer:", of_assets),
    ):
        pks = [target.removeprefix(prefix) for target in targets if target and target.rpartition(":")[0] == prefix[:-1]]
        if pks:
            rows: Any = model._default_manager.filter(pk__in=pks).order_by()
            found |= {f"{prefix}{row['pk']}": row for row in rows.values(*columns)}
    return found


def _how_far(row: dict[str, Any], wanted: int, of_system: str) -> tuple[str, str, str]:
    """(state, problem, field) of a row whose counter was `wanted`. of_system: the problem of the whole system."""
    stuck = row["problem_kind"] and row["problem_wanted"] >= wanted
    if "managed" in row:
        if not row["managed"] or (row["done"] >= wanted and not row["leaving"]):
            return "applied", "", ""
        if stuck:
            return SYNC_OF_ASSETS[row["problem_kind"]], row["problem"], row["problem_field"]
        return "pending", of_system, ""
    if row["done"] >= wanted:
        return "applied", "", ""
    return (row["problem_kind"], row["problem"], "") if stuck else ("pending", of_system, "")
