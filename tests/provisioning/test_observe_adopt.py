"""What somebody edited in a conf that nunect only observes becomes rows, when a person says so."""

import pytest
from django.core.exceptions import ValidationError

from accounts_app.models import Account, AuditEntry, NatsUser, Role
from accounts_app.preview import preview
from provisioning import difference_answers, managing
from provisioning.models import Difference
from provisioning.observing import look_now
from tests import factories
from tests.api.conftest import Api, token_of
from tests.provisioning.test_observe import BY_HAND, import_theirs, on_disk, texts, theirs  # noqa: F401  a fixture

EDITED = (
    BY_HAND.replace('publish: ["orders.>"]', 'publish: ["orders.>", "refunds.>"]')
    .replace(
        "{user: clerk, pass: $CLERK", '{user: late, password: "a-late-arrival-here"}\n      {user: clerk, pass: $CLERK'
    )
    .replace("LAB: {", "FRESH: { users: [{user: new, password: 'somebody-quite-new'}] }\n  LAB: {")
)


@pytest.fixture
def edited(theirs):  # noqa: F811
    """Rows of the conf as it was, some that no conf can say, and then an edit by hand."""
    import_theirs(theirs)
    shop = Account.objects.get(name="SHOP")
    factories.role(shop, "clerks")
    factories.user(shop, "asleep", enabled=False)
    assert look_now(theirs.system).is_none
    theirs.conf.write_text(EDITED)
    theirs.restart()
    return theirs


def test_the_rows_take_it_and_nothing_is_written(edited):
    before = on_disk(edited.folder)
    assert len(texts(look_now(edited.system))) == 3
    seen = preview(edited.system, lambda: difference_answers.adopt(edited.system))
    assert not NatsUser.objects.filter(name__in=("late", "new")).exists(), "it was only shown"
    assert seen.answer.then == ()
    assert seen.answer.kept == ('user "asleep" of account "SHOP": only the rows know it.',)
    assert any('"late" stands in the conf in clear' in line for line in seen.answer.lost)
    assert not any('"lab"' in line for line in seen.answer.lost), "nobody has touched that account"
    done = difference_answers.adopt(edited.system, seen.answer.stamp)
    assert done.changes.as_dict() == seen.answer.changes.as_dict()
    assert done.changes.created["user"] == 2 and not done.changes.deleted
    found = look_now(edited.system)
    assert found.is_none and found.ours == found.theirs
    assert Role.objects.filter(name="clerks").exists() and NatsUser.objects.filter(name="asleep").exists()
    assert not difference_answers.adopt(edited.system).changes, "nothing is left to take"
    edited.apply()
    assert on_disk(edited.folder) == before
    assert Difference.objects.get().is_none
    assert edited.may("refunds.new") is True, "the server runs on with what the hand wrote"
    assert AuditEntry.objects.filter(act="difference adopted").first().object_name == "default"


def test_what_a_hand_took_out_goes(edited):
    edited.conf.write_text(BY_HAND[: BY_HAND.index("  LAB:")] + "}\n")
    seen = preview(edited.system, lambda: difference_answers.adopt(edited.system))
    assert [str(change) for change in seen.changes] == ["account `LAB` is removed with 1 user"]
    difference_answers.adopt(edited.system)
    assert not Account.objects.filter(name="LAB").exists()
    assert look_now(edited.system).is_none


def test_another_conf_than_was_shown_is_refused(edited):
    stamp = preview(edited.system, lambda: difference_answers.adopt(edited.system)).answer.stamp
    edited.conf.write_text(BY_HAND)
    with pytest.raises(ValidationError, match="The conf has changed meanwhile: look at it again"):
        difference_answers.adopt(edited.system, stamp)
    edited.conf.write_text("accounts: {")
    with pytest.raises(ValidationError, match="can't be read as a server would"):
        difference_answers.adopt(edited.system)


def test_only_of_a_system_that_is_observed(edited):
    managing.release(edited.system, "default")
    with pytest.raises(ValidationError, match="that nunect only observes"):
        difference_answers.adopt(edited.system)


def test_over_rest_for_who_may_change_all_of_it(edited, client):
    ada = factories.admin()
    api, address = Api(token_of(ada)), f"systems/{edited.system.pk}/difference/adopt/"
    half = Api(token_of(factories.staff("sam", "accounts_app.change_system", "accounts_app.view_system")))
    writer, reader = Api(token_of(ada, "write")), Api(token_of(ada, "read"))
    assert [who.post(address).status_code for who in (half, writer, reader)] == [403, 403, 403]
    tried = api.post(f"{address}?dry_run=true").data
    assert "user `late` of account `SHOP` is added" in [change["text"] for change in tried["changes"]]
    assert tried["adoption"]["stamp"].startswith("sha256:")
    assert "a-late-arrival" not in str(tried)
    stale = api.post(address, {"stamp": "sha256:0"})
    assert (stale.status_code, stale.data["detail"]) == (422, "The conf has changed meanwhile: look at it again.")
    done = api.post(address, {"stamp": tried["adoption"]["stamp"]}, Idempotency_Key="adopt").data
    assert (done["stage"], done["sync"]["state"], done["rows"]) == ("observed", "held", tried["rows"])
    assert (
        api.post(address, {"stamp": tried["adoption"]["stamp"]}, Idempotency_Key="adopt").data["rows"] == done["rows"]
    )
    assert api.get(f"systems/{edited.system.pk}/difference/").data["is_none"] is True


def test_on_the_page_of_what_runs(edited, client):
    client.force_login(factories.admin())
    page = f"/admin/provisioning/difference/of/{edited.system.pk}/"
    assert f"{page}adopt/" in client.get(page).content.decode()
    shown = client.get(f"{page}adopt/").content.decode()
    assert "Nothing is written to any file." in shown and "<code>late</code>" in shown
    stamp = shown.partition('name="stamp" value="')[2].partition('"')[0]
    assert stamp.startswith("sha256:") and "a-late-arrival" not in shown
    after = client.post(f"{page}adopt/", {"stamp": stamp, "answer": "adopt"}, follow=True).content.decode()
    assert "The rows say what stands in the conf." in after
    assert look_now(edited.system).is_none
    client.force_login(factories.staff("sam", "accounts_app.change_system", "accounts_app.view_system"))
    assert f"{page}adopt/" not in client.get(page).content.decode()
    assert client.get(f"{page}adopt/").status_code == 403
    assert client.post(f"{page}adopt/").status_code == 403
