"""The conf files of a system: read while nobody writes them, put back where nothing runs that says otherwise."""

from __future__ import annotations

from pathlib import Path

from accounts_app.models import System
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.parse import parse
from accounts_app.natsconf.specs import CONTROL_ACCOUNT
from nunect import install
from nunect.up import write_main
from provisioning.files import GENERATED, MAIN
from provisioning.mains import mains_of

FOLDER = "conf/"


def part_of(system_id: int, name: str) -> str:
    """The name of the part with a file of a system."""
    return f"{FOLDER}{system_id}/{name}"


def read(system: System) -> dict[str, bytes]:
    """{name: content} of the files that are there and can be read; further main files by their path in the folder."""
    folder = system.folder
    found = {}
    for path in (folder / GENERATED, *mains_of(folder, system.guard_nkey)):
        try:
            found[str(path.relative_to(folder))] = path.read_bytes()
        except (OSError, ValueError):  # not there, or elsewhere
            continue
    return found


def put(system: System, files: dict[str, bytes]) -> list[str]:
    """Put the files of a backup into the system's folder; what was done and what was not, in sentences.

    An accounts.conf with somebody's accounts is what the servers run: it stays, so that nobody comes back who was
    turned out since the backup. A main file that nunect wrote is written for the ports and folders of this machine.
    """
    folder = system.folder
    generated, main = files.get(GENERATED), files.get(MAIN)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = []
        if generated is not None and not _is_somebodys(folder / GENERATED, system.system_account):
            install.write_private(folder / GENERATED, generated)
            told.append(
                f"{folder / GENERATED} is that of the backup: nothing here says what was revoked or disabled since."
            )
        elif (folder / GENERATED).exists():
            told.append(f"{folder / GENERATED} stays as it is: it is what the servers run.")
        if main is not None and install.is_ours(_text(main)):
            told += [note for note in [write_main(system)] if note]
        elif main is not None and not (folder / MAIN).exists():
            install.write_private(folder / MAIN, main)
            told.append(f"{folder / MAIN} is that of the backup, with its folders and ports; what it includes is not.")
        for name in sorted(files.keys() - {GENERATED, MAIN}):
            told += _put_further(folder, name, files[name])
    except OSError as error:
        return [f"The conf files of {system} could not be put into {folder}: {error.strerror}."]
    return told


def _put_further(folder: Path, name: str, data: bytes) -> list[str]:
    """Put the main file of a further server where it stood, when nothing stands there."""
    path = folder / name
    if ".." in Path(name).parts or path.exists():
        return []
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    install.write_private(path, data)
    return [f"{path} is that of the backup, with its folders and ports; what it includes is not."]


def _is_somebodys(path: Path, system_account: str) -> bool:
    """Whether a generated file holds more than nunect's own accounts, or can't be read."""
    try:
        tree = parse(_text(path.read_bytes()), file=path.name).tree
    except FileNotFoundError:
        return False
    except (OSError, NatsConfError):
        return True
    return bool(set(tree.get("accounts") or {}) - {system_account, CONTROL_ACCOUNT}) or "authorization" in tree


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
