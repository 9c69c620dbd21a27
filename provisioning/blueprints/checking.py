"""Whether the references of a blueprint name what is there, and put no free text where a subject grows of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from accounts_app.natsconf.document import Misfit

from .expand import CONTROL
from .references import NAME, Reference, pieces
from .specs import FREE, BlueprintSpec, ParameterSpec, ValueSpec

# Who provisions may only fill in: a blank or a wildcard here would grant more than the blueprint says.
SUBJECTS = frozenset((
    "permissions", "subject", "subjects", "queue", "role", "default_role", "access", "source", "destinations", "to",
    "prefix", "account", "accounts", "latency_subject", "filter_subject", "filter_subjects", "deliver_subject",
    "deliver_group", "src", "dest", "api", "deliver", "subject_transform", "republish",
))  # fmt: skip


class _Known(NamedTuple):
    """What is known of a name before there are values. spec: its parameter; None: anything may be in it."""

    spec: ParameterSpec | None
    free: bool


_Scope = dict[str, _Known]


def check_body(spec: BlueprintSpec) -> list[Misfit]:
    """What is wrong with the values and accounts of a blueprint, place by place."""
    checking = _Checking()
    scope: _Scope = {each.name: _Known(each, _free(each)) for each in spec.parameters}
    for each in spec.values:
        scope[each.name] = _Known(None, checking.named(each, scope))
    checking.listed(list(spec.accounts), scope, "accounts", strict=False)
    return checking.places


def _free(spec: ParameterSpec) -> bool:
    return spec.type in FREE or (spec.of is not None and spec.of.type in FREE)


class _Checking:
    def __init__(self) -> None:
        self.places: list[Misfit] = []

    def wrong(self, where: str, sentence: str) -> None:
        if len(self.places) < 200:
            self.places.append(Misfit(where, sentence))

    def named(self, each: ValueSpec, scope: _Scope) -> bool:
        """Check a value; whether free text may be in it."""
        at = f"values.{each.name}"
        contents = [(at, each.plain)]
        if each.case:
            contents = [(f"{at}.of.{key}", value) for key, value in each.of.items()] + [(f"{at}.else", each.other)]
            self.case(each, scope, at)
        free = [self.value(value, scope, where, strict=False) for where, value in contents]  # each is looked at
        return any(free)

    def case(self, each: ValueSpec, scope: _Scope, at: str) -> None:
        found = self.reference(each.case, scope, f"{at}.case")
        if found is None or found.spec is None or each.has_other:
            return
        choices = list(found.spec.choices) or (["true", "false"] if found.spec.type == "flag" else [])
        for choice in choices:
            if choice not in each.of:
                self.wrong(f"{at}.of", f"“{choice}” is missing here, and there is no “else”.")
        for key in each.of if choices else ():
            if key not in choices:
                self.wrong(f"{at}.of.{key}", f"“{each.case}” is never this; it is one of {', '.join(choices)}.")

    def reference(self, text: Any, scope: _Scope, at: str) -> _Known | None:
        """What a text that must be one reference names; None, and a place, when it isn't one."""
        try:
            found = pieces(text) if isinstance(text, str) else ()
        except ValueError as refused:
            self.wrong(at, str(refused))
            return None
        if len(found) != 1 or not isinstance(found[0], Reference):
            self.wrong(at, "This must be one reference such as ${name}.")
            return None
        return self.look(found[0], scope, at)

    def look(self, reference: Reference, scope: _Scope, at: str) -> _Known | None:
        known = scope.get(reference.name)
        if known is None:
            self.wrong(at, f"There is no parameter or value “{reference.name}”.")
        elif reference.column and known.spec is not None:
            column = next((each for each in known.spec.columns if each.name == reference.column), None)
            if column is None or known.spec.type == "table":
                self.wrong(at, f"“{reference.name}” has no column “{reference.column}”.")
                return None
            return _Known(column, _free(column))
        return known

    def value(self, node: Any, scope: _Scope, at: str, *, strict: bool) -> bool:
        """Check a node; whether free text may be in it. strict: none may."""
        if isinstance(node, str):
            return self.text(node, scope, at, strict=strict)
        if isinstance(node, list):
            return self.listed(node, scope, at, strict=strict)
        if isinstance(node, dict):
            free = [self.entry(key, value, scope, at, strict=strict) for key, value in node.items()]
            return any(free)
        return False

    def entry(self, key: Any, value: Any, scope: _Scope, at: str, *, strict: bool) -> bool:
        here = f"{at}.{key}"
        if not isinstance(key, str) or "${" in key:
            self.wrong(here, "A key must be text, and holds no reference.")
            return False
        if key in ("for_each", "when", "unless"):
            self.wrong(here, "This goes with a map in a list only.")
            return False
        return self.value(value, scope, here, strict=strict or key in SUBJECTS)

    def listed(self, nodes: list[Any], scope: _Scope, at: str, *, strict: bool) -> bool:
        free = False
        for number, node in enumerate(nodes):
            here, within = f"{at}[{number}]", scope
            if isinstance(node, dict) and any(key in node for key in CONTROL):
                within = self.control(node, scope, here)
                node = node["value"] if "value" in node else {k: v for k, v in node.items() if k not in CONTROL}
            free = self.value(node, within, here, strict=strict) or free
        return free

    def control(self, node: dict[str, Any], scope: _Scope, at: str) -> _Scope:
        """Check `for_each`, `as`, `when` and `unless` of a map in a list; what is known within it."""
        if "value" in node and (more := [key for key in node if key not in CONTROL]):
            self.wrong(f"{at}.{more[0]}", "Beside “value” stand only “for_each”, “as”, “when” and “unless”.")
        within = scope
        if "for_each" in node:
            name = node.get("as", "item")
            if not isinstance(name, str) or not NAME.fullmatch(name) or name in scope:
                self.wrong(f"{at}.as", "This must be a new name of small letters, digits and _.")
            else:
                within = {**scope, name: self.entries(node["for_each"], scope, f"{at}.for_each")}
        elif "as" in node:
            self.wrong(f"{at}.as", "This goes with “for_each” only.")
        for key in ("when", "unless"):
            if key in node and not isinstance(node[key], bool):
                self.reference(node[key], within, f"{at}.{key}")
        return within

    def entries(self, node: Any, scope: _Scope, at: str) -> _Known:
        """What is known of each entry of what `for_each` goes over."""
        if isinstance(node, list):
            return _Known(None, self.listed(node, scope, at, strict=False))
        known = self.reference(node, scope, at)
        if known is None or known.spec is None:
            return _Known(None, known is not None and known.free)
        if known.spec.type == "list":
            return _Known(known.spec.of, known.free)
        if known.spec.type != "table":
            self.wrong(at, f"“for_each” needs a list or a table, and this is of type {known.spec.type}.")
            return _Known(None, False)
        row = ParameterSpec("row", "text", columns=known.spec.columns)
        return _Known(row, False)

    def text(self, text: str, scope: _Scope, at: str, *, strict: bool) -> bool:
        try:
            found = pieces(text)
        except ValueError as refused:
            self.wrong(at, str(refused))
            return False
        free = False
        for piece in found:
            known = self.look(piece, scope, at) if isinstance(piece, Reference) else None
            if known is None:
                continue
            if len(found) > 1 and known.spec is not None and (known.spec.type in ("list", "table")):
                self.wrong(at, f"“{piece}” is a {known.spec.type}, and can't be a part of a text.")
            if known.free and strict:
                self.wrong(at, f"“{piece}” is free text, which could widen this: let it be a token or a subject.")
            if known.spec is not None and known.spec.columns and known.spec.type != "table":
                self.wrong(at, f"“{piece}” is a row: name one of its columns, {piece}.{known.spec.columns[0].name}.")
            free = free or known.free
        return free
