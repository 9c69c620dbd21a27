"""Looking at a blueprint and starting its job; the catalogue of what there is."""

import json

import pytest
from django.core.exceptions import ValidationError

from accounts_app import credentials
from accounts_app.applying import apply_document
from accounts_app.door import through
from accounts_app.models import Account, AuditEntry, NatsUser, Server, System
from accounts_app.natsconf.document import DocumentError, read_document
from provisioning.blueprints import catalogue, handover
from provisioning.blueprints.reading import read_blueprint
from provisioning.blueprints.submit import Refused, issue_again, look, provision
from provisioning.jobs import services
from provisioning.models import Blueprint, HandOver, Job
from tests import factories
from tests.provisioning.blueprints_text import SMALL

pytestmark = pytest.mark.django_db
SPEC = read_blueprint(SMALL)
OWN_SIZE = read_blueprint(
    """blueprint: own-size
version: 1
title: A stream of any size
parameters:
  size: {type: bytes}
accounts:
  - name: BIG
    jetstream: true
    streams:
      - {name: BIG, subjects: [big.>], max_bytes: "${size}"}
"""
)
GIVEN = {"name": "SHOP", "prefix": "shop", "devices": "name,description\nd1,first\nd2,\n"}


@pytest.fixture
def system():
    return factories.system()


def wrong(system, **given):
    """What a look says is wrong: (faults by parameter, problems)."""
    told = look(system, SPEC, {**GIVEN, **given}).as_dict()
    assert told["good"] is False
    return told["faults"], told["problems"]


def done(job, state=Job.State.DONE):
    """As though the job had ended."""
    Job.objects.filter(pk=job.pk).update(state=state)


# A look


def test_a_look_tells_what_will_be_there_and_leaves_everything_as_it_was(system):
    before = list(System.objects.values_list("wanted")), AuditEntry.objects.count()
    told = look(system, SPEC, GIVEN).as_dict()
    assert (told["title"], told["good"], told["problems"], told["faults"]) == ("Small team: SHOP", True, [], {})
    (account,) = told["accounts"]
    assert (account["name"], account["new"], account["users_total"], account["users_new"]) == ("SHOP", True, 3, 3)
    assert account["limits"] == {"max_connections": 10}
    assert account["users"][0] == {
        "name": "d1", "description": "first", "new": True, "credential": "nkey", "role": "device",
        "may": ["may publish shop.d1.>"],
    }  # fmt: skip
    assert any("SHOP" in change["text"] for change in told["preview"]["changes"])
    assert "‹new nkey of d1›" in told["preview"]["conf"]
    assert not Account.objects.filter(name="SHOP").exists()
    assert (list(System.objects.values_list("wanted")), AuditEntry.objects.count()) == before
    assert json.loads(json.dumps(told)) == told


def test_the_same_look_says_the_same(system):
    assert look(system, SPEC, GIVEN).as_dict() == look(system, SPEC, GIVEN).as_dict()


def test_what_rows_refuse_is_said_at_the_parameter_and_its_line(system):
    nkey = credentials.new_nkey()[0]
    factories.user(factories.account("OTHER", system=system), "d2", nkey=nkey)
    factories.account("TAKEN", system=system)
    faults, problems = wrong(system)
    assert problems == []
    assert [*faults] == ["devices"]
    assert faults["devices"][0].startswith("line 3, column “name”: ")
    assert "“OTHER”" in faults["devices"][0]
    faults, problems = wrong(system, name="TAKEN")
    assert (faults, problems) == ({"name": ["There is an account “TAKEN” already."]}, [])
    faults, problems = wrong(system, devices=[{"name": "d9", "nkey": nkey}])
    assert [*faults] == ["devices"]
    assert faults["devices"][0].startswith("row 1")


def test_many_faults_come_by_parameter(system):
    faults, problems = wrong(system, name="S P", prefix="$SYS", size="huge", devices="name\na.b\n")
    assert faults.keys() == {"name", "prefix", "size", "devices"}
    assert problems == []
    assert faults["devices"][0].startswith("line 2, column “name”: This must be one word")


