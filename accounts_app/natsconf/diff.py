"""Two conf trees → what changes for people, in NATS's words.

Equal accounts are skipped, spellings don't matter, and no secret is ever shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from . import forms
from .names import GLOBAL_ACCOUNT, duration_seconds
from .render import REVISION_KEY, SHA256_KEY
from .specs import ExportSpec, ImportSpec, JetStreamSpec, LimitsSpec, MappingSpec, ResponseSpec
from .subjects import InvalidValue, covers, overlaps
from .tree import Tree

Kind = Literal[
    "account_added",
    "account_removed",
    "user_added",
    "user_removed",
    "user_moved",
    "credential",
    "publish",
    "subscribe",
    "responses",
    "connection_types",
    "limits",
    "jetstream",
    "export",
    "import",
    "mapping",
    "setting",
]
_ORDER: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]
_NAMED = 3  # users that a sentence names before it counts
_LISTED = 6  # subjects that a sentence names before it counts
_SECRET = ("pass", "secret", "seed", "token", "xkey", "jwt", "nkey", "issuer", "operator", "resolver", "sentinel")
_SIZES = ("max_mem", "max_file", "max_payload", "mem_max_stream_bytes", "disk_max_stream_bytes")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of meaning; `str()` is its sentence.

    account: "" when it is the server's; users: those it happens to, by name, () when it is the
    account's; says: what happens to them, or the whole sentence without users; lost, gained: the
    subjects of a right; removes_access: somebody can do less than before.
    """

    kind: Kind
    account: str
    says: str
    users: tuple[str, ...] = ()
    removes_access: bool = False
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        """The one user it happens to, "" when there are none or several."""
        return self.users[0] if len(self.users) == 1 else ""

    def __str__(self) -> str:
        if not self.users:
            return self.says
        if len(self.users) == 1:
            return f"user {_ticks(self.users)} of account `{self.account}` {self.says}"
        says = self.says.replace("is ", "are ", 1) if self.says.startswith("is ") else self.says
        says = says.replace("proves itself", "prove themselves", 1)
        named = _ticks(self.users[:_NAMED])
        if len(self.users) > _NAMED:
            named += f" and {len(self.users) - _NAMED} more"
        return f"{len(self.users)} users of account `{self.account}` {says}: {named}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it, its sentence as `text`."""
        return {**asdict(self), "text": str(self)}


def diff(old: Tree, new: Tree, names: Mapping[str, str] | None = None) -> list[Change]:
    """Return what changes from `old` to `new`, two trees of whole confs, in a fixed order.

    names: {public nkey: name of its user}, to call people by their names. nunect's own entries in
    `server_metadata` are no change.
    """
    changes: list[Change] = []
    old_accounts, new_accounts = _accounts(old), _accounts(new)
    for name in sorted({*old_accounts, *new_accounts}):
        before, after = old_accounts.get(name), new_accounts.get(name)
        if before is after or before == after:
            continue
        if before is None:
            changes.append(_account_change("account_added", name, after, "is added"))
        elif after is None:
            changes.append(_account_change("account_removed", name, before, "is removed"))
        else:
            changes += _account(name, before, after, names or {})
    changes = _moved(changes, old_accounts, new_accounts, names or {})
    return changes + _settings(old, new)


def _accounts(tree: Tree) -> dict[str, Any]:
    """Return {account: its tree}; "$G" is `authorization`."""
    found = _get(tree, "accounts")
    if isinstance(found, list):
        found = {name: {} for name in found if isinstance(name, str)}
    accounts = dict(found) if isinstance(found, Mapping) else {}
    authorization = _get(tree, "authorization")
    if isinstance(authorization, Mapping):
        accounts[GLOBAL_ACCOUNT] = authorization
    return accounts


def _account_change(kind: Kind, name: str, tree: Any, says: str) -> Change:
    count = len(_users(tree)) if isinstance(tree, Mapping) else 0
    users = f" with {count} user{'s' if count > 1 else ''}" if count else ""
    subject = f"account `{name}`" if name != GLOBAL_ACCOUNT else "`authorization`"
    return Change(kind, name, f"{subject} {says}{users}", removes_access=kind == "account_removed")


