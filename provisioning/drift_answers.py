"""The three answers to a conf that somebody else changed: adopt it, revert it, ignore it for a while."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import chain, combinations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts_app.adopting import Adopted, adopt_conf
from accounts_app.door import current_door
from accounts_app.models import System, record
from accounts_app.natsconf.digest import canonical
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.parse import Parsed, parse
from accounts_app.natsconf.render import Generated, file_digest
from accounts_app.stages import check_written
from accounts_app.wanted import want
from provisioning.drift import content_of
from provisioning.enforced import Enforced
from provisioning.errors import ProvisioningError
from provisioning.files import GENERATED, read_generated, text_hash
from provisioning.mains import read_mains
from provisioning.models import Drift

_MOST = 10  # main files of which any may be the ones that servers run: 2 ** 10 ways
ANSWERABLE = (Drift.State.OPEN, Drift.State.IGNORED)


@transaction.atomic
def adopt(drift: Drift) -> Adopted:
    """The rows become what the edited accounts.conf says; then nunect writes its own text of the same meaning.

    Only for the very content that the drift tells of. Raises ValidationError when the file has changed meanwhile,
    when a server runs something else than the file, and when what it says can't be rows.
    """
    _lock(drift)
    enforced = Enforced.load(drift.system_id, fresh=True)
    if enforced.revision is None:
        raise ValidationError(_("The servers have never held a revision: import the conf instead."))
    mains, text = _content(drift)
    try:
        edited = parse(text, file=GENERATED)
        before = parse(enforced.text(), file=GENERATED)
    except NatsConfError as error:
        raise ValidationError(_("%(file)s can't be read: %(why)s") % {"file": GENERATED, "why": error}) from error
    done = adopt_conf(drift.system, _in_main(mains[0], edited), _in_main(mains[0], before))
    answer = {
        "state": Drift.State.ADOPTING,
        "adopted": {"blocks": dict(done.blocks), "digests": _digests(mains, edited.tree)},
        "ignored_until": None,
        "answered_at": timezone.now(),
        "answered_by": current_door().person,
    }
    QuerySet(Drift).filter(pk=drift.pk).update(**answer)
    if drift.where == Drift.Where.SERVER:  # what the next run finds is the file
        file = {"where": Drift.Where.FILE, "text_sha256": text_hash(text.encode()), "summary": drift.summary}
        Drift.objects.create(system=drift.system, **file, **answer)
    record("drift adopted", drift, summary=drift.summary, changes=done.changes.as_dict())
    want(drift.system_id)
    return done


@transaction.atomic
def revert(drift: Drift) -> None:
    """Put what the rows say in place of what somebody else left there."""
    _lock(drift)
    _answer(drift, Drift.State.APPROVED)
    record("drift to be repaired", drift, summary=drift.summary)
    want(drift.system_id)


@transaction.atomic
def ignore(drift: Drift, until: datetime | None = None) -> None:
    """Leave just this difference as it is, until a moment or (None) for good; nothing is written over it."""
    _lock(drift)
    if until is not None:
        until = timezone.make_aware(until) if timezone.is_naive(until) else until
        if until <= timezone.now():
            raise ValidationError({"until": _("This must lie ahead.")})
    _answer(drift, Drift.State.IGNORED, until)
    record("drift ignored", drift, summary=drift.summary, until=until and until.isoformat())
    want(drift.system_id)


def _lock(drift: Drift) -> None:
    """Look again, and keep others from it. Raises ValidationError when it is answered already, or nobody asks."""
    check_written(drift.system)
    drift.refresh_from_db(from_queryset=Drift.objects.select_for_update())
    if drift.state not in ANSWERABLE:
        raise ValidationError(_("This drift is settled already."))
    System.objects.select_for_update().get(pk=drift.system_id)


def _answer(drift: Drift, state: Drift.State, until: datetime | None = None) -> None:
    QuerySet(Drift).filter(pk=drift.pk).update(
        state=state, ignored_until=until, answered_at=timezone.now(), answered_by=current_door().person
    )


def _content(drift: Drift) -> tuple[list[dict[str, object]], str]:
    """(trees of the main files, text of accounts.conf), when that is what the drift tells of."""
    system = drift.system
    try:
        found = read_generated(system.folder)
        mains = [main.tree for main in read_mains(system.folder, system.guard_nkey)]
    except ProvisioningError as error:
        raise ValidationError(error.detail) from error
    if drift.where == Drift.Where.FILE:
        if found is None or text_hash(found) != drift.text_sha256:
            raise ValidationError(_("%s has changed meanwhile: look at it again.") % GENERATED)
        return mains, found.decode("utf-8", "surrogateescape")
    elsewhere = _("%(servers)s That conf is not in %(folder)s: put it there to adopt it, or revert.") % {
        "servers": drift.summary,
        "folder": system.folder,
    }
    text = (found or b"").decode("utf-8", "surrogateescape")
    try:
        tree = parse(text, file=GENERATED).tree
    except NatsConfError:
        raise ValidationError(elsewhere) from None
    digests = _digests(mains[:_MOST], tree)
    several = chain.from_iterable(combinations(digests, count) for count in range(1, len(digests) + 1))
    if not any(content_of(some) == drift.text_sha256 for some in several):
        raise ValidationError(elsewhere)
    return mains, text


def _digests(mains: Iterable[dict[str, object]], generated: dict[str, object]) -> list[str]:
    """What servers report that run these main files with such a file included."""
    included = Generated("", 0, "", {key: canonical(value) for key, value in generated.items()})
    return [file_digest(main, included) for main in mains]


def _in_main(main: dict[str, object], parsed: Parsed) -> Parsed:
    """The conf as the server sees it: how the main file lets people in decides what a user's name means."""
    around = {key: value for key, value in main.items() if key.lower() not in ("accounts", "authorization")}
    return replace(parsed, tree={**around, **parsed.tree})