def test_a_missing_listener_is_said_before_it_is_missed(system, tmp_path, settings):
    system.conf_dir = str(tmp_path)
    system.save()
    main = f'authorization {{ users: [ {{ nkey: "{system.guard_nkey}" }} ] }}\ninclude "accounts.conf"\n'
    (tmp_path / "nats-server.conf").write_text(main)
    assert look(system, SPEC, GIVEN).notes == ()
    (note,) = look(system, SPEC, {**GIVEN, "mqtt": True}).notes
    assert "needs a listener for mqtt" in note
    (tmp_path / "nats-server.conf").write_text("mqtt { port: 1883 }\n" + main)
    assert look(system, SPEC, {**GIVEN, "mqtt": True}).notes == ()


def test_what_the_servers_would_refuse_is_said_at_the_parameter(system):
    Server.objects.create(system=system, name="n1", server_id="N", jetstream_max_mem=0, jetstream_max_file=900 << 20)
    spec = catalogue.find("work-queue").spec
    given = {"name": "JOBS", "queues": ["a"]}
    assert look(system, spec, given).good
    told = look(system, spec, {**given, "resilient": True}).as_dict()
    assert told["faults"] == {"resilient": ["There is one server with JetStream, too few for 3 replicas."]}
    assert told["accounts"][0]["name"] == "JOBS"  # what it would be is shown all the same
    told = look(system, spec, {**given, "size": "medium"}).as_dict()
    assert told["faults"] == {
        "size": [
            "The accounts together would reserve 1.1 GiB of disk, and a server has 900 MiB.",
            "No server has room for it: the largest keeps 900 MiB on disk.",
        ]
    }
    (fault,) = look(system, OWN_SIZE, {"size": "901MiB"}).as_dict()["faults"]["size"]
    assert fault == "No server has room for it: the largest keeps 900 MiB on disk."
    assert look(system, OWN_SIZE, {"size": "900MiB"}).good
    factories.account("OTHER", system=system, jetstream=True, jetstream_max_file=800 << 20)
    assert "992 MiB" in look(system, spec, given).as_dict()["faults"]["size"][0]
    Account.objects.filter(name="OTHER").update(enabled=False)
    assert look(system, spec, given).good


def test_permissions_are_told_in_words():
    from accounts_app.natsconf.specs import ResponseSpec, RuleSpec
    from provisioning.blueprints.telling import may_words

    rules = [
        RuleSpec("publish", "allow", "$JS.API.CONSUMER.MSG.NEXT.JOBS.{{name()}}"),
        RuleSpec("publish", "allow", "$JS.ACK.JOBS.w.>"),
        RuleSpec("publish", "allow", "$JS.API.DIRECT.GET.KV_config.$KV.config.{{name()}}"),
        RuleSpec("publish", "deny", "jobs.secret"),
        RuleSpec("subscribe", "allow", "jobs.>", "workers"),
        RuleSpec("subscribe", "allow", "_INBOX.w.>"),
    ]
    assert may_words(rules, ResponseSpec(), "w", "A") == [
        "may fetch from consumer w of JOBS",
        "may acknowledge to consumer w of JOBS",
        "may read key w of bucket config",
        "may not publish jobs.secret",
        "may subscribe jobs.> in queue workers",
        "may hear answers to its requests",
        "may reply to requests",
    ]
    assert may_words([]) == ["may do nothing"]


# A job


