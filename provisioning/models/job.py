"""Jobs: work of several steps that goes on until it is done or taken back, whoever dies meanwhile."""

from __future__ import annotations

import json
from functools import reduce
from operator import or_
from typing import Any

from django.conf import settings
from django.db import connection, models
from django.db.models import Q, Value
from django.db.models.functions import Cast, StrIndex
from django.db.models.lookups import GreaterThan
from django.utils.translation import gettext_lazy as _

from accounts_app.fields import EncryptedTextField
from accounts_app.models import Account, System


class JobQuerySet(models.QuerySet["Job"]):
    """Jobs, as far as somebody may see them."""

    def visible_to(self, person: Any) -> JobQuerySet:
        """Who is kept to single accounts sees the jobs that touch no other account."""
        if not (getattr(person, "is_active", False) and person.is_staff):
            return self.none()
        token = getattr(person, "nunect_token", None)
        if token is None or token.accounts is None:
            return self
        reached = set(Account._base_manager.filter(pk__in=token.accounts).values_list("system", "name"))
        if not reached:
            return self.none()
        named = reduce(or_, (Q(_touches(name), system=system) for system, name in sorted(reached)))
        told = self.filter(named).order_by().values_list("pk", "system", "accounts")
        return self.filter(pk__in=[pk for pk, system, names in told if {(system, name) for name in names} <= reached])

    def touching(self, account: str) -> JobQuerySet:
        """Those that may touch an account of this name."""
        return self.filter(_touches(account))


def _touches(account: str) -> GreaterThan:
    """SQLite has no look into a list, keeps it in ASCII, and its LIKE takes capitals for small letters."""
    said = json.dumps(account, ensure_ascii=connection.vendor == "sqlite")
    return GreaterThan(StrIndex(Cast("accounts", models.TextField()), Value(said)), 0)


class Job(models.Model):
    """One piece of provisioning: its inputs, how far it is, and who works on it.

    parameters: as they were given, secrets masked; inputs: what its steps need, as JSON, sealed. accounts: the
    names that it may touch; it runs only while its Claim on each is the first. asked: what a person wants of it
    next, asked_by: who; what they confirmed by it may be answered yes in their name where answers_holds says so.
    lease, lease_until: the worker that has it now; a lease that has run out is anybody's. next_at: when it is
    worth looking at again. Both times are the database's own clock. problem: why it failed, in one sentence;
    waits_for: what it waits for, in words. forgotten_at: since then inputs and the undo of its steps are empty.
    """

    class Kind(models.TextChoices):
        PROVISION = "provision", _("provision")
        RETIRE = "retire", _("retire")
        HAND_OVER = "hand_over", _("hand over again")

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        WAITING = "waiting", _("waiting")
        FAILED = "failed", _("failed")
        DONE = "done", _("done")
        UNDOING = "undoing", _("taking back")
        CANCELLED = "cancelled", _("cancelled")
        ROLLED_BACK = "rolled_back", _("rolled back")

    class Ask(models.TextChoices):
        NOTHING = "", _("nothing")
        CANCEL = "cancel", _("cancel")
        ROLL_BACK = "roll_back", _("roll back")

    ACTIVE = (State.QUEUED, State.RUNNING, State.WAITING, State.UNDOING)
    ENDED = (State.DONE, State.CANCELLED, State.ROLLED_BACK)

    system = models.ForeignKey(System, models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=10, choices=Kind)
    title = models.CharField(max_length=300)
    blueprint = models.CharField(max_length=64, blank=True)
    blueprint_version = models.PositiveIntegerField(null=True)
    parameters = models.JSONField(default=dict)
    inputs = EncryptedTextField(default="{}")
    accounts = models.JSONField(default=list)
    results = models.JSONField(default=dict)

    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    author_name = models.CharField(max_length=200, blank=True)
    door = models.CharField(max_length=16)
    token = models.CharField(max_length=150, blank=True)
    request_id = models.CharField(max_length=32, blank=True)

    state = models.CharField(max_length=11, choices=State, default=State.QUEUED)
    asked = models.CharField(max_length=9, choices=Ask, blank=True, default="")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    answers_holds = models.BooleanField(default=False)
    problem = models.TextField(blank=True, default="")
    problem_step = models.CharField(max_length=32, blank=True, default="")
    waits_for = models.TextField(blank=True, default="")

    lease = models.CharField(max_length=32, blank=True, default="")
    lease_until = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    forgotten_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["next_at"],
                condition=Q(state__in=["queued", "running", "waiting", "undoing"]),
                name="job_due",
            ),
            models.Index(fields=["ended_at"], condition=Q(forgotten_at=None), name="job_to_forget"),
            models.Index(fields=["state", "system"], name="job_state"),  # counted for each page of the admin
        ]

    def __str__(self) -> str:
        return f"job {self.pk}"


class JobStep(models.Model):
    """One step of a job. result: JSON without secrets; undo: what it takes to take it back, as JSON, sealed."""

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        RUNNING = "running", _("running")
        WAITING = "waiting", _("waiting")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        UNDOING = "undoing", _("taking back")
        UNDONE = "undone", _("taken back")
        SKIPPED = "skipped", _("not needed")

    job = models.ForeignKey(Job, models.CASCADE, related_name="steps")
    number = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=32)
    title = models.CharField(max_length=200)
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    waits_for = models.TextField(blank=True, default="")
    detail = models.TextField(blank=True, default="")
    result = models.JSONField(default=dict)
    undo = EncryptedTextField(default="{}")

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="step_number_once_per_job")]

    def __str__(self) -> str:
        return self.name


class JobLine(models.Model):
    """One line of a job's log."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="lines")
    at = models.DateTimeField(auto_now_add=True)
    step = models.CharField(max_length=32, blank=True)
    text = models.TextField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text


class Claim(models.Model):
    """A job's place in the queue for an account, by its name: also of one that isn't there yet.

    It has the account when no job of a lower number has a claim on it; the claims of a job go when it ends. They
    are made under the lock of their system, so that no lower number comes later.
    """

    system = models.ForeignKey(System, models.CASCADE, related_name="+")
    account = models.CharField(max_length=64)
    job = models.ForeignKey(Job, models.CASCADE, related_name="claims")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["system", "account", "job"], name="claim_once_per_account_and_job")
        ]

    def __str__(self) -> str:
        return f"{self.account} by {self.job}"


class HandOver(models.Model):
    """Credentials that wait for their owner, sealed to a key that only the one-time link holds.

    public_key: X25519, of the link; sealed: base64 of what only its holder can open, and encrypted with nunect's own
    keys besides; "" once it was opened or is over. token_sha256: finds it. users: names, never a secret. ready_at:
    from then on it may be opened.
    """

    job = models.ForeignKey(Job, models.CASCADE, related_name="hand_overs")
    token_sha256 = models.CharField(max_length=64, unique=True)
    public_key = models.CharField(max_length=64)
    sealed = EncryptedTextField(blank=True, default="")
    users = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True)
    opened_by = models.CharField(max_length=200, blank=True, default="")
    opened_from = models.CharField(max_length=64, blank=True, default="")
    opened_with = models.CharField(max_length=300, blank=True, default="")
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"hand-over of {self.job}"
