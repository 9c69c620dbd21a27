"""Servers that are known and not there: for whom others wait, and noticing that they are back."""

from __future__ import annotations

import logging

from django.db.models import Q

from accounts_app.models import Server, System
from accounts_app.stages import is_managed
from provisioning import pipeline
from provisioning.errors import ProvisioningError
from provisioning.server import Fleet

logger = logging.getLogger(__name__)


def missing_servers(system: System) -> list[str]:
    """Names of the known servers that did not answer the last run, or don't run the last revision, in order."""
    behind = ~Q(state=Server.State.IN_SYNC)
    if system.revision is not None:
        behind |= ~Q(revision=system.revision)
    return list(Server.objects.filter(behind, system=system).order_by("name").values_list("name", flat=True))


def look_for_missing(system_id: int) -> bool:
    """Ask whether a server that was away is back, and bring it to the rows at once; True when one was.

    Costs a query while nobody is missing. A run looks at all servers anyhow: this is for between the sweeps.
    """
    known = Server.objects.filter(system=system_id)
    away = set(known.filter(state=Server.State.UNREACHABLE).values_list("name", flat=True))
    if not away or not is_managed(system_id):
        return False
    with Fleet(System.objects.get(pk=system_id)) as fleet:
        back = {one.name for one in fleet.see()} & away
    if not back:
        return False
    logger.info("servers are back", extra={"system": system_id, "servers": sorted(back)})
    try:
        pipeline.apply(system_id, fresh=True)
    except ProvisioningError as error:
        logger.warning("servers don't follow", extra={"step": error.step, "detail": error.detail})
    return True
