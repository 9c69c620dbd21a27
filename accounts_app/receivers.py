"""A saved or deleted row counts as a change; history learns the door."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.signals import post_delete, post_save, pre_delete
from simple_history.signals import pre_create_historical_record

from accounts_app.door import current_door
from accounts_app.models import CONFIG_MODELS, Account, Role
from accounts_app.wanted import want


def count_change(sender: type[models.Model], instance: Any, **kwargs: Any) -> None:
    """Add one to what is wanted, in the transaction of the change."""
    system_id, account_ids = instance.affects()
    want(system_id, account_ids)


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
        post_save.connect(count_change, sender=model, dispatch_uid=uid)
        # A shared role must be asked before it is gone; what is gone can't be walked afterwards.
        before_or_after = pre_delete if model in (Account, Role) else post_delete
        before_or_after.connect(count_change, sender=model, dispatch_uid=uid)
    pre_create_historical_record.connect(name_door, dispatch_uid="accounts_app.name_door")
