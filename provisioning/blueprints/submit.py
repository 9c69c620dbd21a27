"""Provisioning by a blueprint: looked at first, then handed to a job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts_app.access import may
from accounts_app.applying import Applied, apply_document
from accounts_app.door import current_door
from accounts_app.models import Account, NatsUser, System
from accounts_app.natsconf.document import Document, DocumentError, read_document
from accounts_app.preview import Preview, preview
from accounts_app.retiring import retiring
from accounts_app.wrong import ReconcileError
from provisioning.blueprints import foreseen, handover, listeners
from provisioning.blueprints.expand import Expanded, expand
from provisioning.blueprints.faults import Placed, of_places, of_rows
from provisioning.blueprints.parameters import Fault, Given, ParameterErrors, by_parameter, read_parameters, told
from provisioning.blueprints.specs import BlueprintSpec
from provisioning.blueprints.telling import tell_accounts
from provisioning.jobs import changed_since, services
from provisioning.models import HandOver, Job

_OVER = (Job.State.CANCELLED, Job.State.ROLLED_BACK)


@dataclass(frozen=True, slots=True)
class Look:
    """What a blueprint would make of these parameters.

    faults: what is wrong with a parameter; problems: what else stands in the way; notes: what to know besides.
    accounts: what will be there, for people (`telling`); preview: what changes, as `accounts_app.preview` tells it;
    same: whether the rows say all of it already; hands_over: whether new credentials come of it.
    """

    title: str
    accounts: tuple[Mapping[str, Any], ...] = ()
    preview: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    same: bool = False
    hands_over: bool = False

    @property
    def good(self) -> bool:
        """Whether it can be provisioned."""
        return not self.faults and not self.problems

    def as_dict(self) -> dict[str, Any]:
        """The look as JSON values."""
        return {
            "title": self.title,
            "good": self.good,
            "accounts": list(self.accounts),
            "preview": dict(self.preview),
            "faults": by_parameter(self.faults),
            "problems": list(self.problems),
            "notes": list(self.notes),
        }


class Refused(ValidationError):
    """Parameters that nothing can be made of, by parameter."""

    def __init__(self, look: Look) -> None:
        self.look = look
        errors: dict[str, list[str]] = by_parameter(look.faults)
        if look.problems:
            errors[NON_FIELD_ERRORS] = list(look.problems)
        super().__init__(errors)


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that has begun, and the token of the link to the credentials that it makes: shown once, "" when it makes
    none."""

    job: Job
    token: str = field(repr=False)


def look(system: System, spec: BlueprintSpec, parameters: Any) -> Look:
    """What would be made, without making it; it never raises for what a person has given."""
    return _looked(system, spec, parameters)[0]


def provision(
    system: System, spec: BlueprintSpec, parameters: Any, *, lifetime_s: float = handover.LIFETIME_S
) -> Submitted:
    """Begin a job that makes it, in the name of who stands in the current door. Raises Refused.

    lifetime_s: of the link to the credentials, from when they are ready. An account that is there already is changed
    when the last job about it was of this blueprint, and refused otherwise.
    """
    _check_lifetime(lifetime_s)
    with transaction.atomic():
        seen, ready = _looked(system, spec, parameters)
        if ready is None or not seen.good:
            raise Refused(seen)
        token, hand_over = handover.new_link(lifetime_s) if seen.hands_over else ("", None)
        job = services.start(
            Job.Kind.PROVISION,
            system,
            title=seen.title,
            accounts=ready.names,
            inputs={"document": ready.expanded.document, "lifetime_s": lifetime_s},
            parameters=told(spec, ready.given),
            blueprint=spec.name,
            blueprint_version=spec.version,
            hand_over=hand_over,
        )
    return Submitted(job, token)


def issue_again(job: Job, *, lifetime_s: float = handover.LIFETIME_S) -> Submitted:
    """Begin a job that gives the users of another job new credentials, and a new link to them; the old ones end.

    Raises ValidationError when there are no such users any more.
    """
    _check_lifetime(lifetime_s)
    if told := changed_since.retired(job):
        raise ValidationError(told)
    with transaction.atomic():
        handed = HandOver.objects.filter(job=job)
        names = sorted({name for users in handed.values_list("users", flat=True) for name in users})
        rows = NatsUser.objects.filter(system=job.system_id, account__name__in=job.accounts).filter(
            credential__in=(NatsUser.Credential.NKEY, NatsUser.Credential.PASSWORD)
        )
        there = set(rows.values_list("name", flat=True))
        users = [name for name in names if name in there]
        if not users:
            raise ValidationError(_("This job made no credentials that could be made anew."))
        for each in handed.filter(opened_at=None, withdrawn_at=None):
            handover.withdraw(each)
        token, hand_over = handover.new_link(lifetime_s)
        made = services.start(
            Job.Kind.HAND_OVER,
            job.system,
            title=_("New credentials: %s") % ", ".join(job.accounts)[:200],
            accounts=job.accounts,
            inputs={"users": users, "lifetime_s": lifetime_s},
            parameters={"job": job.pk, "users": users[:100], "count": len(users)},
            blueprint=job.blueprint,
            blueprint_version=job.blueprint_version,
            hand_over=hand_over,
        )
    return Submitted(made, token)


