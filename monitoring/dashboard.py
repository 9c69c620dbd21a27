"""The start page: how the systems are, what waits for a person, what came last. And the way through the admin."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import redis
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db.models import Count, F, Q, QuerySet, Value
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.dataclasses import SearchResult

from accounts_app.access import Act, may, reaches_all, systems_of, visible
from accounts_app.admin import chips
from accounts_app.asset_states import in_state
from accounts_app.models import (
    Account,
    AuditEntry,
    Consumer,
    Export,
    Import,
    Mapping,
    NatsUser,
    Role,
    Server,
    Stream,
    SubjectPermission,
    System,
    Token,
)
from monitoring import store
from monitoring.figures import figures
from monitoring.live_views import PAGES, live_context, live_items
from monitoring.models import ArchivedEvent
from monitoring.stuck_assets import stuck
from provisioning.blueprints.catalogue import all_blueprints
from provisioning.models import Blueprint, Drift, Hold, Job, Revision
from provisioning.telling import authors_of, in_words

PENDING = 3  # accounts that only wait for the servers
SHOWN = 8  # rows of each list; the rest is behind its link
FOUND = 8  # hits of each kind in the command search
FOR_A_PERSON = Q(state=Job.State.FAILED) | Q(state=Job.State.WAITING, waits_for__startswith="a person")  # jobs
_COLOURS = {"dev": "info", "stage": "warning", "prod": "danger"}


def style(request: HttpRequest) -> str:
    return static("accounts_app/nunect.css")


def icon(request: HttpRequest) -> str:
    return static("accounts_app/icon.svg")


def band(request: HttpRequest) -> str:
    """The stylesheet that colours the top of each page by the environment."""
    return static(f"accounts_app/band-{_sharpest(request) or 'dev'}.css")


def environment(request: HttpRequest) -> tuple[str, str] | None:
    """The label beside the person's name."""
    name = _sharpest(request)
    return (name, _COLOURS[name]) if name else None


def _sharpest(request: HttpRequest) -> str:
    """The sharpest environment of the systems that the person may see, asked once a request."""
    if not hasattr(request, "nu_environment"):
        seen = set(_rows(request, System).values_list("environment", flat=True))
        request.nu_environment = next((name for name in ("prod", "stage", "dev") if name in seen), "")  # type: ignore[attr-defined]
    return str(request.nu_environment)  # type: ignore[attr-defined]


def _may(request: HttpRequest, act: Act, model: type[Any]) -> bool:
    return may(request.user, act, model)


