"""What the server would refuse of a consumer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from accounts_app.jetstream.case import Case, Warning, many
from accounts_app.jetstream.wire import complete
from accounts_app.natsconf import subjects

Look = Callable[[Case], Iterator[Warning]]


def _of_work_queue(case: Case) -> Iterator[Warning]:
    if case.stream is None or case.stream.get("retention") != "workqueue":
        return
    if case.after["ack_policy"] != "explicit":
        yield Warning("ack_policy", "A work queue needs acknowledgements: explicit.", "refused")
    if case.after["deliver_policy"] != "all" and case.seen is None:
        yield Warning("deliver_policy", "A consumer of a work queue begins with all messages.", "refused")
    mine = case.after["filter_subjects"] or [">"]
    for other, config in case.others.items():
        theirs = complete("consumer", config)["filter_subjects"] or [">"]
        met = next((one for one in mine if any(subjects.overlaps(one, each) for each in theirs)), None)
        if met is not None:
            told = f"In a work queue each message is one consumer's, and {other} takes some of “{met}” already."
            yield Warning("filter_subjects", told, "refused")
            return


def _within_stream(case: Case) -> Iterator[Warning]:
    if case.stream is None:
        return
    copies, stored = case.stream.get("num_replicas") or 1, case.stream.get("subjects") or []
    if case.after["replicas"] > copies:
        yield Warning("replicas", f"The stream has {many(copies, 'replica')}, and a consumer no more.", "refused")
    elif case.stream.get("retention") in ("interest", "workqueue") and case.after["replicas"] not in (0, copies):
        told = f"With this retention of the stream a consumer has as many replicas: {copies}, or 0."
        yield Warning("replicas", told, "refused")
    to = case.after["deliver_subject"]
    if to and any(subjects.overlaps(to, subject) for subject in stored):
        yield Warning("deliver_subject", "The stream would store what it delivers, round and round.", "refused")
    for subject in case.after["filter_subjects"]:
        if stored and not any(subjects.overlaps(subject, each) for each in stored):
            yield Warning("filter_subjects", f"The stream stores nothing of “{subject}”.", "note")


def _consumers_limits(case: Case) -> Iterator[Warning]:
    most = (case.stream or {}).get("max_consumers") or -1
    most = most if most > 0 else (case.limits.max_consumers or -1)
    if case.seen is None and 0 < most <= len(case.others):
        yield Warning("name", f"The stream has {many(len(case.others), 'consumer')}, as many as it may.", "refused")
    pending = case.limits.max_ack_pending or 0
    if 0 < pending < case.config.get("max_ack_pending", 0):
        yield Warning("max_ack_pending", f"The account allows {pending:,}.", "refused")


LOOKS: tuple[Look, ...] = (_of_work_queue, _within_stream, _consumers_limits)
