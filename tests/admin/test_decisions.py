"""What a person decides in the admin: yes, no, drift, try again, revert; and what one must not."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from accounts_app.models import Account, System
from provisioning import decisions
from provisioning.models import Drift, Hold, Revision, RevisionBlock
from provisioning.telling import conf_diff
from tests import factories

HASH = "$2a$04$" + "b" * 53


@pytest.fixture
def of(db):
    return factories.account()


def hold(of):
    return Hold.objects.create(
        system=of.system, account=of.name, reason="12 of 20 users would go.", changes=[{"text": "user svc removed"}]
    )


def revision(of, number, *users):
    made = Revision.objects.create(
        system=of.system,
        number=number,
        sha256=f"{number}",
        text_sha256="t",
        renderer=1,
        wanted=number,
        authors=[{"person": "ada", "door": "admin"}],
        changes=[{"text": f"change {number}, {HASH}"}],
        servers=[{"name": "n1", "digest": "sha256:1", "proof": "digest", "revision": number}],
        snapshot_at=timezone.now(),
        timings={"render": 1.5, "reload": 20.25},
    )
    RevisionBlock.objects.filter(system=of.system, account=of.name).update(current=False)
    tree = {"users": [{"user": user, "password": HASH} for user in users]}
    RevisionBlock.objects.create(
        system=of.system, revision=made, account=of.name, sha256=f"s{number}", conf=RevisionBlock.pack_tree(tree)
    )
    return made


def test_yes_goes_on(page, of):
    held = hold(of)
    address = f"/admin/provisioning/hold/{held.pk}/"
    shown = page.get(f"{address}change/").content.decode()
    assert "12 of 20 users would go." in shown
    assert "user svc removed" in shown
    connection.run_on_commit.clear()  # as if what was made above had been committed
    before = System.objects.get().wanted
    assert page.post(f"{address}decide/", {"answer": "yes"}).status_code == 302
    held.refresh_from_db()
    assert (held.state, held.decided_by.username) == ("approved", "ada")
    assert System.objects.get().wanted == before + 1
    late = page.post(f"{address}decide/", {"answer": "no"}, follow=True).content.decode()
    assert "answered this already" in late


def test_no_is_kept(page, of):
    held = hold(of)
    page.post(f"/admin/provisioning/hold/{held.pk}/decide/", {"answer": "no"})
    held.refresh_from_db()
    assert held.state == "refused"


def test_a_mere_change_of_form_is_of_all_accounts_and_a_no_touches_no_row(page, of):
    revision(of, 1, "svc")
    held = Hold.objects.create(system=of.system, account=Hold.EVERY, reason="Another form.", target_sha256="t")
    address = f"/admin/provisioning/hold/{held.pk}/"
    shown = page.get(f"{address}change/").content.decode()
    assert "Held change of all accounts" in shown
    assert "Nothing that a client could notice." in shown
    assert "all accounts" in page.get("/admin/provisioning/hold/").content.decode()
    before = System.objects.get().wanted
    page.post(f"{address}decide/", {"answer": "no"})
    held.refresh_from_db()
    assert (held.state, System.objects.get().wanted) == ("refused", before)


def test_a_look_or_nonsense_decides_nothing(page, of):
    held = hold(of)
    page.get(f"/admin/provisioning/hold/{held.pk}/decide/", {"answer": "yes"})
    page.post(f"/admin/provisioning/hold/{held.pk}/decide/", {"answer": "perhaps\x00"})
    held.refresh_from_db()
    assert held.state == "open"


def test_who_may_only_look_decides_nothing(client, of):
    held, found = hold(of), Drift.objects.create(system=of.system, where="file", summary="edited")
    first = revision(of, 1)
    client.force_login(
        factories.staff("vera", "provisioning.view_hold", "provisioning.view_drift", "provisioning.view_revision")
    )
    assert client.post(f"/admin/provisioning/hold/{held.pk}/decide/", {"answer": "yes"}).status_code == 403
    assert client.post(f"/admin/provisioning/drift/{found.pk}/decide/", {"answer": "revert"}).status_code == 403
    assert client.get(f"/admin/provisioning/drift/{found.pk}/adopt/").status_code == 403
    assert client.post(f"/admin/provisioning/revision/{first.pk}/decide/", {"answer": "revert"}).status_code == 403
    assert client.get(f"/admin/provisioning/revision/{first.pk}/revert/").status_code == 403
    assert client.post(f"/admin/provisioning/hold/try-again/account/{of.pk}/").status_code == 403
    held.refresh_from_db()
    assert held.state == "open"


def test_a_drift_is_reverted_or_left_alone_and_answered_once(page, of):
    found = Drift.objects.create(system=of.system, where="file", summary="edited", changes=[{"text": "user x added"}])
    assert "user x added" in page.get(f"/admin/provisioning/drift/{found.pk}/change/").content.decode()
    page.post(f"/admin/provisioning/drift/{found.pk}/decide/", {"answer": "ignore", "days": "x"})
    found.refresh_from_db()
    assert found.state == "open"
    page.post(f"/admin/provisioning/drift/{found.pk}/decide/", {"answer": "ignore", "days": "7"})
    found.refresh_from_db()
    assert (found.state, (found.ignored_until - timezone.now()).days) == ("ignored", 6)
    assert "It is left alone until" in page.get(f"/admin/provisioning/drift/{found.pk}/change/").content.decode()
    page.post(f"/admin/provisioning/drift/{found.pk}/decide/", {"answer": "revert"})
    found.refresh_from_db()
    assert (found.state, found.ignored_until) == ("approved", None)
    page.post(f"/admin/provisioning/drift/{found.pk}/decide/", {"answer": "ignore", "days": ""})
    found.refresh_from_db()
    assert found.state == "approved"


def test_try_again_takes_the_refusal_back(page, of):
    QuerySet(Account).filter(pk=of.pk).update(wanted=5, done=4, problem_kind="failed", problem="no", problem_wanted=5)
    address = f"/admin/provisioning/hold/try-again/account/{of.pk}/"
    assert page.get(address).status_code == 200
    assert page.post(address).status_code == 302
    of.refresh_from_db()
    assert of.state == "pending"
    assert page.post(f"/admin/provisioning/hold/try-again/system/{of.system_id}/").status_code == 302
    for wrong in ("account/0/", "system/99/", f"account/{'9' * 30}/", "magic/1/"):
        assert page.get(f"/admin/provisioning/hold/try-again/{wrong}").status_code == 404


def test_revision_shows_what_changed_and_no_hash(page, of):
    revision(of, 1, "one", "two")
    second = revision(of, 2, "one", "three")
    text = page.get(f"/admin/provisioning/revision/{second.pk}/change/").content.decode()
    for words in ("change 2", "ada", "n1", "20.3", "three", "digest"):
        assert words in text, words
    assert HASH not in text
    lines, more = conf_diff(second)
    assert not more
    assert any(line["kind"] == "plus" and "three" in line["text"] for line in lines)
    assert any(line["kind"] == "minus" and "two" in line["text"] for line in lines)


def test_revision_without_contents_says_so(page, of):
    first = revision(of, 1, "one")
    RevisionBlock.objects.update(conf=b"")
    text = page.get(f"/admin/provisioning/revision/{first.pk}/change/").content.decode()
    assert "no longer kept" in text


def test_revert_asks_first(page, of, monkeypatch):
    first, second = revision(of, 1, "one"), revision(of, 2, "two")
    called = []
    page_text = page.get(f"/admin/provisioning/revision/{first.pk}/revert/").content.decode()
    assert f"/revision/{second.pk}/" in page_text
    assert HASH not in page_text
    monkeypatch.setattr(decisions, "revert_to", called.append)
    page.post(f"/admin/provisioning/revision/{first.pk}/decide/", {"answer": "revert"})
    assert called == [first]


def test_a_refused_revert_is_one_sentence(page, of, monkeypatch):
    first = revision(of, 1, "one")

    def refuse(row):
        raise ValidationError("This revision is too old: what its rows said is no longer kept.")

    monkeypatch.setattr(decisions, "revert_to", refuse)
    address = f"/admin/provisioning/revision/{first.pk}/decide/"
    assert "too old" in page.post(address, {"answer": "revert"}, follow=True).content.decode()
