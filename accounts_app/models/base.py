"""What all configuration rows share: history with the door, and counting what is wanted."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import reduce
from operator import or_
from typing import Any, ClassVar

from django.core.exceptions import NON_FIELD_ERRORS, ObjectDoesNotExist, ValidationError
from django.db import models, transaction
from simple_history.models import HistoricalRecords

from accounts_app.natsconf.control import RESERVED
from accounts_app.natsconf.specs import CONTROL_ACCOUNT
from accounts_app.querysets import ConfigQuerySet, want_accounts

NOT_YOURS = RESERVED.replace("`", "")


class DoorHistory(models.Model):
    """What nunect adds to each history record."""

    door = models.CharField(max_length=16, default="shell")
    request_id = models.CharField(max_length=32, blank=True, default="")

    class Meta:
        abstract = True


def history(*excluded: str) -> HistoricalRecords:
    """History of a configuration model; name the secrets and counters that it must not hold."""
    return HistoricalRecords(
        bases=[DoorHistory], excluded_fields=list(excluded), use_base_model_db=True, get_user=_signed_in
    )


def _signed_in(instance: Any, request: Any = None, **more: Any) -> Any:
    """Who is signed in; nobody when it is a command of the machine itself."""
    person = getattr(request, "user", None)
    return person if person is not None and person.pk is not None else None


class ConfigModel(models.Model):
    """A row that says what the servers shall hold.

    A save is one transaction with the counters that its signal moves, whoever calls it.
    AFFECTS names the relations that `affects()` walks, so that bulk changes fetch them at once; ACCOUNT the
    ways from a row to the account that it belongs to.
    """

    AFFECTS: ClassVar[tuple[str, ...]] = ()
    ACCOUNT: ClassVar[tuple[str, ...]] = ("account",)
    CONSTRAINT_FIELDS: ClassVar[dict[str, str]] = {}  # {name of a constraint: field at which its sentence is told}

    objects = ConfigQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            super().save(*args, **options)

    def full_clean(self, *args: Any, **options: Any) -> None:
        try:
            self._check_accounts()
            super().full_clean(*args, **options)
        except ValidationError as refused:
            raise ValidationError(self.at_fields(refused.error_dict)) from refused

    def _check_accounts(self) -> None:
        """Nothing of people's goes into nunect's own account, or is shared with it."""
        for name in ("account", "from_account"):
            with suppress(ObjectDoesNotExist):
                if getattr(self, f"{name}_id", None) and getattr(self, name).name == CONTROL_ACCOUNT:
                    raise ValidationError({name: NOT_YOURS})

    @classmethod
    def at_fields(cls, errors: dict[str, list[ValidationError]]) -> dict[str, list[ValidationError]]:
        """The errors of constraints at the fields that they are about, rather than at none."""
        told = {each.name: str(each.violation_error_message) for each in cls._meta.constraints}
        places = {told[name]: field for name, field in cls.CONSTRAINT_FIELDS.items()}
        found: dict[str, list[ValidationError]] = {}
        for field, each in ((field, each) for field, many in errors.items() for each in many):
            at = places.get(str(each.message), field) if field == NON_FIELD_ERRORS else field
            found.setdefault(at, []).append(each)
        return found

    @classmethod
    def of_accounts(cls, accounts: Collection[int]) -> models.Q:
        """What the rows of these accounts (primary keys) have in common."""
        return reduce(or_, (models.Q(**{f"{way}__in": accounts}) for way in cls.ACCOUNT))

    @classmethod
    def count(cls, rows: Iterable[Any]) -> None:
        """Count a change of rows of this model, in the transaction under way."""
        want_accounts(rows)

    @property
    def is_shared(self) -> bool:
        """Whether it belongs to the whole system rather than to one account."""
        return False

    def affects(self) -> tuple[int, list[int]]:
        """The system and the accounts (primary keys) whose conf a change of this row may move."""
        raise TypeError(f"{type(self).__name__} doesn't say what it affects")
