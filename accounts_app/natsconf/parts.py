"""Limits, JetStream, exports, imports and mappings of one account → their parts of its tree."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial

from . import control, names, subjects
from .specs import CONTROL_ACCOUNT, AccountSpec, ExportSpec, ImportSpec, JetStreamSpec, LimitsSpec, MappingSpec
from .subjects import InvalidValue, shown
from .tree import RenderError, Tree, checked, set_values


def limits_tree(account: str, limits: LimitsSpec) -> Tree:
    checked(account, "limits", partial(names.check_limits, limits))
    return set_values(
        max_connections=limits.max_connections,
        max_subscriptions=limits.max_subscriptions,
        max_payload=limits.max_payload,
        max_leafnodes=limits.max_leafnodes,
    )


def jetstream_tree(account: str, jetstream: JetStreamSpec) -> bool | Tree:
    checked(account, "JetStream", partial(names.check_jetstream, jetstream))
    tree = set_values(
        max_mem=jetstream.max_mem,
        max_file=jetstream.max_file,
        max_streams=jetstream.max_streams,
        max_consumers=jetstream.max_consumers,
        max_ack_pending=jetstream.max_ack_pending,
        mem_max_stream_bytes=jetstream.mem_max_stream_bytes,
        disk_max_stream_bytes=jetstream.disk_max_stream_bytes,
        max_bytes_required=jetstream.max_bytes_required,
        cluster_traffic=jetstream.cluster_traffic or None,
    )
    return tree or True


def export_entries(spec: AccountSpec, present: Collection[str] | None, shows: control.Kinds = ()) -> list[Tree]:
    """Return the entries of `exports`. shows: what of JetStream nunect's control account may import."""
    entries = []
    seen = set()
    for export in sorted(spec.exports, key=lambda e: (e.kind, e.subject)):
        where = f"export {shown(export.subject)}"
        if (export.kind, export.subject) in seen:
            raise RenderError(spec.name, where, f"The {export.kind} is exported twice.")
        seen.add((export.kind, export.subject))
        checked(spec.name, where, partial(_check_export, export, spec.exports))
        allowed = export.accounts
        if allowed is not None:
            allowed = tuple(sorted({name for name in allowed if present is None or name in present}))
            if control.offered(export.kind, export.subject, shows):
                allowed = (CONTROL_ACCOUNT, *allowed)
            if not allowed:
                continue  # an empty list would make it public (server/opts.go, measured)
        entries.append(_export(export, allowed))
    own = {export.kind for export in spec.exports if control.offered(export.kind, export.subject, shows)}
    return entries + control.own_exports(tuple(kind for kind in shows if kind not in own))


def _export(export: ExportSpec, allowed: tuple[str, ...] | None) -> Tree:
    latency: str | Tree | None = export.latency_subject or None
    if latency and export.latency_sampling:
        sampling = export.latency_sampling
        latency = {"sampling": sampling if sampling == "headers" else int(sampling), "subject": latency}
    return {
        export.kind: export.subject,
        **set_values(
            accounts=list(allowed) if allowed is not None else None,
            account_token_position=export.account_token_position,
            response_type=export.response_type or None,
            response_threshold=export.response_threshold or None,
            latency=latency,
            allow_trace=export.allow_trace,
        ),
    }


def _check_export(export: ExportSpec, others: Iterable[ExportSpec]) -> None:
    subjects.check_subject(export.subject)
    _check_kind(export.kind)
    for name in export.accounts or ():
        _check_shared(name)
    position = export.account_token_position
    if position is not None:
        parts = subjects.tokens(export.subject)
        if not 1 <= position <= len(parts) or parts[position - 1] != "*":
            raise InvalidValue(f'Account token position {position} is not a "*" of {shown(export.subject)}.')
        if export.accounts is not None:
            raise InvalidValue(
                "An account token position and a list of accounts are set; the server would ignore the list."
            )
    if export.kind == "stream":
        if export.response_type or export.response_threshold or export.latency_subject:
            raise InvalidValue("Response type, response threshold and latency are for services only.")
        if export.allow_trace is not None:
            raise InvalidValue("Tracing is allowed at the export of a service, or at the import of a stream.")
    if export.response_type not in ("", "single", "stream", "chunked"):
        raise InvalidValue(f"Response type {shown(export.response_type)} is not known.")
    if export.response_threshold:
        names.check_duration(export.response_threshold, "Response threshold")
    if export.latency_sampling and not export.latency_subject:
        raise InvalidValue("Latency is sampled, but no subject says where the samples go.")
    if export.latency_subject:
        _check_latency(export, others)


