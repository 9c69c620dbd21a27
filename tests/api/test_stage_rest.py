"""The stage of a system over REST: the difference, observe, manage, release."""

import pytest
from django.db.models import F

from accounts_app.models import AuditEntry, System
from accounts_app.systems import new_system
from provisioning.files import MAIN
from tests import factories
from tests.api.conftest import Api, token_of

HASH = "$2a$04$iR44aW1u.3Pz7v/l2/gDT.SglMK4Y6sH.KzMod9jZlq.C2fBIipQK"
CONF = f'accounts: {{ SHOP: {{ users: [{{user: shop, password: "{HASH}"}}] }} }}'


@pytest.fixture
def system(api, tmp_path, settings):
    settings.NATS_CONNECT_TIMEOUT = 0.2
    made = factories.system()
    made.conf_dir, made.nats_url = str(tmp_path), "nats://127.0.0.1:1"
    made.save()
    (tmp_path / MAIN).write_text(CONF)
    return made


def test_observe_and_manage_with_the_difference_between(api, system):
    turned = api.post(f"systems/{system.pk}/observe/")
    assert (turned.status_code, turned.data["stage"]) == (200, "observed")
    row = api.get(f"systems/{system.pk}/").data
    assert (row["stage"], row["state"]) == ("observed", "observed")
    told = api.get(f"systems/{system.pk}/difference/").data
    assert [word["text"] for word in told["words"]] == ["account `SHOP` is removed with 1 user"]
    assert (told["stage"], told["is_none"], told["unknown"]) == ("observed", False, "")
    assert told["words"][0]["removes_access"] is True
    assert api.post("import/", {"conf": CONF}).status_code == 200
    told = api.get(f"systems/{system.pk}/difference/").data
    assert told["is_none"] and told["ours"] == told["theirs"]
    tried = api.post(f"systems/{system.pk}/manage/?dry_run=true", {"confirm": "default"})
    assert tried.data["difference"]["is_none"] is True
    assert [change["text"][:30] for change in tried.data["changes"]] == ["nunect adds what is its own: t"]
    assert System.objects.get().stage == "observed"
    wrong = api.post(f"systems/{system.pk}/manage/", {"confirm": "other"})
    assert wrong.status_code == 422
    assert wrong.data["errors"] == [{"field": "confirm", "detail": "Type the name of the system: default."}]
    assert api.post(f"systems/{system.pk}/manage/", {"confirm": "default"}).data["stage"] == "managed"
    entry = AuditEntry.objects.get(act="system managed")
    assert (entry.door, entry.person.username) == ("rest", "ada")


def test_rows_of_an_observed_system_are_written_and_held(api, system):
    api.post(f"systems/{system.pk}/observe/")
    made = api.post("accounts/", {"name": "NEW"}, Prefer="wait=5")
    assert made.status_code == 201
    assert made.data["sync"]["state"] == "held"
    assert made.data["sync"]["problem"] == "nunect only observes this system: nothing is written."
    again = api.post(f"systems/{system.pk}/retry/")
    assert again.status_code == 422
    assert again.data["detail"] == "nunect only observes system “default”: nothing is written."


@pytest.mark.django_db(transaction=True)  # a change counts by what its transaction has counted already
def test_manage_is_pending_until_a_run_has_been_there(api, system):
    held = api.post(f"systems/{system.pk}/observe/").data["sync"]
    assert (held["state"], held["problem"]) == ("held", "nunect only observes this system: nothing is written.")
    body = {"confirm": "default"}
    turned = api.post(f"systems/{system.pk}/manage/", body, Prefer="wait=0", Idempotency_Key="manage-1")
    assert (turned.status_code, turned.data["sync"]["state"]) == (202, "pending")
    System.objects.filter(pk=system.pk).update(done=F("wanted"), revision=7)  # as a run does at its end
    again = api.post(f"systems/{system.pk}/manage/", body, Prefer="wait=1", Idempotency_Key="manage-1")
    assert (again.status_code, again.data["sync"]) == (200, {"state": "applied", "revision": 7, "problem": ""})


