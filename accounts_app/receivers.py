"""A saved or deleted row counts as a change; history learns the door."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.signals import post_save, pre_delete, pre_save
from simple_history.signals import pre_create_historical_record

from accounts_app.door import current_door
from accounts_app.models import (
    CONFIG_MODELS,
    Account,
    Export,
    ExportAccess,
    Import,
    Mapping,
    NatsUser,
    Role,
    record,
)
from accounts_app.querysets import OWNERS
from accounts_app.wanted import want

TOLD = (Account, Role, NatsUser, Export, Import, Mapping)  # whose end stands in the audit trail, too


def count_save(sender: type[models.Model], instance: Any, **kwargs: Any) -> None:
    """Add one to what is wanted, in the transaction of the save."""
    want(*instance.affects(), shared=instance.is_shared)


def count_move(sender: type[Any], instance: Any, update_fields: Any = None, **kwargs: Any) -> None:
    """Add one to what is wanted of where a row was, when it is saved as somebody else's."""
    owners = [column.attname for column in sender._meta.concrete_fields if column.name in OWNERS]
    if instance._state.adding or not owners:
        return
    if update_fields is not None and not OWNERS & {name.removesuffix("_id") for name in update_fields}:
        return
    before = sender._base_manager.filter(pk=instance.pk).values(*owners).first()
    if before is not None and any(before[name] != getattr(instance, name) for name in owners):
        stored = sender._base_manager.get(pk=instance.pk)
        want(*stored.affects(), shared=stored.is_shared)


def count_delete(sender: type[models.Model], instance: Any, origin: Any = None, **kwargs: Any) -> None:
    """Add one to what is wanted, before the row and what hangs on it are gone.

    Rows that go along with their account, role or user need no count of their own: the one they
    belong to counts. A queryset counts its rows by itself. An access to an export of another account
    is the exception, since it changes that other account.
    """
    if origin is instance and sender in TOLD:
        record(f"{sender._meta.verbose_name} deleted", instance)
    if origin is instance or sender is ExportAccess:
        want(*instance.affects(), shared=instance.is_shared)


def name_door(sender: Any, history_instance: Any, **kwargs: Any) -> None:
    """Write door, person and reason into the history record."""
    door = current_door()
    history_instance.door = door.name
    history_instance.request_id = door.request_id
    if door.person is not None:
        history_instance.history_user_id = door.person.pk
    if door.reason and not history_instance.history_change_reason:
        history_instance.history_change_reason = door.reason


def connect() -> None:
    for model in CONFIG_MODELS:
        uid = f"accounts_app.{model.__name__}"
        pre_save.connect(count_move, sender=model, dispatch_uid=uid)
        post_save.connect(count_save, sender=model, dispatch_uid=uid)
        pre_delete.connect(count_delete, sender=model, dispatch_uid=uid)
    pre_create_historical_record.connect(name_door, dispatch_uid="accounts_app.name_door")