def test_a_job_has_all_that_it_needs_and_history_all_that_people_need(system):
    ada = factories.admin()
    with through("rest", person=ada):
        made = provision(system, SPEC, GIVEN, lifetime_s=120.0)
    job = Job.objects.get(pk=made.job.pk)
    assert (job.kind, job.blueprint, job.blueprint_version) == ("provision", "small-team", 1)
    assert (job.title, job.accounts, job.author_name) == ("Small team: SHOP", ["SHOP"], "ada")
    inputs = json.loads(job.inputs)
    assert inputs["document"]["accounts"][0]["users"][0]["name"] == "d1"
    assert inputs["lifetime_s"] == 120.0
    assert job.parameters["size"] == "small"
    assert job.parameters["devices"][1] == {"name": "d2", "nkey": None, "description": None}
    waiting = HandOver.objects.get(job=job)
    assert (waiting.ready_at, waiting.sealed) == (None, "")
    with pytest.raises(handover.HandOverError, match="aren't ready"):
        handover.open_once(made.token)
    assert made.token not in repr(made)


def test_nothing_begins_when_something_is_wrong(system):
    with pytest.raises(Refused) as refused:
        provision(system, SPEC, {**GIVEN, "prefix": "a b", "size": "huge"})
    assert refused.value.message_dict.keys() == {"prefix", "size"}
    with pytest.raises(ValidationError, match="between a minute and 30 days"):
        provision(system, SPEC, GIVEN, lifetime_s=1.0)
    assert not Job.objects.exists()
    assert not HandOver.objects.exists()


def test_an_account_is_changed_by_the_blueprint_that_made_it_alone(system):
    made = provision(system, SPEC, GIVEN).job
    factories.account("SHOP", system=system)
    done(made)
    assert look(system, SPEC, GIVEN).good
    other = read_blueprint(SMALL.replace("small-team", "other-team"))
    assert look(system, other, GIVEN).as_dict()["faults"] == {"name": ["There is an account “SHOP” already."]}
    done(made, Job.State.ROLLED_BACK)
    assert not look(system, SPEC, GIVEN).good
    done(made)
    Job.objects.create(system=system, kind=Job.Kind.RETIRE, title="x", door="rest", accounts=["SHOP"])
    assert not look(system, SPEC, GIVEN).good


def test_an_account_on_its_way_out_is_not_made_meanwhile(system):
    done(provision(system, SPEC, GIVEN).job)
    gone = services.retire(factories.account("SHOP", system=system), "SHOP", 3600, "keep")
    (told,) = look(system, SPEC, GIVEN).as_dict()["faults"]["name"]
    assert told == f"Account “SHOP” is retiring: cancel job {gone.pk} to keep it, or wait until it is gone."


def test_an_account_of_a_like_name_is_another_one(system):
    done(provision(system, SPEC, {**GIVEN, "name": "SHOP-2", "devices": []}).job)
    factories.account("SHOP", system=system)
    assert not look(system, SPEC, GIVEN).good


def test_no_link_is_made_where_no_credential_is_new(system):
    job = provision(system, SPEC, GIVEN).job
    done(job)
    apply_document(system, read_document(json.loads(job.inputs)["document"]))
    assert look(system, SPEC, GIVEN).same and not look(system, SPEC, {**GIVEN, "prefix": "other"}).same
    again = provision(system, SPEC, GIVEN)
    assert (again.token, HandOver.objects.filter(job=again.job).count()) == ("", 0)


def test_what_was_retired_since_gets_no_new_credentials(system):
    job = provision(system, SPEC, GIVEN).job
    gone = Job.objects.create(
        system=system, kind=Job.Kind.RETIRE, title="x", door="rest", accounts=["SHOP"], state=Job.State.DONE
    )
    with pytest.raises(ValidationError, match=f"was retired since, by job {gone.pk}"):
        issue_again(job)


