"""Fields of bodies: strict about types, so that a slip is told and never guessed at; rows are named, not numbered."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts_app import validators
from accounts_app.api.problems import Several
from accounts_app.api.rows import which
from accounts_app.models import Account, NatsUser, System
from accounts_app.stages import CHANGEABLE, meant


class Text(serializers.CharField):
    """Text; a number is none."""

    default_error_messages = {"invalid": "This must be text."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            validators.text(data)
        except ValidationError as refused:
            raise serializers.ValidationError(refused.messages) from refused
        return str(super().to_internal_value(data))


class Number(serializers.IntegerField):
    """A whole number; text is none."""

    default_error_messages = {"invalid": "This must be a whole number."}

    def to_internal_value(self, data: Any) -> int:
        whole = isinstance(data, int) or (isinstance(data, float) and data.is_integer())
        if isinstance(data, bool) or not whole:
            self.fail("invalid")
        return int(data)


class Flag(serializers.BooleanField):
    """true or false; no word and no number stands for them."""

    default_error_messages = {"invalid": "This must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class Moment(serializers.DateTimeField):
    """A date and time; without a zone it is UTC."""

    default_error_messages = {"invalid": "This must be a date and time such as 2027-01-31T12:00:00Z."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    """One of some words; which, is told."""

    default_error_messages = {"invalid_choice": "This must be one of {choices}."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or (data not in self.choices and data != ""):
            self.fail("invalid_choice", choices=", ".join(str(choice) for choice in self.choices if choice != ""))
        return data


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class Words(serializers.ListField):
    """A list of words."""

    child = Text(trim_whitespace=False)


class Strict:
    """A body in which there is nothing but the fields."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError({"": ["This must be a map of fields."]})
        known: Any = self.fields  # type: ignore[attr-defined]
        if unknown := [name for name in data if name not in known]:
            raise serializers.ValidationError({name[:80]: ["There is no such field."] for name in unknown[:20]})
        return super().to_internal_value(data)  # type: ignore[misc]


class Named(serializers.CharField):
    """A row by its name, among those that the person may see."""

    default_error_messages = {"missing": "There is no {what} “{name}”.", "invalid": "This must be text."}

    def __init__(self, what: str, **options: Any) -> None:
        self.what = what
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            validators.text(data)
        except ValidationError as refused:
            raise serializers.ValidationError(refused.messages) from refused
        row = self.find(data)
        if row is None:
            self.fail("missing", what=self.what, name=data[:80])
        return row

    def find(self, name: str) -> Any:
        return self.rows().filter(name=name).first()

    def rows(self) -> Any:
        return Account.objects.visible_to(self.person)  # type: ignore[attr-defined]

    @property
    def person(self) -> Any:
        return self.context["request"].user

    def run_validation(self, data: Any = serializers.empty) -> Any:
        # what is found is a row, which text's own checks don't fit
        (is_empty, data) = self.validate_empty_values(data)
        return data if is_empty else self.to_internal_value(data)


OF_ROWS = "Its name; when it is left out the only system, or the only one that isn't released."


class NamedSystem(Named):
    """A system; when it is left out the only one, or the only one that isn't released."""

    def __init__(self, what: str, **options: Any) -> None:
        super().__init__(what, **{"help_text": OF_ROWS, **options})

    def find(self, name: str) -> Any:
        return System.objects.visible_to(self.person).filter(name=name).first()


class NamedPerson(Named):
    """Somebody who signs in to nunect."""

    def find(self, name: str) -> Any:
        return get_user_model()._default_manager.filter(username=name).first()


class NamedInSystem(Named):
    """A row whose name may stand in several systems: of the one that the body names, or of the row that is changed."""

    def find(self, name: str) -> Any:
        found = list(self.rows().filter(name=name).select_related("system").order_by("system__name"))
        body: Any = self.root.initial_data  # type: ignore[attr-defined]
        asked = body.get("system") if isinstance(body, dict) else None
        home = getattr(self.context.get("view"), "home_system", None)
        if isinstance(asked, str):
            found = [row for row in found if row.system.name == asked]
        elif home is not None:
            found = [row for row in found if row.system_id == home.pk]
        system = meant((row.system for row in found), CHANGEABLE)
        if found and system is None:
            raise Several(which(self.person, [row.system for row in found]))
        return next((row for row in found if row.system == system), None)


class NamedAccount(NamedInSystem):
    """An account."""


class NamedRole(Text):
    """A role of the row's account, or a shared one as "*/name". The row's own code looks it up."""


class NamedUser(NamedInSystem):
    """A user of NATS."""

    def rows(self) -> Any:
        return NatsUser.objects.visible_to(self.person)  # type: ignore[attr-defined]


class RowSerializer(Strict, serializers.ModelSerializer[Any]):
    """Reads types and names; what a value must be is the model's to say, so that every door says the same."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: Text,
        models.TextField: Text,
        models.BooleanField: Flag,
        models.IntegerField: Number,
        models.BigIntegerField: Number,
        models.DateTimeField: Moment,
    }

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for field in fields.values():
            if not isinstance(field, serializers.BaseSerializer):
                field.run_validators = _nothing  # type: ignore[method-assign]  # they stand in the schema
        return fields

    def get_validators(self) -> list[Any]:
        return []

    def get_uniqueness_extra_kwargs(self, *args: Any) -> tuple[Any, Any]:
        return args[-1], {}

    def get_unique_together_validators(self) -> list[Any]:
        return []


def _nothing(value: Any) -> None:
    """The model judges."""