@pytest.mark.django_db(transaction=True)  # a change counts by what its transaction has counted already
def test_a_release_is_done_once_under_its_key(api, system):
    body, key = {"confirm": "default", "files": "keep"}, {"Idempotency_Key": "let-go"}
    wrong = api.post(f"systems/{system.pk}/release/", {**body, "confirm": "other"}, **key)
    assert wrong.status_code == 422
    first = api.post(f"systems/{system.pk}/release/", body, **key)
    assert (first.status_code, first.data["stage"]) == (200, "released")
    api.post(f"systems/{system.pk}/observe/")
    again = api.post(f"systems/{system.pk}/release/", body, **key)
    assert again.headers["Idempotent-Replayed"] == "true" and again.json() == first.json()
    assert System.objects.get().stage == "observed", "it was not done again"
    other = api.post(f"systems/{system.pk}/release/undo/", {"confirm": "default"}, **key)
    assert other.status_code == 422
    assert "This key came with another request before" in other.data["detail"] + str(other.data.get("errors"))


def test_a_removal_is_done_once_under_its_key(ada, api, system):
    gone = new_system("gone", stage=System.Stage.OBSERVED)
    body, key = {"confirm": "gone"}, {"Idempotency_Key": "forget-it"}
    first = api.post(f"systems/{gone.pk}/remove/", body, **key)
    assert (first.status_code, first.data) == (200, {"id": gone.pk, "name": "gone"})
    again = api.post(f"systems/{gone.pk}/remove/", body, **key)
    assert (again.status_code, again.data) == (200, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert AuditEntry.objects.filter(act="system removed").count() == 1
    other = api.post(f"systems/{gone.pk}/remove/", {"confirm": "else"}, **key)
    assert (other.status_code, other.data["errors"][0]["field"]) == (422, "Idempotency-Key")
    for late in ({}, {"Idempotency_Key": "another"}):
        assert api.post(f"systems/{gone.pk}/remove/", body, **late).status_code == 404
    assert Api(token_of(ada)).post(f"systems/{gone.pk}/remove/", body, **key).status_code == 404, "another's key"
    assert Api(token_of(ada, "read")).post(f"systems/{gone.pk}/remove/", body, **key).status_code == 403


@pytest.mark.django_db(transaction=True)  # a change counts by what its transaction has counted already
def test_a_released_system_can_only_be_read(api, system):
    factories.account("ACME")
    assert (
        api.post(f"systems/{system.pk}/release/", {"confirm": "default", "files": "keep"}).data["stage"] == "released"
    )
    for answer in (
        api.post("accounts/", {"name": "NEW"}),
        api.patch(f"systems/{system.pk}/", {"environment": "prod"}),
        api.post("apply/", {"accounts": [{"name": "ACME", "users": [{"name": "svc"}]}]}),
        api.post("streams/", {"account": "ACME", "name": "S", "subjects": ["s"]}),
    ):
        assert answer.status_code == 422, answer.data
    assert api.get("accounts/?name=ACME").data["results"][0]["name"] == "ACME"
    looked = api.get(f"systems/{system.pk}/difference/")
    assert looked.status_code == 409
    assert looked.data["detail"] == "nunect has released system “default”: nothing is written."
    assert api.post(f"systems/{system.pk}/observe/").status_code == 200


def test_the_stage_is_for_who_may_change_systems(system, api):
    acts = [("observe/", None), ("manage/", {"confirm": "default"}), ("release/", {"confirm": "default"})]
    factories.account("ACME")
    sam = Api(token_of(factories.staff("sam", "accounts_app.view_system")))
    writer = Api(token_of(factories.admin(), "write"))
    single = Api(token_of(factories.admin(), "admin", accounts=["ACME"]))
    assert sam.get(f"systems/{system.pk}/difference/").status_code == 200
    assert single.get(f"systems/{system.pk}/difference/").status_code == 403
    for path, body in acts:
        for who in (sam, writer, single):
            assert who.post(f"systems/{system.pk}/{path}", body).status_code == 403
        assert api.post(f"systems/999999/{path}", body).status_code == 404
    assert api.patch(f"systems/{system.pk}/", {"stage": "released"}).data["stage"] == "managed"
    assert System.objects.get().stage == "managed"
