"""Blueprints over REST: looked at, saved, switched, and made into jobs."""

import pytest
from django.db import connection

from accounts_app.models import Account, Answer, AuditEntry
from provisioning.models import Blueprint, HandOver, Job, JobStep
from tests import factories
from tests.api.conftest import Api, errors, token_of
from tests.provisioning.blueprints_text import SMALL

GIVEN = {"name": "ACME", "prefix": "acme"}
PROVISION = "blueprints/small-team/provision/"


@pytest.fixture
def small(api):
    answer = api.post("blueprints/", {"text": SMALL})
    assert answer.status_code == 201, answer.data
    return answer


def states(pk):
    return dict(JobStep.objects.filter(job=pk).values_list("name", "state"))


def counts():
    return [model.objects.count() for model in (Job, HandOver, Account, AuditEntry, Answer, Blueprint)]


def test_a_blueprint_is_saved_and_found(api, small):
    assert small.headers["Location"].endswith("/api/v1/blueprints/small-team/")
    listed = {row["name"]: row for row in api.get("blueprints/").data["results"]}
    row = listed["small-team"]
    assert (row["version"], row["title"], row["shipped"], row["created_by"]) == (1, "Small team", False, "ada")
    assert "text" not in row
    one = api.get("blueprints/small-team/").data
    assert one["text"] == SMALL
    assert one["parameters"]["required"] == ["name", "prefix"]
    assert one["parameters"]["properties"]["size"]["enum"] == ["small", "large"]


def test_each_version_is_one_of_its_own(api, small):
    second = api.post("blueprints/", {"text": SMALL.replace("version: 1", "version: 2").replace("Small team", "Two")})
    assert (second.status_code, second.data["version"]) == (201, 2)
    assert [row["version"] for row in api.get("blueprints/").data["results"] if row["name"] == "small-team"] == [2]
    every = api.get("blueprints/?every_version=true").data["results"]
    assert [row["version"] for row in every if row["name"] == "small-team"] == [2, 1]
    assert api.get("blueprints/small-team/?version=1").data["title"] == "Small team"
    assert set(errors(api.get("blueprints/small-team/?version=3"))) == {"version"}
    assert set(errors(api.get("blueprints/small-team/?version=x"))) == {"version"}


def test_what_is_switched_off_is_not_provisioned(api, small):
    off = api.post("blueprints/small-team/disable/")
    assert (off.status_code, off.data["enabled"]) == (200, False)
    assert "switched off" in str(errors(api.post(PROVISION, {"parameters": GIVEN})))
    assert api.post("blueprints/small-team/enable/?version=1").data["enabled"] is True
    assert api.post(PROVISION, {"parameters": GIVEN}).status_code == 202


def test_every_place_of_a_bad_blueprint_is_told(api):
    told = errors(api.post("blueprints/", {"text": "blueprint: x y\nversion: 0\naccounts: 1\n"}))
    assert {"blueprint", "version", "accounts"} <= set(told)
    assert set(errors(api.post("blueprints/", {}))) == {"text"}
    assert set(errors(api.post("blueprints/", {"text": SMALL, "name": "x"}))) == {"name"}


def test_provisioning_is_a_job_and_a_link(api, small):
    answer = api.post(PROVISION, {"parameters": GIVEN, "lifetime_s": 600})
    assert answer.status_code == 202, answer.data
    job, link = answer.data["job"], answer.data["hand_over"]
    assert (job["kind"], job["blueprint"], job["accounts"], job["author"]) == (
        "provision", "small-team", ["ACME"], "ada",
    )  # fmt: skip
    assert (job["state"], job["step"], job["parameters"]["prefix"]) == ("queued", None, "acme")
    assert [step["name"] for step in job["steps"]] == ["rows", "enforced", "assets", "credentials", "ready"]
    assert answer.headers["Location"].endswith(f"/api/v1/jobs/{job['id']}/")
    assert answer.headers["Cache-Control"] == "no-store"
    assert link["url"] == f"http://testserver/handover/#{link['token']}"
    assert link["token"] not in api.get(f"jobs/{job['id']}/").content.decode()
    assert not Account.objects.filter(name="ACME").exists()  # that is the job's to do


def test_a_link_of_a_command_of_the_machine_itself_leads_to_its_port(api, small, settings):
    local = {"nunect.local": True, "HTTP_HOST": "localhost"}
    body = {"parameters": GIVEN}
    answer = api.client.post(f"/api/v1/{PROVISION}", body, content_type="application/json", **local)
    assert answer.json()["hand_over"]["url"].startswith(f"http://localhost:{settings.PORT}/handover/#")


def test_links_begin_with_the_public_address(api, small, settings):
    settings.PUBLIC_URL = "https://nunect.example.com"
    link = api.post(PROVISION, {"parameters": GIVEN}).data["hand_over"]
    assert link["url"] == f"https://nunect.example.com/handover/#{link['token']}"


