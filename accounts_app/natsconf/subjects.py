"""The grammar of NATS subjects: what may be written, which subject covers which, and the
placeholders of mappings and role templates.

Stricter than the server, which takes `foo*` for a literal, `*foo` for a wildcard and lets
blanks of other alphabets through (`server/sublist.go`, measured on 2.15.1).
"""

from __future__ import annotations

import re

from .errors import NatsConfError

MAX_SUBJECT = 1024  # characters; a whole protocol line may have 4096 bytes
_SHOWN = 120  # characters of a wrong value that a sentence repeats


class InvalidValue(NatsConfError, ValueError):
    """A value that a conf must not hold; its text is one sentence for the person who typed it.

    token: the part at fault, "" when it is the whole (or must not be repeated).
    """

    def __init__(self, sentence: str, token: str = "") -> None:
        super().__init__(sentence)
        self.token = token


def shown(value: str) -> str:
    """Return `value` in double quotes, cut when long, with invisible characters escaped."""
    text = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text) + '"'


def tokens(subject: str) -> list[str]:
    """Return the tokens between the dots."""
    return subject.split(".")


def has_wildcard(subject: str) -> bool:
    """Say whether a token of `subject` is `*` or `>`."""
    return any(token in ("*", ">") for token in subject.split("."))


def check_subject(subject: str, wildcards: bool = True, what: str = "Subject") -> str:
    """Return `subject` if it may be written as one, else raise InvalidValue naming the token.

    what: how the sentence calls the value ("Subject", "Queue", "Prefix").
    """
    if not subject:
        raise InvalidValue(f"{what} is empty.")
    if len(subject) > MAX_SUBJECT:
        raise InvalidValue(f"{what} has {len(subject)} characters; at most {MAX_SUBJECT} are possible.")
    if _PLAIN.fullmatch(subject):
        return subject
    if not subject.isprintable() or any(c.isspace() for c in subject):
        bad = next(c for c in subject if not c.isprintable() or c.isspace())
        kind = "a blank" if bad.isspace() else "a character that cannot be seen"
        raise InvalidValue(f"{what} {shown(subject)} holds {kind} ({_named(bad)}).", bad)
    if "{{" in subject or "}}" in subject:
        raise InvalidValue(
            f"{what} {shown(subject)} holds a placeholder; those are possible in roles and in the "
            f"destination of a mapping only.",
            "{{",
        )
    parts = subject.split(".")
    for number, part in enumerate(parts, 1):
        if not part:
            raise InvalidValue(f"{what} {shown(subject)} has an empty token: {_where(number, parts)}.")
        if part in ("*", ">"):
            if not wildcards:
                raise InvalidValue(f'{what} {shown(subject)} holds the wildcard "{part}"; none is possible here.', part)
            if part == ">" and number < len(parts):
                raise InvalidValue(
                    f'{what} {shown(subject)} holds ">" before its end; it can only be the last token.', part
                )
            continue
        for sign in "*>":
            if sign in part:
                raise InvalidValue(
                    f'{what} {shown(subject)} holds "{sign}" inside a token; a wildcard must stand alone between dots.',
                    part,
                )
    return subject


def check_token(token: str, what: str = "Name") -> str:
    """Return `token` if it is one literal token of a subject, else raise InvalidValue."""
    check_subject(token, wildcards=False, what=what)
    if "." in token:
        raise InvalidValue(f'{what} {shown(token)} holds a "."; it must be a single token.', ".")
    return token


def covers(pattern: str, subject: str) -> bool:
    """Say whether every subject that `subject` matches is matched by `pattern` as well."""
    wide, narrow = pattern.split("."), subject.split(".")
    for index, part in enumerate(wide):
        if index >= len(narrow):
            return False
        if part == ">":
            return True
        other = narrow[index]
        if other == ">" or (part != "*" and part != other):
            return False
    return len(wide) == len(narrow)