def _check_lifetime(lifetime_s: float) -> None:
    if not handover.SHORTEST_S <= lifetime_s <= handover.LONGEST_S:
        raise ValidationError({"lifetime_s": _("A link lives between a minute and 30 days.")})


@dataclass(frozen=True, slots=True)
class _Ready:
    """What a blueprint has become. names: of its accounts; title: of the job."""

    given: Given
    expanded: Expanded
    document: Document
    notes: tuple[str, ...]
    names: tuple[str, ...]
    title: str


def _looked(system: System, spec: BlueprintSpec, parameters: Any) -> tuple[Look, _Ready | None]:
    """The look, and what it looked at, where it came so far."""
    try:
        given = read_parameters(spec, parameters)
    except ParameterErrors as errors:
        return Look(spec.title, faults=errors.faults), None
    try:
        expanded = expand(spec, given)
    except DocumentError as error:
        return Look(spec.title, problems=tuple(f"{each.where}: {each.sentence}" for each in error.places)), None
    notes = tuple(listeners.notes(system, spec, given))
    try:
        document = read_document(expanded.document)
    except DocumentError as error:
        found = of_places(expanded, given, error.places)
        return Look(spec.title, faults=found.faults, problems=found.problems, notes=notes), None
    names = tuple(account.name for account in document.accounts)
    ready = _Ready(given, expanded, document, notes, names, f"{spec.title}: {', '.join(names)}"[:300])
    seen = _foreign(system, spec, ready) or _with_itself(ready) or _previewed(system, ready)
    if isinstance(seen, Placed):
        seen = Look(ready.title, faults=seen.faults, problems=seen.problems, notes=notes)
    return seen, ready


def _previewed(system: System, ready: _Ready) -> Look | Placed:
    try:
        seen: Preview[Applied] = preview(system, lambda: apply_document(system, ready.document))
    except DocumentError as error:
        return of_places(ready.expanded, ready.given, error.places)
    except ReconcileError as error:
        return of_rows(ready.expanded, ready.given, error.places)
    except ValidationError as error:
        return Placed((), tuple(error.messages))
    places = [*foreseen.too_large(system, ready.document), *foreseen.refused(ready.expanded.document, seen.warnings)]
    found = of_places(ready.expanded, ready.given, places)
    return Look(
        ready.title,
        tuple(tell_accounts(system, ready.document)),
        seen.as_dict(seen.answer.secrets),
        found.faults,
        (*seen.faults, *found.problems),
        ready.notes,
        not seen.answer.changes,
        bool(seen.answer.secrets),
    )


def _foreign(system: System, spec: BlueprintSpec, ready: _Ready) -> Placed | None:
    """Accounts that are there and that this blueprint, or this person, may not touch.

    To make one takes the right to begin a job, since a blueprint is a vetted thing; to change one that may be
    another team's takes the right to change accounts, too.
    """
    there = dict(Account.objects.filter(system=system, name__in=ready.names).values_list("name", "pk"))
    going = retiring(there.values())
    person = current_door().person
    changes = person is None or may(person, "change", Account)
    places = []
    for name, pk in sorted(there.items()):
        place = f"accounts[{ready.names.index(name)}].name"
        if pk in going:
            told = _("Account “%(name)s” is %(state)s: cancel job %(job)d to keep it, or wait until it is gone.")
            places.append((place, told % {"name": name, "state": going[pk], "job": going[pk].job}))
        elif not changes or _last_blueprint(system, name) != spec.name:
            places.append((place, _("There is an account “%s” already.") % name))
    return of_places(ready.expanded, ready.given, places) if places else None


def _with_itself(ready: _Ready) -> Placed | None:
    """Exports that name their own account: it hears its own subjects anyway."""
    places = [
        (f"accounts[{number}].exports[{place}].accounts", _("An account isn't shared with itself."))
        for number, account in enumerate(ready.expanded.document["accounts"])
        for place, export in enumerate(account.get("exports") or ())
        if account.get("name") in (export.get("accounts") or ())
    ]
    return of_places(ready.expanded, ready.given, places) if places else None


def _last_blueprint(system: System, account: str) -> str:
    """The blueprint of the last job that made this account or took it away; "" when there is none."""
    jobs = Job.objects.filter(system=system, kind__in=(Job.Kind.PROVISION, Job.Kind.RETIRE)).exclude(state__in=_OVER)
    found: Iterable[str] = jobs.touching(account).order_by("-pk").values_list("blueprint", flat=True)[:1]
    return next(iter(found), "")
