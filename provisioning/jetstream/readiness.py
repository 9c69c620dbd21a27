"""Which accounts can be asked for streams now, and for whom the others wait."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from accounts_app.models import Account, Server, System
from provisioning.models import Claim, Job, JobStep, RevisionBlock


@dataclass(frozen=True, slots=True)
class Servers:
    """The known servers of a system by the last look at them. runs: {name: the revision it shows, None: foreign}."""

    runs: dict[str, int | None]
    away: tuple[str, ...]

    @classmethod
    def of(cls, system: System) -> Servers:
        rows = list(Server.objects.filter(system=system).order_by("name").values_list("name", "revision", "state"))
        away = tuple(name for name, _, state in rows if state == Server.State.UNREACHABLE)
        return cls({name: revision for name, revision, _ in rows if name not in away}, away)

    def lacking(self, revision: int) -> list[str]:
        """Those that answer and don't run this revision, or a later one, yet."""
        return [name for name, runs in self.runs.items() if runs is None or runs < revision]

    def short_of(self, replicas: int) -> tuple[str, ...]:
        """For whom a stream of so many copies has to wait: those that are away, if it can be placed with them only."""
        room = len(self.runs) < replicas <= len(self.runs) + len(self.away)
        return self.away if room else ()


def waits_of(system: System, accounts: Collection[int], servers: Servers) -> dict[int, str]:
    """{account: why it can't be asked for streams yet}; the other accounts can. Raises nothing.

    Streams of an account that one of their servers doesn't know yet would be half made and then lost (facts §12), so
    every server that answers has to run it first.
    """
    found: dict[int, str] = {}
    blocks = dict(
        RevisionBlock.objects.filter(system=system, current=True, jetstream=True).values_list(
            "account", "revision__number"
        )
    )
    unseen = _unseen(system)
    columns = ("pk", "name", "enabled", "jetstream", "jetstream_control", "wanted", "done")
    told = ("problem_kind", "problem", "problem_wanted")
    for row in Account.objects.filter(system=system, pk__in=accounts).values_list(*columns, *told, named=True):
        answered = row.problem_kind and row.problem_wanted == row.wanted
        if not row.enabled:
            found[row.pk] = f"Waits for account {row.name} to be enabled."
        elif not row.jetstream:
            found[row.pk] = f"Waits for account {row.name} to have JetStream."
        elif not row.jetstream_control:
            found[row.pk] = f"Waits for account {row.name} to show its JetStream to nunect."
        elif row.wanted != row.done and not answered:
            found[row.pk] = f"Waits for account {row.name} to reach the servers."
        elif row.name not in blocks:
            found[row.pk] = f"Waits for account {row.name}, which is {row.problem_kind}: {row.problem}"
        elif row.name in unseen:
            found[row.pk] = f"Waits for job {unseen[row.name]} to look at what is there."
        elif lacking := servers.lacking(blocks[row.name]):
            found[row.pk] = f"Waits for {names(lacking)} to know account {row.name}."
    return found


def _unseen(system: System) -> dict[str, int]:
    """{account: the job that has written its rows and has not looked yet what the servers keep of it}"""
    steps = JobStep.objects.filter(job__system=system, job__kind=Job.Kind.PROVISION)
    written = steps.filter(name="rows", result__has_key="wanted").exclude(result__has_key="assets_back")
    blind = steps.filter(name="enforced", job__in=written.values("job")).exclude(result__has_key="looked")
    return dict(Claim.objects.filter(system=system, job__in=blind.values("job")).values_list("account", "job"))


def names(servers: Iterable[str]) -> str:
    """Names of servers in a sentence."""
    *others, last = servers
    return f"{', '.join(others)} and {last}" if others else last