def _rows(request: HttpRequest, model: type[Any]) -> QuerySet[Any]:
    """The rows of a model that the person may see."""
    return visible(model._default_manager.all(), request.user)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar: only what the person may see, and how much waits for an answer."""

    def item(
        title: Any, icon: str, model: type[Any], badge: int = 0, seen_with: type[Any] | None = None
    ) -> dict[str, Any] | None:
        asked = seen_with or model
        if not (_may(request, "view", asked) or _may(request, "change", asked)):
            return None
        link = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        found = {"title": title, "icon": icon, "link": link}
        return {**found, "badge": badge, "badge_variant": "warning"} if badge else found

    def waiting(model: type[Any]) -> int:
        return _rows(request, model).filter(state=model.State.OPEN).count() if _may(request, "view", model) else 0

    drifted = _drifted(request)
    overview = {"title": _("Overview"), "icon": "monitoring", "link": reverse("admin:index")}
    groups: list[tuple[Any, list[dict[str, Any] | None]]] = [
        (_("Live"), [overview, *live_items(request)]),
        (
            _("Access"),
            [
                item(_("Accounts"), "domain", Account),
                item(_("Users"), "person", NatsUser),
                item(_("Roles"), "badge", Role),
                item(_("Permissions"), "key", SubjectPermission),
                item(_("Exports"), "upload", Export),
                item(_("Imports"), "download", Import),
                item(_("Mappings"), "alt_route", Mapping),
            ],
        ),
        (_("Apps"), _apps(request, item)),
        (
            _("JetStream"),
            [
                item(_("Streams and buckets"), "database", Stream, drifted.get("stream", 0)),
                item(_("Consumers"), "group_work", Consumer, drifted.get("consumer", 0)),
            ],
        ),
        (
            _("Changes"),
            [
                item(_("Held changes"), "front_hand", Hold, waiting(Hold)),
                item(_("Revisions"), "history", Revision),
                item(_("Drift"), "difference", Drift, waiting(Drift)),
            ],
        ),
        (
            _("Audit"),
            [
                item(_("Event archive"), "event_note", ArchivedEvent, seen_with=NatsUser),
                item(_("Audit trail"), "receipt_long", AuditEntry),
            ],
        ),
        (
            _("Settings"),
            [
                item(_("Systems"), "hub", System),
                item(_("People"), "group", User),
                item(_("Groups"), "groups", Group),
                item(_("Tokens"), "vpn_key", Token),
                {"title": _("REST"), "icon": "api", "link": reverse("docs")},
            ],
        ),
    ]
    return [
        {"title": title, "separator": False, "items": [one for one in items if one]}
        for title, items in groups
        if any(items)
    ]


def _apps(request: HttpRequest, item: Callable[..., dict[str, Any] | None]) -> list[dict[str, Any] | None]:
    """Blueprints for those who may read or use them, and jobs with how many wait for a person."""
    uses = _may(request, "add", Job) or _may(request, "view", Blueprint)
    catalogue = reverse("admin:provisioning_blueprint_catalogue")
    waiting = _rows(request, Job).filter(FOR_A_PERSON).count() if _may(request, "view", Job) else 0
    return [
        {"title": _("Blueprints"), "icon": "architecture", "link": catalogue} if uses else None,
        item(_("Jobs"), "task_alt", Job, waiting),
    ]


def _drifted(request: HttpRequest) -> dict[str, int]:
    """{"stream" or "consumer": how many that the person sees differ from their rows}, in one question."""
    asked = [
        _rows(request, model)
        .filter(in_state("drifted"))
        .order_by()
        .values_list(Value(str(model._meta.model_name)))
        .annotate(total=Count("pk"))
        for model in (Stream, Consumer)
        if _may(request, "view", model)
    ]
    return dict(asked[0].union(*asked[1:], all=True)) if asked else {}


def start_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Fill the start page; with `?fragment=facts` or `cards` the page asks for that part of its inside again."""
    fragment = request.GET.get("fragment", "")
    context |= live_context(request)
    context["figures"] = figures((context["seen"].overview or {}).get("figures"))
    context["nu_base"] = "monitoring/fragment.html" if fragment else "admin/base_site.html"
    context["fragment"] = fragment
    context["systems"] = [_system(request, system) for system in _rows(request, System)]
    rows = _rows(request, Account)
    context["may_accounts"] = _may(request, "view", Account)
    context["may_add"] = _may(request, "add", Account)
    context["may_provision"] = _may(request, "add", Job) and reaches_all(request.user)
    context["command"] = _command()
    context["empty"] = context["may_accounts"] and not rows.exclude(name__startswith="$").exists()
    return context


def _command() -> str:
    """How the `nunect` command is called from a shell that doesn't know our environment."""
    if shutil.which("nunect"):
        return "nunect"
    script = Path(sys.executable).with_name("nunect")
    return str(script.relative_to(settings.BASE_DIR)) if script.is_relative_to(settings.BASE_DIR) else str(script)


def _system(request: HttpRequest, system: System) -> dict[str, Any]:
    found: dict[str, Any] = {"row": system, "chip": chips.system_chip(system)}
    if _may(request, "view", Server):
        servers = list(_rows(request, Server).filter(system=system)[:50])
        found["servers"] = [(server, chips.chip(server.state)) for server in servers]
        found["in_sync"] = sum(server.state == Server.State.IN_SYNC for server in servers)
    if _may(request, "view", Account):
        found |= _accounts(request, system)
    if _may(request, "view", NatsUser):
        users = _rows(request, NatsUser).filter(system=system)
        live = Q(enabled=True) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
        found["users"] = users.aggregate(all=Count("pk"), live=Count("pk", filter=live))
    if _may(request, "view", Hold):
        found["holds"] = _rows(request, Hold).filter(system=system, state=Hold.State.OPEN)[:SHOWN]
    if _may(request, "view", Drift):
        found["drifts"] = _rows(request, Drift).filter(system=system, state=Drift.State.OPEN)[:SHOWN]
    found["stuck"] = stuck(
        _rows(request, Stream).filter(account__system=system) if _may(request, "view", Stream) else None,
        _rows(request, Consumer).filter(stream__account__system=system) if _may(request, "view", Consumer) else None,
    )
    if _may(request, "view", Job):
        jobs = _rows(request, Job).filter(system=system)
        found["failed_jobs"] = jobs.filter(state=Job.State.FAILED)[:SHOWN]
        found["active_jobs"] = jobs.filter(state__in=Job.ACTIVE).count()
    if _may(request, "view", Revision):
        revisions = list(_rows(request, Revision).filter(system=system).order_by("-number")[:5])
        said = in_words(revision.changes for revision in revisions)
        found["revisions"] = [
            (revision, authors_of(revision), lines[:2], max(0, len(lines) - 2))
            for revision, lines in zip(revisions, said, strict=True)
        ]
    for state in ("failed", "held"):  # the system's own chip knows only of what keeps all from being applied
        if found.get(state) and system.state == "applied":
            found["chip"] = chips.chip(state)
            break
    found["quiet"] = not (
        system.problem
        or found.get("failed_rows")
        or found.get("holds")
        or found.get("drifts")
        or found.get("pending")
        or found.get("failed_jobs")
        or found["stuck"]
    )
    return found


