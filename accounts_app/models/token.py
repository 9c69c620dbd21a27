"""Bearer tokens, and what was answered to requests that may come twice."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts_app import validators
from accounts_app.models.account import Account

PREFIX = "nun_"
_BARE = re.compile(r"nun_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class TokenQuerySet(models.QuerySet["Token"]):
    def visible_to(self, person: Any) -> TokenQuerySet:
        """A person's own tokens, an administrator's are all; by a token for some accounts, those within its reach."""
        if not (getattr(person, "is_active", False) and person.is_staff):
            return self.none()
        mine = self if person.is_superuser else self.filter(person=person.pk)
        token = getattr(person, "nunect_token", None)
        if token is None or token.accounts is None:
            return mine
        beyond = Token.accounts.through.objects.exclude(account__in=token.accounts)
        return mine.filter(person=person.pk, restricted=True).exclude(pk__in=beyond.values("token"))

    def alive(self) -> TokenQuerySet:
        """Those that let somebody in now."""
        ahead = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        return self.filter(ahead, revoked_at=None, person__is_active=True)


class Token(models.Model):
    """Lets a program act for a person, never with more rights than that person has.

    Shown once; the table holds a public part to find it by, and the sha256 of the whole (256 bits of chance
    need no slow hash). scope: read, write (rows), admin (tokens, systems, decisions, too). accounts: only
    these, none: all that the person may see.
    """

    class Scope(models.TextChoices):
        READ = "read", _("read")
        WRITE = "write", _("write")
        ADMIN = "admin", _("admin")

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="nunect_tokens")
    name = models.CharField(
        max_length=100, validators=[validators.text], help_text=_("What it is for, such as the pipeline that has it.")
    )
    public = models.CharField(max_length=12, unique=True, editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    scope = models.CharField(
        max_length=5,
        choices=Scope,
        default=Scope.READ,
        help_text=_("Write: accounts and what is in them. Admin: tokens, systems and decisions, too."),
    )
    accounts = models.ManyToManyField(
        Account,
        blank=True,
        related_name="+",
        help_text=_("Only these accounts; none chosen: all that its person sees."),
    )
    restricted = models.BooleanField(default=False, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text=_("From then on it is refused."))
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def prefix(self) -> str:
        """What it begins with: enough to recognise it, too little to use it."""
        return f"{PREFIX}{self.public}"

    def make(self) -> str:
        """Give it a secret, without saving; the bare token, which is nowhere else."""
        self.public = secrets.token_hex(6)
        bare = f"{self.prefix}_{secrets.token_urlsafe(32)}"
        self.sha256 = _digest(bare)
        return bare

    @classmethod
    def find(cls, bare: str) -> Token | None:
        """The living token that `bare` is, None for any other text."""
        found = _BARE.fullmatch(bare)
        if found is None:
            return None
        token = cls.objects.alive().select_related("person").filter(public=found[1]).first()
        return token if token is not None and hmac.compare_digest(token.sha256, _digest(bare)) else None


def _digest(bare: str) -> str:
    return hashlib.sha256(bare.encode()).hexdigest()


class Answer(models.Model):
    """What was answered under an Idempotency-Key, so that the same request twice is done once.

    caller and key are hashes. body is sealed with a key made of the caller's own credential and key, which
    are nowhere here: a one-time secret in it can be read by nobody but who sends both again.
    """

    caller = models.CharField(max_length=64)
    key = models.CharField(max_length=64)
    request = models.CharField(max_length=64, help_text=_("sha256 of method, address and body."))
    status = models.PositiveSmallIntegerField()
    body = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="answer_once_per_key")]

    def __str__(self) -> str:
        return f"{self.status} of {self.created_at:%Y-%m-%d %H:%M}"
