"""CSV → rows that know their line."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from typing import Any

Cells = Mapping[str, Any]
LONGEST_TEXT = 32 * 1024 * 1024  # characters
_FAULTS = 50
_SEPARATORS = ",;\t"


def read_csv(text: str, names: Sequence[str], needed: Collection[str]) -> tuple[list[tuple[int, Cells]], list[str]]:
    """([(line, {column: text})], sentences about what is wrong). names: the columns there may be, `needed`: must be.

    The separator is a comma, a semicolon or a tab, whichever the header has. Empty lines are passed over.
    """
    if len(text) > LONGEST_TEXT:
        return [], [f"This has {len(text):,} characters; at most {LONGEST_TEXT:,} are possible."]
    if "\x00" in text:
        return [], ["This is no CSV: it holds a NUL character."]
    text = text.removeprefix("\ufeff")
    lines = io.StringIO(text, newline="")
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)
    faults: list[str] = []
    rows: list[tuple[int, Cells]] = []
    header: list[str] | None = None
    begun = 1
    try:
        for fields in reader:
            line, begun = begun, reader.line_num + 1
            if not any(field.strip() for field in fields):
                continue
            if header is None:
                header = [field.strip() for field in fields]
                faults += [f"line {line}: {sentence}" for sentence in _wrong_header(header, names, needed)]
                if faults:
                    return [], faults
            elif len(fields) != len(header):
                if len(faults) < _FAULTS:
                    faults.append(f"line {line}: It has {len(fields)} fields, and the header has {len(header)}.")
            else:
                rows.append((line, {name: field.strip() for name, field in zip(header, fields, strict=True)}))
    except csv.Error as error:
        return [], [*faults, f"line {begun}: This is no CSV: {error}."]
    if header is None:
        return [], [f"There is no header; the first line names the columns: {', '.join(names)}."]
    return rows, faults


def _wrong_header(header: Sequence[str], names: Sequence[str], needed: Collection[str]) -> list[str]:
    said = [f"There is no column “{name[:60]}”; there are {', '.join(names)}." for name in header if name not in names]
    said += [f"Column “{name}” stands there twice." for name in names if header.count(name) > 1]
    return said + [f"Column “{name}” is missing." for name in needed if name not in header]
