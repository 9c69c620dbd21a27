"""What giving back would do: to the files, and to who may do what since the take-over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accounts_app import credentials
from accounts_app.models import NatsUser, Stream, System
from accounts_app.natsconf.changes import Change, listed
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.parse import parse
from accounts_app.natsconf.sameness import undone
from provisioning.errors import NotManaged
from provisioning.models import Revision
from provisioning.takeover import globalstore_names as names
from provisioning.takeover import journal as journals
from provisioning.takeover.journal import Journal
from provisioning.takeover.seeing import Look, see

SHOWN = 20  # sentences of a kind; a count of the others


@dataclass(frozen=True, slots=True)
class Returning:
    """files: what becomes of each; in_the_way: why it can't be done; later: revisions that go with it.

    changes: what becomes of accounts, users and permissions, {"text": sentence, "removes_access": bool}.
    """

    journal: Journal
    files: tuple[str, ...]
    in_the_way: tuple[str, ...]
    later: int
    changes: tuple[dict[str, Any], ...] = ()

    def sentences(self) -> Iterator[str]:
        """All of it, for a person."""
        yield from self.in_the_way
        yield from self.files
        for head, takes in (
            ("It gives back what was revoked, disabled or taken away since:", False),
            ("It takes away what was added since:", True),
        ):
            lines = [change["text"] for change in self.changes if change["removes_access"] is takes]
            if lines:
                yield head
                yield from (f"  {line}" for line in lines[:SHOWN])
            if len(lines) > SHOWN:
                yield f"  and {len(lines) - SHOWN} more"
        if self.later:
            revisions = "1 later revision goes" if self.later == 1 else f"{self.later} later revisions go"
            yield f"{revisions} with it."


def foresee(main: Path, environ: Mapping[str, str] | None = None) -> Returning:
    """Look at the last take-over of a main file that can be undone. Raises NotManaged when there is none."""
    journal = journals.find(main, "begun", "taken")
    if journal is None:
        raise NotManaged(f"Nothing says that nunect has taken {main} over: there is no journal beside it.")
    files = tuple(
        f"{each.path} {'comes back as it was' if each.before else 'goes'}." for each in reversed(journal.files)
    )
    edited = tuple(
        f"{path} was edited since the take-over: put your edit aside first, and back afterwards."
        for path in journals.edited_since(journal)
    )
    system = System.objects.filter(name=journal.system).first()
    if system is None:
        return Returning(journal, files, edited, 0)
    since = datetime.strptime(journal.at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    later = max(Revision.objects.filter(system=system, created_at__gte=since).count() - 1, 0)  # less its own
    moved = names.find(Path(journal.main)) is not None  # everything is in another account than before
    changes: list[dict[str, Any]] = []
    with suppress(OSError, NatsConfError):  # files that nobody can read are the more to be put back
        changes = [] if moved else _since(journal, system, see(Path(journal.main), environ))
    return Returning(journal, files, edited, later, tuple(changes))


def _since(journal: Journal, system: System, seen: Look) -> list[dict[str, Any]]:
    former = {each.path: _text(Path(each.backup)) for each in journal.files if each.backup}
    rows = NatsUser.objects.filter(system=system)
    marks = dict(rows.exclude(fingerprint="").values_list("password_hash", "fingerprint"))
    before = parse(
        former[journal.main],
        file=journal.main,
        read=lambda name: former[name] if name in former else _text(Path(name)),
        environ=seen.environ,
    )
    changes = undone(
        before.tree,
        seen.parsed.tree,
        system.identity,
        dict(rows.exclude(nkey="").values_list("nkey", "name")),
        hashed=lambda plain, hash_: marks.get(hash_) == credentials.fingerprint(plain),
    )
    return [change.as_dict() for change in (*changes, *_left_over(system, changes))]


def _left_over(system: System, changes: Sequence[Change]) -> Iterator[Change]:
    """What accounts that go have stored: no account has it then."""
    gone = {change.account for change in changes if change.kind == "account_removed"}
    stored: dict[str, list[str]] = defaultdict(list)
    rows = Stream.objects.filter(account__system=system, account__name__in=gone, seen__isnull=False)
    for account, name in rows.order_by("account__name", "name").values_list("account__name", "name"):
        stored[account].append(name)
    for account, streams in stored.items():
        text = f"what {listed(streams)} of account `{account}` hold lies in the store then, and no account has it"
        yield Change("asset", account, text, removes_access=True)


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")
