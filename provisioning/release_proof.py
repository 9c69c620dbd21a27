"""How it is known that the servers run the one conf that a release has left."""

from __future__ import annotations

import time

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts_app.models import System
from provisioning.release_plan import Plan
from provisioning.server import Fleet


def prove_same(plan: Plan, fleet: Fleet) -> str:
    names = [one.name for one in plan.seen]
    digests = {each.digest for each in plan.files}
    wrong = [one.name for one in fleet.see(names) if one.config_digest not in digests]
    if wrong:
        raise ValidationError(_("%s runs something else by now.") % ", ".join(wrong))
    return _("%s reported the digest of the one file before and after; no reload was needed.") % ", ".join(names)


def prove_reloaded(system: System, plan: Plan, fleet: Fleet) -> str:
    """Have the servers re-read it; with that nunect's own users go, so that a refusal of them is the proof."""
    names = ", ".join(one.name for one in plan.seen) or system.name
    if fleet.connected:
        fleet.reload_unheard(one.server_id for one in plan.seen)
    deadline = time.monotonic() + settings.NATS_RELOAD_TIMEOUT
    while True:
        with Fleet(system) as again:
            if again.unauthorized:
                break
            why = again.problem or _("a server still lets nunect in")
        if time.monotonic() > deadline:
            raise ValidationError(_("Nobody can prove that the one file runs: %s.") % why.rstrip("."))
        time.sleep(0.05)
    return _("%s refuses nunect's own users by now: it runs the one file, which nats-server -t has judged.") % names
