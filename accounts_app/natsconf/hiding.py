"""A conf text for people's eyes: every password, token, seed and key that encrypts is masked, all else stays."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .lex import Lexer, Refused, Scalar

_SECRET = re.compile(r"password|passphrase|secret|encryption_key|(?:\A|_)(?:pass|pwd|token|seed|jwt|key|ek)\Z", re.I)
_COMMENT = re.compile(r"(?:#|//)[^\n\r]*")
_TOLD = re.compile(  # "password: x" in a comment, or where a text can't be read
    r"(?i)(\b\w*?(?:pass(?:word|phrase)?|pwd|token|secret|seed|key)[\"']?\s*[:=]\s*)"
    r"(\"[^\"\n]*\"?|'[^'\n]*'?|[^\s,;}]+)"
)
_LOOKS = re.compile(
    r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}"  # a bcrypt hash
    r"|\bS[ACNOUX][A-Z2-7]{56}\b"  # a seed
    r"|\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*"  # a JWT
    r"|(?<=://)[^\s\"']+(?=@)"  # a credential in a URL
)
_LONG = 4  # characters of a secret that is looked for in comments, too


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is secret in the files of a conf. variables: names of those that hold a secret; texts: the secrets."""

    variables: frozenset[str] = frozenset()
    texts: frozenset[str] = field(default=frozenset(), repr=False)


def find_secrets(texts: Iterable[str]) -> Secrets:
    """Look through all files of one conf: a variable that one file defines may be another's password."""
    files = list(texts)
    first = _Finder(frozenset())
    for text in files:
        first.read(text)
    names, before = set(first.used), set[str]()
    while names != before:  # a variable may hold another one
        before = set(names)
        names |= {held for name, held in first.holds if name in before}
    finder = _Finder(frozenset(names))
    for text in files:
        finder.read(text)
    return Secrets(frozenset(names), frozenset(finder.texts))


def hidden(text: str, secrets: Secrets, mask: str) -> str:
    """The text with the mask in place of each secret. What can't be read is masked by its looks alone."""
    finder = _Finder(secrets.variables)
    if not finder.read(text):
        return _by_looks(_TOLD.sub(rf"\g<1>{mask}", text), mask)
    edits = [(start, end, _quoted(text[start:end], mask)) for start, end in finder.secret]
    at = 0
    for start, end in [*sorted(finder.tokens), (len(text), len(text))]:
        found = _COMMENT.finditer(text, at, max(start, at))
        edits += [(each.start(), each.end(), _comment(each[0], secrets, mask)) for each in found]
        at = max(at, end)
    told, at = [], 0
    for start, end, instead in sorted(edits):
        if start >= at:
            told += [text[at:start], instead]
            at = end
    return _by_looks("".join([*told, text[at:]]), mask)


def hidden_reason(reason: str, line: str, mask: str) -> str:
    """Why a conf can't be read, without a secret of the line at which that is said."""
    for told in _TOLD.finditer(line):
        value = told[2].strip("\"'")
        for quoted in (value, value[:20]):
            reason = reason.replace(quoted, mask) if quoted else reason
    return _by_looks(reason, mask)


def _by_looks(text: str, mask: str) -> str:
    return _LOOKS.sub(mask, text)


def _quoted(value: str, mask: str) -> str:
    quote = value[0] if value[:1] in ('"', "'") else ""
    return f"{quote}{mask}{quote}"


def _comment(text: str, secrets: Secrets, mask: str) -> str:
    told = _TOLD.sub(rf"\g<1>{mask}", text)
    for secret in secrets.texts:
        if len(secret) >= _LONG:
            told = told.replace(secret, mask)
    return told


class _Finder:
    """A Sink that remembers where secrets stand, and which variables are taken as such.

    tokens: where keys, values and paths stand, so that what is between them is comment; holds: (variable, another one
    that is its value).
    """

    def __init__(self, variables: frozenset[str]) -> None:
        self.variables = variables
        self.used: set[str] = set()
        self.holds: set[tuple[str, str]] = set()
        self.texts: set[str] = set()
        self.secret: list[tuple[int, int]] = []
        self.tokens: list[tuple[int, int]] = []

    def read(self, text: str) -> bool:
        """Look through one text; False when it can't be read to its end."""
        self.text, self.secret, self.tokens = text, [], []
        self.name, self.begun = "", -1  # of the key whose value comes
        self.inside: list[tuple[bool, bool]] = []  # of each open map or array: (it is an array, it is secret)
        self.lexer = Lexer(text, self)
        try:
            self.lexer.run()
        except Refused:
            return False
        return True

    def key(self, name: str, offset: int) -> None:
        self.name, self.begun = name, offset
        self.tokens.append((offset, offset + len(name) + 2 * (self.text[offset] in "\"'")))

    def value(self, value: Scalar, offset: int) -> None:
        end = offset + len(self.text[offset : self.lexer.at].rstrip(" \t\r\n,;"))
        if offset == self.begun and not self._in_array():  # told together with its key, always in quotes
            offset = end - len(str(value)) - 2
        self.tokens.append((offset, end))
        if self._is_secret():
            self.secret.append((offset, end))
            self.texts.add(str(value))

    def variable(self, name: str, offset: int) -> None:
        self.tokens.append((offset, self.lexer.at))
        if self._is_secret():
            self.used.add(name)
        if not self._in_array():
            self.holds.add((self.name, name))

    def include(self, path: str, offset: int) -> None:
        self.tokens.append((offset, self.lexer.at))

    def open_map(self, offset: int) -> None:
        self.inside.append((False, self._is_secret()))

    def open_array(self, offset: int) -> None:
        self.inside.append((True, self._is_secret()))

    def close_map(self) -> None:
        self._close()

    def close_array(self) -> None:
        self._close()

    def _close(self) -> None:
        if self.inside:
            self.inside.pop()

    def _in_array(self) -> bool:
        return bool(self.inside) and self.inside[-1][0]

    def _is_secret(self) -> bool:
        """Whether a value that comes now is secret: by its key, or by what it stands in."""
        if self.inside and (self.inside[-1][1] or self.inside[-1][0]):
            return self.inside[-1][1]
        return _SECRET.search(self.name) is not None or self.name in self.variables
