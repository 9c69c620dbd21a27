"""Looking at a system that nunect doesn't manage (yet): what it would write, beside what runs."""

from __future__ import annotations

from django.utils import timezone

from accounts_app.models import System
from provisioning.models import Difference
from provisioning.workshop import Goal


def look(goal: Goal) -> None:
    """Write down how the conf that runs differs from what the rows ask for. Of a released system nothing is read."""
    if goal.taken.system.stage != System.Stage.OBSERVED:
        return
    told = {"unknown": "", "checked_at": timezone.now()}
    Difference.objects.update_or_create(system=goal.taken.system, defaults=told)
