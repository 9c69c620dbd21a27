"""From a blueprint to a job: the form, beside it what will be made, and the job's page with its one-time link."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as say
from django.views.decorators.debug import sensitive_post_parameters

from accounts_app.access import require, require_whole, visible
from accounts_app.address import address_of
from accounts_app.admin.base import PAGE_MEDIA
from accounts_app.models import System
from accounts_app.stages import WRITTEN, meant
from provisioning.admin.blueprint_form import fields_of, given_of, missing
from provisioning.admin.job_words import spoken
from provisioning.admin.look_words import told_look
from provisioning.admin.shelf import Shelved
from provisioning.blueprints import catalogue, handover, submit
from provisioning.blueprints.parameters import by_parameter
from provisioning.blueprints.specs import BlueprintError, BlueprintSpec
from provisioning.models import Job

LIFETIMES_S = (3600, 86_400, 3 * 86_400, 7 * 86_400, 30 * 86_400)
SENT = "nunect_provisioned"  # of a session: {form: its job}, so that a form that is sent twice makes one job
REMEMBERED = 20
NO_STORE = {"Cache-Control": "no-store, private"}


class Provisions:
    """Gives the admin of blueprints the pages that make jobs of them."""

    admin_site: Any
    opts: Any

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        own = [
            path("provision/<str:name>/", wrap(self.provision_view), name="provisioning_blueprint_provision"),
            path("provision/<str:name>/look/", wrap(self.look_view), name="provisioning_blueprint_look"),
        ]
        return [*own, *super().get_urls()]  # type: ignore[misc]

    def _asked(self, request: HttpRequest, name: str) -> tuple[BlueprintSpec, System]:
        """The blueprint and the system that a request is about. Raises what refuses it."""
        require(request.user, "add", Job)
        require_whole(request.user)
        version = request.GET.get("version", "")
        try:
            spec = catalogue.find(name, int(version) if version.isdecimal() and len(version) < 9 else None).spec
        except (ValidationError, BlueprintError):
            raise Http404 from None
        rows = visible(System._default_manager.order_by("pk"), request.user)
        wanted = request.POST.get("system") or request.GET.get("system", "")
        system = rows.filter(name=wanted).first() if wanted else meant(rows, WRITTEN) or rows.first()
        if system is None:
            raise Http404
        return spec, system

    @method_decorator(sensitive_post_parameters())
    def provision_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """The form; a look without scripts; and, at the click of one button, the job."""
        spec, system = self._asked(request, name)
        if request.method != "POST":
            given = {key: value for key, value in request.GET.items() if spec.parameter(key)}
            defaults = {each.name: each.default for each in spec.parameters}
            return self._form(request, spec, system, {**defaults, **given} if given else None)
        given, problem = self._given(spec, request)
        if problem:
            return self._form(request, spec, system, given, problems=[problem])
        if request.POST.get("step") != "provision":
            return self._form(request, spec, system, given, submit.look(system, spec, given))
        once = request.POST.get("once", "")
        sent = request.session.get(SENT, {})
        if once in sent:
            self._say(request, say("This was sent already: here is its job. Its link was shown once."))
            return HttpResponseRedirect(reverse("admin:provisioning_job_change", args=[sent[once]]))
        lifetime = request.POST.get("lifetime_s", "")
        lifetime_s = int(lifetime) if lifetime.isdecimal() and int(lifetime) in LIFETIMES_S else LIFETIMES_S[2]
        try:
            made = submit.provision(system, spec, given, lifetime_s=lifetime_s)
        except submit.Refused as refused:
            return self._form(request, spec, system, given, refused.look)
        except ValidationError as refused:
            return self._form(request, spec, system, given, problems=refused.messages)
        if once:
            kept = {**sent, once: made.job.pk}
            request.session[SENT] = dict(list(kept.items())[-REMEMBERED:])
        return job_page(request, made, lifetime_s)

    def look_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """{html: what will be made, errors: {parameter: sentences}, good} of the form as it is now."""
        if request.method != "POST":
            raise PermissionDenied
        spec, system = self._asked(request, name)
        given, problem = self._given(spec, request)
        look = submit.Look(spec.title, problems=(problem,)) if problem else submit.look(system, spec, given)
        context = {**told_look(look), "needed": [], "wrong": []}
        context["needed"], context["wrong"] = missing(spec, given, look)
        html = render_to_string("provisioning/look.html", context, request)
        told = {"html": html, "errors": by_parameter(look.faults), "good": look.good}
        return JsonResponse(told, headers=NO_STORE)

    def _given(self, spec: BlueprintSpec, request: HttpRequest) -> tuple[dict[str, Any], str]:
        """(what was given, what keeps it from being read)"""
        size = sum(file.size or 0 for file in request.FILES.values() if not isinstance(file, list))
        if size > settings.API_MAX_BYTES:
            return {}, say("This is larger than the %s bytes that this server takes.") % f"{settings.API_MAX_BYTES:,}"
        try:
            return given_of(spec, request), ""
        except UnicodeDecodeError:
            return {}, say("The file is no UTF-8 text.")

    def _say(self, request: HttpRequest, sentence: str) -> None:
        messages.info(request, sentence)

    def _form(
        self,
        request: HttpRequest,
        spec: BlueprintSpec,
        system: System,
        given: dict[str, Any] | None,
        look: submit.Look | None = None,
        problems: list[str] | None = None,
    ) -> HttpResponse:
        needed, wrong = missing(spec, given or {}, look) if look else ([], [])
        systems = list(visible(System._default_manager.order_by("pk"), request.user))
        context = {
            **self.admin_site.each_context(request),
            "title": spec.title or spec.name,
            "opts": Shelved(self.opts),
            "media": PAGE_MEDIA,
            "spec": spec,
            "fields": fields_of(spec, given, look),
            "look": look,
            **(told_look(look) if look else {}),
            "needed": needed,
            "wrong": wrong,
            "refused": problems or [],
            "system": system,
            "systems": systems if len(systems) > 1 else [],
            "lifetimes": [(each, spoken(each), each == int(handover.LIFETIME_S)) for each in LIFETIMES_S],
            "once": request.POST.get("once") or secrets.token_hex(8),
            "look_url": reverse("admin:provisioning_blueprint_look", args=[spec.name]) + f"?version={spec.version}",
        }
        return TemplateResponse(request, "provisioning/provision.html", context, headers=NO_STORE)


def job_page(request: HttpRequest, made: submit.Submitted, lifetime_s: float) -> HttpResponse:
    """The page of a job that has begun: the link stands in this answer, and nowhere else."""
    url = f"{address_of(reverse('handover'), request)}#{made.token}"
    pages: Any = admin.site._registry[Job]
    link = {"url": url, "lasts": spoken(lifetime_s)} if made.token else None
    answer: HttpResponse = pages.page_of(request, made.job, link)
    return answer
