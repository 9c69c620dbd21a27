"""State chips: an icon and a word, and the one endpoint that turns them without reloading the page."""

from __future__ import annotations

import re
from typing import Any, get_args

from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts_app.access import Act, may, visible
from accounts_app.models import Account, Asset, Consumer, Role, Stream, System
from accounts_app.retiring import Retiring
from accounts_app.templatetags import rights

# state: (icon of the symbol font, word)
STATES: dict[str, tuple[str, Any]] = {
    "applied": ("check_circle", _("applied")),
    "pending": ("schedule", _("pending")),
    "held": ("front_hand", _("held")),
    "failed": ("error", _("failed")),
    "disabled": ("do_not_disturb_on", _("disabled")),
    "expired": ("event_busy", _("expired")),
    "active": ("check_circle", _("active")),
    "revoked": ("block", _("revoked")),
    "in_sync": ("check_circle", _("in sync")),
    "unreachable": ("cloud_off", _("unreachable")),
    "foreign": ("warning", _("foreign configuration")),
    "too_old": ("warning", _("too old")),
    "open": ("front_hand", _("waits for you")),
    "approved": ("check_circle", _("approved")),
    "refused": ("block", _("refused")),
    "gone": ("history", _("no longer asked for")),
    "repaired": ("check_circle", _("repaired")),
    "ignored": ("notifications_off", _("ignored")),
    "adopting": ("hourglass_top", _("adopted, the servers follow")),
    "adopted": ("check_circle", _("adopted")),
    "observed": ("visibility", _("observed")),
    "managed": ("check_circle", _("managed")),
    "released": ("logout", _("released")),
    "waits": ("hourglass_top", _("waits")),
    "drifted": ("difference", _("drifted")),
    "leaving": ("delete_sweep", _("leaving")),
    "removed": ("history", _("is gone")),
    "queued": ("hourglass_empty", _("queued")),
    "running": ("play_circle", _("running")),
    "waiting": ("hourglass_top", _("waiting")),
    "done": ("check_circle", _("done")),
    "undoing": ("undo", _("taking back")),
    "undone": ("undo", _("taken back")),
    "skipped": ("remove_circle", _("not needed")),
    "cancelled": ("block", _("cancelled")),
    "rolled_back": ("undo", _("rolled back")),
}
MOST = 200  # keys in one question
TURNING: dict[str, type[Any]] = {"account": Account, "system": System, "stream": Stream, "consumer": Consumer}
ASSETS = ("stream", "consumer")  # whose rows go by themselves, when the server has forgotten the object
_PROBLEMS = ("held", "failed", "waits")
_KEY = re.compile(rf"({'|'.join(TURNING)})-([0-9]{{1,18}})\Z")


def chip(state: str, key: str = "", word: Any = "") -> SafeString:
    """A chip. key: "account-5", "system-1", "stream-7" or "consumer-9" when it shall turn by itself."""
    icon, known = STATES.get(state, ("help", state))
    return format_html(
        '<span class="nu-chip nu-{}" data-nu-key="{}" data-nu-state="{}">'
        '<span class="material-symbols-outlined" aria-hidden="true">{}</span><span class="nu-word">{}</span></span>',
        state,
        key,
        state,
        icon,
        word or known,
    )


def marked(content: Any, name: str, key: object) -> SafeString:
    """Something in a list that a script of its own keeps up to date: it finds it as data-nu-NAME=KEY."""
    return format_html('<span data-nu-{}="{}">{}</span>', name, key, content)


def account_chip(account: Account) -> SafeString:
    return chip(account_state(account), f"account-{account.pk}")


def account_state(account: Account) -> str:
    """How far an account is; where nunect writes nothing that is the stage of its system."""
    system: System = account.system
    return account.state if system.stage == System.Stage.MANAGED else system.stage


def retiring_chip(going: Retiring | None, person: Any) -> SafeString:
    """What stands beside an account's chip while it is being retired, with a way to the job; else nothing."""
    if going is None:
        return SafeString("")
    shown = chip("failed" if going.failed else "leaving", word=going)
    if not rights.may(person, "view provisioning.job"):
        return shown
    page = reverse("admin:provisioning_job_change", args=[going.job])
    return format_html('<a href="{}" title="{}">{}</a>', page, _("The job that retires it"), shown)


def system_chip(system: System) -> SafeString:
    return chip(system.state, f"system-{system.pk}")


def asset_chip(asset: Asset) -> SafeString:
    return chip(asset.state, f"{asset._meta.model_name}-{asset.pk}")


def chip_of(row: Any) -> SafeString:
    """The chip of any configuration row: the servers take accounts whole, so it is its account's; a stream's and
    a consumer's is its own."""
    if isinstance(row, System):
        return system_chip(row)
    if isinstance(row, Asset):
        return asset_chip(row)
    account = row if isinstance(row, Account) else getattr(row, "account", None)
    if account is not None:
        return account_chip(account)
    return system_chip(row.system) if isinstance(row, Role) else SafeString("")


def states(request: HttpRequest) -> JsonResponse:
    """{key: {state, word, icon, problem}} of the keys asked for, as far as the person may see them."""
    known = apps.get_app_config("accounts_app").get_models()
    if not any(may(request.user, act, model) for model in known for act in get_args(Act)):
        raise PermissionDenied
    wanted: dict[str, set[int]] = {kind: set() for kind in TURNING}
    for key in request.GET.get("keys", "")[:8000].split(",")[:MOST]:
        found = _KEY.match(key)
        if found:
            wanted[found[1]].add(int(found[2]))
    answer: dict[str, dict[str, str]] = {}
    for kind, pks in wanted.items():
        if not pks:
            continue
        rows = visible(TURNING[kind]._default_manager.filter(pk__in=pks), request.user)
        if kind == "account":
            standing = {row.pk: (account_state(row), row.problem) for row in rows.select_related("system")}
        else:
            standing = {row.pk: (row.state, row.problem) for row in rows}
        if kind in ASSETS:
            standing = {pk: standing.get(pk, ("removed", "")) for pk in pks}
        for pk, (state, problem) in standing.items():
            icon, word = STATES[state]
            told = problem if state in _PROBLEMS else ""
            answer[f"{kind}-{pk}"] = {"state": state, "icon": icon, "word": str(word), "problem": told}
    return JsonResponse({"states": answer}, headers={"Cache-Control": "no-store"})
