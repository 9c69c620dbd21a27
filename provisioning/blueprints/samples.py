"""Values made up for a blueprint's parameters, by which its body is tried before anybody provisions it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from accounts_app.natsconf.document import DocumentError, Misfit, read_document
from accounts_app.natsconf.nkeys import encode_public

from .expand import expand
from .measures import write_duration
from .parameters import Given, ParameterErrors, read_parameters
from .specs import BlueprintSpec, ParameterSpec

_HOUR_NS = 3600 * 10**9
_SIMPLE = {
    "account_name": "SAMPLE",
    "user_name": "sample",
    "subject": "sample.subject",
    "nkey": encode_public("U", bytes(32)),  # nobody's
    "flag": True,
}


def samples(spec: BlueprintSpec) -> Iterator[dict[str, Any]]:
    """Given values that try each choice and each flag of a blueprint once, the rest being as first made up."""
    first = {each.name: sample(each) for each in spec.parameters}
    yield first
    for each in spec.parameters:
        others = list(each.choices) if each.type == "choice" else [False] if each.type == "flag" else []
        for other in others:
            if other != first[each.name]:
                yield {**first, each.name: other}


def sample(spec: ParameterSpec, number: int = 1) -> Any:
    """A value that a parameter takes."""
    if spec.type == "list":
        of = spec.of or ParameterSpec("entry", "text")
        return [sample(of, place) for place in range(1, max(spec.least or 0, 1) + 1)] if of.type != "flag" else [True]
    if spec.type == "table":
        rows = range(1, max(spec.least or 0, 1) + 1)
        return [{column.name: sample(column, row) for column in spec.columns} for row in rows]
    if spec.type == "choice":
        choices = list(spec.choices)
        return choices[(number - 1) % len(choices)]
    if spec.type in ("text", "token", "user_name", "account_name", "subject"):
        text = f"{_SIMPLE.get(spec.type, 'sample')}{number if number > 1 else ''}"
        return text.ljust(spec.least or 0, "x")[: spec.most]
    if spec.type in ("whole", "bytes", "duration"):
        usual = _HOUR_NS if spec.type == "duration" else 1
        amount = spec.least or (usual if spec.most is None else min(usual, spec.most))
        return write_duration(amount) if spec.type == "duration" else amount
    return _SIMPLE[spec.type]


def check_samples(spec: BlueprintSpec) -> list[Misfit]:
    """What a document made of samples is wrong in: fields that don't exist, values of another type."""
    found: dict[Misfit, None] = {}
    for given in samples(spec):
        for place in _tried(spec, given):
            found.setdefault(place)
        if len(found) > 50:
            break
    return list(found)


def _tried(spec: BlueprintSpec, given: dict[str, Any]) -> Iterable[Misfit]:
    try:
        values = read_parameters(_unbounded(spec), given)
    except ParameterErrors:
        values = Given(given)
    try:
        expanded = expand(spec, values)
    except DocumentError as error:
        return error.places
    try:
        read_document(expanded.document)
    except DocumentError as error:
        return [Misfit(expanded.place_in_blueprint(place.where), place.sentence) for place in error.places]
    return ()


def _unbounded(spec: BlueprintSpec) -> BlueprintSpec:
    """The blueprint without what samples may offend against: how many there may be."""
    return replace(spec, parameters=tuple(replace(each, unique=()) for each in spec.parameters))
