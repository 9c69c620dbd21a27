"""Permissions → `permissions` of the conf, with each trap of the server's reading closed.

An empty or missing list opens a direction (`server/opts.go` parseUserPermissions, measured), so both
directions are always written, and "nothing" is `deny: [">"]`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from . import names, subjects
from .specs import Action, ResponseSpec, RuleSpec
from .subjects import InvalidValue, shown
from .tree import Tree

CLOSED: Tree = {"publish": {"deny": [">"]}, "subscribe": {"deny": [">"]}}
OPEN: Tree = {"publish": {"allow": [">"]}, "subscribe": {"allow": [">"]}}


def permissions_tree(rules: Iterable[RuleSpec], responses: ResponseSpec | None = None) -> Tree | None:
    """Return the `permissions` that mean exactly `rules`; None when they allow everything.

    Least privilege: a direction without an allow rule allows nothing, deny rules only subtract.
    Replies (`allow_responses`) stay possible where publishing is denied (`server/client.go`
    pubAllowedFullCheck, measured).
    """
    rules = list(rules)
    tree: Tree = {"publish": _direction(rules, "publish"), "subscribe": _direction(rules, "subscribe")}
    if responses is not None:
        tree["allow_responses"] = _responses(responses)
    return None if tree == OPEN else tree


def own_rules(rules: Iterable[RuleSpec]) -> Iterable[RuleSpec]:
    for rule in rules:
        check_rule(rule)
        subjects.check_subject(rule.subject)
    return rules


def check_rule(rule: RuleSpec) -> None:
    if rule.action not in ("publish", "subscribe"):
        raise InvalidValue(f"Action {shown(rule.action)} is not known.", rule.action)
    if rule.effect not in ("allow", "deny"):
        raise InvalidValue(f"Effect {shown(rule.effect)} is not known.", rule.effect)
    if rule.queue:
        if rule.action == "publish":
            raise InvalidValue(f"A right to publish has no queue, but {shown(rule.subject)} names one.")
        names.check_queue(rule.queue)


def _direction(rules: Sequence[RuleSpec], action: Action) -> Tree:
    """Return `{allow, deny}` of one direction."""
    allow = sorted({_subject(r) for r in rules if r.action == action and r.effect == "allow"})
    if not allow:
        return {"deny": [">"]}
    denied = {_subject(r) for r in rules if r.action == action and r.effect == "deny"}
    if action == "subscribe":
        denied.update(below_stars([subject.split(" ")[0] for subject in allow]))
    deny = sorted(denied)
    return {"allow": allow, "deny": deny} if deny else {"allow": allow}


def below_stars(allow: Collection[str]) -> Iterator[str]:
    """Yield what has to be denied so that the subscriptions allowed are no wider than they say.

    The server lets who may subscribe `a.*` subscribe `a.>` too and delivers all below (measured
    on 2.15.1: it looks the `>` up as if it were a word). Denying `a.*.>` keeps that away at
    delivery. Where another right reaches below, nothing can be denied: see `open_stars`.
    """
    for subject in allow:
        if subject.split(".")[-1] == "*":
            below = f"{subject}.>"
            if not any(subjects.overlaps(below, other) for other in allow):
                yield below


def open_stars(allow: Collection[str]) -> list[str]:
    """Return the `a.>` that the server opens for an allowed `a.*` and that can't be denied, since
    another right reaches a part of it."""
    found = []
    for subject in allow:
        if subject.split(".")[-1] == "*":
            below, opened = f"{subject}.>", f"{subject[:-1]}>"
            covered = any(subjects.covers(other, opened) for other in allow)
            if not covered and any(subjects.overlaps(below, other) for other in allow):
                found.append(opened)
    return sorted(set(found))


def _subject(rule: RuleSpec) -> str:
    return f"{rule.subject} {rule.queue}" if rule.queue else rule.subject


def _responses(responses: ResponseSpec) -> bool | Tree:
    tree: Tree = {}
    if responses.max:
        if abs(responses.max) > names.MAX_INT32:
            raise InvalidValue(f"{responses.max} responses are too many; {names.MAX_INT32} are possible.")
        tree["max"] = responses.max
    if responses.expires:
        tree["expires"] = names.check_duration(responses.expires, "Time for responses", negative=True)
    return tree or True
