"""What REST has: the columns that a person reads, what a list is narrowed by, and how a row is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nunect.cli.client import Client, Failure
from nunect.cli.output import plain
from nunect.cli.words import meant


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource. by: the field that names a row, "" for its id alone; filters: what `list` takes as KEY=VALUE."""

    name: str
    one: str
    columns: tuple[str, ...]
    by: str = "name"
    filters: tuple[str, ...] = ()
    writes: tuple[str, ...] = ("create", "update", "delete")
    newest_first: bool = False

    @property
    def path(self) -> str:
        return f"{self.name}/"

    def called(self, row: dict[str, Any]) -> str:
        """A row in words: “ACME/svc”, “3”."""
        name = str(row.get(self.by) or row.get("id") or "")
        account = row.get("account")
        return plain(f"{account}/{name}" if account and self.by != "account" else name)


_ASSETS = ("system", "account", "name", "managed", "state")
_SHARING = ("system", "account", "kind", "subject", "state")
RESOURCES = {
    each.name: each
    for each in (
        Resource(
            "systems", "system", ("id", "name", "environment", "stage", "state", "revision", "problem"),
            writes=("create", "update"),
        ),
        Resource(
            "servers", "server", ("id", "name", "state", "version", "revision", "host", "seen_at", "detail"),
            filters=("system", "name", "state"), writes=("delete",),
        ),
        Resource(
            "accounts", "account", ("id", "name", "enabled", "owner", "jetstream", "description", "sync", "retiring"),
            filters=("system", "name", "owner", "enabled", "jetstream", "state"),
        ),
        Resource(
            "roles", "role", ("id", "account", "name", "permissions", "description", "sync"),
            filters=("system", "account", "name", "shared"),
        ),
        Resource(
            "users", "user",
            ("id", "account", "name", "credential", "access", "role", "permissions", "enabled", "expires_at", "sync"),
            filters=("system", "account", "name", "owner", "role", "nkey", "credential", "access", "enabled", "state"),
        ),
        Resource(
            "permissions", "permission", ("id", "account", "role", "user", "effect", "action", "subject", "queue"),
            "subject", ("system", "account", "role", "user", "action", "effect", "subject", "queue"),
        ),
        Resource(
            "exports", "export", ("id", "account", "kind", "subject", "public", "accounts", "sync"),
            "subject", (*_SHARING, "public"),
        ),
        Resource(
            "imports", "import", ("id", "account", "kind", "from_account", "subject", "to", "prefix", "sync"),
            "subject", (*_SHARING, "from_account"),
        ),
        Resource(
            "mappings", "mapping", ("id", "account", "source", "destinations", "sync"),
            "source", ("system", "account", "source", "state"),
        ),
        Resource(
            "streams", "stream",
            ("id", "account", "name", "subjects", "storage", "replicas", "counts", "managed", "state"), filters=_ASSETS,
        ),
        Resource(
            "kv-buckets", "KV bucket", ("id", "account", "name", "history", "ttl", "storage", "replicas", "state"),
            filters=_ASSETS,
        ),
        Resource(
            "object-buckets", "object bucket", ("id", "account", "name", "ttl", "storage", "replicas", "state"),
            filters=_ASSETS,
        ),
        Resource(
            "consumers", "consumer",
            ("id", "account", "stream", "name", "filter_subjects", "ack_policy", "max_deliver", "state"),
            filters=(*_ASSETS, "stream"),
        ),
        Resource(
            "revisions", "revision", ("number", "created_at", "authors", "changes"), "number", ("number",), (), True,
        ),
        Resource(
            "holds", "held change", ("id", "account", "state", "created_at", "reason", "decided_by"), "id",
            ("state", "account"), (), True,
        ),
        Resource(
            "drifts", "drift", ("id", "where", "state", "ignored_until", "found_at", "summary", "answered_by"), "id",
            ("state", "where"), (), True,
        ),
        Resource(
            "tokens", "token",
            ("id", "name", "person", "scope", "accounts", "prefix", "expires_at", "last_used_at", "revoked_at"),
            filters=("person", "scope", "name"), writes=("create", "delete"), newest_first=True,
        ),
        Resource(
            "audit", "audit entry", ("id", "at", "person", "door", "act", "object_type", "object_name"), "id", (), (),
            True,
        ),
    )
}  # fmt: skip
ASSETS = ("streams", "kv-buckets", "object-buckets", "consumers")
_BY_ONE = {each.one.lower().replace(" ", "-"): each for each in RESOURCES.values()} | {
    "hold": RESOURCES["holds"],
    "conf": RESOURCES["drifts"],  # as in `nunect drift adopt conf 7`
}


def resource(word: str) -> Resource:
    """The resource that a word means, in the singular or plural. Raises Failure with the one that was meant."""
    found = RESOURCES.get(word) or _BY_ONE.get(word)
    if found is None:
        raise Failure(meant(word, RESOURCES, "resource"))
    return found


def find(client: Client, of: Resource, ref: str) -> dict[str, Any]:
    """The row of a name, an ACCOUNT/NAME or an id. Raises Failure, which lists the candidates of several."""
    rows = next((rows for rows in _tries(client, of, ref) if rows), [])
    if len(rows) == 1:
        return rows[0]
    if not rows:
        raise Failure(f"There is no {of.one} “{plain(ref)}”; `nunect list {of.name}` tells which there are.")
    homes = [f" of {plain(str(row['system']))}" if spread(rows) else "" for row in rows]
    told = ", ".join(f"{row['id']} ({of.called(row)}{home})" for row, home in zip(rows[:10], homes, strict=False))
    more = f" and {len(rows) - 10} more" if len(rows) > 10 else ""
    raise Failure(f"“{plain(ref)}” could be {len(rows)} {of.name}: {told}{more}. Say the id.")


def spread(rows: list[dict[str, Any]]) -> bool:
    """Whether rows are of several systems."""
    return len({row.get("system") for row in rows}) > 1


def several(client: Client) -> bool:
    """Whether there are several systems, as far as the person sees them."""
    answer = client.get("systems/", [("fields", "id"), ("limit", "2")], fine=(403,))
    return answer.status == 200 and len(answer.data["results"]) > 1


def _tries(client: Client, of: Resource, ref: str) -> Iterator[list[dict[str, Any]]]:
    """What the word finds, the likeliest meaning first."""
    if "\x00" in ref:
        return
    if of.by in of.filters and not (of.by == "number" and not ref.isdecimal()):
        yield _rows(client, of, {of.by: ref})
        home, _, name = ref.partition("/")
        if name and "account" in of.filters:
            shared = home == "*" and "shared" in of.filters
            yield _rows(client, of, {of.by: name, **({"shared": "true"} if shared else {"account": home})})
    elif of.by == "name":
        yield [row for row in _rows(client, of, {}) if row["name"] == ref]
    if ref.isascii() and ref.isdecimal() and len(ref) < 19:
        answer = client.get(f"{of.path}{ref}/", fine=(404,))
        if answer.status == 200:
            yield [answer.data]


def _rows(client: Client, of: Resource, narrowed: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(of.path, list(narrowed.items())).data["results"]
    return found
