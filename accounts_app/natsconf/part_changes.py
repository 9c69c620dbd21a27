"""What changes in an account's own parts: limits, JetStream, sharing, mappings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from . import forms
from .changes import Change, Kind, is_less, ticks, value_of
from .specs import ExportSpec, ImportSpec, JetStreamSpec, LimitsSpec, MappingSpec

_SIZES = ("max_mem", "max_file", "max_payload", "mem_max_stream_bytes", "disk_max_stream_bytes")


def _limits(account: str, old: Any, new: Any) -> list[Change]:
    before = forms.limits(old) if old is not None else LimitsSpec()
    after = forms.limits(new) if new is not None else LimitsSpec()
    return _numbers("limits", f"limits of `{account}`", account, before, after)


def _jetstream(account: str, old: Any, new: Any) -> list[Change]:
    before = forms.jetstream(old) if old is not None else None
    after = forms.jetstream(new) if new is not None else None
    if before is None and after is None:
        return []
    if after is None:
        return [Change("jetstream", account, f"account `{account}` may no longer use JetStream", removes_access=True)]
    if before is None:
        return [
            Change("jetstream", account, f"account `{account}` may now use JetStream"),
            *_numbers("jetstream", f"JetStream of `{account}`", account, JetStreamSpec(), after),
        ]
    return _numbers("jetstream", f"JetStream of `{account}`", account, before, after)


def _numbers(
    kind: Kind, what: str, account: str, old: LimitsSpec | JetStreamSpec, new: LimitsSpec | JetStreamSpec
) -> list[Change]:
    """Compare limits one by one; one that is not written is no limit."""
    changes = []
    for each in fields(old):
        before, after = getattr(old, each.name), getattr(new, each.name)
        if each.name == "cluster_traffic":
            before, after, narrower = before or "system", after or "system", False
        elif each.name == "max_bytes_required":
            before, after = bool(before), bool(after)
            narrower = after and not before
        else:
            before, after = -1 if before is None else before, -1 if after is None else after
            narrower = is_less(after, before)
        if before != after:
            says = f"{what}: {each.name} {_shown(each.name, before)} → {_shown(each.name, after)}"
            changes.append(Change(kind, account, says, removes_access=narrower))
    return changes


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value == -1:
        return "no limit"
    if name in _SIZES and value:
        for unit, size in (("EiB", 2**60), ("PiB", 2**50)):
            if value >= size:
                return f"{round(value / size, 1):g} {unit}"
        for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if value % size == 0:
                return f"{value // size} {unit}"
        return f"{value} bytes"
    return str(value)


def _exports(account: str, old: Any, new: Any) -> list[Change]:
    def usual(export: ExportSpec) -> ExportSpec:
        return replace(
            export,
            accounts=None if export.account_token_position else export.accounts,
            response_type="" if export.response_type == "single" else export.response_type,
            latency_sampling="" if export.latency_sampling == "100" else export.latency_sampling,
            allow_trace=export.allow_trace or None,
        )

    before = {(e.kind, e.subject): e for e in (usual(forms.export(value)) for value in old or ())}
    after = {(e.kind, e.subject): e for e in (usual(forms.export(value)) for value in new or ())}
    changes = []
    for key in sorted({*before, *after}):
        kind, subject = key
        what = f"{kind} `{subject}`"
        was, is_ = before.get(key), after.get(key)
        if was is None and is_ is not None:
            says = f"account `{account}` now exports {what} to {_offered(is_)}"
            changes.append(Change("export", account, says, gained=(subject,)))
        elif is_ is None:
            says = f"account `{account}` no longer exports {what}"
            changes.append(Change("export", account, says, removes_access=True, lost=(subject,)))
        elif was is not None and was != is_:
            changes += _export(account, what, was, is_)
    return changes


def _export(account: str, what: str, was: ExportSpec, is_: ExportSpec) -> Iterator[Change]:
    if (was.accounts, was.account_token_position) != (is_.accounts, is_.account_token_position):
        narrower = is_.accounts is not None and (was.accounts is None or not set(was.accounts) <= set(is_.accounts))
        narrower |= is_.account_token_position not in (None, was.account_token_position)
        says = f"account `{account}` exports {what} to {_offered(is_)} (was {_offered(was)})"
        yield Change("export", account, says, removes_access=narrower)
    yield from _others(
        "export", account, f"export of {what} by account `{account}`", was, is_, ("accounts", "account_token_position")
    )


def _offered(export: ExportSpec) -> str:
    if export.account_token_position:
        return f"each account its own token {export.account_token_position}"
    return "everybody" if export.accounts is None else ticks(export.accounts)


def _imports(account: str, old: Any, new: Any) -> list[Change]:
    def keyed(value: Any) -> dict[tuple[str, ...], ImportSpec]:
        found = [forms.import_(each) for each in value or ()]
        return {
            (e.kind, e.account, e.subject, e.to, e.prefix): replace(
                e, share=e.share or None, allow_trace=e.allow_trace or None
            )
            for e in found
        }

    before, after = keyed(old), keyed(new)
    changes = []
    for key in sorted({*before, *after}):
        was, is_ = before.get(key), after.get(key)
        kind, source, subject, to, prefix = key
        what = f"{kind} `{subject}` from account `{source}`"
        what += f" as `{to}`" if to else f" as `{prefix}.{subject}`" if prefix else ""
        if was is None:
            changes.append(Change("import", account, f"account `{account}` now imports {what}", gained=(subject,)))
        elif is_ is None:
            says = f"account `{account}` no longer imports {what}"
            changes.append(Change("import", account, says, removes_access=True, lost=(subject,)))
        else:
            changes += _others("import", account, f"import of {what} by account `{account}`", was, is_, ())
    return changes


def _mappings(account: str, old: Any, new: Any) -> list[Change]:
    def keyed(value: Any) -> dict[str, MappingSpec]:
        if not isinstance(value, Mapping):
            return {}
        return {source: forms.mapping(source, each) for source, each in value.items()}

    before, after = keyed(old), keyed(new)
    changes = []
    for source in sorted({*before, *after}):
        was, is_ = before.get(source), after.get(source)
        if was == is_:
            continue
        if is_ is None:
            says = f"account `{account}` no longer maps `{source}`"
        else:
            says = f"account `{account}` maps `{source}` to {_destinations(is_)}"
            says += f" (was {_destinations(was)})" if was else ""
        changes.append(Change("mapping", account, says))
    return changes


def _destinations(mapping: MappingSpec) -> str:
    return ", ".join(
        f"`{each.subject}`"
        + (f" ({each.weight} %)" if each.weight != 100 else "")
        + (f" in cluster `{each.cluster}`" if each.cluster else "")
        for each in mapping.destinations
    )


def _others(
    kind: Kind, account: str, what: str, was: ExportSpec | ImportSpec, is_: ExportSpec | ImportSpec, told: Iterable[str]
) -> Iterator[Change]:
    for each in fields(was):
        before, after = getattr(was, each.name), getattr(is_, each.name)
        if before != after and each.name not in told:
            says = f"{what}: {each.name} {value_of(before)} → {value_of(after)}"
            yield Change(kind, account, says)


PARTS: dict[str, Callable[[str, Any, Any], list[Change]]] = {
    "limits": _limits,
    "jetstream": _jetstream,
    "exports": _exports,
    "imports": _imports,
    "mappings": _mappings,
}
