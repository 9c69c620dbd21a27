"""Rows → specs: the only bridge from the ORM to the pure core."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts_app.models import (
    Account,
    Export,
    ExportAccess,
    Import,
    MappingDestination,
    NatsUser,
    Role,
    SubjectPermission,
    System,
)
from accounts_app.models import (
    Mapping as MappingRow,
)
from accounts_app.natsconf.specs import (
    AccountSpec,
    DestinationSpec,
    ExportSpec,
    IdentitySpec,
    ImportSpec,
    JetStreamSpec,
    LimitsSpec,
    MappingSpec,
    ResponseSpec,
    RoleSpec,
    RuleSpec,
    SecretSpec,
    UserSpec,
)

CHUNK = 500  # account ids in one query; well under every database's limit of variables

LIMIT_FIELDS = ("max_connections", "max_subscriptions", "max_payload", "max_leafnodes")
JETSTREAM_FIELDS = (
    "max_mem",
    "max_file",
    "max_streams",
    "max_consumers",
    "max_ack_pending",
    "mem_max_stream_bytes",
    "disk_max_stream_bytes",
    "max_bytes_required",
    "cluster_traffic",
)


PARTS: dict[str, type[Role | Export | Import | MappingRow]] = {
    "has_roles": Role,
    "has_exports": Export,
    "has_imports": Import,
    "has_mappings": MappingRow,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What one read saw, all of the same moment.

    at: when it began;
    counters: {account id: (name, wanted)} of every account of the system;
    moved: specs of the accounts whose counter is not the known one;
    shared: the system's shared roles.
    """

    at: datetime
    system: System
    wanted: int
    identity: IdentitySpec
    counters: dict[int, tuple[str, int]]
    moved: dict[int, AccountSpec]
    shared: tuple[RoleSpec, ...]


