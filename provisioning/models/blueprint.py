"""Blueprints of people's own; those that nunect brings are files beside the code."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Blueprint(models.Model):
    """One version of a blueprint, as its text says it: `docs/blueprints.md`. A version that was used never changes.

    enabled: whether it may be provisioned. The newest enabled version of a name is the one that is taken.
    """

    name = models.CharField(max_length=64, editable=False)
    version = models.PositiveIntegerField(editable=False)
    title = models.CharField(max_length=200, editable=False)
    description = models.CharField(max_length=500, blank=True, editable=False)
    text = models.TextField(help_text=_("YAML or JSON; the documentation tells how to write one."))
    enabled = models.BooleanField(default=True, help_text=_("May it be provisioned?"))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "-version"]
        constraints = [
            models.UniqueConstraint(
                fields=["name", "version"],
                name="blueprint_version_once",
                violation_error_message=_("This version of the blueprint is there already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"
