"""A main file as it stands: what it says, and the server that runs with it. Of several, all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from accounts_app.importing import read_conf
from accounts_app.models import NatsUser
from accounts_app.natsconf.housing import housed
from accounts_app.natsconf.parse import Parsed
from accounts_app.natsconf.reading import Reading, read_accounts
from accounts_app.natsconf.residual import Residual, split
from provisioning.files import GENERATED, MAIN, text_hash
from provisioning.machine import Process, find_process


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a main file. folder: where the generated file goes, that of the first main file; environ: of the
    server's process and what the person gave; hashes: of the bytes of it and its includes; account: the one that
    everything in `$G` moves to, "" where nothing does."""

    main: Path
    folder: Path
    parsed: Parsed = field(repr=False)
    reading: Reading = field(repr=False)
    process: Process | None
    environ: Mapping[str, str] = field(repr=False)
    hashes: Mapping[str, str] = field(repr=False)
    account: str = ""

    @property
    def meant(self) -> Parsed:
        """What shall be as before: what the files say, with everything in `$G` in its new account."""
        return replace(self.parsed, tree=housed(self.parsed.tree, self.account)) if self.account else self.parsed

    @property
    def generated(self) -> Path:
        """The file that nunect writes."""
        return self.folder / GENERATED

    @property
    def is_current(self) -> bool:
        """Whether the files still are what was seen."""
        return self.hashes == _hashes(self.hashes)


def arranged(path: Path, others: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Main files with the one first beside which nunect writes: of several the one of the usual name that lies
    uppermost, if there is one, else `path`."""
    files = list(dict.fromkeys(Path(os.path.normpath(each.absolute())) for each in (path, *others)))
    first = min(files, key=lambda each: (each.name != MAIN, len(each.parts)) if len(files) > 1 else ())
    return (first, *(each for each in files if each != first))


def see(path: Path, environ: Mapping[str, str] | None = None, account: str = "", *, folder: Path | None = None) -> Look:
    """Read a main file with the environment of the server that runs it. account: where everything in `$G` moves to;
    folder: where the generated file goes, beside it when not given."""
    main = path.absolute()
    process = find_process(main)
    whole = {**(process.environ if process else os.environ), **(environ or {})}
    parsed = read_conf(main, whole)
    known = dict(NatsUser.objects.exclude(nkey="").values_list("nkey", "name"))
    hashes = _hashes((str(main), *parsed.includes))
    seen = Look(main, folder or main.parent, parsed, Reading((), ()), process, whole, hashes, account)
    return replace(seen, reading=read_accounts(seen.meant, keys=known))


def _hashes(files: Iterable[str]) -> dict[str, str]:
    return {name: text_hash(Path(name).read_bytes()) for name in files}


def divide(seen: Look, guard: str, taken: Mapping[str, str] | None = None) -> Residual:
    """What stays of the files. taken: texts of files that are written for another server; one that says the same is
    for both."""
    beside = taken or {}

    def divided(names: Mapping[str, str]) -> Residual:
        return split(
            seen.parsed,
            str(seen.main),
            lambda name: Path(name).read_bytes().decode("utf-8", "surrogateescape"),
            guard,
            environ=seen.environ,
            exists=lambda name: name in names or Path(name).exists(),
            generated=os.path.relpath(seen.generated, seen.main.parent),
            housed=bool(seen.account),
        )

    residual = divided({})
    same = all(beside.get(name, text) == text for name, text in residual.texts.items())
    return residual if same else divided(beside)


def divide_all(looks: Iterable[Look], guard: str) -> tuple[Residual, ...]:
    """What stays of the files of each."""
    found: list[Residual] = []
    texts: dict[str, str] = {}
    for seen in looks:
        found.append(divide(seen, guard, texts))
        texts |= found[-1].texts
    return tuple(found)
