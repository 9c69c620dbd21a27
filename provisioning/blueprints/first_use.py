"""What the owner of a credential may do with it, and a first command that shows it at work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from accounts_app.inboxes import private_inbox
from accounts_app.jetstream.names import bucket_of
from accounts_app.models import NatsUser, Stream
from accounts_app.natsconf import subjects
from accounts_app.natsconf.specs import ResponseSpec, RuleSpec
from accounts_app.services import ConnectionHelp
from provisioning.blueprints.telling import EVERYTHING, may_words

STREAMS_TOLD = 50  # of an account
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")  # as who keeps the context names its file
_INFO = "$JS.API.CONSUMER.INFO."


@dataclass(frozen=True, slots=True)
class FirstUse:
    """may: sentences ("may publish jobs.>"); does: what the command does, in one; it holds no secret."""

    may: tuple[str, ...]
    does: str
    command: str


def first_use(user: NatsUser, told: ConnectionHelp) -> FirstUse:
    """What a user may do. Its permissions and those of its roles are prefetched; told: how it connects."""
    rules, responses = _rights(user)
    if rules is None:
        said, rules = [EVERYTHING], [RuleSpec("subscribe", "allow", ">")]
    else:
        said = may_words(rules, responses)
    does, words = _first(rules)
    return FirstUse(tuple(said), does, f"nats {_signing_in(user, told)} {shlex.join(words)}")


def streams_of(accounts: Iterable[int]) -> dict[int, list[dict[str, Any]]]:
    """{account: [{"kind", "name", "subjects"}]} of streams and buckets, without the server's own. One query."""
    found: dict[int, list[dict[str, Any]]] = {}
    rows = Stream.objects.filter(account__in=set(accounts), leaving=False).exclude(name__startswith="$")
    for account, kind, name, config, seen in rows.order_by("name").values_list(
        "account", "kind", "name", "config", "seen"
    ):
        told = found.setdefault(account, [])
        if len(told) < STREAMS_TOLD:
            named = (config or seen or {}).get("subjects") or () if kind == Stream.Kind.STREAM else ()
            told.append({"kind": kind, "name": bucket_of(kind, name), "subjects": list(named)})
    return found


def _rights(user: NatsUser) -> tuple[list[RuleSpec] | None, ResponseSpec | None]:
    """(its rules with templates filled in, whether it may reply); None for everything."""
    inherits = user.access == NatsUser.Access.INHERIT
    role = user.account.default_role if inherits else user.role
    if user.access == NatsUser.Access.ALL or (inherits and role is None):
        return None, None
    held: Any = role or user
    rules = []
    for row in sorted(held.permissions.all(), key=lambda row: row.pk):
        try:
            subject = subjects.expand(row.subject, user.name, user.account.name)
        except ValueError:  # a name that no subject takes; the renderer says so
            continue
        rules.append(RuleSpec(row.action, row.effect, subject, row.queue))
    return rules, ResponseSpec() if held.allow_responses else None


def _first(rules: list[RuleSpec]) -> tuple[str, list[str]]:
    """(what it does, words of the nats command): what changes nothing before what does."""
    heard = [rule for rule in _allowed(rules, "subscribe") if not subjects.has_wildcard(rule.queue)]
    for rule in heard:
        if not rule.subject.startswith(("$", "_INBOX")):
            queue = ["--queue", rule.queue] if rule.queue else []
            return f"Listens to what is published on {rule.subject}", ["sub", *queue, rule.subject]
    said = [rule.subject for rule in _allowed(rules, "publish")]
    if "$JS.API.STREAM.LIST" in said:
        return "Lists the streams of the account", ["stream", "ls"]
    for subject in said:
        stream, _, consumer = subject.removeprefix(_INFO).partition(".")
        if subject.startswith(_INFO) and consumer and not subjects.has_wildcard(subject):
            return f"Looks at consumer {consumer} of {stream}", ["consumer", "info", stream, consumer]
    for subject in said:
        if not subject.startswith("$"):
            literal = ".".join("test" if token in ("*", ">") else token for token in subject.split("."))
            return f"Publishes a message on {literal}", ["pub", literal, "hello"]
    return "Connects, and says how long an answer of the server takes", ["rtt"]


def _allowed(rules: list[RuleSpec], action: str) -> list[RuleSpec]:
    """What may be done whole: nothing of it is denied."""
    denied = [rule.subject for rule in rules if (rule.action, rule.effect) == (action, "deny")]
    return [
        rule
        for rule in rules
        if (rule.action, rule.effect) == (action, "allow")
        and not any(subjects.overlaps(rule.subject, each) for each in denied)
    ]


def _signing_in(user: NatsUser, told: ConnectionHelp) -> str:
    """Options by which the command signs in from a file beside it: no list of processes tells a secret."""
    if user.credential != NatsUser.Credential.NKEY:
        return f'--context "$PWD/{_UNSAFE.sub("_", user.name) or "user"}.json"'
    options = ["--server", told.url, "--nkey", told.files[0][0] if told.files else "user.nk"]
    if inbox := private_inbox(user):
        options += ["--inbox-prefix", inbox]
    return shlex.join(options)
