"""nunect's own keys: into a backup, and back to where settings read them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from nunect import install
from nunect.backup.errors import BackupError

PART = "keys.json"
SECRET, SEALING = "SECRET_KEY", "NUNECT_ENCRYPTION_KEYS"


@dataclass(frozen=True, slots=True)
class Keys:
    """secret: SECRET_KEY, "" when it isn't set; sealing: Fernet keys, newest first."""

    secret: str
    sealing: tuple[str, ...]

    @classmethod
    def of_settings(cls) -> Keys:
        return cls("" if settings.SECRET_KEY_MISSING else settings.SECRET_KEY, tuple(settings.NUNECT_ENCRYPTION_KEYS))

    @classmethod
    def of_json(cls, data: bytes) -> Keys:
        """Raises BackupError."""
        try:
            told = json.loads(data)
            return cls(str(told[SECRET]), tuple(map(str, told[SEALING])))
        except (ValueError, KeyError, TypeError):
            raise BackupError("The backup holds no keys that could be read.") from None

    def as_json(self) -> bytes:
        return json.dumps({SECRET: self.secret, SEALING: self.sealing}).encode()


@dataclass(frozen=True, slots=True)
class Putting:
    """How the keys of a backup come into `secrets.env`: before the tables are there, and after.

    Before, both the tables of until now and those of the backup can be opened, whoever is killed meanwhile.
    """

    held: Keys
    now: Keys
    path: Path
    writes: bool
    note: str

    def use(self) -> None:
        """Let this process have them, without writing."""
        settings.NUNECT_ENCRYPTION_KEYS, settings.SECRET_KEY = list(self.held.sealing), self.held.secret

    def before(self) -> None:
        """Write those of both."""
        both = (*self.held.sealing, *(key for key in self.now.sealing if key not in self.held.sealing))
        self._write(Keys(self.now.secret or self.held.secret, both))

    def after(self) -> None:
        """Write those of the backup alone."""
        self._write(self.held)

    def _write(self, keys: Keys) -> None:
        if self.writes:
            told = {SECRET: keys.secret, SEALING: ",".join(keys.sealing)}
            others = [line for line in _lines(self.path) if line.partition("=")[0].strip() not in told]
            lines = [*others, *(f"{name}={value}" for name, value in told.items())]
            install.write_private(self.path, "".join(f"{line}\n" for line in lines))


def plan(held: Keys) -> Putting:
    """Raises BackupError when the environment says other keys than the backup needs: no file could change that."""
    now, path = Keys.of_settings(), settings.STATE_DIR / "secrets.env"
    in_file = dict(line.split("=", 1) for line in _lines(path) if "=" in line)
    given = {SECRET: now.secret, SEALING: ",".join(now.sealing)}
    from_elsewhere = {name for name, value in given.items() if value and in_file.get(name, "") != value}
    if SEALING in from_elsewhere and not set(held.sealing) <= set(now.sealing):
        raise BackupError(
            f"{SEALING} comes from the environment and lacks the keys of this backup: take it out of the environment, "
            "or set it to what it was when the backup was made. Nothing was restored."
        )
    other = SECRET in from_elsewhere and now.secret != held.secret
    note = f"{SECRET} comes from the environment and is another than in the backup: it stays." if other else ""
    kept = Keys(
        now.secret if SECRET in from_elsewhere else held.secret,
        now.sealing if SEALING in from_elsewhere else held.sealing,
    )
    return Putting(kept, now, path, len(from_elsewhere) < 2, note)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
