"""The live pages: what happens now, in the admin's own shell."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import urlencode

import redis
from django.contrib import admin
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts_app.access import may, reaches_all, require, require_whole, systems_of, visible
from accounts_app.models import Account, Consumer, NatsUser, Server, Stream, System
from monitoring import store
from monitoring.events import KINDS, moment
from provisioning.models import Drift, Hold, Revision
from provisioning.telling import authors_of, in_words

REVISIONS = 20  # shown on the page of changes; the rest is behind its link
LINES = 3  # of each
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """A live page. model: what one must be allowed to view; whole: and of the whole system, not of single accounts."""

    title: Any
    icon: str
    model: type[models.Model]
    whole: bool = True

    def open_to(self, person: Any) -> bool:
        return may(person, "view", self.model) and (reaches_all(person) or not self.whole)


# In the order of the sidebar. The template of each is monitoring/<name>.html.
PAGES: dict[str, Page] = {
    "servers": Page(_("Servers"), "dns", Server),
    "accounts": Page(_("Accounts"), "domain", Account, whole=False),
    "connections": Page(_("Connections"), "cable", NatsUser, whole=False),
    "failures": Page(_("Refused logins"), "gpp_bad", NatsUser, whole=False),
    "jetstream": Page(_("JetStream"), "database", Account, whole=False),
    "events": Page(_("Events"), "list_alt", NatsUser),
    "changes": Page(_("Changes"), "flag", Revision),
}
TOPICS: dict[str, type[models.Model]] = {  # what each topic of the socket needs, of the whole system
    "overview": Server,
    "events": NatsUser,
    "tables": Server,
    "changes": Revision,
}


def _door(view: Any) -> Any:
    """Ask for the log-in as the rest of the admin does."""

    @wraps(view)
    def entered(request: HttpRequest, **named: Any) -> HttpResponse:
        answer: HttpResponse = admin.site.admin_view(view)(request, **named)
        return answer

    return entered


@_door
def page(request: HttpRequest, name: str) -> HttpResponse:
    """A live page by its name. 404 for one that is not there, 403 for who may not see it."""
    found = PAGES.get(name)
    if found is None:
        raise Http404
    require(request.user, "view", found.model)
    if found.whole:
        require_whole(request.user)
    context = {
        **admin.site.each_context(request),
        **live_context(request),
        "title": found.title,
        "name": name,
        "kinds": KINDS,
        **(_changes(request) if name == "changes" else {}),
    }
    return TemplateResponse(request, [f"monitoring/{name}.html", "monitoring/live_base.html"], context)


def _changes(request: HttpRequest) -> dict[str, Any]:
    """The last revisions in words, how far the servers are behind, and where held changes and drift stand."""
    system = system_of(request)
    rows = visible(Revision.objects.filter(system=system).order_by("-number"), request.user)[:REVISIONS]
    said = in_words(row.changes for row in rows)
    pages = {"holds": Hold, "drifts": Drift}
    return {
        "behind": max(0, system.wanted - system.done) if system else 0,
        "revisions": [
            {
                "pk": row.pk,
                "number": row.number,
                "who": authors_of(row),
                "at": row.created_at,
                "lines": lines[:LINES],
                "more": max(0, len(lines) - LINES),
            }
            for row, lines in zip(rows, said, strict=True)
        ],
        **{
            word: reverse(f"admin:provisioning_{model._meta.model_name}_changelist")
            for word, model in pages.items()
            if may(request.user, "view", model)
        },
    }


@_door
def revision(request: HttpRequest, number: int) -> HttpResponse:
    """From a revision's number, which is all that a frame knows, to its page."""
    return _object(request, Revision, number=number)


@_door
def server(request: HttpRequest, name: str) -> HttpResponse:
    """From a server's name to its page."""
    return _object(request, Server, name=name)


@_door
def account(request: HttpRequest, name: str) -> HttpResponse:
    """From an account's name to its page."""
    return _object(request, Account, name=name)


@_door
def stream(request: HttpRequest, account: str, name: str) -> HttpResponse:
    """From a stream's name to its row; to the list, asking for the name, when there is none."""
    return _asset(request, Stream, name, account__name=account)


@_door
def consumer(request: HttpRequest, account: str, stream: str, name: str) -> HttpResponse:
    """From a consumer's name to its row; ephemeral ones have none."""
    return _asset(request, Consumer, name, stream__account__name=account, stream__name=stream)