@contextmanager
def one_moment() -> Iterator[None]:
    """One REPEATABLE READ transaction that can only read; on SQLite a deferred one, so that it
    takes no write lock. Inside a transaction of the caller its moment holds."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield


def take_snapshot(system_id: int, known: Mapping[int, int] | None = None, now: datetime | None = None) -> Taken:
    """Read what the rows of a system say.

    known: {account id: wanted} of what the caller has rendered already; those accounts are not
    read again. None reads everything.
    """
    now = now or timezone.now()
    with one_moment():
        shared_roles = Role.objects.filter(account=None).order_by()
        has_shared = Exists(shared_roles.filter(system=OuterRef("pk")))
        system = System.objects.annotate(has_shared=has_shared).get(pk=system_id)
        counters = {
            pk: (name, wanted)
            for pk, name, wanted in Account.objects.filter(system=system_id).values_list("pk", "name", "wanted")
        }
        have = known or {}
        moved = sorted(pk for pk, (_, wanted) in counters.items() if have.get(pk) != wanted)
        shared = _roles(shared_roles.filter(system=system_id)) if system.has_shared else {}
        specs: dict[int, AccountSpec] = {}
        for start in range(0, len(moved), CHUNK):
            specs.update(_accounts(moved[start : start + CHUNK], now))
    return Taken(
        now, system, system.wanted, system.identity, counters, specs, tuple(spec for _, spec in shared.get(None, ()))
    )


def read_account(account: Account) -> AccountSpec:
    """The spec of one account as its rows stand now."""
    with one_moment():
        return _accounts([account.pk], timezone.now())[account.pk]


def read_accounts(account_ids: Iterable[int]) -> dict[int, AccountSpec]:
    """{primary key: spec} of some accounts as their rows stand now."""
    ids, found = sorted(account_ids), {}
    with one_moment():
        for start in range(0, len(ids), CHUNK):
            found.update(_accounts(ids[start : start + CHUNK], timezone.now()))
    return found


def read_shared_roles(system_id: int) -> tuple[RoleSpec, ...]:
    """The shared roles of a system as their rows stand now."""
    with one_moment():
        return tuple(spec for _, spec in _roles(Role.objects.filter(system=system_id, account=None)).get(None, ()))


def _responses(allowed: bool, count: int, expires: str) -> ResponseSpec | None:
    return ResponseSpec(count, expires) if allowed else None


def _rules(rows: Iterable[tuple[int, str, str, str, str]]) -> dict[int, list[RuleSpec]]:
    found: dict[int, list[RuleSpec]] = defaultdict(list)
    for owner, action, effect, subject, queue in rows:
        found[owner].append(RuleSpec(action, effect, subject, queue))  # type: ignore[arg-type]
    return found


def _roles(roles: QuerySet[Role]) -> dict[int | None, list[tuple[int, RoleSpec]]]:
    """{account id or None: [(role id, spec)]}"""
    rows = list(
        roles.order_by("name").values_list(
            "pk",
            "account_id",
            "name",
            "allow_responses",
            "responses_max",
            "responses_expires",
            "connection_types",
            "description",
        )
    )
    if not rows:
        return {}
    rules = _rules(
        SubjectPermission.objects.filter(role__in=roles.order_by().values("pk"))
        .order_by()
        .values_list("role_id", "action", "effect", "subject", "queue")
    )
    found: dict[int | None, list[tuple[int, RoleSpec]]] = defaultdict(list)
    for pk, account, name, allowed, count, expires, kinds, description in rows:
        spec = RoleSpec(
            name,
            tuple(sorted(rules.get(pk, ()))),
            _responses(allowed, count, expires),
            tuple(sorted(kinds)),
            description,
        )
        found[account].append((pk, spec))
    return found


def _users(account_ids: list[int], now: datetime) -> dict[int, list[UserSpec]]:
    users = NatsUser.objects.filter(account__in=account_ids)
    rules = _rules(
        SubjectPermission.objects.filter(user__account__in=account_ids)
        .order_by()
        .values_list("user_id", "action", "effect", "subject", "queue")
    )
    found: dict[int, list[UserSpec]] = defaultdict(list)
    rows = users.order_by("name").values_list(
        "pk",
        "account_id",
        "name",
        "credential",
        "password_hash",
        "nkey",
        "certificate",
        "access",
        "role__name",
        "role__account_id",
        "allow_responses",
        "responses_max",
        "responses_expires",
        "connection_types",
        "enabled",
        "expires_at",
        "retiring_password_hash",
        "retiring_nkey",
        "retiring_until",
        "description",
    )
    for (
        pk,
        account,
        name,
        credential,
        password_hash,
        nkey,
        certificate,
        access,
        role_name,
        role_account,
        allowed,
        count,
        expires,
        kinds,
        enabled,
        expires_at,
        old_hash,
        old_nkey,
        old_until,
        description,
    ) in rows:
        identity = {"password": password_hash, "nkey": nkey, "certificate": certificate}.get(credential, "")
        retiring = None
        if old_until and old_until > now and (old_hash or old_nkey):
            retiring = SecretSpec("password", old_hash) if old_hash else SecretSpec("nkey", old_nkey)
        role = "" if role_name is None else role_name if role_account else f"*/{role_name}"
        found[account].append(
            UserSpec(
                name=name,
                secret=SecretSpec(credential, identity),  # type: ignore[arg-type]
                access=access,  # type: ignore[arg-type]
                role=role,
                rules=tuple(sorted(rules.get(pk, ()))),
                responses=_responses(allowed, count, expires),
                connection_types=tuple(sorted(kinds)),
                enabled=enabled and (expires_at is None or expires_at > now),
                retiring=retiring,
                description=description,
                expires=expires_at.isoformat() if expires_at else "",
            )
        )
    return found


def _exports(account_ids: list[int]) -> dict[int, list[ExportSpec]]:
    rows = list(
        Export.objects.filter(account__in=account_ids)
        .order_by("kind", "subject")
        .values_list(
            "pk",
            "account_id",
            "kind",
            "subject",
            "public",
            "account_token_position",
            "response_type",
            "response_threshold",
            "latency_subject",
            "latency_sampling",
            "allow_trace",
        )
    )
    listed: dict[int, list[str]] = defaultdict(list)
    accesses = ExportAccess.objects.filter(export__account__in=account_ids).order_by("account__name")
    for export, name in accesses.values_list("export_id", "account__name"):
        listed[export].append(name)
    found: dict[int, list[ExportSpec]] = defaultdict(list)
    for pk, account, kind, subject, public, position, *rest in rows:
        accounts = None if public else tuple(listed.get(pk, ()))
        found[account].append(ExportSpec(kind, subject, accounts, position, *rest))  # type: ignore[arg-type]
    return found


def _imports(account_ids: list[int]) -> dict[int, list[ImportSpec]]:
    found: dict[int, list[ImportSpec]] = defaultdict(list)
    rows = Import.objects.filter(account__in=account_ids).order_by("kind", "from_account__name", "subject", "to")
    for account, *rest in rows.values_list(
        "account_id", "kind", "from_account__name", "subject", "to", "prefix", "share", "allow_trace"
    ):
        found[account].append(ImportSpec(*rest))  # type: ignore[arg-type]
    return found


def _mappings(account_ids: list[int]) -> dict[int, list[MappingSpec]]:
    sources = list(
        MappingRow.objects.filter(account__in=account_ids).order_by("source").values_list("pk", "account_id", "source")
    )
    destinations: dict[int, list[DestinationSpec]] = defaultdict(list)
    rows = MappingDestination.objects.filter(mapping__account__in=account_ids).order_by("subject", "cluster")
    for mapping, subject, weight, cluster in rows.values_list("mapping_id", "subject", "weight", "cluster"):
        destinations[mapping].append(DestinationSpec(subject, weight, cluster))
    found: dict[int, list[MappingSpec]] = defaultdict(list)
    for pk, account, source in sources:
        if pk in destinations:  # one that leads nowhere yet maps nothing
            found[account].append(MappingSpec(source, tuple(destinations[pk])))
    return found


def _accounts(account_ids: list[int], now: datetime) -> dict[int, AccountSpec]:
    """Most accounts have only users: whether there is more to read comes with their own rows."""
    columns = [
        "pk",
        "name",
        "description",
        "enabled",
        "default_role__name",
        "default_role__account_id",
        "jetstream",
        "jetstream_control",
        *LIMIT_FIELDS,
        *(f"jetstream_{name}" for name in JETSTREAM_FIELDS),
        *PARTS,
    ]
    parts = {name: Exists(model.objects.filter(account=OuterRef("pk")).order_by()) for name, model in PARTS.items()}
    rows = list(Account.objects.filter(pk__in=account_ids).order_by().annotate(**parts).values(*columns))
    having = {name: [row["pk"] for row in rows if row[name]] for name in PARTS}
    roles = _roles(Role.objects.filter(account__in=having["has_roles"])) if having["has_roles"] else {}
    exports = _exports(having["has_exports"]) if having["has_exports"] else {}
    imports = _imports(having["has_imports"]) if having["has_imports"] else {}
    mappings = _mappings(having["has_mappings"]) if having["has_mappings"] else {}
    users = _users(account_ids, now)
    found: dict[int, AccountSpec] = {}
    for row in rows:
        pk, role = row["pk"], row["default_role__name"]
        found[pk] = AccountSpec(
            name=row["name"],
            users=tuple(users.get(pk, ())),
            roles=tuple(spec for _, spec in roles.get(pk, ())),
            default_role="" if role is None else role if row["default_role__account_id"] else f"*/{role}",
            limits=LimitsSpec(*(row[name] for name in LIMIT_FIELDS)),
            jetstream=JetStreamSpec(*(row[f"jetstream_{name}"] for name in JETSTREAM_FIELDS))
            if row["jetstream"]
            else None,
            exports=tuple(exports.get(pk, ())),
            imports=tuple(imports.get(pk, ())),
            mappings=tuple(mappings.get(pk, ())),
            enabled=row["enabled"],
            description=row["description"],
            jetstream_control=row["jetstream_control"],
        )
    return found
