"""The pages of one stream, bucket or consumer beside its form: its head, what is answered there, the forecast."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import flatten
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _

from accounts_app import assets
from accounts_app.access import require_reach
from accounts_app.admin import asset_values as values
from accounts_app.admin.asset_outlook import outlook
from accounts_app.admin.base import head_of
from accounts_app.forecasting import losses_of
from accounts_app.jetstream.differences import drift_digest, in_words
from accounts_app.jetstream.settings import settings_of
from accounts_app.models import Asset, Consumer

DAYS = {"1": _("a day"), "7": _("a week"), "30": _("a month"), "": _("good")}  # how long a difference is ignored
_PROBLEMS = ("failed", "waits")


class AssetPages:
    """Mixed into the admin of streams and consumers."""

    def get_urls(self) -> list[Any]:
        page: Any = self
        wrap, name = page.admin_site.admin_view, f"accounts_app_{page.opts.model_name}"
        return [
            path("outlook/", wrap(self.outlook_view), name=f"{name}_outlook"),
            path("<path:object_id>/outlook/", wrap(self.outlook_view), name=f"{name}_outlook_of"),
            path("<path:object_id>/answer/", wrap(self.answer_view), name=f"{name}_answer"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    # --- its head -----------------------------------------------------------------

    def head(self, request: HttpRequest, object_id: str | None) -> dict[str, Any]:
        """The context of `asset_head.html`."""
        page: Any = self
        found: dict[str, Any] = super().head(request, object_id)  # type: ignore[misc]
        row = page.get_object(request, object_id) if found and object_id else None
        if row is None:
            return {"nu_kind_tabs": self.kind_tabs(request), "nu_outlook": reverse(self._name("outlook"))}
        past = request.path.endswith("/history/")
        own = {**head_of(row), "nu_key": "", "nu_account": row.home, "nu_last": found["nu_last"]}
        changes = page.has_change_permission(request, row)
        return {
            **own,
            "nu_asset": row,
            "nu_asset_key": f"{row._meta.model_name}-{row.pk}",
            "nu_name": values.shown_name(row),
            "nu_kind": values.kind_word(row),
            "nu_figures": values.figures_of(row),
            "nu_stream": row.stream if isinstance(row, Consumer) else row,
            "nu_problem_shown": row.state in _PROBLEMS,
            "nu_problem_field": settings_of(row.settings_kind)[row.problem_field].title
            if row.problem_field in settings_of(row.settings_kind)
            else "",
            "nu_drift": drift_rows(row) if row.managed and not past else [],
            "nu_drift_digest": drift_digest(row.drift) if row.drift else "",
            "nu_losses": losses_of(row) if row.managed and row.drift and not past else [],
            "nu_ignored": row.ignored,
            "nu_days": DAYS,
            "nu_answer": reverse(self._name("answer"), args=[row.pk]),
            "nu_seen": json.dumps(row.seen, indent=2, ensure_ascii=False, sort_keys=True) if row.seen else "",
            "nu_answers": page.may_answer(request) and not row.leaving,
            "nu_sections": [] if changes or past else values.sections_now(row),
            "nu_tabs": self.tabs(request, row, "history" if past else "overview"),
            "nu_outlook": reverse(self._name("outlook_of"), args=[row.pk]) if changes and not past else "",
        }

    def kind_tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        """The kinds that a new one may be of, where there is a choice."""
        page: Any = self
        current, asked = page.kind_of(request, None), request.GET.copy()
        found = []
        for kind, word in page.KINDS:
            asked["kind"] = kind
            found.append({"title": word, "url": f"?{asked.urlencode()}", "current": kind == current})
        return found

    def tabs(self, request: HttpRequest, row: Any, current: str) -> list[dict[str, Any]]:
        def tab(name: str, title: str, view: str) -> dict[str, Any]:
            url = reverse(self._name(view), args=[row.pk])
            return {"title": title, "url": url, "count": None, "current": name == current}

        return [tab("overview", say("Settings"), "change"), tab("history", say("History"), "history")]

    def may_answer(self, request: HttpRequest) -> bool:
        """Whether the person may change such rows at all; that one row has no form is another matter."""
        return bool(super().has_change_permission(request))  # type: ignore[misc]

    def _name(self, view: str) -> str:
        page: Any = self
        return f"admin:accounts_app_{page.opts.model_name}_{view}"

    # --- what would come of it ------------------------------------------------------

    def outlook_view(self, request: HttpRequest, object_id: str | None = None) -> HttpResponse:
        """What the form as it stands would do: a part of the page, asked for as one types."""
        page: Any = self
        row = page.row_of(request, object_id) if object_id else None
        allowed = page.has_change_permission(request, row) if row is not None else page.has_add_permission(request)
        if not allowed or request.method != "POST":
            raise PermissionDenied
        form = page.get_form(request, row, change=row is not None)(request.POST, instance=row)
        form.looks = True
        context = {"outlook": outlook(form, row), "opts": page.opts}
        headers = {"Cache-Control": "no-store"}
        return TemplateResponse(request, "accounts_app/asset_outlook.html", context, headers=headers)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> Any:
        form, row = context["adminform"].form, context.get("original")
        context["adminform"].fieldsets = [
            (title, {**options, "classes": ()} if form.errors.keys() & flatten(options["fields"]) else options)
            for title, options in context["adminform"].fieldsets
        ]  # what is wrong is never folded away; Django itself looks only at fields that stand alone in their line
        if context.get("nu_outlook") and form.is_bound:
            context["outlook"] = outlook(form, row)
        return super().render_change_form(request, context, *args, **options)  # type: ignore[misc]

    # --- what is answered -------------------------------------------------------------

    def answer_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Adopt, revert or ignore a difference, or manage what is only observed: as it was shown, or not at all."""
        page: Any = self
        row = page.row_of(request, object_id)
        if not self.may_answer(request) or request.method != "POST":
            raise PermissionDenied
        back = HttpResponseRedirect(reverse(self._name("change"), args=[row.pk]))
        act = ACTS.get(request.POST.get("answer", ""))
        if act is None:
            self._tell(request, say("There is no such answer."), messages.ERROR)
            return back
        if row.managed and request.POST.get("shown") != drift_digest(row.drift):
            self._tell(request, say("It differs in another way by now: look again, then answer."), messages.WARNING)
            return back
        try:
            with transaction.atomic():
                said = act(row, request.POST.get("days", ""))
                require_reach(request.user, row.home.system)
        except ValidationError as refused:
            self._tell(request, " ".join(refused.messages), messages.ERROR)
            return back
        self._tell(request, said, messages.SUCCESS)
        if row.pk is None or not type(row)._base_manager.filter(pk=row.pk).exists():
            return HttpResponseRedirect(reverse(self._name("changelist")))
        return back

    def _tell(self, request: HttpRequest, text: str, level: int) -> None:
        page: Any = self
        page.message_user(request, text, level)

    # --- it goes ------------------------------------------------------------------------

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Keep or delete the data; what takes data along is confirmed by its name."""
        page: Any = self
        row = page.row_of(request, object_id)
        if not page.has_delete_permission(request, row):
            raise PermissionDenied
        named, error = values.shown_name(row), ""
        choice = request.POST.get("data") or (row.deletion if row.managed else "delete")
        if request.method == "POST":
            if choice == "delete" and request.POST.get("name", "").strip() != named:
                error = say("That is not its name.")
            else:
                try:
                    with transaction.atomic():
                        page.log_deletions(request, [row])
                        system = row.home.system
                        assets.remove(row, "delete" if choice == "delete" else "keep")
                        require_reach(request.user, system)
                except ValidationError as refused:
                    error = " ".join(refused.messages)
                else:
                    return self._gone_or_going(request, row, named, choice)
        context = {
            **page.admin_site.each_context(request),
            **self.head(request, object_id),
            "title": say("Delete %s?") % named,
            "opts": page.opts,
            "original": row,
            "choice": choice,
            "error": error,
            "goes": values.goes_along(row),
            "media": page.media,
        }
        return TemplateResponse(request, "accounts_app/asset_delete.html", context)

    def _gone_or_going(self, request: HttpRequest, row: Any, named: str, choice: str) -> HttpResponse:
        there = row.pk is not None and type(row)._base_manager.filter(pk=row.pk).exists()
        if choice == "delete":
            said = say("“%s” is deleted as soon as the servers have let go of it.")
        elif there:
            said = say("nunect only observes “%s” now; its data stay.")
        else:
            said = say("“%s” is forgotten.")
        self._tell(request, said % named, messages.SUCCESS)
        if there:
            return HttpResponseRedirect(reverse(self._name("change"), args=[row.pk]))
        return HttpResponseRedirect(reverse(self._name("changelist")))


def drift_rows(row: Asset) -> list[dict[str, str]]:
    """[{setting, wanted, seen, words}] of a drift, in words; setting "" for an object that is gone."""
    kind, found = values.kind_of_row(row), []
    known = settings_of(kind)
    for each in row.drift:
        name = each.get("setting", "")
        setting = known.get(name)
        if setting is None:
            found.append({"setting": "", "wanted": "", "seen": "", "words": str(each.get("words", ""))})
            continue
        found.append(
            {
                "setting": setting.title,
                "wanted": in_words(kind, name, each.get("wanted")),
                "seen": in_words(kind, name, each.get("seen")),
                "words": str(each.get("words", "")),
            }
        )
    return found


def _adopt(row: Any, days: str) -> str:
    kept = assets.accept(row)
    return say("The row says what is there now.") if kept is not None else say("It is gone there, and here, too.")


def _revert(row: Any, days: str) -> str:
    assets.revert(row)
    return say("The server is brought back to what the row says.")


def _ignore(row: Any, days: str) -> str:
    if days not in DAYS:
        raise ValidationError(say("Say for how long."))
    until = timezone.now() + timedelta(days=int(days)) if days else None
    assets.ignore(row, until)
    return say("This difference is left alone; another one is told.")


def _manage(row: Any, days: str) -> str:
    assets.manage(row)
    return say("nunect manages it from now on, exactly as it was seen.")


ACTS: dict[str, Callable[[Any, str], str]] = {
    "adopt": _adopt,
    "revert": _revert,
    "ignore": _ignore,
    "manage": _manage,
}
