"""The answers to a conf that was edited by hand through REST, the command and the admin: shown first, then done."""

import pytest
from django.test import Client

from accounts_app.models import NatsUser
from provisioning import pipeline
from provisioning.models import Drift
from tests import factories
from tests.api.conftest import Api, errors, token_of
from tests.cli.conftest import alone, nunect  # noqa: F401  (fixtures)
from tests.provisioning.test_drift_answers import asks, edit, found, with_user  # noqa: F401  (fixtures)


@pytest.fixture
def ada(asks):  # noqa: F811
    return factories.admin()


@pytest.fixture
def drift(asks, ada):  # noqa: F811
    """A hand edit that waits: user `hand` of account ACME, whom no row knows."""
    acme = asks.account()
    asks.user(acme, "svc", "publish a.>")
    asks.user(acme, "asleep", "publish z.>", enabled=False)
    asks.apply()
    edit(asks, with_user("hand", "by.hand.>"))
    return found(asks)


@pytest.fixture
def api(ada):
    return Api(token_of(ada))


def test_rest_shows_what_adoption_does_and_does_it(drift, api):
    told = api.post(f"drifts/{drift.pk}/adopt/?dry_run=true").data
    assert [change["text"] for change in told["changes"]] == ["user `hand` of account `ACME` is added"]
    assert told["rows"]["created"]["user"] == 1
    assert told["adoption"] == {
        "lost": [],
        "kept": ['user "asleep" of account "ACME": only the rows know it.'],
        "then": [],
    }
    assert Drift.objects.get().state == "open" and not NatsUser.objects.filter(name="hand").exists()
    done = api.post(f"drifts/{drift.pk}/adopt/").data
    assert (done["state"], done["rows"]["created"]["user"]) == ("adopting", 1)
    assert done["sync"]["state"] == "pending"
    pipeline.apply(drift.system_id)
    row = api.get(f"drifts/{drift.pk}/").data
    assert (row["state"], row["answered_by"]) == ("adopted", "ada")
    assert errors(api.post(f"drifts/{drift.pk}/revert/")) == {"": "This drift is settled already."}


def test_rest_ignores_and_says_of_a_later_change_that_it_waits(drift, api):
    assert "until" in errors(api.post(f"drifts/{drift.pk}/ignore/", {"until": "2020-01-01T00:00:00Z"}))
    assert api.post(f"drifts/{drift.pk}/ignore/", {"until": "2999-12-01T08:00:00Z"}).data["state"] == "ignored"
    assert api.get(f"drifts/{drift.pk}/").data["ignored_until"] == "2999-12-01T08:00:00Z"
    pipeline.apply(drift.system_id)
    acme = drift.system.accounts.get(name="ACME")
    assert api.patch(f"accounts/{acme.pk}/", {"max_connections": 5}).status_code == 200
    pipeline.apply(drift.system_id)
    sync = api.get(f"accounts/{acme.pk}/").data["sync"]
    assert sync["state"] == "held"
    assert sync["problem"] == "accounts.conf was changed by hand and is ignored until 2999-12-01 08:00: changes wait."
    assert api.post(f"drifts/{drift.pk}/repair/").data["state"] == "approved"
    pipeline.apply(drift.system_id)
    assert api.get(f"accounts/{acme.pk}/").data["sync"]["state"] == "applied"
    assert api.get(f"drifts/{drift.pk}/").data["state"] == "repaired"


def test_the_command_lists_it_and_answers_it_by_its_number(drift, nunect):  # noqa: F811
    listed = nunect("drift")
    assert listed.exit_code == 0, listed.output
    assert f"conf {drift.pk} accounts.conf was changed by hand." in listed.stdout
    assert "user `hand` of account `ACME` is added" in listed.stdout
    assert "`nunect drift adopt|revert|ignore conf ID`" in listed.stderr
    shown = nunect("drift", "adopt", "conf", str(drift.pk), "--dry-run")
    assert "user `hand` of account `ACME` is added" in shown.stdout
    assert "only the rows know it" in shown.stdout
    assert "say --yes" in nunect("drift", "adopt", "conf", str(drift.pk)).output
    left = nunect("drift", "ignore", "conf", str(drift.pk), "--for", "7d", "--wait", "0")
    assert left.exit_code == 0, left.output
    assert "(ignored until " in nunect("drift").stdout
    done = nunect("drift", "adopt", "conf", str(drift.pk), "--yes", "--wait", "0")
    assert done.exit_code == 0, done.output
    assert "The rows say what was changed by hand." in done.stderr
    assert NatsUser.objects.filter(name="hand").exists()
    assert "Nothing waits: when nunect last looked, everything was as the rows say." in nunect("drift").stderr


def test_the_page_shows_what_adoption_does_before_its_button_does_it(drift, ada):
    page = Client()
    page.force_login(ada)
    address = f"/admin/provisioning/drift/{drift.pk}"
    assert f'href="{address}/adopt/"' in page.get(f"{address}/change/").content.decode()
    shown = page.get(f"{address}/adopt/").content.decode()
    assert "user <code>hand</code> of account <code>ACME</code> is added" in shown
    assert "only the rows know it" in shown
    assert "Nothing: what nunect writes means the same." in shown
    assert not NatsUser.objects.filter(name="hand").exists()
    page.post(f"{address}/decide/", {"answer": "adopt"})
    drift.refresh_from_db()
    assert (drift.state, drift.answered_by.username) == ("adopting", "ada")
    assert NatsUser.objects.filter(name="hand").exists()
