"""What happened and what waits: revisions, held changes, drift, and what a person decides about them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter, RangeDateTimeFilter

from accounts_app.admin import chips
from accounts_app.admin.accounts import MASK, masked
from accounts_app.admin.base import MANAGES, PAGE_MEDIA, ReadOnlyAdmin, require, systems_of
from accounts_app.models import Account, NatsUser, System
from accounts_app.natsconf.changes import NAMED
from accounts_app.natsconf.render import block_of
from provisioning import decisions
from provisioning.enforced import SHARED_ROLES
from provisioning.models import Drift, Hold, Revision, RevisionBlock
from provisioning.steps import STEPS

_DOORS = {"command": _("a command"), "shell": _("a shell"), "rest": _("REST"), "worker": _("nunect itself")}
_PROOFS = {"digest": _("the digest of its whole conf"), "metadata": _("the revision that it carries")}
_NKEY = re.compile(r"U[A-Z2-7]{55}")
SHOWN = 2000  # lines of a diff on its page
SAID = 200  # changes in words on a page


def authors_of(revision: Revision) -> str:
    """Who made a revision, in words."""
    names = [author.get("person") or _DOORS.get(author.get("door", ""), "") for author in revision.authors]
    return ", ".join(dict.fromkeys(str(name) for name in names if name)) or say("nunect itself")


@dataclass(frozen=True, slots=True)
class Line:
    """One change in NATS's words. danger: it takes access away; users: all of them when the text counts some."""

    text: str
    danger: bool = False
    users: tuple[str, ...] = ()


def in_words(many: Iterable[Iterable[Any]]) -> list[list[Line]]:
    """Lists of changes as lines for a person: what takes access away first, no hash, users by their names.

    The conf knows a user with an nkey by that alone; one query finds the names of all of them.
    """
    lists = [[_line(change) for change in changes] for changes in many]
    names = names_of(
        key for lines in lists for line in lines for text in (line.text, *line.users) for key in _NKEY.findall(text)
    )

    def call(text: str) -> str:
        return _NKEY.sub(lambda found: names.get(found[0]) or f"{found[0][:9]}…", text)

    def named(line: Line) -> Line:
        return Line(call(line.text), line.danger, tuple(map(call, line.users)))

    return [sorted(map(named, lines), key=lambda line: not line.danger) for lines in lists]


def names_of(nkeys: Iterable[str]) -> dict[str, str]:
    """{public nkey: name of the user that has it}"""
    keys = sorted(set(nkeys))
    names: dict[str, str] = {}
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        users = NatsUser.objects.filter(Q(nkey__in=some) | Q(retiring_nkey__in=some))
        for name, key, retiring in users.values_list("name", "nkey", "retiring_nkey"):
            names |= {key: name, retiring: say("%s (former nkey)") % name}
    return names


def sentences(changes: Iterable[Any]) -> list[Line]:
    """The lines of one list of changes."""
    return in_words([changes])[0]


def _line(change: Any) -> Line:
    kept = change if isinstance(change, dict) else {"text": str(change)}
    users = kept.get("users") or ()
    counted = users[:SHOWN] if len(users) > NAMED else ()
    return Line(masked(str(kept.get("text", ""))), bool(kept.get("removes_access")), tuple(counted))


def conf_diff(revision: Revision) -> tuple[list[dict[str, str]], bool]:
    """The lines of the unified diff against the revision before, and whether more were left out.

    A revision holds the blocks that it changed, so only those are compared; hashes are masked.
    """
    lines: list[dict[str, str]] = []
    for block in revision.blocks.order_by("account"):
        if block.account == SHARED_ROLES:
            continue
        before = (
            RevisionBlock.objects.filter(
                system=revision.system_id, account=block.account, revision__number__lt=revision.number
            )
            .order_by("-revision__number")
            .first()
        )
        old, new = _conf_of(before), _conf_of(block)
        if old is None or new is None:
            lines.append({"kind": "at", "text": say("%s: its contents are no longer kept") % block.account})
            continue
        pairs = difflib.unified_diff(_hidden(old), _hidden(new), block.account, block.account, lineterm="")
        found = list(pairs)[2:]
        if not found and old != new:
            found = [" " + say("(only password hashes differ)")]
        if found:
            lines.append({"kind": "at", "text": f"accounts.{block.account}"})
        for text in found:
            kind = "plus" if text[:1] == "+" else "minus" if text[:1] == "-" else "at" if text[:2] == "@@" else "same"
            lines.append({"kind": kind, "text": text})
            if len(lines) >= SHOWN:
                return lines, True
    return lines, False


def with_names(lines: list[dict[str, str]], *, keys: bool) -> list[dict[str, str]]:
    """Say in the margin whose nkey stands in a line. keys: whether the person may see the key itself."""
    names = names_of(key for line in lines for key in _NKEY.findall(line["text"]))
    for line in lines:
        found = _NKEY.search(line["text"])
        if found:
            line["who"] = names.get(found[0], "")
            if not keys:
                line["text"] = _NKEY.sub(MASK, line["text"])
    return lines