def _asset(request: HttpRequest, model: type[models.Model], name: str, **known: str) -> HttpResponse:
    require(request.user, "view", model)
    system, way = system_of(request), "account" if model is Stream else "stream__account"
    known_rows = visible(model._default_manager.filter(**known, name=name, **{f"{way}__system": system}), request.user)
    row, page = known_rows.first(), f"admin:accounts_app_{model._meta.model_name}"
    if row is None:
        return redirect(f"{reverse(f'{page}_changelist')}?{urlencode({'q': name})}")
    return redirect(f"{page}_change", row.pk)


def _object(request: HttpRequest, model: type[models.Model], **known: Any) -> HttpResponse:
    require(request.user, "view", model)
    system = system_of(request)
    row = visible(model._default_manager.all(), request.user).filter(system=system, **known).first()
    if row is None:
        raise Http404
    return redirect(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", row.pk)


def system_of(request: HttpRequest) -> System | None:
    """The system that `?system=NAME` names, or the first that the person may see."""
    systems, asked = systems_of(request), request.GET.get("system")
    if asked is None:
        return systems[0] if systems else None
    return next((system for system in systems if system.name == asked), None)


def topics_of(person: Any) -> list[str]:
    """The topics of a whole system that a person may watch; the socket asks again by itself."""
    return [topic for topic, model in TOPICS.items() if reaches_all(person) and may(person, "view", model)]


def live_context(request: HttpRequest) -> dict[str, Any]:
    """What the shell of a live page needs: system, topics, rights for links, the last frames for the first paint."""
    system = system_of(request)
    if system is None and request.GET.get("system") is not None:
        raise Http404
    topics = topics_of(request.user)
    seen = Seen.of(system, topics)
    linked = (
        ("account", Account),
        ("user", NatsUser),
        ("server", Server),
        ("revision", Revision),
        ("stream", Stream),
        ("consumer", Consumer),
    )
    return {
        "system": system,
        "systems_seen": systems_of(request),
        "topics": topics,
        "seen": seen,
        "state_json": json.dumps(seen.state) if seen.state else "",
        "pages": [key for key, one in PAGES.items() if one.open_to(request.user)],
        "links": " ".join(word for word, model in linked if may(request.user, "view", model)),
        "now_ms": int(time.time() * 1000),
        "live_page": True,
    }


@dataclass(frozen=True, slots=True)
class Seen:
    """The last frames of a system as Redis holds them. reachable: Redis answered; ever: a relay has ever run."""

    frames: dict[str, dict[str, Any]]
    state: dict[str, Any]
    reachable: bool = True
    ever: bool = False

    @classmethod
    def of(cls, system: System | None, topics: list[str]) -> Seen:
        """What is stored now. Never raises: without Redis a page opens all the same, and says so."""
        if system is None:
            return cls({}, {})
        try:
            pulse = store.read_pulse(system.pk)
            found = {topic: store.read_frame(system.pk, topic) for topic in topics}
        except (redis.RedisError, OSError) as error:
            logger.warning("what the relay saw can't be read: %s", error)
            detail = str(_("Redis does not answer, so what the relay sees can't be read."))
            return cls({}, {"live": False, "since": None, "detail": detail}, reachable=False)
        frames = {topic: json.loads(frame) for topic, frame in found.items() if frame}
        if not (pulse.at or frames):
            return cls({}, {"live": False, "since": None, "detail": ""})
        since = pulse.since if pulse.connected is False else pulse.at
        state = {
            "live": pulse.live,
            "since": moment(since) if since else None,
            "detail": pulse.problem or ("" if pulse.live else str(_("The relay is not running."))),
        }
        return cls(frames, state, ever=True)

    @property
    def scripts(self) -> list[tuple[str, dict[str, Any]]]:
        """[(id of its element, frame)]: what the modules begin with."""
        return [(f"nu-frame-{topic}", frame) for topic, frame in self.frames.items()]

    def data(self, topic: str) -> Any:
        """The data of a topic's last frame; None when there is none."""
        frame = self.frames.get(topic)
        return frame["data"] if frame else None

    @property
    def overview(self) -> Any:
        return self.data("overview")

    @property
    def events(self) -> Any:
        return self.data("events")

    @property
    def changes(self) -> Any:
        return self.data("changes")


def live_items(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar's entries of the live pages."""
    return [
        {"title": one.title, "icon": one.icon, "link": reverse("live:page", args=[name])}
        for name, one in PAGES.items()
        if one.open_to(request.user)
    ]
