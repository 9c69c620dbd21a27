"""Which accounts of a change a server won't take, found by asking its binary about parts of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType

from accounts_app.natsconf.render import Block, probe_conf
from accounts_app.natsconf.sharing import closure
from accounts_app.natsconf.specs import CONTROL_ACCOUNT, AccountSpec
from accounts_app.natsconf.tree import Tree
from provisioning.binary import Judging
from provisioning.errors import Invalid

Judge = Callable[[Sequence[str]], str]
PROBED = 200  # with more changed accounts the whole file is judged at once, and parts only when it is refused


def probe(names: Sequence[str], blocks: Mapping[str, Block], specs: Mapping[str, AccountSpec]) -> str:
    """What `nats-server -t` says of these accounts beside those they share subjects with; "" for yes."""
    with _judging(names, blocks, specs, {}) as judging:
        return _words(judging)


class Early:
    """The probe of a whole change, begun while the plan is still being made. A context manager.

    Most plans are just what the rows ask for, and then the binary has judged by the time it is needed. It is
    asked about users that no server runs yet, unless running ({account: tree}) is empty.
    """

    def __init__(
        self,
        names: Sequence[str],
        blocks: Mapping[str, Block],
        specs: Mapping[str, AccountSpec],
        running: Mapping[str, Tree],
    ) -> None:
        self._names, self._blocks, self._specs, self._running = list(names), blocks, specs, running
        self._judging: Judging | None = None
        self._end = ExitStack()

    def __enter__(self) -> Early:
        if 0 < len(self._names) <= PROBED:
            judging = _judging(self._names, self._blocks, self._specs, self._running)
            self._judging = self._end.enter_context(judging)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.close()

    def words(self, names: Sequence[str], blocks: Mapping[str, Block]) -> str | None:
        """What the binary says of just this; None when something else was asked. Raises as `probe` does."""
        if self._judging is None or list(names) != self._names or blocks != self._blocks:
            return None
        return _words(self._judging)


def _judging(
    names: Sequence[str],
    blocks: Mapping[str, Block],
    specs: Mapping[str, AccountSpec],
    running: Mapping[str, Tree],
) -> Judging:
    near = closure(names, specs) | {CONTROL_ACCOUNT}
    return Judging(probe_conf({name: blocks[name] for name in near if name in blocks}, names, running))


def _words(judging: Judging) -> str:
    try:
        judging.digest()
    except Invalid as error:
        return error.server_words or error.detail
    return ""


def find_faults(changed: Sequence[str], judge: Judge) -> dict[str, str]:
    """{account at fault: the server's words}, by halving. judge says what is wrong with a part of the change.

    When the parts are fine and only the whole is not, the whole is at fault.
    """
    words = judge(changed)
    if not words:
        return {}
    if len(changed) == 1:
        return {changed[0]: words}
    middle = len(changed) // 2
    faults = {**find_faults(changed[:middle], judge), **find_faults(changed[middle:], judge)}
    return faults or dict.fromkeys(changed, words)


def over_commit(
    changed: Sequence[str],
    blocks: Mapping[str, Block],
    jetstream: Sequence[str],
    before: Mapping[str, Mapping[str, int]],
    limits: Mapping[str, int | None],
) -> dict[str, str]:
    """{account: sentence} of changed accounts whose JetStream limits no longer fit the servers'.

    `-t` and a reload both take an over-commit, and the next start is fatal (measured), so the sums
    decide. before: {account: {key: bytes}} of what is enforced; limits: {key: the least of all servers}.
    """
    faults: dict[str, str] = {}
    for key, most in limits.items():
        if most is None or most < 0:
            continue
        total = sum(_reserved(blocks[name], key) for name in jetstream if name in blocks)
        if total <= most:
            continue
        for name in changed:
            grown = _reserved(blocks[name], key) if name in blocks else 0
            if grown > before.get(name, {}).get(key, 0):
                faults[name] = (
                    f"JetStream {key}: the accounts together would reserve {total:,} bytes, and a server has "
                    f"{most:,}. Lower this account's limit (now {grown:,}) or raise the server's."
                )
    return faults


def reserved(block: Block | None) -> dict[str, int]:
    """{max_mem, max_file: bytes} that an account's limits reserve; unlimited counts as nothing."""
    return {key: _reserved(block, key) for key in ("max_mem", "max_file")} if block else {}


def _reserved(block: Block, key: str) -> int:
    limits = block.tree.get("jetstream")
    value = limits.get(key, 0) if isinstance(limits, dict) else 0
    return max(0, int(value or 0))