def _account(name: str, before: Any, after: Any, names: Mapping[str, str]) -> list[Change]:
    spellings = forms.AUTHORIZATION if name == GLOBAL_ACCOUNT else forms.ACCOUNT
    try:
        old, old_rest = forms.keyed(before, spellings, "Account")
        new, new_rest = forms.keyed(after, spellings, "Account")
    except InvalidValue:
        return [Change("setting", name, f"account `{name}` changes in a way that can't be read")]
    changes = _group(name, _user_changes(old, new, names))
    for key, compare in _PARTS.items():
        if old.get(key) != new.get(key):
            try:
                changes += compare(name, old.get(key), new.get(key))
            except InvalidValue as exc:
                changes.append(Change("setting", name, f"{key} of account `{name}` can't be read: {exc}"))
    known = {*_PARTS, "users", "default_permissions"}
    rest_old = {**{k: v for k, v in old.items() if k not in known}, **old_rest}
    rest_new = {**{k: v for k, v in new.items() if k not in known}, **new_rest}
    changes += _values(
        name, f" of account `{name}`" if name != GLOBAL_ACCOUNT else " of authorization", rest_old, rest_new
    )
    return sorted(changes, key=lambda change: (_ORDER.index(change.kind), change.users, change.says))


# Users


@dataclass(frozen=True, slots=True)
class _Finding:
    """What happens to one user, before equal findings are put together."""

    kind: Kind
    user: str
    says: str
    removes_access: bool = False
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()


def _users(tree: Mapping[str, Any]) -> list[Any]:
    found = _get(tree, "users")
    return found if isinstance(found, list) else []


def _user_changes(old: Tree, new: Tree, names: Mapping[str, str]) -> Iterator[_Finding]:
    """Yield what happens to each user of one account."""
    old_default, new_default = old.get("default_permissions"), new.get("default_permissions")
    if old_default == new_default and old.get("users") == new.get("users"):
        return
    before = _by_name(old.get("users"), names)
    after = _by_name(new.get("users"), names)
    same_default = old_default == new_default
    read = _Reader(old_default, new_default)
    for user in sorted({*before, *after}):
        old_entries, new_entries = before.get(user, []), after.get(user, [])
        if same_default and old_entries == new_entries:
            continue
        if not old_entries:
            yield _Finding("user_added", user, "is added")
        elif not new_entries:
            yield _Finding("user_removed", user, "is removed", removes_access=True)
        else:
            try:
                yield from _user(user, old_entries, new_entries, read)
            except InvalidValue as exc:
                yield _Finding("setting", user, f"changes in a way that can't be read: {exc}")