def overlaps(a: str, b: str) -> bool:
    """Say whether some literal subject is matched by both."""
    left, right = a.split("."), b.split(".")
    for one, other in zip(left, right, strict=False):
        if one == ">" or other == ">":
            return True
        if one != other and one != "*" and other != "*":
            return False
    return len(left) == len(right)


# Roles: templates


_TEMPLATE = re.compile(r"\{\{\s*(name|account-name)\(\)\s*\}\}")


def is_template(subject: str) -> bool:
    """Say whether `subject` holds `{{name()}}` or `{{account-name()}}`."""
    return "{{" in subject


def names_user(subject: str) -> bool:
    """Say whether `subject` comes out differently for different users."""
    return any(match[1] == "name" for match in _TEMPLATE.finditer(subject))


def check_template(subject: str, wildcards: bool = True, what: str = "Subject") -> str:
    """Return `subject` if it is valid once its placeholders are filled, else raise InvalidValue.

    Placeholders are the two of the server's own templates that a conf can carry:
    `{{name()}}` and `{{account-name()}}`; they may be a part of a token.
    """
    plain = _TEMPLATE.sub("x", subject)
    if "{{" in plain or "}}" in plain:
        raise InvalidValue(
            f"{what} {shown(subject)} holds a placeholder that is not known; "
            "a role knows {{name()}} and {{account-name()}}.",
            "{{",
        )
    if plain == subject:
        return check_subject(subject, wildcards, what)
    try:
        check_subject(plain, wildcards, what)
    except InvalidValue as exc:  # the sentence shall repeat what was typed
        raise InvalidValue(str(exc).replace(shown(plain), shown(subject), 1), exc.token) from None
    return subject


def expand(subject: str, name: str, account: str) -> str:
    """Return `subject` with its placeholders filled.

    Raises InvalidValue when a name that is needed is not a single valid token: a user named
    `*` or `a.b` would otherwise widen or move its own rights.
    """
    if "{{" not in subject:
        return subject
    check_template(subject)

    def fill(match: re.Match[str]) -> str:
        value = name if match[1] == "name" else account
        return check_token(value, "User name" if match[1] == "name" else "Account name")

    return check_subject(_TEMPLATE.sub(fill, subject))


# Mappings: destinations


_FUNCTION = re.compile(r"\{\{\s*([A-Za-z]+)\s*\(\s*([^(){}]*?)\s*\)\s*\}\}")
_DOLLAR = re.compile(r"\$([0-9]+)")
_NUMBER = re.compile(r"[0-9]{1,9}")
_COUNTED = ("splitFromLeft", "splitFromRight", "sliceFromLeft", "sliceFromRight")
FUNCTIONS = ("wildcard", "partition", "split", *_COUNTED, "left", "right", "random")


def check_source(source: str) -> str:
    """Return the source of a mapping if a conf can hold it: it is a key there. Raises InvalidValue."""
    check_subject(source, what="Source")
    if '"' in source and "'" in source:
        raise InvalidValue("Source holds both kinds of quotes, which a conf can't write as a key.")
    return source


def check_destination(source: str, destination: str) -> str:
    """Return `destination` if a mapping of `source` may go there, else raise InvalidValue.

    Source: NewSubjectTransform and ValidateMapping of the server. Left out on purpose: index 0
    and numbers below 1, which the server takes and then does something else with.
    """
    check_subject(source, what="Source")
    return _check_destination(source, destination, only_wildcard=False)


def check_import_to(subject: str, to: str) -> str:
    """Return `to` if an imported `subject` may arrive there, else raise InvalidValue.

    `*` in `to` stands for the wildcards of `subject` in their order; each must be used, since
    the server has to find the way back.
    """
    check_subject(subject)
    if not has_wildcard(subject):
        return check_subject(to, wildcards=False, what="Local subject")
    count = 0
    parts = []
    for part in to.split("."):
        count += part == "*"
        parts.append(f"${count}" if part == "*" else part)
    _check_destination(subject, ".".join(parts), only_wildcard=True)
    return to


