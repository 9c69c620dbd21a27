"""Streams and consumers that wait for a person: the servers refuse them, or they differ from their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Case, Count, F, QuerySet, Value, When
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from accounts_app.admin import chips
from accounts_app.asset_states import in_state

STATES = ("failed", "drifted")  # the serious one first
_LISTED = {  # {kind: what the command calls many of it}
    "stream": "streams",
    "kv": "kv-buckets",
    "object": "object-buckets",
    "consumer": "consumers",
}


@dataclass(frozen=True, slots=True)
class Stuck:
    """So many objects of one kind in one state. kind: "stream", "kv", "object" or "consumer"."""

    kind: str
    state: str
    total: int

    @property
    def chip(self) -> SafeString:
        return chips.chip(self.state)

    @property
    def link(self) -> str:
        """The list of just these in the admin."""
        if self.kind == "consumer":
            return f"{reverse('admin:accounts_app_consumer_changelist')}?{urlencode({'state': self.state})}"
        asked = {"state": self.state, "kind__exact": self.kind}
        return f"{reverse('admin:accounts_app_stream_changelist')}?{urlencode(asked)}"

    @property
    def command(self) -> str:
        """The list of just these in a shell."""
        return f"nunect list {_LISTED[self.kind]} state={self.state}"

    @property
    def words(self) -> str:
        match self.kind:
            case "kv":
                told = ngettext("%d KV bucket", "%d KV buckets", self.total)
            case "object":
                told = ngettext("%d object bucket", "%d object buckets", self.total)
            case "consumer":
                told = ngettext("%d consumer", "%d consumers", self.total)
            case _:
                told = ngettext("%d stream", "%d streams", self.total)
        return told % self.total


def stuck(streams: QuerySet[Any] | None, consumers: QuerySet[Any] | None) -> list[Stuck]:
    """What waits for a person among these rows, the failed ones first. One question; None: rows that nobody may see."""
    asked = [
        rows.filter(in_state("failed") | in_state("drifted"))
        .order_by()
        .values_list(kind, Case(When(in_state("failed"), then=Value("failed")), default=Value("drifted")))
        .annotate(total=Count("pk"))
        for rows, kind in ((streams, F("kind")), (consumers, Value("consumer")))
        if rows is not None
    ]
    if not asked:
        return []
    found = [Stuck(*row) for row in asked[0].union(*asked[1:], all=True)]
    return sorted(found, key=lambda one: (STATES.index(one.state), list(_LISTED).index(one.kind)))
