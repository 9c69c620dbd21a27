"""Sharing between accounts, and subject mappings."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts_app import validators
from accounts_app.models.account import Account
from accounts_app.models.base import ConfigModel, history
from accounts_app.natsconf import subjects


class Kind(models.TextChoices):
    """What is shared: messages (stream) or requests (service)."""

    STREAM = "stream", _("stream")
    SERVICE = "service", _("service")


class Export(ConfigModel):
    """A subject that other accounts may import."""

    AFFECTS = ("account",)

    CONSTRAINT_FIELDS = {"export_once_per_account": "subject"}

    class ResponseType(models.TextChoices):
        DEFAULT = "", _("the server's default")
        SINGLE = "single", _("one reply")
        STREAM = "stream", _("many replies")
        CHUNKED = "chunked", _("one reply in chunks")

    account = models.ForeignKey(Account, models.CASCADE, related_name="exports")
    kind = models.CharField(max_length=7, choices=Kind)
    subject = models.CharField(max_length=500, validators=[validators.subject])
    public = models.BooleanField(
        default=False,
        help_text=_(
            "Any account may import it. Otherwise only the accounts listed; with none it is offered to nobody."
        ),
    )
    account_token_position = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("The token (1 is the first) that must be the importing account's name."),
    )
    response_type = models.CharField(max_length=8, choices=ResponseType, blank=True, default="")
    response_threshold = models.CharField(max_length=32, blank=True, validators=[validators.duration])
    latency_subject = models.CharField(max_length=500, blank=True, validators=[validators.subject])
    latency_sampling = models.CharField(
        max_length=8, blank=True, help_text=_('Percent of the requests (1 to 100), or "headers".')
    )
    allow_trace = models.BooleanField(null=True, blank=True)

    history = history()

    class Meta:
        ordering = ["kind", "subject"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "subject"],
                name="export_once_per_account",
                violation_error_message=_("This account exports this subject already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

    def affects(self) -> tuple[int, list[int]]:
        return self.account.affects()

    def dependents(self) -> list[Import]:
        """Imports of other accounts that this export allows, as it is stored, and no other one does."""
        stored = Export.objects.filter(account=self.account_id).prefetch_related("accesses")
        exports = list(stored)
        this = [export for export in exports if export.pk == self.pk]
        others = [export for export in exports if export.pk != self.pk]
        rows = Import.objects.filter(from_account=self.account_id).select_related("account")
        return [
            row
            for row in rows
            if any(export.allows(row) for export in this) and not any(export.allows(row) for export in others)
        ]

    def allows(self, row: Import) -> bool:
        """Whether an account may import `row` because of this export."""
        if self.kind != row.kind or not subjects.covers(self.subject, row.subject):
            return False
        return self.public or any(access.account_id == row.account_id for access in self.accesses.all())

    def _check_dependents(self) -> None:
        lost = [
            row for row in self.dependents() if self.kind != row.kind or not subjects.covers(self.subject, row.subject)
        ]
        if lost:
            raise ValidationError({"subject": still_imported(lost)})

    def clean(self) -> None:
        if self.pk:
            self._check_dependents()
        service_only = {
            "response_type": self.response_type,
            "response_threshold": self.response_threshold,
            "latency_subject": self.latency_subject,
            "latency_sampling": self.latency_sampling,
        }
        if self.kind == Kind.STREAM:
            wrong = {name: _("Only a service has this.") for name, value in service_only.items() if value}
            if wrong:
                raise ValidationError(wrong)
        if self.latency_sampling and not self.latency_subject:
            raise ValidationError({"latency_subject": _("Say to which subject the latency goes.")})
        sampling = self.latency_sampling
        if sampling and sampling != "headers" and not (sampling.isdecimal() and 1 <= int(sampling) <= 100):
            raise ValidationError({"latency_sampling": _("A number from 1 to 100, or “headers”.")})
        if self.account_token_position:
            tokens = self.subject.split(".")
            if self.account_token_position > len(tokens) or tokens[self.account_token_position - 1] != "*":
                raise ValidationError({"account_token_position": _("This token of the subject must be “*”.")})


def still_imported(rows: list[Import]) -> str:
    """Why an export must stay."""
    told = ", ".join(sorted({f"{row.account} ({row.subject})" for row in rows})[:5])
    return _("Other accounts import this: %s. Delete those imports first.") % told


class ExportAccess(ConfigModel):
    """One account that may import a private export."""

    AFFECTS = ("export__account",)
    ACCOUNT = ("export__account",)

    CONSTRAINT_FIELDS = {"export_access_once": "account"}

    export = models.ForeignKey(Export, models.CASCADE, related_name="accesses")
    account = models.ForeignKey(Account, models.CASCADE, related_name="export_accesses")

    history = history()

    class Meta:
        verbose_name = _("account with access")
        verbose_name_plural = _("accounts with access")
        ordering = ["account__name"]
        constraints = [
            models.UniqueConstraint(
                fields=["export", "account"],
                name="export_access_once",
                violation_error_message=_("This account is listed already."),
            )
        ]

    def __str__(self) -> str:
        return str(self.account)

    def affects(self) -> tuple[int, list[int]]:
        return self.export.affects()


class Import(ConfigModel):
    """A subject taken from another account."""

    AFFECTS = ("account",)

    CONSTRAINT_FIELDS = {"import_once_per_account": "subject", "import_to_or_prefix": "prefix"}

    account = models.ForeignKey(Account, models.CASCADE, related_name="imports")
    kind = models.CharField(max_length=7, choices=Kind)
    from_account = models.ForeignKey(
        Account,
        models.RESTRICT,
        related_name="imported_by",
        help_text=_("The account that exports it."),
    )
    subject = models.CharField(max_length=500, validators=[validators.subject])
    to = models.CharField(
        max_length=500,
        blank=True,
        validators=[validators.text],
        help_text=_("The subject under which it appears here; empty: the same."),
    )
    prefix = models.CharField(
        max_length=500,
        blank=True,
        validators=[validators.subject],
        help_text=_("Streams only: put before the subject."),
    )
    share = models.BooleanField(
        null=True, blank=True, help_text=_("Services only: tell the exporting account who asks.")
    )
    allow_trace = models.BooleanField(null=True, blank=True)

    history = history()

    class Meta:
        ordering = ["kind", "subject"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "from_account", "subject", "to"],
                name="import_once_per_account",
                violation_error_message=_("This account imports this subject already."),
            ),
            models.CheckConstraint(
                condition=Q(to="") | Q(prefix=""),
                name="import_to_or_prefix",
                violation_error_message=_("Give “to” or “prefix”, not both."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

    def affects(self) -> tuple[int, list[int]]:
        return self.account.affects()

    def clean(self) -> None:
        if self.to and self.prefix:
            raise ValidationError({"prefix": _("Give “to” or “prefix”, not both.")})
        if self.kind == Kind.SERVICE and self.prefix:
            raise ValidationError({"prefix": _("Only a stream has a prefix; a service uses “to”.")})
        if self.kind == Kind.STREAM and self.share:
            raise ValidationError({"share": _("Only a service can be shared.")})
        if self.to:
            try:
                subjects.check_import_to(self.subject, self.to)
            except ValueError as refused:
                raise ValidationError({"to": str(refused)}) from refused
        if self.account_id and self.from_account_id:
            if self.account_id == self.from_account_id:
                raise ValidationError({"from_account": _("An account can't import from itself.")})
            if self.account.system_id != self.from_account.system_id:
                raise ValidationError({"from_account": _("This account belongs to another system.")})
            self._check_exported()

    def _check_exported(self) -> None:
        candidates = Export._base_manager.filter(account=self.from_account_id, kind=self.kind)
        matching = [row for row in candidates if subjects.covers(row.subject, self.subject)]
        if not matching:
            raise ValidationError({"subject": _("Account “%s” doesn't export this subject.") % self.from_account.name})
        allowed = any(row.public or row.accesses.filter(account=self.account_id).exists() for row in matching)
        if not allowed:
            raise ValidationError(
                {"subject": _("Account “%s” exports this subject, but not to this account.") % self.from_account.name}
            )


class Mapping(ConfigModel):
    """A subject of an account that is rewritten when it is published."""

    AFFECTS = ("account",)

    CONSTRAINT_FIELDS = {"mapping_once_per_account": "source"}

    account = models.ForeignKey(Account, models.CASCADE, related_name="mappings")
    source = models.CharField(max_length=500, validators=[validators.mapping_source])

    history = history()

    class Meta:
        ordering = ["source"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "source"],
                name="mapping_once_per_account",
                violation_error_message=_("This account maps this subject already."),
            )
        ]

    def __str__(self) -> str:
        return self.source

    def affects(self) -> tuple[int, list[int]]:
        return self.account.affects()


class MappingDestination(ConfigModel):
    """Where a part of the messages of a mapping goes."""

    AFFECTS = ("mapping__account",)
    ACCOUNT = ("mapping__account",)

    CONSTRAINT_FIELDS = {"destination_once_per_mapping": "subject"}

    mapping = models.ForeignKey(Mapping, models.CASCADE, related_name="destinations")
    subject = models.CharField(
        max_length=500, help_text=_("May use $1 or {{wildcard(1)}}, {{partition(3,1)}} and NATS's other functions.")
    )
    weight = models.PositiveSmallIntegerField(
        default=100,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("Percent of the messages; the weights of one mapping are at most 100 together."),
    )
    cluster = models.CharField(max_length=100, blank=True, default="", validators=[validators.text])

    history = history()

    class Meta:
        verbose_name = _("destination")
        ordering = ["subject", "cluster"]
        constraints = [
            models.UniqueConstraint(
                fields=["mapping", "subject", "cluster"],
                name="destination_once_per_mapping",
                violation_error_message=_("This mapping has this destination already."),
            )
        ]

    def __str__(self) -> str:
        return self.subject

    def affects(self) -> tuple[int, list[int]]:
        return self.mapping.account.affects()

    def clean(self) -> None:
        try:
            subjects.check_destination(self.mapping.source, self.subject)
        except ValueError as refused:
            raise ValidationError({"subject": str(refused)}) from refused
