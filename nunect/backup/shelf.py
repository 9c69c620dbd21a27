"""The folder where backups are kept by the clock: the newest few of them, and what became of the last one."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from accounts_app.door import who_by
from accounts_app.models import AuditEntry, record
from nunect.backup import passphrases
from nunect.backup.errors import BackupError
from nunect.backup.making import make
from nunect.backup.sealing import head_of

logger = logging.getLogger(__name__)

NO_FOLDER = "NUNECT_BACKUP_DIR names no folder, so nothing is backed up from here."
FAILED = "backup failed"  # the act in the audit trail
AGAIN_AFTER = timedelta(hours=1)  # a failed one is tried anew by the clock
LEFT_AFTER_S = 86_400  # what was cut short goes with the next backup a day later
_STAMP = "%Y%m%d-%H%M%S"
_NAME = re.compile(r"nunect-(\d{8}-\d{6})\.backup\Z")
_LEFT = re.compile(r"\.nunect-\d{8}-\d{6}\.backup\..+\.tmp\Z")


class Busy(BackupError):
    """Another one is being made; what becomes of that is told when it has ended."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup in the folder. by: who had it made, in words; "" when the audit trail doesn't know it."""

    name: str
    made_at: datetime
    bytes: int
    sealed: bool
    by: str


def kept() -> list[Kept]:
    """The backups of the folder, newest first; files that are called otherwise are nobody's to count.

    Raises BackupError when the folder can't be read.
    """
    folder = _folder()
    try:
        names = sorted((path.name for path in folder.iterdir() if _NAME.match(path.name)), reverse=True)
    except FileNotFoundError:  # the first backup makes it
        return []
    except OSError as error:
        raise BackupError(f"{folder} can't be read: {error.strerror}.") from error
    makers = _makers(names)
    found = (_look(folder / name, makers.get(name, "")) for name in names)
    return [one for one in found if one is not None]


def back_up() -> Kept:
    """Make one now, and let go of the oldest beyond NUNECT_BACKUP_KEEP.

    Raises BackupError; that it failed stands in the audit trail.
    """
    folder = _folder()
    try:
        with _alone(folder):
            path = _free(folder)
            make(path, passphrases.chosen(settings.BACKUP_PASSPHRASE_FILE or None, ask=False))
            _let_go(folder)
    except Busy:
        raise
    except BackupError as error:
        record(FAILED, why=str(error))
        raise
    except Exception as error:
        record(FAILED, why=f"nunect has failed at it ({type(error).__name__}); its log says why.")
        raise
    made = _look(path, _makers([path.name]).get(path.name, ""))
    if made is None:
        raise BackupError(f"{path} was taken away at once.")
    return made


def back_up_when_due() -> None:
    """What the clock asks for: nothing when the last one is young enough, or has failed just now."""
    if not settings.BACKUP_DIR or not settings.BACKUP_EVERY_HOURS:
        return
    now = timezone.now()
    failed = _last_failure()
    if failed is not None and now - failed.at < AGAIN_AFTER:
        return
    try:
        newest = next(iter(kept()), None)
        if newest is None or now - newest.made_at >= timedelta(hours=settings.BACKUP_EVERY_HOURS):
            back_up()
    except Busy:
        return
    except BackupError as error:
        logger.warning("no backup could be made", extra={"detail": str(error)})
        if _last_failure() == failed:  # the folder itself can't be read
            record(FAILED, why=str(error))


def look() -> tuple[list[Kept], str]:
    """(the backups, newest first; why a person should look after them, "" while they come as they should)."""
    try:
        found = kept()
    except BackupError as error:
        return [], str(error)
    return found, _problem(next(iter(found), None))


def problem() -> str:
    """The same sentence; "" where nothing is backed up from here."""
    return look()[1] if settings.BACKUP_DIR else ""


def _problem(newest: Kept | None) -> str:
    failed = _last_failure()
    if failed is not None and (newest is None or failed.at > newest.made_at):
        return f"The last backup failed: {failed.detail.get('why', '')}"
    hours = settings.BACKUP_EVERY_HOURS
    if newest is not None and hours and timezone.now() - newest.made_at > timedelta(hours=2 * hours + 1):
        return f"The last backup is of {newest.made_at:%Y-%m-%d %H:%M} UTC: does the worker run?"
    return ""


def sealed_file(name: str) -> Path:
    """A backup to hand out. Raises FileNotFoundError for none, BackupError for one that anybody could read."""
    path = Path(settings.BACKUP_DIR, name)
    found = _look(path, "") if settings.BACKUP_DIR and _NAME.match(name) else None
    if found is None:
        raise FileNotFoundError(name)
    if not found.sealed:
        raise BackupError(
            f"{name} isn't sealed and holds nunect's own keys: it stays on its machine. NUNECT_BACKUP_PASSPHRASE_FILE "
            "seals those to come."
        )
    return path


def _folder() -> Path:
    if not settings.BACKUP_DIR:
        raise BackupError(NO_FOLDER)
    return Path(settings.BACKUP_DIR)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One backup at a time, whoever asks."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BackupError(f"{folder} can't be written: {error.strerror}.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise Busy("A backup is being made already.") from None
    try:
        yield
    finally:
        os.close(handle)


def _free(folder: Path) -> Path:
    """A name that nothing has: of this second, or of the next that is free."""
    at = datetime.now(UTC)
    while (path := folder / f"nunect-{at:{_STAMP}}.backup").exists():
        at += timedelta(seconds=1)
    return path


def _let_go(folder: Path) -> None:
    """Remove the oldest beyond those to keep, and what a process that was killed has left."""
    names = sorted(path.name for path in folder.iterdir() if _NAME.match(path.name))
    gone = names[: -settings.BACKUP_KEEP]
    try:
        for name in gone:
            (folder / name).unlink(missing_ok=True)
        for path in folder.iterdir():
            if _LEFT.match(path.name) and path.stat().st_mtime < time.time() - LEFT_AFTER_S:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise BackupError(f"{error.filename} can't be removed: {error.strerror}.") from error
    if gone:
        record("backups removed", files=gone)


def _look(path: Path, by: str) -> Kept | None:
    """None for a file that went away meanwhile, or that nobody here may read."""
    with suppress(OSError), path.open("rb") as file:
        sealed = head_of(file) is not None
        made_at = datetime.strptime(path.name, f"nunect-{_STAMP}.backup").replace(tzinfo=UTC)
        return Kept(path.name, made_at, os.fstat(file.fileno()).st_size, sealed, by)
    return None


def _makers(names: list[str]) -> dict[str, str]:
    entries = AuditEntry.objects.filter(act="backup made", detail__file__in=names)
    return {entry.detail["file"]: who_by(entry.person_name, entry.door) for entry in entries}


def _last_failure() -> AuditEntry | None:
    return AuditEntry.objects.filter(act=FAILED).first()
