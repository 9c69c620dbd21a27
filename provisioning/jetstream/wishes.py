"""What rows ask of the servers, and what came of it: values between the tables and the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet, Value

from accounts_app.models import Asset, Consumer, Stream

Key = tuple[str, int]  # ("stream" or "consumer", primary key)
MODELS: dict[str, type[Asset]] = {"stream": Stream, "consumer": Consumer}


@dataclass(frozen=True, slots=True)
class Wish:
    """One row that the servers don't follow yet. account, stream: names; stream: of a consumer, else its own.

    kind: of its settings. wanted: the counter that it answers. ours: whether an object of that name is known to be
    the row's, because nunect made or changed it before, or a person has said so. waited: whether it could not be met
    before.
    """

    key: Key
    account_id: int
    account: str
    stream: str
    name: str
    kind: str
    config: Mapping[str, Any]
    wanted: int
    leaving: bool
    ours: bool
    waited: bool

    @property
    def is_stream(self) -> bool:
        return self.key[0] == "stream"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a wish. seen: the server's config as it is now, None: it isn't there; known: whether that is so.

    "done"; "gone": the row may go; "waits" or "failed" with a sentence, and the setting that it is about; "foreign":
    there is one that isn't the row's, drift tells how it differs. lost: nobody answered.
    """

    wish: Wish
    result: Literal["done", "gone", "waits", "failed", "foreign"]
    seen: dict[str, Any] | None = None
    counts: dict[str, Any] = field(default_factory=dict)
    known: bool = True
    sentence: str = ""
    setting: str = ""
    drift: list[dict[str, Any]] = field(default_factory=list)
    lost: bool = False


def due(system_id: int, accounts: Iterable[int] | None = None) -> list[Wish]:
    """Wishes of managed rows that are behind or leave; those that a server refused as they are, not again.

    accounts: primary keys, None: all. In the order in which they are to be met: what leaves, then streams before
    their consumers.
    """
    chosen = None if accounts is None else sorted(set(accounts))
    found = _streams(system_id, chosen) + _consumers(system_id, chosen)
    return sorted(found, key=lambda wish: (not wish.leaving, not wish.is_stream, wish.key))


def is_due(system_id: int) -> bool:
    """Whether there is any wish."""
    rows = QuerySet[Stream](Stream).filter(_BEHIND, managed=True, account__system=system_id)
    consumers = QuerySet[Consumer](Consumer).filter(_BEHIND, managed=True, stream__account__system=system_id)
    return rows.exists() or consumers.exists()


def forgive(system_id: int, accounts: Sequence[str]) -> None:
    """The servers hold these accounts (names) otherwise than before: what they refused may be tried again."""
    for start in range(0, len(accounts), 500):
        names = accounts[start : start + 500]
        for model, way in ((Stream, "account"), (Consumer, "stream__account")):
            rows = QuerySet[Any](model).filter(**{f"{way}__system": system_id, f"{way}__name__in": names})
            rows.filter(problem_kind=Asset.Problem.FAILED).update(
                problem_kind="", problem="", problem_field="", problem_wanted=0
            )


_BEHIND = (~Q(done=F("wanted")) | Q(leaving=True)) & ~Q(problem_kind=Asset.Problem.FAILED, problem_wanted=F("wanted"))
_TRACED = ExpressionWrapper(Q(seen__isnull=False), output_field=BooleanField())
_COLUMNS = ("pk", "name", "config", "wanted", "done", "leaving", "drift", "problem_kind")


def _streams(system_id: int, accounts: list[int] | None) -> list[Wish]:
    rows = QuerySet[Stream](Stream).filter(_BEHIND, managed=True, account__system=system_id)
    if accounts is not None:
        rows = rows.filter(account__in=accounts)
    named = {"home": F("account_id"), "home_name": F("account__name"), "stream_name": F("name")}
    return _wishes("stream", rows.annotate(**named, asked=F("kind")))


def _consumers(system_id: int, accounts: list[int] | None) -> list[Wish]:
    rows = QuerySet[Consumer](Consumer).filter(
        _BEHIND, managed=True, stream__leaving=False, stream__account__system=system_id
    )
    if accounts is not None:
        rows = rows.filter(stream__account__in=accounts)
    way = "stream__account"
    named = {"home": F(f"{way}_id"), "home_name": F(f"{way}__name"), "stream_name": F("stream__name")}
    return _wishes("consumer", rows.annotate(**named, asked=Value("consumer")))


def _wishes(model: str, rows: QuerySet[Any]) -> list[Wish]:
    columns = (*_COLUMNS, "traced", "home", "home_name", "stream_name", "asked")
    return [
        Wish(
            (model, row["pk"]),
            row["home"],
            row["home_name"],
            row["stream_name"],
            row["name"],
            row["asked"],
            row["config"],
            row["wanted"],
            row["leaving"],
            _is_ours(row),
            row["problem_kind"] == Asset.Problem.WAITS,
        )
        for row in rows.annotate(traced=_TRACED).values(*columns)
    ]


def _is_ours(row: dict[str, Any]) -> bool:
    """Once met, it is the row's. Before, only with a trace of our own making, or of a person's taking it over; while
    somebody else's is told as drift, it is not."""
    return row["done"] > 0 or (row["traced"] and not row["drift"])