def test_credentials_are_issued_anew_for_who_is_still_there(system):
    account = factories.account("SHOP", system=system)
    factories.user(account, "d1")
    factories.user(account, "cert", credential="certificate", certificate="CN=x")
    job = provision(system, SPEC, {**GIVEN, "name": "NEW", "devices": []}).job
    Job.objects.filter(pk=job.pk).update(accounts=["SHOP"])
    job.refresh_from_db()
    HandOver.objects.filter(job=job).update(users=["d1", "gone", "cert"])
    again = issue_again(job, lifetime_s=90.0)
    assert again.job.kind == "hand_over"
    assert json.loads(again.job.inputs) == {"users": ["d1"], "lifetime_s": 90.0}
    assert HandOver.objects.get(job=job).withdrawn_at is not None
    assert HandOver.objects.get(job=again.job).withdrawn_at is None
    NatsUser.objects.filter(name="d1").delete()
    with pytest.raises(ValidationError, match="made anew"):
        issue_again(job)


def test_a_thousand_devices_are_looked_at_in_seconds(system):
    import time

    csv = "name,description\n" + "".join(f"meter-{number:04},Meter {number}\n" for number in range(1000))
    begun = time.process_time()
    told = look(system, SPEC, {**GIVEN, "devices": csv})
    spent = time.process_time() - begun
    assert told.good
    assert told.accounts[0]["users_total"] == 1001
    assert len(told.accounts[0]["users"]) == 50
    assert spent < 10.0


# The catalogue


def test_versions_come_and_the_newest_enabled_one_is_taken():
    ada = factories.admin()
    first = catalogue.save_blueprint(SMALL, ada)
    second = catalogue.save_blueprint(SMALL.replace("version: 1", "version: 2"), ada)
    assert (first.created_by, first.title, first.shipped) == ("ada", "Small team", False)
    assert catalogue.find("small-team").version == 2
    catalogue.switch(second, False)
    assert catalogue.find("small-team").version == 1
    assert catalogue.find("small-team").spec == SPEC
    assert [each.version for each in catalogue.all_blueprints() if each.name == "small-team"] == [1]
    every = [each for each in catalogue.all_blueprints(every_version=True) if each.name == "small-team"]
    assert [(each.version, each.enabled) for each in every] == [(2, False), (1, True)]
    with pytest.raises(ValidationError, match="switched off"):
        catalogue.find("small-team", 2)
    with pytest.raises(ValidationError, match="no version 3"):
        catalogue.find("small-team", 3)
    with pytest.raises(ValidationError, match="no blueprint “x”"):
        catalogue.find("x")
    acts = AuditEntry.objects.filter(object_type="blueprint").values_list("act", flat=True)
    assert list(acts) == ["blueprint disabled", "blueprint saved", "blueprint saved"]


def test_a_version_that_was_used_never_changes(system):
    catalogue.save_blueprint(SMALL)
    changed = SMALL.replace("large: 1000", "large: 2000")
    assert catalogue.save_blueprint(changed).text == changed
    provision(system, catalogue.find("small-team").spec, GIVEN)
    assert catalogue.save_blueprint(changed).text == changed
    with pytest.raises(ValidationError, match="next number"):
        catalogue.save_blueprint(SMALL)
    assert Blueprint.objects.get().text == changed


def test_a_blueprint_that_is_wrong_is_not_saved():
    with pytest.raises(DocumentError, match="no parameter"):
        catalogue.save_blueprint(SMALL.replace("${note}", "${motto}"))
    assert not Blueprint.objects.exists()


@pytest.mark.parametrize("name", ["event-driven-team", "work-queue", "iot-fleet"])
def test_the_owner_of_a_blueprint_owns_the_account(system, name):
    spec = catalogue.find(name).spec
    more = {
        "event-driven-team": {"prefix": "jobs", "services": ["a"]},
        "work-queue": {"queues": ["a"]},
        "iot-fleet": {"devices": [{"name": "d1"}]},
    }
    given = {"name": "JOBS", **more[name]}
    factories.admin("ada")
    told = look(system, spec, {**given, "owner": "ada"})
    assert told.good and told.as_dict()["accounts"][0]["owner"] == "ada"
    assert look(system, spec, given).good
    wrong = look(system, spec, {**given, "owner": "the media team"}).as_dict()
    assert wrong["faults"] == {"owner": ["There is no person “the media team”."]}
