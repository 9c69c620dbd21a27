"""What waits for a person, and what others changed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts_app.models import System


class Hold(models.Model):
    """A change that a guard keeps back until a person says yes or no; the rest goes on.

    target_sha256 is the account's block that was shown: a yes counts for that one only, and until it is enforced.
    Account EVERY stands for all of them, of the whole tree then: nothing but its form would change.
    """

    EVERY = "*"

    class State(models.TextChoices):
        OPEN = "open", _("waits")
        APPROVED = "approved", _("approved")
        APPLIED = "applied", _("approved and applied")
        REFUSED = "refused", _("refused")
        GONE = "gone", _("no longer asked for")

    system = models.ForeignKey(System, models.CASCADE, related_name="holds")
    account = models.CharField(max_length=64)
    reason = models.TextField()
    changes = models.JSONField(default=list)
    target_sha256 = models.CharField(max_length=80, blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("held change")
        constraints = [
            models.UniqueConstraint(
                fields=["system", "account"], condition=models.Q(state="open"), name="one_open_hold_per_account"
            )
        ]

    def __str__(self) -> str:
        return f"{self.about}: {self.reason}"

    @property
    def about(self) -> str:
        """Whose change it is, in words."""
        return str(_("all accounts")) if self.account == self.EVERY else self.account


class Drift(models.Model):
    """A difference that nunect did not make: in the file, or in what a server runs.

    text_sha256: what an answer counts for: of the file's bytes, or the digests that the servers report.
    ignored_until: None while it is ignored for good. adopted: what a person has said yes to with the adoption:
    {"blocks": {account: sha256 of its block, "" when it goes}, "digests": what servers report that run the edited file,
    by each main file}.
    """

    class Where(models.TextChoices):
        FILE = "file", _("accounts.conf")
        SERVER = "server", _("a running server")

    class State(models.TextChoices):
        OPEN = "open", _("waits for a person")
        APPROVED = "approved", _("to be reverted")
        REPAIRED = "repaired", _("reverted")
        IGNORED = "ignored", _("ignored")
        ADOPTING = "adopting", _("adopted, the servers follow")
        ADOPTED = "adopted", _("adopted")
        GONE = "gone", _("another difference came")

    system = models.ForeignKey(System, models.CASCADE, related_name="drifts")
    where = models.CharField(max_length=8, choices=Where)
    summary = models.CharField(max_length=500)
    changes = models.JSONField(default=list)
    text_sha256 = models.CharField(max_length=80, blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    adopted = models.JSONField(default=dict)
    ignored_until = models.DateTimeField(null=True)
    found_at = models.DateTimeField(auto_now_add=True)
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.summary

    @property
    def waits(self) -> bool:
        """Whether nothing may be written over it."""
        return self.state in (self.State.OPEN, self.State.IGNORED)
