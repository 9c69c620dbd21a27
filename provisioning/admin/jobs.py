"""Jobs: the list, the page of one while it is at work, and what a person wants of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import TextField
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter

from accounts_app.access import reaches_all, require, require_whole, visible
from accounts_app.admin import chips
from accounts_app.admin.base import PAGE_MEDIA, SCRIPT, ReadOnlyAdmin
from accounts_app.admin.listing import Listed
from accounts_app.door import who_by
from accounts_app.models import Account, System
from provisioning.admin.job_words import context_of, offers, span, spoken, taken_back
from provisioning.admin.provision import job_page
from provisioning.admin.shelf import Shelved
from provisioning.blueprints import handover, submit
from provisioning.jobs import losses, services
from provisioning.jobs.rights import require_act
from provisioning.models import Job

MOST = 200  # jobs in one question of the list
NAMED = 20  # streams and buckets that a page names
LIST_SCRIPT = forms.Script("provisioning/jobs.js", type="module")
NO_STORE = {"Cache-Control": "no-store, private"}
WINDOWS_S = (0, 900, 3600, 86_400, 7 * 86_400, 30 * 86_400)  # in which a retired account can be kept after all


ACTS: dict[str, tuple[Callable[[Job], None], Any]] = {
    "retry": (services.retry, _("It goes on where it failed.")),
    "resume": (services.resume, _("It goes on.")),
    "cancel": (services.cancel, _("It stops, and takes back what it has done.")),
    "roll-back": (services.roll_back, _("What it has done is being taken back.")),
    "withdraw": (services.withdraw, _("The link opens nothing any more.")),
}


@admin.register(Job)
class JobAdmin(Listed, ReadOnlyAdmin):
    acts = ("view", "add", "change")
    list_display = ("title_word", "chip", "now_word", "accounts_word", "author_word", "begun_word", "took_word")
    list_display_links = ("title_word",)
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    SYSTEM = ("system",)
    list_before_template = "provisioning/job_list_head.html"
    search_fields = ("=id", "title", "blueprint", "author_name", "named")
    LISTED = (
        "id", "kind", "title", "blueprint", "blueprint_version", "accounts", "author_name", "door", "state",
        "problem_step", "problem", "waits_for", "created_at", "started_at", "ended_at",
    )  # fmt: skip

    class Media:
        js = (SCRIPT, LIST_SCRIPT)

    # --- the list ---------------------------------------------------------------------------------------------

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        named = queryset.annotate(named=Cast("accounts", TextField()))  # a list of names, as text
        return super().get_search_results(request, named, search_term)

    @admin.display(description=_("job"), ordering="pk")
    def title_word(self, job: Job) -> str:
        return f"{job.pk} · {job.title}"

    @admin.display(description=_("state"), ordering="state")
    def chip(self, job: Job) -> Any:
        return chips.marked(chips.chip(job.state, word=job.get_state_display()), "job", job.pk)

    @admin.display(description=_("accounts"))
    def accounts_word(self, job: Job) -> str:
        names = [str(name) for name in job.accounts]
        return ", ".join(names[:3]) + (say(" and %d more") % (len(names) - 3) if len(names) > 3 else "")

    @admin.display(description=_("author"), ordering="author_name")
    def author_word(self, job: Job) -> str:
        return who_by(job.author_name, job.door)

    @admin.display(description=_("begun"), ordering="created_at")
    def begun_word(self, job: Job) -> Any:
        at = timezone.localtime(job.created_at)
        shown = '<time datetime="{}" title="{}">{}</time>'
        return format_html(shown, at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S}", naturaltime(job.created_at))

    @admin.display(description=_("now"))
    def now_word(self, job: Job) -> Any:
        return chips.marked(now_of(job), "job-now", job.pk)

    @admin.display(description=_("took"))
    def took_word(self, job: Job) -> Any:
        return chips.marked(span(job.started_at, job.ended_at), "job-took", job.pk)

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        own = [
            path("states/", wrap(self.states_view), name="provisioning_job_states"),
            path("<int:pk>/act/<slug:name>/", wrap(self.act_view), name="provisioning_job_act"),
            path("retire/<int:pk>/", wrap(self.retire_view), name="provisioning_job_retire"),
        ]
        return [*own, *super().get_urls()]

    def states_view(self, request: HttpRequest) -> JsonResponse:
        """{id: {state, word, icon, now, took}} of the jobs asked for, as far as the person may see them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        pks = [
            int(key) for key in request.GET.get("ids", "")[:4000].split(",")[:MOST] if re.fullmatch(r"\d{1,18}", key)
        ]
        found = {}
        for job in self.get_queryset(request).filter(pk__in=pks):
            icon, _word = chips.STATES[job.state]
            found[str(job.pk)] = {
                "state": job.state,
                "word": job.get_state_display(),
                "icon": icon,
                "now": now_of(job),
                "took": span(job.started_at, job.ended_at),
            }
        return JsonResponse({"jobs": found}, headers={"Cache-Control": "no-store"})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        more = live_context(request, "jobs" if reaches_all(request.user) else "")
        more["opts"] = Shelved(self.opts)
        return super().changelist_view(request, {**more, **(extra_context or {})})

    # --- one job ----------------------------------------------------------------------------------------------

    def _job(self, request: HttpRequest, object_id: str) -> Job:
        job = self.get_object(request, unquote(object_id))
        if job is None:
            raise Http404
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        return job

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The job as it is; with `?fragment=1` its inside alone, which the page asks for again as it changes."""
        job = self._job(request, object_id)
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        if request.GET.get("fragment"):
            context = context_of(job, request.user)
            return TemplateResponse(request, "provisioning/job_body.html", context, headers=NO_STORE)
        return self.page_of(request, job)

    def page_of(self, request: HttpRequest, job: Job, link: dict[str, Any] | None = None) -> HttpResponse:
        """The page of a job. link: the one-time link, which is shown here and nowhere else."""
        context = {
            **self.admin_site.each_context(request),
            **context_of(job, request.user),
            "title": job.title,
            "opts": Shelved(self.opts),
            "original": job,
            "media": PAGE_MEDIA,
            "link": link,
            "here": reverse("admin:provisioning_job_change", args=[job.pk]),
            **live_context(request, f"job:{job.pk}", job.system),
        }
        return TemplateResponse(request, "provisioning/job.html", context, headers=NO_STORE)

    def _issue_again(self, request: HttpRequest, job: Job, page: str) -> HttpResponse:
        """Give the job's users new credentials: a job of its own, whose link is shown here once."""
        require_whole(request.user)
        try:
            made = submit.issue_again(job)
        except ValidationError as refused:
            self.message_user(request, " ".join(refused.messages), messages.ERROR)
            return HttpResponseRedirect(page)
        return job_page(request, made, handover.LIFETIME_S)

    def retire_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for the account's name, for how long it can be kept after all, and what becomes of its data."""
        require(request.user, "delete", Account)
        require(request.user, "add", Job)
        require_whole(request.user)
        account = visible(Account.objects.filter(pk=pk), request.user).first()
        if account is None:
            raise Http404
        given = request.POST if request.method == "POST" else {}
        window_s, data = _window(given.get("window_s", "")), given.get("data", "")
        errors: dict[str, str] = {}
        if request.method == "POST":
            try:
                job = services.retire(account, given.get("confirm", "").strip(), window_s, data)
            except ValidationError as refused:
                told = refused.message_dict if hasattr(refused, "error_dict") else {"account": refused.messages}
                errors = {name: " ".join(sentences) for name, sentences in told.items()}
            else:
                return HttpResponseRedirect(reverse("admin:provisioning_job_change", args=[job.pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": say("Retire %s") % account.name,
            "opts": Shelved(self.opts),
            "media": PAGE_MEDIA,
            "account": account,
            "errors": errors,
            "other": " ".join(said for name, said in errors.items() if name not in ("confirm", "data")),
            "confirm": given.get("confirm", ""),
            "windows": [(each, spoken(each) if each else say("none: at once"), each == window_s) for each in WINDOWS_S],
            "data": data,
            "goes": _counts(account, request.user),
            **_streams(account, request.user),
        }
        return TemplateResponse(request, "provisioning/retire.html", context)

    def act_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Do what a button says; a GET asks first, and says what will be taken back."""
        require(request.user, "change", Job)
        job = self._job(request, str(pk))
        require_act(request.user, name, job)
        page = reverse("admin:provisioning_job_change", args=[job.pk])
        if name == "hand-over" and request.method == "POST":
            return self._issue_again(request, job, page)
        if request.method == "POST":
            if name not in ACTS:
                raise Http404
            act, said = ACTS[name]
            try:
                act(job)
            except ValidationError as refused:
                self.message_user(request, " ".join(refused.messages), messages.ERROR)
            else:
                self.message_user(request, said, messages.SUCCESS)
            return HttpResponseRedirect(page)
        offer = next((one for one in offers(job, request.user) if one.name == name), None)
        if offer is None or not offer.asks:
            return HttpResponseRedirect(page)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{offer.title}: {job.title}",
            "opts": Shelved(self.opts),
            "original": job,
            "media": PAGE_MEDIA,
            "offer": offer,
            "chip": chips.chip(job.state),
            "back": taken_back(job),
            "losses": losses.told(job) if name in ("cancel", "roll-back") else [],
            "page": page,
            "retires": job.kind == Job.Kind.RETIRE,
        }
        return TemplateResponse(request, "provisioning/job_act.html", context)


def _counts(account: Account, person: Any) -> list[tuple[str, int]]:
    """What goes with an account: users, streams and their messages."""
    streams = visible(account.streams.all(), person)
    messages_kept = sum(int(row.get("messages") or 0) for row in streams.values_list("counts", flat=True))
    users, kept = visible(account.users.all(), person).count(), streams.count()
    found = [
        (ngettext("user, who can't log in any more", "users, who can't log in any more", users), users),
        (ngettext("stream or bucket", "streams and buckets", kept), kept),
        (ngettext("message, as last seen", "messages, as last seen", messages_kept), messages_kept),
    ]
    return [(word, count) for word, count in found if count]


def _streams(account: Account, person: Any) -> dict[str, Any]:
    """The first NAMED streams and buckets with what they hold, and how many more there are."""
    rows = visible(account.streams.all(), person).order_by("name")
    named = [losses.holding(row) for row in rows[:NAMED]]
    return {"streams": named, "more_streams": rows.count() - NAMED if len(named) == NAMED else 0}


def live_context(request: HttpRequest, topic: str, system: System | None = None) -> dict[str, Any]:
    """What `live_topic.html` needs to watch a topic: of one system, or else of the first that the person sees."""
    seen = list(visible(System._default_manager.order_by("pk"), request.user)[:2])
    watched = system or (seen[0] if seen else None)
    return {"nu_topic": topic, "nu_system": watched.name if watched else "", "nu_many": len(seen) > 1}


def _window(text: str) -> float:
    """One of WINDOWS_S; a day for anything else."""
    return float(text) if text.isdecimal() and int(text) in WINDOWS_S else 86_400.0


def now_of(job: Job) -> str:
    """What a list says of a job beside its state."""
    if job.state == Job.State.FAILED:
        told = job.problem
    elif job.state in Job.ACTIVE and job.waits_for:
        told = say("waits for %s") % job.waits_for
    else:
        return ""
    return told if len(told) <= 120 else f"{told[:119]}…"