def _check_latency(export: ExportSpec, others: Iterable[ExportSpec]) -> None:
    subjects.check_subject(export.latency_subject, wildcards=False, what="Latency subject")
    if export.response_type not in ("", "single"):
        raise InvalidValue("Latency is measured for services with a single response only.")
    for other in others:
        if other.kind == "service" and subjects.covers(other.subject, export.latency_subject):
            raise InvalidValue(f"Latency subject {shown(export.latency_subject)} is itself exported as a service.")
    sampling = export.latency_sampling
    if sampling and sampling != "headers" and not (sampling.isascii() and sampling.isdigit()):
        raise InvalidValue(f'Latency sampling {shown(sampling)} is neither "headers" nor a percentage.')
    if sampling and sampling != "headers" and not 1 <= int(sampling) <= 100:
        raise InvalidValue(f"Latency sampling is {sampling} percent; 1 to 100 are possible.")


def import_entries(spec: AccountSpec) -> list[Tree]:
    entries = []
    seen = set()
    for each in sorted(spec.imports, key=lambda i: (i.kind, i.account, i.subject, i.to, i.prefix)):
        where = f"import {shown(each.subject)} from {shown(each.account)}"
        checked(spec.name, where, partial(_check_import, each, spec.name))
        # what the server tells imports of one account apart by
        key = (each.kind, each.account, each.subject if each.kind == "stream" else each.to or each.subject)
        if key in seen:
            raise RenderError(spec.name, where, f"The {each.kind} is imported twice under the same subject.")
        seen.add(key)
        entries.append(
            {
                each.kind: {"account": each.account, "subject": each.subject},
                **set_values(
                    to=each.to or None,
                    prefix=each.prefix or None,
                    share=each.share,
                    allow_trace=each.allow_trace,
                ),
            }
        )
    return entries


def _check_import(each: ImportSpec, account: str) -> None:
    _check_kind(each.kind)
    _check_shared(each.account)
    if each.account == account:
        raise InvalidValue("An account can't import from itself.")
    subjects.check_subject(each.subject)
    if each.to and each.prefix:
        raise InvalidValue("Both a prefix and a local subject are set; only one is possible.")
    if each.to:
        subjects.check_import_to(each.subject, each.to)
    if each.kind == "service":
        if each.prefix:
            raise InvalidValue("A prefix is for streams; a service takes a local subject.")
        if each.allow_trace is not None:
            raise InvalidValue("Tracing is allowed at the export of a service, or at the import of a stream.")
    else:
        if each.prefix:
            subjects.check_subject(each.prefix, wildcards=False, what="Prefix")
        if each.share is not None:
            raise InvalidValue("Sharing of client details is for services only.")


def mappings_tree(spec: AccountSpec) -> Tree:
    tree: Tree = {}
    for mapping in sorted(spec.mappings, key=lambda m: m.source):
        where = f"mapping {shown(mapping.source)}"
        if mapping.source in tree:
            raise RenderError(spec.name, where, "The subject is mapped twice.")
        checked(spec.name, where, partial(_check_mapping, mapping))
        first, *more = sorted(mapping.destinations, key=lambda d: (d.cluster, d.subject))
        if not more and first.weight == 100 and not first.cluster:
            tree[mapping.source] = first.subject
        else:
            tree[mapping.source] = [
                {"destination": d.subject, "weight": d.weight, **set_values(cluster=d.cluster or None)}
                for d in (first, *more)
            ]
    return tree


def _check_mapping(mapping: MappingSpec) -> None:
    subjects.check_source(mapping.source)
    if not mapping.destinations:
        raise InvalidValue("The mapping has no destination.")
    totals: dict[str, int] = {}
    seen = set()
    for destination in mapping.destinations:
        subjects.check_destination(mapping.source, destination.subject)
        if destination.subject in seen:
            raise InvalidValue(f"Destination {shown(destination.subject)} is there twice.")
        seen.add(destination.subject)
        if not 1 <= destination.weight <= 100:
            raise InvalidValue(f"Weight is {destination.weight} percent; 1 to 100 are possible.")
        if destination.cluster:
            subjects.check_token(destination.cluster, "Cluster")
        total = totals[destination.cluster] = totals.get(destination.cluster, 0) + destination.weight
        if total > 100:
            raise InvalidValue(f"Weights add up to {total} percent; at most 100 are possible.")


def _check_shared(name: str) -> None:
    names.check_account_name(name, system=True)
    if name == CONTROL_ACCOUNT:
        raise InvalidValue(control.RESERVED, name)


def _check_kind(kind: str) -> None:
    if kind not in ("stream", "service"):
        raise InvalidValue(f"Kind {shown(kind)} is not known.", kind)
