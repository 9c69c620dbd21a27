"""Picking up credentials by a one-time link over REST: no log-in, once, and every reason against it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts_app.credentials import NewSecret
from accounts_app.models import AuditEntry
from provisioning.blueprints import handover
from provisioning.models import HandOver
from tests import factories
from tests.api.conftest import Api, errors, token_of
from tests.api.test_jobs import begin

OPEN = "hand-overs/open/"


@pytest.fixture
def link(ada):
    """The token of a link to one user's credential, ready to be opened."""
    account = factories.account("ACME")
    factories.user(account, "svc")
    token, row = handover.new_link(600)
    begin("ACME", hand_over=row)
    handover.seal(row, {"svc": NewSecret("nkey", "SUAEXAMPLE")})
    handover.make_ready(row, 600)
    return token


def row():
    return HandOver.objects.get()


def test_it_opens_once_without_a_log_in(link):
    answer = Api().post(OPEN, {"token": link}, User_Agent="curl/8")
    assert answer.status_code == 200, answer.data
    one = answer.data["users"]["svc"]
    assert (one["kind"], one["secret"], one["connect"]["account"]) == ("nkey", "SUAEXAMPLE", "ACME")
    assert answer.headers["Cache-Control"] == "no-store"
    assert (row().opened_from, row().opened_with, row().opened_by) == ("127.0.0.1", "curl/8", "")
    again = Api().post(OPEN, {"token": link})
    assert again.status_code == 410
    assert "picked up already" in errors(again)[""]
    assert again.data["type"] == "urn:nunect:error:gone"
    assert "SUAEXAMPLE" not in str(list(AuditEntry.objects.values()))


def test_who_shows_a_token_is_named(link, ada):
    assert Api(token_of(ada, "read")).post(OPEN, {"token": link}).status_code == 200
    assert row().opened_by == "ada"


def test_a_dry_run_opens_nothing(link):
    seen = Api().post(f"{OPEN}?dry_run=true", {"token": link})
    assert (seen.status_code, seen.data["users"], seen.data["title"]) == (200, ["svc"], "Team ACME")
    assert Api().post(OPEN, {"token": link}).status_code == 200


@pytest.mark.parametrize(
    "fields, status, words",
    [
        ({"ready_at": None}, 409, "aren't ready yet"),
        ({"withdrawn_at": timezone.now()}, 410, "was withdrawn"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, 410, "is over"),
    ],
)
@pytest.mark.parametrize("ask", ["", "?dry_run=true"])
def test_why_a_link_does_not_open(link, fields, status, words, ask):
    HandOver.objects.update(**fields)
    answer = Api().post(OPEN + ask, {"token": link})
    assert answer.status_code == status
    assert words in errors(answer)[""]
    assert ("Retry-After" in answer.headers) == (status == 409)
    assert row().opened_at is None


@pytest.mark.parametrize("token", ["x", "ü", "a" * 4000, "AA==", "=" * 44])
def test_what_is_no_link_opens_nothing(link, token):
    answer = Api().post(OPEN, {"token": token})
    assert (answer.status_code, "opens nothing" in errors(answer)[""]) == (404, True)


def test_a_body_that_is_none_is_refused(link):
    assert set(errors(Api().post(OPEN, {}))) == {"token"}
    assert set(errors(Api().post(OPEN, {"token": 7}))) == {"token"}
    assert set(errors(Api().post(OPEN, {"token": link, "name": "x"}))) == {"name"}
    assert set(errors(Api().post(f"{OPEN}?token={link}", {"token": link}))) == {"token"}
    assert Api().post(OPEN, {"token": "a" * 5000}).status_code == 413
    assert Api().get(OPEN).status_code == 405
    assert Api("nun_000000000000_" + "a" * 43).post(OPEN, {"token": link}).status_code == 401
    assert row().opened_at is None


def test_a_stranger_asks_a_limited_number_of_times(link, monkeypatch):
    from accounts_app.api import people

    counted = []  # whatever the minute, which may be over meanwhile

    def count(self, key):
        counted.append(key)
        return len(counted)

    monkeypatch.setattr(people.Throttle, "_count", count)
    monkeypatch.setattr(people.StrangerThrottle, "wait", lambda self: 7.0)
    for _ in range(people.STRANGERS):
        assert Api().post(OPEN, {"token": "x"}).status_code == 404
    answer = Api().post(OPEN, {"token": link})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "8")
    assert all(key.startswith("nunect:rate:stranger-127.0.0.1:") for key in counted)
