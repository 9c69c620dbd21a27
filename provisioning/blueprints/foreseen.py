"""What the servers would refuse of a document, at the places of the document: disk, memory and replicas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Min, Sum
from django.utils.translation import gettext as _

from accounts_app import units
from accounts_app.asset_changes import Warned
from accounts_app.models import Account, Server, System
from accounts_app.natsconf.document import Document, Misfit

_KEYS = {"stream": "streams", "KV bucket": "kv_buckets", "object bucket": "object_buckets"}
_OBJECT = re.compile(
    r"(?:consumer “(?P<consumer>[^”]*)” of )?(?P<kind>stream|KV bucket|object bucket) “(?P<name>[^”]*)”"
)


def refused(document: dict[str, Any], warnings: Iterable[Warned]) -> Iterator[Misfit]:
    """What a forecast says will be refused, where the document says it."""
    for warned in warnings:
        if warned.warning.severity == "refused":
            yield Misfit(_place(document, warned), warned.warning.sentence)


def _place(document: dict[str, Any], warned: Warned) -> str:
    """As "accounts[0].streams[1].replicas"; the object as people call it, when it isn't in the document."""
    found = _OBJECT.fullmatch(warned.named)
    for number, account in enumerate(document["accounts"]):
        if account.get("name") != warned.account or found is None:
            continue
        key = _KEYS[found["kind"]]
        for place, row in enumerate(account.get(key) or ()):
            if row.get("name") == found["name"]:
                at = f"accounts[{number}].{key}[{place}]"
                for nested, consumer in enumerate(row.get("consumers") or () if found["consumer"] else ()):
                    if consumer.get("name") == found["consumer"]:
                        at += f".consumers[{nested}]"
                return f"{at}.{warned.warning.setting}" if warned.warning.setting else at
    return warned.named


def too_large(system: System, document: Document) -> Iterator[Misfit]:
    """Accounts whose JetStream limits would no longer fit the servers': the server takes that, and fails at its
    next start (`provisioning.faults.over_commit`)."""
    limits = {"max_file": "jetstream_max_file", "max_mem": "jetstream_max_mem"}
    told = [spec.name for spec in document.accounts]
    standing = Account.objects.filter(system=system, enabled=True, jetstream=True)
    for name, column in limits.items():
        servers = Server.objects.filter(system=system, **{f"{column}__gte": 0})
        most = servers.aggregate(most=Min(column))["most"]
        asked = [_positive(getattr(spec.jetstream, name, None)) for spec in document.accounts]
        if most is None or not sum(asked):
            continue
        reserved = standing.filter(**{f"{column}__gt": 0})
        before = dict(reserved.filter(name__in=told).values_list("name", column))
        total = sum(asked) + (reserved.exclude(name__in=told).aggregate(sum=Sum(column))["sum"] or 0)
        if total <= most:
            continue
        for number, (spec, size) in enumerate(zip(document.accounts, asked, strict=True)):
            if size > before.get(spec.name, 0):
                yield Misfit(
                    f"accounts[{number}].jetstream.{name}",
                    _("The accounts together would reserve %(total)s of %(what)s, and a server has %(most)s.")
                    % {
                        "total": units.size(total),
                        "most": units.size(most),
                        "what": _("disk") if name == "max_file" else _("memory"),
                    },
                )


def _positive(size: int | None) -> int:
    return max(size or 0, 0)
