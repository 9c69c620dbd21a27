"""What the servers were seen to hold."""

from __future__ import annotations

import json
import zlib
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts_app.models import System


class Revision(models.Model):
    """A generated conf that every reachable server was seen to run. What it says of the conf never changes.

    sha256 is of the generated tree without nunect's own metadata, config_digest the server's hash of its
    whole file (empty where the main file is not nunect's to read), text_sha256 of the file's bytes.
    changes: the difference to the revision before, in NATS's words. servers: what each reported; this alone is
    added to later (`recording.add_servers`), with a server that was away then, or whose main file changed since.
    """

    system = models.ForeignKey(System, models.CASCADE, related_name="revisions")
    number = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=80)
    text_sha256 = models.CharField(max_length=80)
    config_digest = models.CharField(max_length=80, blank=True)
    renderer = models.PositiveIntegerField()
    wanted = models.PositiveBigIntegerField(help_text=_("The system's counter that it answers."))
    authors = models.JSONField(default=list)
    reason = models.CharField(max_length=300, blank=True)
    changes = models.JSONField(default=list)
    servers = models.JSONField(default=list)
    timings = models.JSONField(default=dict)
    snapshot_at = models.DateTimeField(
        default=timezone.now, help_text=_("When its rows were read; later changes belong to later revisions.")
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["system", "number"], name="revision_number_once_per_system")]

    def __str__(self) -> str:
        return f"r{self.number}"


class RevisionBlock(models.Model):
    """One account as a revision left it. A revision holds blocks only of the accounts that it changed.

    conf: the account's conf tree as compressed JSON; spec: what its rows said, likewise. Both empty when
    the revision removed the account. current: the block that the servers hold now.
    """

    system = models.ForeignKey(System, models.CASCADE, related_name="+")
    revision = models.ForeignKey(Revision, models.CASCADE, related_name="blocks")
    account = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=80, blank=True)
    conf = models.BinaryField(default=b"")
    spec = models.BinaryField(default=b"")
    users = models.PositiveIntegerField(default=0)
    jetstream = models.BooleanField(default=False)
    current = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["revision", "account"], name="block_once_per_revision"),
            models.UniqueConstraint(
                fields=["system", "account"], condition=models.Q(current=True), name="one_current_block_per_account"
            ),
        ]
        indexes = [models.Index(fields=["system", "account"], name="block_by_account")]

    def __str__(self) -> str:
        return f"{self.account} in {self.revision}"

    @property
    def tree(self) -> dict[str, Any]:
        """The account's conf tree, its keys in the order of the file."""
        tree: dict[str, Any] = json.loads(zlib.decompress(self.conf).decode("utf-8", "surrogateescape"))
        return tree

    @staticmethod
    def pack_tree(tree: dict[str, Any]) -> bytes:
        """Compress a conf tree for `conf`, so that its text can be written again byte for byte."""
        return RevisionBlock.pack(json.dumps(tree, ensure_ascii=False, separators=(",", ":")))

    @property
    def spec_text(self) -> str:
        """What the account's rows said, as JSON; "" when it is no longer kept."""
        return zlib.decompress(self.spec).decode("utf-8", "surrogateescape") if self.spec else ""

    @staticmethod
    def pack(text: str) -> bytes:
        """Compress a JSON text for `conf` or `spec`."""
        return zlib.compress(text.encode("utf-8", "surrogateescape"), 1)