def test_the_same_key_makes_one_job_and_tells_its_link_again(api, small):
    first = api.post(PROVISION, {"parameters": GIVEN}, Idempotency_Key="k1")
    second = api.post(PROVISION, {"parameters": GIVEN}, Idempotency_Key="k1")
    assert first.data == second.data
    assert second.headers["Idempotent-Replayed"] == "true"
    assert Job.objects.count() == 1
    assert first.data["hand_over"]["token"].encode() not in bytes(Answer.objects.get().body)
    other = api.post(PROVISION, {"parameters": {**GIVEN, "prefix": "b"}}, Idempotency_Key="k1")
    assert set(errors(other)) == {"Idempotency-Key"}


def test_a_dry_run_says_what_would_be_made(api, small):
    before = counts()
    answer = api.post(f"{PROVISION}?dry_run=true", {"parameters": {**GIVEN, "devices": [{"name": "d1"}]}})
    assert answer.status_code == 200, answer.data
    assert [account["name"] for account in answer.data["accounts"]] == ["ACME"]
    assert "ACME" in answer.data["changes"][0]["text"]
    assert "d1" in answer.data["conf"]
    assert (answer.data["title"], answer.data["rows"]) == ("Small team: ACME", None)
    assert counts() == before


@pytest.mark.parametrize("ask", ["", "?dry_run=true"])
@pytest.mark.parametrize(
    "body, field",
    [
        ({"parameters": {**GIVEN, "name": "a b"}}, "parameters.name"),
        ({"parameters": {"name": "ACME"}}, "parameters.prefix"),
        ({"parameters": {**GIVEN, "size": "huge"}}, "parameters.size"),
        ({"parameters": {**GIVEN, "colour": "red"}}, "parameters.colour"),
        ({"parameters": {**GIVEN, "devices": "name\nd1\nd1\n"}}, "parameters.devices"),
        ({"parameters": []}, "parameters"),
        ({"parameters": GIVEN, "version": 9}, "version"),
        ({"parameters": GIVEN, "version": "1"}, "version"),
        ({"parameters": GIVEN, "system": "none"}, "system"),
        ({"parameters": GIVEN, "colour": "red"}, "colour"),
        ({}, "parameters.name"),
    ],
)
def test_what_is_wrong_is_told_at_its_parameter(api, small, ask, body, field):
    answer = api.post(PROVISION + ask, body)
    assert answer.status_code == 422
    assert field in errors(answer)
    assert not Job.objects.exists()


def test_a_link_lives_neither_for_a_moment_nor_for_ever(api, small):
    for lifetime_s in (0, 10**9, 10**30):
        assert set(errors(api.post(PROVISION, {"parameters": GIVEN, "lifetime_s": lifetime_s}))) == {"lifetime_s"}


def test_an_account_that_is_there_is_not_taken_over(api, small):
    factories.account("ACME")
    assert set(errors(api.post(PROVISION, {"parameters": GIVEN}))) == {"parameters.name"}


def test_there_is_no_such_blueprint(api):
    for path in ("blueprints/none/", "blueprints/none/provision/", "blueprints/none/enable/", "blueprints/a%00b/"):
        answer = api.get(path) if path.count("/") == 2 else api.post(path, {} if "provision" in path else None)
        assert answer.status_code == 404, path
    assert api.get("blueprints/?colour=red").status_code == 422


def test_who_may_do_what(api, small):
    worker = Api(token_of(factories.staff("sam", "provisioning.add_job")))
    assert worker.get("blueprints/").status_code == 403
    assert worker.post("blueprints/", {"text": SMALL}).status_code == 403
    assert worker.post("blueprints/small-team/disable/").status_code == 403
    assert worker.post(PROVISION, {"parameters": GIVEN}).status_code == 202
    factories.account("ACME")  # as the job makes it; by now somebody else's, for who may not change accounts
    assert set(errors(worker.post(PROVISION, {"parameters": GIVEN}))) == {"parameters.name"}
    assert api.post(PROVISION, {"parameters": GIVEN}).status_code == 202


def test_scopes_of_tokens(ada, api, small):
    factories.account("SHOP")
    connection.run_on_commit.clear()
    write, read = Api(token_of(ada, "write")), Api(token_of(ada, "read"))
    assert write.post("blueprints/", {"text": SMALL.replace("version: 1", "version: 2")}).status_code == 403
    assert write.post(PROVISION, {"parameters": GIVEN}).status_code == 202
    assert read.post(PROVISION, {"parameters": {"name": "B", "prefix": "b"}}).status_code == 403
    assert read.post(f"{PROVISION}?dry_run=true", {"parameters": {"name": "B", "prefix": "b"}}).status_code == 200
    kept = Api(token_of(ada, "write", accounts=["SHOP"]))
    assert kept.get("blueprints/").data["results"] == []
    assert kept.get("blueprints/small-team/").status_code == 404
    for ask in ("", "?dry_run=true"):
        refused = kept.post(PROVISION + ask, {"parameters": {"name": "C", "prefix": "c"}})
        assert refused.status_code == 403
