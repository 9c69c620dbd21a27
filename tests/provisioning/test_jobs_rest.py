"""By REST alone, on a real server: from a blueprint to a client that publishes into its stream, and back."""

from accounts_app.models import Account
from provisioning.models import Job
from tests.api.conftest import Api, token_of
from tests.factories import admin
from tests.provisioning.jobs_world import client, dump, told, until

TEXT = """
blueprint: queue-of-ours
version: 1
title: A queue
parameters:
  name: {type: account_name}
accounts:
  - name: ${name}
    jetstream: true
    streams:
      - {name: JOBS, subjects: [jobs.>], deletion: delete}
    users:
      - {name: "${name}-svc", credential: nkey, access: all}
"""


def test_from_a_blueprint_to_a_client_and_back(world):
    api = Api(token_of(admin()))
    before = dump(world)
    assert api.post("blueprints/", {"text": TEXT}).status_code == 201
    begun = api.post("blueprints/queue-of-ours/provision/", {"parameters": {"name": "ACME"}})
    assert begun.status_code == 202, begun.data
    link = {"token": begun.data["hand_over"]["token"]}
    assert Api().post("hand-overs/open/", link).status_code == 409
    job = Job.objects.get(pk=begun.data["job"]["id"])
    assert until(world, job).state == "done", told(job)
    row = api.get(f"jobs/{job.pk}/").data
    assert [step["state"] for step in row["steps"]] == ["done"] * 5
    users = Api().post("hand-overs/open/", link).data["users"]

    async def publish(made):
        return (await made.jetstream().publish("jobs.first", b"x")).stream

    assert client(world, users["ACME-svc"]["secret"], publish) == "JOBS"
    stream = api.get("streams/?account=ACME").data["results"][0]
    assert (stream["name"], stream["state"], stream["sync"]["state"]) == ("JOBS", "applied", "applied")
    assert api.get(f"jobs/{job.pk}/").data["hand_overs"][0]["opened_from"] == "127.0.0.1"
    assert api.post(f"jobs/{job.pk}/roll-back/").status_code == 202
    assert until(world, job).state == "rolled_back", told(job)
    assert dump(world) == before


def test_an_account_is_retired_with_what_it_keeps(world):
    api = Api(token_of(admin()))
    api.post("blueprints/", {"text": TEXT})
    begun = api.post("blueprints/queue-of-ours/provision/", {"parameters": {"name": "ACME"}})
    job = Job.objects.get(pk=begun.data["job"]["id"])
    assert until(world, job).state == "done", told(job)
    account = Account.objects.get(name="ACME")
    body = {"confirm": "ACME", "data": "delete", "window_s": 0}
    look = api.post(f"accounts/{account.pk}/retire/?dry_run=true", body)
    assert any(each["removes_access"] for each in look.data["changes"])
    gone = api.post(f"accounts/{account.pk}/retire/", body)
    job = Job.objects.get(pk=gone.data["job"]["id"])
    assert until(world, job).state == "done", told(job)
    assert api.get("accounts/?name=ACME").data["results"] == []
    assert api.get("streams/?account=ACME").data["results"] == []
