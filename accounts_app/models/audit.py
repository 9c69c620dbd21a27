"""The audit trail of acts that are more than a changed row: it grows, and nothing else."""

from __future__ import annotations

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts_app.door import current_door


class AuditError(Exception):
    """Somebody tried to change or delete an audit entry."""


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    def update(self, **values: Any) -> NoReturn:
        raise AuditError("Audit entries can't be changed.")

    def delete(self) -> NoReturn:
        raise AuditError("Audit entries can't be deleted.")


class AuditEntry(models.Model):
    """Who did what, when and through which door. Never holds a secret."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, db_constraint=False, related_name="+"
    )
    person_name = models.CharField(max_length=200, blank=True)
    door = models.CharField(max_length=16)
    act = models.CharField(max_length=64, db_index=True)
    object_type = models.CharField(max_length=64, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_name = models.CharField(max_length=300, blank=True)
    detail = models.JSONField(default=dict)
    request_id = models.CharField(max_length=32, blank=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")

    def __str__(self) -> str:
        return f"{self.act} {self.object_name}".strip()

    def save(self, *args: Any, **options: Any) -> None:
        if self.pk:
            raise AuditError("Audit entries can't be changed.")
        super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        raise AuditError("Audit entries can't be deleted.")


def record(act: str, obj: models.Model | None = None, **detail: Any) -> AuditEntry:
    """Write one entry for an act through the current door. `detail` is JSON and holds no secret."""
    door = current_door()
    token = getattr(door.person, "nunect_token", None)
    if token is not None:
        detail["token"] = token.name
    return AuditEntry.objects.create(
        person_id=getattr(door.person, "pk", None),
        person_name=door.person.get_username() if door.person else "",
        door=door.name,
        act=act,
        object_type=obj._meta.model_name or "" if obj is not None else "",
        object_id=str(obj.pk) if obj is not None else "",
        object_name=str(obj)[:300] if obj is not None else "",
        detail=detail,
        request_id=door.request_id,
    )
