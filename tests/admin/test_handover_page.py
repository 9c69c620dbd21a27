"""The page on which an owner picks credentials up: nobody signs in, nothing is opened by looking, once is once."""

from __future__ import annotations

import json

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts_app.credentials import NewSecret
from accounts_app.models import AuditEntry
from provisioning import handover_views
from provisioning.blueprints import handover
from provisioning.models import HandOver, Job
from tests import factories

PAGE = "/handover/"


@pytest.fixture
def link(db):
    """(token, hand-over) of one that is ready, with the credentials of two users."""
    cache.clear()
    account = factories.account("ACME")
    job = Job.objects.create(
        system=account.system, kind="provision", title="A small team: ACME", accounts=["ACME"], door="admin"
    )
    factories.user(account, "svc")
    token, row = handover.new_link()
    row.job = job
    row.save()
    handover.seal(row, {"svc": NewSecret("nkey", "SUAHUSH"), "gone": {"kind": "password", "secret": "p4ss"}})
    handover.make_ready(row)
    return token, row


def post(part, token, client=None, **headers):
    told = {"token": token} if not isinstance(token, bytes) else token
    body = told if isinstance(told, bytes) else json.dumps(told)
    return (client or Client(enforce_csrf_checks=True)).post(PAGE + part, body, "application/json", headers=headers)


def test_the_page_is_for_everybody_and_tells_nobody(db):
    answer = Client().get(PAGE)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store, private"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "noindex" in answer["X-Robots-Tag"]
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in f"{policy};" and "unsafe" not in policy
    assert "http" not in answer.content.decode().replace("http-equiv", "")  # nothing of a third party
    assert not answer.cookies
    assert Client().post(PAGE).status_code == 405


def test_a_look_opens_nothing(link):
    token, row = link
    for _ in range(2):
        told = post("look/", token).json()
        assert told["title"] == "A small team: ACME" and told["users"] == ["gone", "svc"]
    assert "HUSH" not in json.dumps(told)
    row.refresh_from_db()
    assert row.opened_at is None
    assert Client().get(f"{PAGE}look/").status_code == Client().get(f"{PAGE}open/").status_code == 405


def test_credentials_are_picked_up_once_and_it_is_told_by_whom(link, settings):
    token, row = link
    answer = post("open/", token, **{"User-Agent": "curl/8.5"})
    assert answer["Cache-Control"] == "no-store, private"
    users = answer.json()["users"]
    assert (users["svc"]["kind"], users["svc"]["secret"]) == ("nkey", "SUAHUSH")
    assert users["svc"]["connect"]["account"] == "ACME" and "SUAHUSH" in str(users["svc"]["connect"]["files"])
    assert users["gone"]["connect"] is None
    row.refresh_from_db()
    assert (row.opened_by, row.opened_from, row.opened_with, row.sealed) == ("", "127.0.0.1", "curl/8.5", "")
    again = post("open/", token)
    assert (again.status_code, again.json()["reason"]) == (410, "used")
    assert "picked up already" in again.json()["detail"]
    entry = AuditEntry.objects.get(act="hand-over opened")
    assert "HUSH" not in str(entry.detail) and token not in str(entry.detail)


def test_who_is_signed_in_is_named(link, client):
    client.force_login(factories.staff("grace"))
    post("open/", link[0], client)
    assert HandOver.objects.get().opened_by == "grace"


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"ready_at": None}, 409, "not_ready"),
        ({"expires_at": timezone.now() - timezone.timedelta(seconds=1)}, 410, "over"),
        ({"withdrawn_at": timezone.now()}, 410, "withdrawn"),
    ],
)
def test_a_link_that_opens_nothing_says_why(link, fields, status, reason):
    token, row = link
    HandOver.objects.filter(pk=row.pk).update(**fields)
    for part in ("look/", "open/"):
        answer = post(part, token)
        assert (answer.status_code, answer.json()["reason"]) == (status, reason)
        assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("A" * 43, 404), ("x", 404), ("é\x00", 404), ("\ud800", 404), (5, 400), (None, 400), ("", 400), (["x"], 400),
        (b"[]", 400), (b"{", 400), (b"", 400), (b"\xff", 400), (b"[" * 2000, 400),
        (b'{"token": "' + b"x" * 5000 + b'"}', 400),
    ],
)  # fmt: skip
def test_strange_tokens_are_answered_in_a_sentence(link, token, status):
    for part in ("look/", "open/"):
        answer = post(part, token)
        assert answer.status_code == status, answer.content
        assert answer.json()["detail"]


def test_an_address_has_so_many_tries_a_minute(link, monkeypatch):
    monkeypatch.setattr(handover_views, "TRIES", 3)
    token, row = link
    for _ in range(3):
        assert post("open/", "A" * 43).status_code == 404
    slow = post("open/", token)
    assert slow.status_code == 429 and 0 < int(slow["Retry-After"]) <= 61
    assert Client(REMOTE_ADDR="192.0.2.9").post(f"{PAGE}look/", {"token": token}, "application/json").status_code == 200
    row.refresh_from_db()
    assert row.opened_at is None


def test_behind_a_proxy_the_client_is_the_one_that_it_names(link, settings):
    settings.BEHIND_TLS = True
    post("open/", link[0], **{"X-Forwarded-For": "203.0.113.9, 198.51.100.4"})
    assert HandOver.objects.get().opened_from == "198.51.100.4"


def test_a_cache_that_is_away_keeps_nobody_out(link, settings):
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "unix:///nowhere/valkey.sock"}
    }
    assert post("look/", link[0]).status_code == 200