def _check_destination(source: str, destination: str, *, only_wildcard: bool) -> str:
    what = "Local subject" if only_wildcard else "Destination"
    if not destination:
        raise InvalidValue(f"{what} is empty.")
    stars = source.split(".").count("*")
    used: set[int] = set()
    plain = []
    # a "." inside the brackets ends the token, for the server as well
    for token in destination.split("."):
        indexes = _placeholder(token, what, destination, stars, only_wildcard)
        if indexes is None:
            plain.append(token)
            continue
        plain.append("x")
        used.update(indexes)
        for index in indexes:
            if not 1 <= index <= stars:
                raise InvalidValue(
                    f"{what} {shown(destination)} asks for wildcard {index}, but {shown(source)} has "
                    f"{stars or 'none'}.",
                    token,
                )
    try:
        check_subject(".".join(plain), what=what)
    except InvalidValue as exc:
        raise InvalidValue(str(exc).replace(shown(".".join(plain)), shown(destination), 1), exc.token) from None
    if "*" in plain:
        raise InvalidValue(
            f'{what} {shown(destination)} holds "*"; '
            "write $1 or {{wildcard(1)}} for the first wildcard of the source.",
            "*",
        )
    if (plain[-1] == ">") != source.endswith(">"):
        raise InvalidValue(
            f'{what} {shown(destination)} and source {shown(source)} must both end with ">", or neither.', ">"
        )
    if only_wildcard and len(used) < stars:
        missing = min(set(range(1, stars + 1)) - used)
        raise InvalidValue(f"{what} {shown(destination)} does not use wildcard {missing} of {shown(source)}.")
    return destination


def _placeholder(token: str, what: str, destination: str, stars: int, only_wildcard: bool) -> list[int] | None:
    """Return the wildcards that `token` asks for, None for an ordinary token."""
    if dollar := _DOLLAR.fullmatch(token):
        return [int(dollar[1])]
    if "{{" not in token and "}}" not in token:
        return None

    def wrong(reason: str) -> InvalidValue:
        return InvalidValue(f"{what} {shown(destination)}: {shown(token)} {reason}", token)

    match = _FUNCTION.fullmatch(token)
    if match is None:
        raise wrong("is not a function; one is written as {{wildcard(1)}} and fills its token.")
    name = match[1][0].lower() + match[1][1:]
    name = next((known for known in FUNCTIONS if known.lower() == name.lower()), name)
    arguments = re.split(r",\s*", match[2]) if match[2] else []
    if name not in FUNCTIONS:
        raise wrong(f"is not known; the server knows {', '.join(FUNCTIONS)}.")
    if only_wildcard and name != "wildcard":
        raise wrong("is not possible for imports; only {{wildcard(1)}} or $1 is.")
    numbers = arguments[:1] if name == "split" else arguments
    if not all(_NUMBER.fullmatch(n) and int(n) > 0 for n in numbers):
        raise wrong("needs whole numbers from 1.")
    expected = {"wildcard": 1, "random": 1, "split": 2}.get(name, 2)
    if (len(arguments) != expected) if name != "partition" else not arguments:
        raise wrong(f"needs {'at least one argument' if name == 'partition' else _counted(expected)}.")
    if name == "random":
        return []
    if name == "partition":
        return [int(n) for n in arguments[1:]]
    if stars == 0 and name != "wildcard":
        raise wrong("takes a wildcard of the source apart, which has none.")
    if name == "split" and not (arguments[1] and arguments[1].isprintable() and " " not in arguments[1]):
        raise wrong("needs a separator without blanks.")
    return [int(arguments[0])]


def _counted(expected: int) -> str:
    return "one argument" if expected == 1 else "two arguments"


_PLAIN = re.compile(r"(?:[A-Za-z0-9_$-]+\.)*[A-Za-z0-9_$-]+")  # most subjects; the rest is looked at closely


def _named(char: str) -> str:
    return f"U+{ord(char):04X}"


def _where(number: int, parts: list[str]) -> str:
    if number == 1:
        return "it starts with a dot"
    if number == len(parts):
        return "it ends with a dot"
    return "two dots follow each other"
