"""Listeners that parameters of a blueprint need and that the servers lack."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from accounts_app.models import System
from provisioning.blueprints.parameters import Given
from provisioning.blueprints.specs import BlueprintSpec
from provisioning.errors import NotManaged
from provisioning.files import MAIN
from provisioning.mains import read_mains


def notes(system: System, spec: BlueprintSpec, given: Given) -> Iterator[str]:
    """A sentence for each parameter that is on and whose listener no main file has."""
    asked = [each for each in spec.parameters if each.needs and given.values.get(each.name)]
    if not asked:
        return
    try:
        there = {key for main in read_mains(system.folder, system.guard_nkey) for key in main.tree}
    except NotManaged:  # nobody knows from here; the pipeline says what is wrong
        return
    for each in asked:
        if each.needs not in there:
            yield _(
                "“%(title)s” needs a listener for %(what)s, and %(main)s has none: until it has a block “%(what)s” and "
                "the servers were started anew, such clients can't connect."
            ) % {"title": each.title, "what": each.needs, "main": MAIN}
