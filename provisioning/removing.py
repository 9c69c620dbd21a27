"""Removing a system that nunect no longer manages: its rows go; its servers and their files are left alone."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts_app.models import Account, Import, NatsUser, Role, SubjectPermission, System, record
from provisioning.managing import check_name
from provisioning.models import Job


@transaction.atomic
def remove(system: System, confirm: str) -> None:
    """Forget a system, all or nothing: accounts, users, roles, streams, revisions, jobs, events. History and the audit
    trail stay. Nothing is written to its servers or files.

    confirm: the system's name, typed. Raises ValidationError.
    """
    check_name(system, confirm)
    row = System.objects.select_for_update().get(pk=system.pk)
    if row.stage == System.Stage.MANAGED:
        raise ValidationError(_("nunect manages system “%s”: release it first, or only observe it.") % row.name)
    if Job.objects.filter(system=row, state__in=Job.ACTIVE).exists():
        raise ValidationError(_("A job of system “%s” is under way: let it end, or cancel it.") % row.name)
    if not System.objects.exclude(pk=row.pk).exists():
        raise ValidationError(_("“%s” is the only system: nunect needs one.") % row.name)
    QuerySet(System).filter(pk=row.pk).update(stage=System.Stage.OBSERVED)  # rows of a released one can't change
    accounts, users = Account.objects.filter(system=row), NatsUser.objects.filter(system=row)
    record("system removed", row, accounts=accounts.count(), users=users.count())
    SubjectPermission.objects.filter(user__system=row).delete()
    SubjectPermission.objects.filter(role__system=row).delete()
    users.delete()
    Import.objects.filter(account__system=row).delete()
    accounts.filter(default_role__isnull=False).update(default_role=None)
    Role.objects.filter(system=row).delete()
    accounts.delete()
    row.delete()
