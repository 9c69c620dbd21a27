"""What is shown of streams, buckets and consumers: each setting as it counts now, in words, and what was counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as say
from django.utils.translation import ngettext

from accounts_app import units
from accounts_app.admin.asset_fields import sections_of
from accounts_app.jetstream.differences import in_words
from accounts_app.jetstream.settings import Kind
from accounts_app.jetstream.wire import complete, effective, from_server
from accounts_app.models import Asset, Consumer, Stream

ICONS = {"stream": "database", "kv": "key_vertical", "object": "folder_zip", "consumer": "group_work"}
SUBJECTS = 3  # in a cell of a list


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting of an object. usual: nobody said it, it is the server's default."""

    title: str
    help: str
    value: str
    usual: bool


def kind_of_row(row: Asset) -> Kind:
    """By which settings it is made."""
    kind: Kind = row.kind if isinstance(row, Stream) else "consumer"  # type: ignore[assignment]
    return kind


def shown_name(row: Asset) -> str:
    """The name by which people know it."""
    return row.bucket if isinstance(row, Stream) else row.name


def kind_word(row: Asset) -> str:
    """ "stream", "KV bucket", "object bucket" or "consumer"."""
    return str(row.get_kind_display()) if isinstance(row, Stream) else say("consumer")


def settings_now(row: Asset) -> dict[str, Any]:
    """{setting: canonical value}: of a managed row as it shall be, of an observed one as it is there; all settings."""
    kind = kind_of_row(row)
    return effective(kind, row.config) if row.managed or row.seen is None else complete(kind, row.seen)


def said_of(row: Asset) -> dict[str, Any]:
    """{setting: canonical value} that differ from the defaults."""
    return dict(row.config) if row.managed or row.seen is None else from_server(kind_of_row(row), row.seen)


def count_of(row: Asset, name: str) -> int | None:
    """What was counted when it was last looked at; None when it wasn't."""
    found = row.counts.get(name)
    return found if isinstance(found, int) else None


def number(value: int | None) -> str:
    return units.NONE if value is None else units.count(value)


def size(value: int | None) -> Any:
    if value is None:
        return units.NONE
    return format_html('<span title="{} bytes">{}</span>', f"{value:,}", units.size(value))


def subjects_cell(row: Stream) -> SafeString | str:
    """What a stream stores, a few of many; a mirror names what it copies."""
    now = settings_now(row)
    if row.kind != Stream.Kind.STREAM:
        return ""
    subjects: list[str] = now["subjects"]
    if not subjects:
        source = (now["mirror"] or {}).get("name")
        gathered = ", ".join(each.get("name", "") for each in now["sources"])
        word = say("mirror of %s") % source if source else say("from %s") % gathered if gathered else ""
        return format_html('<span class="nu-muted">{}</span>', word)
    return some(subjects)


def some(texts: Iterable[str]) -> SafeString:
    """The first few of many texts; all of them when the pointer rests there."""
    every = list(texts)
    more = len(every) - SUBJECTS
    shown = ", ".join(every[:SUBJECTS])
    told = format_html('<code class="nu-mono nu-cut" title="{}">{}</code>', "\n".join(every[:200]), shown)
    return format_html('{} <span class="nu-muted">+{}</span>', told, more) if more > 0 else told


def sections_now(row: Asset) -> list[tuple[str, list[Shown]]]:
    """[(section, its settings)] for those who only look: what was said first counts, defaults are told as such."""
    kind, now, said = kind_of_row(row), settings_now(row), said_of(row)
    found = []
    for title, settings in sections_of(kind).items():
        shown = [
            Shown(one.title, one.help, in_words(kind, one.name, now[one.name]), one.name not in said)
            for one in settings
            if one.name in said or title == ""
        ]
        if shown:
            found.append((title, shown))
    return found


def figures_of(row: Asset) -> list[tuple[str, str]]:
    """[(label, number)] of what was counted last."""
    names: tuple[tuple[str, str], ...]
    if isinstance(row, Consumer):
        names = (
            ("pending", say("Lag")),
            ("ack_pending", say("Unacknowledged")),
            ("redelivered", say("Redelivered")),
            ("waiting", say("Waiting pulls")),
        )
    else:
        values = say("Values") if row.kind == Stream.Kind.KV else say("Messages")  # type: ignore[attr-defined]
        names = (("messages", values), ("bytes", say("Size")), ("consumers", say("Consumers")))
    known = [(label, name, count_of(row, name)) for name, label in names]
    return [
        (label, units.size(value) if name == "bytes" else units.count(value))
        for label, name, value in known
        if value is not None
    ]


def goes_along(row: Asset) -> list[str]:
    """What is lost when it is deleted with its data, in a few words each."""
    if isinstance(row, Consumer):
        return [say("its place in the stream: a new one of this name begins as its settings say")]
    found = []
    messages, held = count_of(row, "messages"), count_of(row, "bytes")
    if messages:
        told = {"n": units.count(messages), "size": units.size(held)}
        found.append(ngettext("%(n)s message, %(size)s", "%(n)s messages, %(size)s", messages) % told)
    if rows := row.consumers.count():  # type: ignore[attr-defined]
        found.append(ngettext("%d consumer", "%d consumers", rows) % rows)
    return found