def _conf_of(block: RevisionBlock | None) -> str | None:
    if block is None or not block.sha256:
        return ""
    return block_of(block.account, block.tree).text if block.conf else None


def _hidden(text: str | None) -> list[str]:
    """Lines in which two different hashes still look different, without telling either."""
    return masked(text or "").splitlines()


class DecisionAdmin(ReadOnlyAdmin):
    """A read-only page with buttons that decide. PERMISSION: what a person needs to press them."""

    PERMISSION = ""
    TEMPLATE = ""

    def get_urls(self) -> list[Any]:
        return [
            path("<path:object_id>/decide/", self.admin_site.admin_view(self.decide_view), name=self._name("decide")),
            *super().get_urls(),
        ]

    def _name(self, what: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{what}"

    def _row(self, request: HttpRequest, object_id: str) -> Any:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return row

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self._row(request, object_id)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": self.title_of(row),
            "opts": self.opts,
            "original": row,
            "media": PAGE_MEDIA,
            "decide": reverse(f"admin:{self._name('decide')}", args=[row.pk]),
            "may_decide": request.user.has_perm(self.PERMISSION),  # type: ignore[union-attr]
            **self.context_of(request, row),
        }
        return TemplateResponse(request, self.TEMPLATE, context)

    def title_of(self, row: Any) -> str:
        return str(row)

    def context_of(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {}

    def answers(self) -> dict[str, tuple[Callable[[Any], None], Any]]:
        """{value of the button: (what it does, what is said then)}"""
        raise NotImplementedError

    def decide_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        require(request, self.PERMISSION)
        row = self._row(request, object_id)
        page = reverse(f"admin:{self._name('change')}", args=[row.pk])
        answer = self.answers().get(request.POST.get("answer", "")) if request.method == "POST" else None
        if answer is not None:
            act, said = answer
            try:
                act(row)
            except ValidationError as refused:
                self.message_user(request, " ".join(refused.messages), messages.ERROR)
            else:
                self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(page)


@admin.register(Revision)
class RevisionAdmin(DecisionAdmin):
    PERMISSION = "provisioning.change_revision"
    TEMPLATE = "provisioning/revision.html"
    list_display = ("number_word", "created_at", "who", "in_words", "servers_word", "milliseconds")
    list_display_links = ("number_word",)
    list_select_related = ("system",)
    list_filter = (("created_at", RangeDateTimeFilter), ("system", AutocompleteSelectFilter))
    search_fields = ("=number", "reason", "blocks__account")

    @admin.display(description=_("revision"), ordering="number")
    def number_word(self, revision: Revision) -> str:
        return str(revision)

    @admin.display(description=_("who"))
    def who(self, revision: Revision) -> str:
        return authors_of(revision)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        rows = list(page.result_list)
        for row, lines in zip(rows, in_words(row.changes[:1] for row in rows), strict=True):
            row.first_line = lines[0].text if lines else row.reason or say("nothing in words")
        page.result_list = rows
        return page

    @admin.display(description=_("change"))
    def in_words(self, revision: Any) -> str:
        more = len(revision.changes) - 1
        first = revision.first_line if len(revision.first_line) <= 90 else revision.first_line[:89] + "…"
        return say("%(first)s, and %(more)d more") % {"first": first, "more": more} if more > 0 else first

    @admin.display(description=_("servers"))
    def servers_word(self, revision: Revision) -> int:
        return len(revision.servers)

    @admin.display(description=_("ms"))
    def milliseconds(self, revision: Revision) -> str:
        return f"{sum(_times(revision).values()):.0f}"

    def title_of(self, row: Revision) -> str:
        return say("Revision %s") % row

    def context_of(self, request: HttpRequest, row: Revision) -> dict[str, Any]:
        lines, more = conf_diff(row)
        times = _times(row)
        newest = Revision.objects.filter(system=row.system_id).order_by("-number").values_list("number", flat=True)
        neighbours = Revision.objects.filter(system=row.system_id)
        return {
            "who": authors_of(row),
            "said": sentences(row.changes)[:SAID],
            "unsaid": max(0, len(row.changes) - SAID),
            "diff": with_names(lines, keys=request.user.has_perm(MANAGES)),  # type: ignore[union-attr]
            "diff_more": more,
            "mask": MASK,
            "servers": [_server_row(server) for server in row.servers],
            "timings": [(step, times[step]) for step in (*STEPS, *sorted(times.keys() - set(STEPS))) if step in times],
            "total": sum(times.values()),
            "is_newest": row.number == newest.first(),
            "previous": neighbours.filter(number__lt=row.number).order_by("-number").first(),
            "following": neighbours.filter(number__gt=row.number).order_by("number").first(),
        }

    def answers(self) -> dict[str, tuple[Callable[[Any], None], Any]]:
        return {
            "revert": (
                decisions.revert_to,
                _("The rows are what they were in this revision; the servers follow as with any change."),
            )
        }

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/revert/", wrap(self.revert_view), name="provisioning_revision_revert"),
            *super().get_urls(),
        ]

    def revert_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask before everything becomes what it was."""
        require(request, self.PERMISSION)
        row = self._row(request, object_id)
        later = Revision.objects.filter(system=row.system_id, number__gt=row.number)
        context = {
            **self.admin_site.each_context(request),
            "title": say("Revert to %s?") % row,
            "opts": self.opts,
            "original": row,
            "later": later.count(),
            "undone": [(revision, sentences(revision.changes)[:5]) for revision in later.order_by("-number")[:10]],
            "decide": reverse("admin:provisioning_revision_decide", args=[row.pk]),
        }
        return TemplateResponse(request, "provisioning/revert.html", context)


def _times(revision: Revision) -> dict[str, float]:
    values = revision.timings if isinstance(revision.timings, dict) else {}
    return {str(step): float(ms) for step, ms in values.items() if isinstance(ms, int | float)}


def _server_row(server: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": server.get("name", ""),
        "chip": chips.chip("in_sync"),
        "proof": _PROOFS.get(server.get("proof", ""), ""),
        "digest": server.get("digest", ""),
    }


@admin.register(Hold)
class HoldAdmin(DecisionAdmin):
    PERMISSION = "provisioning.change_hold"
    TEMPLATE = "provisioning/hold.html"
    list_display = ("account", "chip", "reason", "created_at", "decided_by", "decided_at")
    list_select_related = ("system", "decided_by")
    search_fields = ("account", "reason")
    list_filter = (("state", ChoicesDropdownFilter), ("system", AutocompleteSelectFilter))

    @admin.display(description=_("state"), ordering="state")
    def chip(self, hold: Hold) -> Any:
        return chips.chip(hold.state)

    def title_of(self, row: Hold) -> str:
        return say("Held change of %s") % row.account

    def context_of(self, request: HttpRequest, row: Hold) -> dict[str, Any]:
        account = Account.objects.visible_to(request.user).filter(system=row.system_id, name=row.account).first()  # type: ignore[attr-defined]
        return {
            "account": account,
            "chip": chips.chip(row.state),
            "said": sentences(row.changes)[:SAID],
            "unsaid": max(0, len(row.changes) - SAID),
            "is_open": row.state == Hold.State.OPEN,
        }

    def answers(self) -> dict[str, tuple[Callable[[Any], None], Any]]:
        return {
            "yes": (decisions.approve, _("Yes: what was shown goes to the servers.")),
            "no": (decisions.refuse, _("No: the rows are again what the servers hold.")),
        }

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("try-again/<str:kind>/<int:pk>/", wrap(self.try_again_view), name="provisioning_try_again"),
            *super().get_urls(),
        ]

    def try_again_view(self, request: HttpRequest, kind: str, pk: int) -> HttpResponse:
        """Ask for a run with the same rows, of one account or of a whole system."""
        require(request, f"accounts_app.change_{'system' if kind == 'system' else 'account'}")
        target: Any
        if kind == "system":
            target = systems_of(request.user).filter(pk=pk).first()
            page = "admin:accounts_app_system_change"
        else:
            target = Account.objects.visible_to(request.user).filter(pk=pk).first()  # type: ignore[attr-defined]
            page = "admin:accounts_app_account_change"
        if target is None or kind not in ("system", "account"):
            raise Http404
        if request.method == "POST":
            decisions.try_again(target)
            self.message_user(request, say("Asked for again; the chip turns when the servers have answered."))
            return HttpResponseRedirect(reverse(page, args=[pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": say("Try %s again?") % target,
            "opts": self.opts,
            "target": target,
            "back": reverse(page, args=[pk]),
            "is_system": isinstance(target, System),
        }
        return TemplateResponse(request, "provisioning/try_again.html", context)


@admin.register(Drift)
class DriftAdmin(DecisionAdmin):
    PERMISSION = "provisioning.change_drift"
    TEMPLATE = "provisioning/drift.html"
    list_display = ("summary", "where", "chip", "found_at", "answered_by")
    list_select_related = ("system", "answered_by")
    search_fields = ("summary",)
    list_filter = (("state", ChoicesDropdownFilter), ("where", ChoicesDropdownFilter))

    @admin.display(description=_("state"), ordering="state")
    def chip(self, drift: Drift) -> Any:
        return chips.chip(drift.state, word=drift.get_state_display())

    def title_of(self, row: Drift) -> str:
        return say("Drift in %s") % row.get_where_display()

    def context_of(self, request: HttpRequest, row: Drift) -> dict[str, Any]:
        return {
            "chip": chips.chip(row.state, word=row.get_state_display()),
            "said": sentences(row.changes)[:SAID],
            "unsaid": max(0, len(row.changes) - SAID),
            "is_open": row.state == Drift.State.OPEN,
        }

    def answers(self) -> dict[str, tuple[Callable[[Any], None], Any]]:
        return {"repair": (decisions.repair, _("It will be repaired: what the rows say takes its place."))}
