"""What all configuration rows share: history with the door, and counting what is wanted."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models, transaction
from simple_history.models import HistoricalRecords

from accounts_app.querysets import ConfigQuerySet


class DoorHistory(models.Model):
    """What nunect adds to each history record."""

    door = models.CharField(max_length=16, default="shell")
    request_id = models.CharField(max_length=32, blank=True, default="")

    class Meta:
        abstract = True


def history(*excluded: str) -> HistoricalRecords:
    """History of a configuration model; name the secrets and counters that it must not hold."""
    return HistoricalRecords(bases=[DoorHistory], excluded_fields=list(excluded), use_base_model_db=True)


class ConfigModel(models.Model):
    """A row that says what the servers shall hold.

    A save is one transaction with the counters that its signal moves, whoever calls it.
    AFFECTS names the relations that `affects()` walks, so that bulk changes fetch them at once.
    """

    AFFECTS: ClassVar[tuple[str, ...]] = ()

    objects = ConfigQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            super().save(*args, **options)

    def affects(self) -> tuple[int, list[int]]:
        """The system and the accounts (primary keys) whose conf a change of this row may move."""
        raise TypeError(f"{type(self).__name__} doesn't say what it affects")