def _by_name(users: Any, names: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return {name of a user: its entries}; a user with an old and a new credential has two."""
    found: dict[str, list[Any]] = defaultdict(list)
    for value in users if isinstance(users, list) else ():
        login = forms.login(value)
        found[names.get(login, login)].append(value)
    return found


class _Reader:
    """Permissions → rights, each shared block once; None is the account's default."""

    def __init__(self, old_default: Any, new_default: Any) -> None:
        self._defaults = (old_default, new_default)
        self._made: dict[int, forms.Rights] = {}

    def rights(self, entry: forms.Entry, is_new: bool) -> forms.Rights:
        block = entry.permissions if entry.permissions is not None else self._defaults[is_new]
        if id(block) not in self._made:
            self._made[id(block)] = forms.rights(block)
        return self._made[id(block)]


def _user(user: str, before: Sequence[Any], after: Sequence[Any], read: _Reader) -> Iterator[_Finding]:
    old, new = [forms.entry(value) for value in before], [forms.entry(value) for value in after]
    yield from _credentials(user, old, new)
    # entries of one user have the same rights when nunect wrote them; by hand the first one counts
    first, last = old[0], new[0]
    o, n = read.rights(first, False), read.rights(last, True)
    if o != n:
        yield from _direction(user, "publish", o.publish, n.publish)
        yield from _direction(user, "subscribe", o.subscribe, n.subscribe)
        yield from _response_findings(user, o, n)
    if first.connection_types != last.connection_types:
        yield _types(user, first.connection_types, last.connection_types)
    if first.proxy_required != last.proxy_required:
        says = "must now come through a proxy" if last.proxy_required else "need no longer come through a proxy"
        yield _Finding("connection_types", user, says, removes_access=last.proxy_required)


_CREDENTIALS = {"password": "password", "nkey": "nkey", "name": "certificate"}


def _credentials(user: str, before: Sequence[forms.Entry], after: Sequence[forms.Entry]) -> Iterator[_Finding]:
    def held(entries: Sequence[forms.Entry]) -> set[tuple[str, str, str]]:
        return {(entry.kind, entry.login, entry.secret) for entry in entries}

    gone, come = sorted(held(before) - held(after)), sorted(held(after) - held(before))
    if len(gone) == 1 and len(come) == 1:
        old, new = _CREDENTIALS[gone[0][0]], _CREDENTIALS[come[0][0]]
        if old == new:
            yield _Finding("credential", user, f"proves itself by another {new}", removes_access=True)
        else:
            yield _Finding("credential", user, f"proves itself by {_a(new)} instead of {_a(old)}", removes_access=True)
        return
    for kind, _, _ in come:
        yield _Finding("credential", user, f"may also log in by {_a(_CREDENTIALS[kind])}")
    for kind, _, _ in gone:
        yield _Finding("credential", user, f"may no longer log in by its old {_CREDENTIALS[kind]}", removes_access=True)


def _direction(
    user: str, action: Literal["publish", "subscribe"], old: forms.Direction, new: forms.Direction
) -> Iterator[_Finding]:
    lost = tuple(s for s in old.allow if not _covered(s, new.allow))
    gained = tuple(s for s in new.allow if not _covered(s, old.allow))
    if lost:
        if not new.allow:
            says = f"may no longer {action} anything"
        elif ">" in lost:
            says = f"may {action} {_subjects(new.allow)} only"
        else:
            says = f"may no longer {action} {_subjects(lost)}"
        yield _Finding(action, user, says, True, lost, gained if ">" in lost else ())
    if gained and not (">" in lost and new.allow):
        says = "everything" if gained == (">",) else _subjects(gained)
        yield _Finding(action, user, f"may now {action} {says}", gained=gained)
    denied = tuple(s for s in new.deny if _meets(s, new.allow) and not _covered(s, old.deny) and _meets(s, old.allow))
    lifted = tuple(s for s in old.deny if _meets(s, old.allow) and not _covered(s, new.deny) and _meets(s, new.allow))
    if denied:
        yield _Finding(action, user, f"may no longer {action} {_subjects(denied)} (denied)", True, lost=denied)
    if lifted:
        yield _Finding(action, user, f"may {action} {_subjects(lifted)} (no longer denied)", gained=lifted)
    # denials of what is allowed only now: a gain with an exception, told with it
    excepted = tuple(s for s in new.deny if _meets(s, gained) and not _meets(s, old.allow))
    if excepted and gained:
        yield _Finding(action, user, f"may not {action} {_subjects(excepted)} (denied)")
    closed = tuple(s for s in old.opened if s not in new.opened and not _covered(s, new.allow))
    if closed and not any(covers(each.split(" ")[0], s) for s in closed for each in lost):
        stars = _subjects([f"{s[:-1]}*" for s in closed])
        yield _Finding(
            action,
            user,
            f"may no longer {action} {_subjects(closed)}, which the server read into {stars}",
            True,
            closed,
        )
    opened = tuple(s for s in new.opened if s not in old.opened and not _covered(s, old.allow))
    if opened:
        stars = _subjects([f"{s[:-1]}*" for s in opened])
        yield _Finding(
            action,
            user,
            f"may now {action} {_subjects(opened)} as well, which the server reads into {stars}",
            gained=opened,
        )


def _covered(right: str, rights: Iterable[str]) -> bool:
    """Say whether one of `rights` is at least as wide as `right`, queue and all."""
    subject, _, queue = right.partition(" ")
    for each in rights:
        wide, _, wide_queue = each.partition(" ")
        if covers(wide, subject) and (not wide_queue or (queue and covers(wide_queue, queue))):
            return True
    return False


def _meets(right: str, rights: Iterable[str]) -> bool:
    subject = right.split(" ")[0]
    return any(overlaps(subject, each.split(" ")[0]) for each in rights)


def _response_findings(user: str, old: forms.Rights, new: forms.Rights) -> Iterator[_Finding]:
    before = None if old.publish.allow == (">",) and not old.publish.deny else _effective(old.responses)
    after = None if new.publish.allow == (">",) and not new.publish.deny else _effective(new.responses)
    if before == after:
        return
    if after is None:
        if new.publish.allow != (">",) or new.publish.deny:
            yield _Finding("responses", user, "may no longer answer requests", True)
    elif before is None:
        says = f"may answer requests, {_replies(after)}"
        yield _Finding("responses", user, says)
    else:
        narrower = _less(after[0], before[0]) or _less(after[1], before[1])
        yield _Finding("responses", user, f"may answer requests, {_replies(after)} (was {_replies(before)})", narrower)


def _effective(responses: ResponseSpec | None) -> tuple[float, float] | None:
    """Return how many replies and for how many seconds, -1 for no limit."""
    if responses is None:
        return None
    seconds = duration_seconds(responses.expires) if responses.expires else 0.0
    return max(responses.max, -1) or 1, -1.0 if seconds < 0 else seconds or 120.0


def _less(new: float, old: float) -> bool:
    return new != -1 and (old == -1 or new < old)


def _replies(limits: tuple[float, float]) -> str:
    count = "without limit" if limits[0] == -1 else f"{limits[0]:.0f} {'reply' if limits[0] == 1 else 'replies'}"
    return count if limits[1] == -1 else f"{count} within {limits[1]:g} s"


def _types(user: str, old: tuple[str, ...], new: tuple[str, ...]) -> _Finding:
    if not new:
        return _Finding("connection_types", user, "may connect in any way")
    lost = not old or not set(old) <= set(new)
    return _Finding(
        "connection_types", user, f"may connect by {', '.join(new)} only (was {', '.join(old) or 'any'})", lost
    )


def _group(account: str, findings: Iterable[_Finding]) -> list[Change]:
    """Put the same change of several users into one."""
    users: dict[_Finding, list[str]] = defaultdict(list)
    for finding in findings:
        users[replace(finding, user="")].append(finding.user)
    return [
        Change(f.kind, account, f.says, tuple(named), f.removes_access, f.lost, f.gained) for f, named in users.items()
    ]


def _moved(
    changes: Sequence[Change], old: Mapping[str, Any], new: Mapping[str, Any], names: Mapping[str, str]
) -> list[Change]:
    """Tell a user that goes from one account to another as one change."""
    removed = {user: c.account for c in changes if c.kind == "user_removed" for user in c.users}
    added = {user: c.account for c in changes if c.kind == "user_added" for user in c.users}
    for change in changes:
        if change.kind == "account_removed":
            removed.update(dict.fromkeys(_by_name(_users(old[change.account]), names), change.account))
        if change.kind == "account_added":
            added.update(dict.fromkeys(_by_name(_users(new[change.account]), names), change.account))
    both = removed.keys() & added.keys()
    if not both:
        return list(changes)
    kept = []
    for change in changes:
        if change.kind in ("user_removed", "user_added"):
            left = tuple(user for user in change.users if user not in both)
            if left:
                kept.append(replace(change, users=left))
        else:
            kept.append(change)
    moves: dict[tuple[str, str], list[str]] = defaultdict(list)
    for user in sorted(both):
        moves[removed[user], added[user]].append(user)
    kept += [
        Change("user_moved", source, f"is moved to account `{target}`", tuple(users), True)
        for (source, target), users in sorted(moves.items())
    ]
    return sorted(kept, key=lambda change: (change.account, _ORDER.index(change.kind), change.users, change.says))


# The account's own parts


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
            narrower = _less(after, before)
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
    return "everybody" if export.accounts is None else _ticks(export.accounts)


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
            says = f"{what}: {each.name} {_value(before)} → {_value(after)}"
            yield Change(kind, account, says)


_PARTS: dict[str, Callable[[str, Any, Any], list[Change]]] = {
    "limits": _limits,
    "jetstream": _jetstream,
    "exports": _exports,
    "imports": _imports,
    "mappings": _mappings,
}


# The server's own keys


def _settings(old: Tree, new: Tree) -> list[Change]:
    def rest(tree: Tree) -> Tree:
        found = {}
        for key, value in tree.items():
            name = key.lower()
            if name == "server_metadata" and isinstance(value, Mapping):
                value = {k: v for k, v in value.items() if k not in (REVISION_KEY, SHA256_KEY)}
                if not value:
                    continue
            if name not in ("accounts", "authorization"):
                found[key] = value
        return found

    return _values("", "", rest(old), rest(new))


def _values(account: str, of: str, old: Tree, new: Tree) -> list[Change]:
    """Compare keys that have no sentence of their own; a value that may be secret is not shown."""
    changes = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        says = f"setting `{key}`{of} "
        if any(word in key.lower() for word in _SECRET) or not (_plain(before) and _plain(after)):
            says += "is added" if before is None else "is removed" if after is None else "changes"
        else:
            says += f"changes: {_value(before)} → {_value(after)}"
        changes.append(Change("setting", account, says))
    return changes


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _value(value: Any) -> str:
    if value is None or value == "":
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"`{value}`" if isinstance(value, str) else str(value)


def _get(tree: Mapping[str, Any], key: str) -> Any:
    if key in tree:
        return tree[key]
    return next((value for name, value in tree.items() if name.lower() == key), None)


def _subjects(found: Sequence[str]) -> str:
    shown = _ticks(found[:_LISTED])
    return shown if len(found) <= _LISTED else f"{shown} and {len(found) - _LISTED} more"


def _ticks(found: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in found)


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeioun" and noun != "name" else f"a {noun}"
