"""Which accounts of a change a server won't take, found by asking its binary about parts of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from accounts_app.natsconf.render import Block, probe_conf
from accounts_app.natsconf.sharing import closure
from accounts_app.natsconf.specs import AccountSpec
from provisioning.errors import Invalid
from provisioning.server import validate

Judge = Callable[[Sequence[str]], str]


def probe(names: Sequence[str], blocks: Mapping[str, Block], specs: Mapping[str, AccountSpec]) -> str:
    """What `nats-server -t` says of these accounts beside those they share subjects with; "" for yes."""
    near = closure(names, specs)
    try:
        validate(probe_conf({name: blocks[name] for name in near if name in blocks}, names))
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