def _accounts(request: HttpRequest, system: System) -> dict[str, Any]:
    rows: QuerySet[Account] = _rows(request, Account).filter(system=system).select_related("system")
    moving, answered = ~Q(wanted=F("done")), Q(problem_wanted=F("wanted"))
    failed = rows.filter(moving, answered, problem_kind=Account.Problem.FAILED)
    held = rows.filter(moving, answered, problem_kind=Account.Problem.HELD)
    pending = rows.filter(moving).exclude(answered & ~Q(problem_kind=""))
    if system.stage != System.Stage.MANAGED:
        pending = rows.none()  # no server follows
    return {
        "accounts": rows.count(),
        "failed": failed.count(),
        "failed_rows": [(row, chips.account_chip(row)) for row in failed[:SHOWN]],
        "held": held.count(),
        "pending": pending.count(),
        "pending_rows": [(row, chips.account_chip(row)) for row in pending[:PENDING]],
    }


_SEARCHED: tuple[tuple[type[Any], str, str, str], ...] = (
    (Account, "name", "domain", "system"),
    (NatsUser, "name", "person", "account"),
    (Role, "name", "badge", "account"),
    (SubjectPermission, "subject", "key", ""),
    (Server, "name", "dns", "system"),
    (Export, "subject", "upload", "account"),
    (Import, "subject", "download", "account"),
    (Job, "title", "task_alt", ""),
    (Stream, "name", "database", "account"),
    (Consumer, "name", "group_work", "stream"),
)


def search(request: HttpRequest, term: str) -> list[SearchResult]:
    """What the command search finds: a few of each kind, through the same visibility as the lists."""
    hits = _pages(request, term)
    for model, field, icon, parent in _SEARCHED:
        meta = model._meta
        if not _may(request, "view", model):
            continue
        rows = _rows(request, model).filter(**{f"{field}__icontains": term})
        for row in (rows.select_related(parent) if parent else rows)[:FOUND]:
            link = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
            owner = getattr(row, parent, None) if parent else None
            about = f"{meta.verbose_name} · {owner}" if owner else str(meta.verbose_name)
            title = f"{row.pk} · {row.title}" if isinstance(row, Job) else str(row)
            hits.append(SearchResult(title=title, description=about, link=link, icon=icon))
    return hits + _blueprints(request, term) + _connections(request, term)


def _blueprints(request: HttpRequest, term: str) -> list[SearchResult]:
    """Blueprints that the person may use, by name or title: straight to their forms."""
    if not (_may(request, "add", Job) and reaches_all(request.user)):
        return []
    entries = (each for each in all_blueprints() if each.enabled)
    found = [each for each in entries if term.lower() in f"{each.name} {each.title}".lower()][:FOUND]
    return [
        SearchResult(
            each.title or each.name,
            str(_("blueprint")),
            reverse("admin:provisioning_blueprint_provision", args=[each.name]),
            "architecture",
        )
        for each in found
    ]


def _pages(request: HttpRequest, term: str) -> list[SearchResult]:
    """The live pages by their titles; those of rows are found by the admin itself."""
    found = [item for item in live_items(request) if term.lower() in str(item["title"]).lower()]
    return [SearchResult(item["title"], str(_("live page")), item["link"], item["icon"]) for item in found]


def _connections(request: HttpRequest, term: str) -> list[SearchResult]:
    """A few connections that are open now, by app, address or user; none while Redis is away."""
    page = PAGES["connections"]
    hits: list[SearchResult] = []
    if not page.open_to(request.user):
        return hits
    names = None if reaches_all(request.user) else set(_rows(request, Account).values_list("name", flat=True))
    for system in systems_of(request):
        try:
            table = store.read_table(system.pk, "connections")
        except (redis.RedisError, OSError, ValueError):
            return hits
        app, address, user, account, server = map(table.index, ("app", "address", "user", "account", "server"))
        for row in table.rows:
            if names is not None and row[account] not in names:
                continue
            if not any(term.lower() in str(row[at]).lower() for at in (app, address, user)):
                continue
            asked = {"account": row[account], "user": row[user], "address": row[address], "system": system.name}
            link = f"{reverse('live:page', args=['connections'])}?{urlencode({k: v for k, v in asked.items() if v})}"
            about = _("connection · %(user)s · %(address)s at %(server)s") % {
                "user": row[user],
                "address": row[address],
                "server": row[server],
            }
            hits.append(SearchResult(title=row[app] or row[user], description=about, link=link, icon=page.icon))
            if len(hits) == FOUND:
                return hits
    return hits
