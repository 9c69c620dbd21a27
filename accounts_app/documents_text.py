"""The text of documents, YAML or JSON → JSON values; several in one text are read as one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import yaml

from accounts_app.natsconf.document import DocumentError, Misfit

DEEPEST = 50  # maps and lists within one another
REPEATED = 500_000  # values that aliases may add to what is written out
_LISTS = ("accounts", "roles")
_SIMPLE = {  # {type: how such a scalar looks}; a date stays text, and so do yes, no, on and off
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", list("-+0123456789")),
}
_TAGS = tuple(f"tag:yaml.org,2002:{kind}" for kind in (*_SIMPLE, "str", "seq", "map"))
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TextError(DocumentError):
    """A text that holds no documents; line and column count from 1, 0 when there is no place."""

    def __init__(self, sentence: str, line: int = 0, column: int = 0) -> None:
        self.line, self.column = line, column
        super().__init__([Misfit(f"line {line}, column {column}" if line else "document", sentence)])


class Loader(_Base):  # type: ignore[misc]
    """YAML with JSON's types alone, in which no key stands twice."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    yaml_constructors = {tag: make for tag, make in _Base.yaml_constructors.items() if tag in (*_TAGS, None)}

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key.start_mark)
            if key.value in seen and key.value != "<<":
                said = f"“{key.value}” stands there twice"
                raise yaml.constructor.ConstructorError(None, None, said, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _kind, (_looks, _firsts) in _SIMPLE.items():
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_looks})$"), _firsts)
Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])


def read_text(text: str) -> Any:
    """The one document that a text holds, or that its documents are together. Raises DocumentError."""
    return joined(read_texts(text))


def read_texts(text: str) -> list[Any]:
    """The documents of a text as JSON values, empty ones left out. Raises TextError with line and column."""
    text = text.removeprefix("\ufeff")
    refused: TextError | None = None
    if text.lstrip()[:1] in ("{", "["):
        try:
            return [json.loads(text, object_pairs_hook=once, parse_constant=no_number)]
        except json.JSONDecodeError as error:
            refused = TextError(f"This is no JSON: {error.msg}.", error.lineno, error.colno)
        except ValueError as error:
            raise TextError(f"This is no JSON: {error}.") from None
        except RecursionError:
            raise TextError("This is nested too deeply.") from None
    try:
        look(text)
        found = [data for data in yaml.load_all(text, Loader=Loader) if data is not None]
    except TextError as error:
        raise refused or error from None
    except yaml.YAMLError as error:
        raise refused or _in_words(error) from None
    except ValueError as error:  # a number of thousands of digits
        raise refused or TextError(f"This is no YAML: {error}.") from None
    if not found:
        raise TextError("There is no document here.")
    return found


def joined(documents: Iterable[Any]) -> Any:
    """One document that says what several say. Raises DocumentError when they are for different systems."""
    parts = list(documents)
    if len(parts) == 1:
        return parts[0]
    whole: dict[str, Any] = {}
    for number, part in enumerate(parts, start=1):
        if not isinstance(part, dict):
            raise DocumentError([Misfit(f"document {number}", "This must be a map with “accounts” or “roles”.")])
        for key, said in part.items():
            if key not in _LISTS:
                if whole.setdefault(key, said) != said:
                    other = f"This is “{said}”, and “{whole[key]}” in another document: apply one after the other."
                    raise DocumentError([Misfit(f"document {number}: {key}", other)])
            elif isinstance(said, list):
                whole[key] = [*(whole.get(key) or []), *said]
            elif said is not None:
                raise DocumentError([Misfit(f"document {number}: {key}", "This must be a list.")])
    return whole


def look(text: str) -> None:
    """Raise TextError for YAML that would take too long or too much to build, before anything is built."""
    sizes: dict[str, int] = {}  # of what stands under an anchor; 0 while it is not at its end
    open_: list[tuple[str, int]] = []
    repeated = 0
    for event in yaml.parse(text, Loader=Loader):
        size, mark = 0, event.start_mark
        anchor = getattr(event, "anchor", None) or ""
        if isinstance(event, yaml.DocumentStartEvent):
            sizes, repeated = {}, 0
        elif isinstance(event, yaml.AliasEvent):
            size = sizes.get(anchor, 1)
            repeated += size
            if not size or repeated > REPEATED:
                said = "This alias stands in itself." if not size else "Aliases repeat too much here: write it out."
                raise _at(mark, said)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append((anchor, 1))
            if anchor:
                sizes[anchor] = 0
            if len(open_) > DEEPEST:
                raise _at(mark, "This is nested too deeply.")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_.pop()
            if anchor:
                sizes[anchor] = size
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
            if anchor:
                sizes[anchor] = size
        if size and open_:
            above, others = open_[-1]
            open_[-1] = above, others + size


def _in_words(error: yaml.YAMLError) -> TextError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be read"
    return _at(mark, f"This is no YAML: {problem}.")


def _at(mark: Any, sentence: str) -> TextError:
    return TextError(sentence, mark.line + 1, mark.column + 1) if mark else TextError(sentence)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which no key stands twice. Raises ValueError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"“{next(key for key in keys if keys.count(key) > 1)}” stands there twice")
    return found


def no_number(text: str) -> Any:
    """NaN and the like are none."""
    raise ValueError(f"{text} is no number")
