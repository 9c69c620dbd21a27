"""What the relay needs to know of the rows. Blocking: called in a thread of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import close_old_connections
from django.db.models import Q
from django.utils import timezone

from accounts_app.conf_text import NKEY
from accounts_app.models import Account, NatsUser, System
from accounts_app.natsconf.account import RELAY_INBOX
from accounts_app.natsconf.control import JETSTREAM_INBOX
from monitoring import archive
from monitoring.events import Event, Refusal, moment
from monitoring.models import ArchivedEvent
from monitoring.refusals import Login, explain_many
from monitoring.relay.accounts import AccountRow
from monitoring.relay.failures import SHOWN_S
from monitoring.relay.servers import Intended
from monitoring.relay.who import Who
from provisioning import signin
from provisioning.binary import OLDEST, parse_version
from provisioning.models import Drift, Hold, Revision, RevisionBlock
from provisioning.strangers import ways_in
from provisioning.telling import authors_of, in_words

RESTORED = 5000  # refusals that a relay which begins anew knows again
MARKS = 20  # revisions in the topic `changes`


@dataclass(frozen=True, slots=True)
class SystemRow:
    """A system as its row is. login, side: as whom the relay watches, and asks JetStream, None where nobody would let
    it in; own: public nkeys of nunect's own users; changes: data of the topic `changes`."""

    pk: int
    name: str
    url: str
    login: signin.Login | None = field(repr=False)
    side: signin.Login | None = field(repr=False)
    own: frozenset[str]
    sha256: str
    wanted: int
    changes: dict[str, Any]


_last: dict[int, tuple[tuple[Any, ...], dict[str, Any]]] = {}


def read_system(system_id: int) -> SystemRow | None:
    """The system, None when it is gone. Marks are told anew only when a revision has come."""
    close_old_connections()
    system = System.objects.filter(pk=system_id).first()
    if system is None:
        return None
    revisions = Revision.objects.filter(system=system)
    current = revisions.filter(number=system.revision or 0).values_list("sha256", flat=True).first()
    key = (system.last_number, system.revision)
    known = _last.get(system_id)
    if known is None or known[0] != key:
        known = _last[system_id] = (key, {"marks": _marks(system)})
    changes = {
        "state": system.state,
        "problem": system.problem,
        "wanted": system.wanted,
        "done": system.done,
        "revision": system.revision,
        "holds": Hold.objects.filter(system=system, state=Hold.State.OPEN).count(),
        "drifts": Drift.objects.filter(system=system, state=Drift.State.OPEN).count(),
        **known[1],
    }
    lets_in, knows_all = ways_in(system)
    watching = system.relay_nkey, system.relay_seed, "nunect relay", RELAY_INBOX
    side = system.jetstream_nkey, system.jetstream_seed, "nunect jetstream", JETSTREAM_INBOX
    return SystemRow(
        pk=system.pk,
        name=system.name,
        url=system.url,
        login=signin.login_of(system, *watching) if lets_in else None,
        side=signin.login_of(system, *side, given=False) if system.jetstream_seed and knows_all else None,
        own=frozenset(system.own_nkeys),
        sha256=current or "",
        wanted=system.wanted,
        changes=changes,
    )


def intended(system: SystemRow, versions: Collection[str]) -> Intended:
    """What the servers shall run. versions: those that were seen."""
    too_old = frozenset(version for version in versions if parse_version(version) < OLDEST)
    pending = system.changes["wanted"] != system.changes["done"]
    return Intended(system.changes["revision"], system.sha256, pending, too_old)


def _marks(system: System) -> list[dict[str, Any]]:
    revisions = list(Revision.objects.filter(system=system).order_by("-number")[:MARKS])
    said = in_words(revision.changes for revision in revisions)
    return [
        {
            "number": revision.number,
            "at": moment(revision.created_at.timestamp()),
            "who": authors_of(revision),
            "text": lines[0].text if lines else "",
            "more": max(0, len(lines) - 1),
        }
        for revision, lines in zip(revisions, said, strict=True)
    ]


_LIMITS = {
    "max_connections": "max_connections",
    "max_subscriptions": "max_subscriptions",
    "max_streams": "jetstream_max_streams",
    "max_consumers": "jetstream_max_consumers",
    "js_max_storage": "jetstream_max_file",
    "js_max_memory": "jetstream_max_mem",
}


def read_accounts(system_id: int) -> dict[str, AccountRow]:
    """{name: what its row says}, of every account of the system, in two queries."""
    close_old_connections()
    blocks = RevisionBlock.objects.filter(system=system_id, current=True).order_by()
    revisions = dict(blocks.values_list("account", "revision__number"))
    rows = Account.objects.filter(system=system_id).order_by()
    return {
        name: AccountRow(
            pk,
            owner or "",
            {column: value for column, value in zip(_LIMITS, limits, strict=True) if value is not None and value >= 0},
            revisions.get(name),
        )
        for pk, name, owner, *limits in rows.values_list("pk", "name", "owner__username", *_LIMITS.values())
    }


def read_logins(system_id: int, logins: Collection[str]) -> dict[str, Who]:
    """{login: whose it is}, empty ones for those that no user has: a name or a nkey, the retiring one too."""
    close_old_connections()
    found = dict.fromkeys(logins, Who())
    asked = sorted(logins)
    for start in range(0, len(asked), 200):
        some = asked[start : start + 200]
        users = NatsUser.objects.filter(Q(name__in=some) | Q(nkey__in=some) | Q(retiring_nkey__in=some))
        rows = users.filter(system=system_id).order_by()
        for pk, name, nkey, retiring, account, account_pk, owner in rows.values_list(
            "pk", "name", "nkey", "retiring_nkey", "account__name", "account_id", "owner__username"
        ):
            who = Who(name, pk, account, account_pk, owner or "")
            found.update({login: who for login in (name, nkey, retiring) if login and login in found})
    return found


def system_ids() -> list[int]:
    """Every system that nunect has not let go of."""
    close_old_connections()
    return list(System.objects.exclude(stage=System.Stage.RELEASED).order_by("pk").values_list("pk", flat=True))


def read_events(system_id: int, pk: int | None) -> tuple[list[Event], int]:
    """(events that the archive has from rows since a key, the key to go on from). pk None: from now on."""
    close_old_connections()
    if pk is None:
        return [], archive.newest(system_id)
    found = archive.rows_since(system_id, pk)
    return [event for _, event in found], found[-1][0] if found else pk


def read_refused(system_id: int) -> list[Event]:
    """Refusals of the last day that the archive has, oldest first, and no more than can be shown."""
    close_old_connections()
    since = timezone.now() - timedelta(seconds=SHOWN_S)
    rows = ArchivedEvent.objects.filter(system=system_id, kind=ArchivedEvent.Kind.AUTH_ERROR, at__gte=since)
    return [row.event for row in reversed(rows.order_by("-at", "-pk")[:RESTORED])]


def read_refusals(system_id: int, asked: Sequence[tuple[str, str, str]]) -> list[Refusal]:
    """Why logins were refused: [(login, the server's words, kind of client)] → reasons in the same order."""
    logins = [Login(login, words, nkey=bool(NKEY.fullmatch(login)), kind=kind) for login, words, kind in asked]
    return explain_many(system_id, logins)
