"""Jobs over REST: how far they are, what is wanted of them, and who sees them."""

import time
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts_app.conf_text import MASK
from accounts_app.credentials import new_nkey
from accounts_app.door import through
from accounts_app.models import Account
from provisioning.api import waiting
from provisioning.blueprints import handover
from provisioning.jobs import services
from provisioning.models import HandOver, Job, JobLine, JobStep
from tests import factories
from tests.api.conftest import Api, errors, token_of


@pytest.fixture
def acme(ada):
    return factories.account("ACME")


def begin(*names, person=None, **fields):
    names = names or ("ACME",)
    with through("rest", person=person or factories.admin()):
        return services.start(
            "provision", factories.system(), title=f"Team {names[0]}", accounts=names, inputs={}, **fields
        )


def stand(job, state, step="", **fields):
    """As a worker would have left it."""
    Job.objects.filter(pk=job.pk).update(state=state, **fields)
    if step:
        number = job.steps.get(name=step).number
        job.steps.filter(number__lt=number).update(state="done", started_at=timezone.now(), ended_at=timezone.now())
        job.steps.filter(number=number).update(state=state if state != "queued" else "pending")


def test_a_job_of_the_list(api, acme):
    job = begin(blueprint="work-queue", blueprint_version=2)
    stand(job, "waiting", "enforced", waits_for="n3")
    row = api.get("jobs/").data["results"][0]
    assert {name: row[name] for name in ("id", "kind", "title", "blueprint", "blueprint_version", "accounts")} == {
        "id": job.pk, "kind": "provision", "title": "Team ACME", "blueprint": "work-queue", "blueprint_version": 2,
        "accounts": ["ACME"],
    }  # fmt: skip
    assert (row["state"], row["step"], row["waits_for"], row["author"], row["door"]) == (
        "waiting", "enforced", "n3", "ada", "rest",
    )  # fmt: skip
    assert "steps" not in row


def test_a_job_with_all_that_is_to_be_told(api, acme):
    job = begin(parameters={"name": "acme"})
    stand(job, "failed", "assets", problem="There is no room.", problem_step="assets", results={"made": 1})
    HandOver.objects.create(
        job=job, token_sha256="0" * 64, public_key="k", sealed="very secret", users=["svc"], expires_at=timezone.now(),
        opened_at=timezone.now(), opened_by="bob", opened_from="10.0.0.9", opened_with="curl",
    )  # fmt: skip
    answer = api.get(f"jobs/{job.pk}/")
    told = answer.data
    assert [(step["name"], step["state"]) for step in told["steps"]][:3] == [
        ("rows", "done"), ("enforced", "done"), ("assets", "failed"),
    ]  # fmt: skip
    assert (told["problem"], told["results"], told["parameters"]) == (
        "There is no room.",
        {"made": 1},
        {"name": "acme"},
    )
    opened = told["hand_overs"][0]
    assert (opened["users"], opened["opened_by"], opened["opened_from"]) == (["svc"], "bob", "10.0.0.9")
    for secret in ("very secret", "0" * 64, "inputs", "undo", "lease"):
        assert secret not in answer.content.decode()
    assert api.get(f"jobs/{job.pk}/", If_None_Match=answer.headers["ETag"]).status_code == 304
    assert api.get("jobs/999/").status_code == 404


def test_the_log_comes_in_pages(api, acme):
    job = begin()
    JobLine.objects.all().delete()
    for number in range(5):
        JobLine.objects.create(job=job, step="rows", text=f"line {number}")
    first = api.get(f"jobs/{job.pk}/log/?limit=3").data
    assert [line["text"] for line in first["results"]] == ["line 0", "line 1", "line 2"]
    assert [line["text"] for line in api.get(first["next"]).data["results"]] == ["line 3", "line 4"]
    newest = api.get(f"jobs/{job.pk}/log/?limit=1&ordering=-id").data["results"]
    assert (newest[0]["text"], set(newest[0])) == ("line 4", {"id", "at", "step", "text"})
    assert set(errors(api.get(f"jobs/{job.pk}/log/?search=x"))) == {"search"}
    assert api.get("jobs/999/log/").status_code == 404


@pytest.mark.parametrize(
    "query, found",
    [
        ("state=failed", {"ACME"}),
        ("state=queued", {"SHOP"}),
        ("kind=retire", set()),
        ("account=ACME", {"ACME"}),
        ("account=acme", set()),
        ("account=ACM", set()),
        ("account=CAFÉ", {"CAFÉ"}),
        ('account=ACME", "SHOP', set()),
        ("blueprint=queue", {"SHOP"}),
        ("author=bob", {"SHOP"}),
        ("search=Team S", {"SHOP"}),
    ],
)
def test_jobs_are_filtered(api, acme, query, found):
    stand(begin("ACME"), "failed", "rows")
    begin("SHOP", person=factories.admin("bob"), blueprint="queue")
    stand(begin("CAFÉ"), "done")
    assert {job["accounts"][0] for job in api.get(f"jobs/?{query}").data["results"]} == found


def test_filters_that_are_none_are_told(api):
    assert set(errors(api.get("jobs/?state=lost"))) == {"state"}
    assert set(errors(api.get("jobs/?colour=red"))) == {"colour"}


def test_a_list_of_jobs_costs_the_same_however_long(api, acme):
    counts = []
    for number in range(1, 7):
        begin(f"A{number}")
        api.get("jobs/")
        with CaptureQueriesContext(connection) as asked:
            assert len(api.get("jobs/").data["results"]) == number
        counts.append(len(asked))
    assert len(set(counts)) == 1
    assert counts[0] <= 6


def test_what_failed_is_retried(api, acme):
    job = begin()
    assert "Only a job that failed" in errors(api.post(f"jobs/{job.pk}/retry/"))[""]
    stand(job, "failed", "assets", problem="There is no room.")
    answer = api.post(f"jobs/{job.pk}/retry/")
    assert (answer.status_code, answer.data["id"], answer.data["state"]) == (202, job.pk, "running")
    assert answer.data["problem"] == ""


def test_what_has_not_begun_is_cancelled_at_once(api, acme):
    job = begin()
    answer = api.post(f"jobs/{job.pk}/cancel/")
    assert (answer.status_code, answer.data["state"]) == (200, "cancelled")
    assert "Only a job under way" in errors(api.post(f"jobs/{job.pk}/cancel/"))[""]


def test_what_was_begun_is_taken_back(api, acme):
    job = begin()
    stand(job, "waiting", "enforced")
    answer = api.post(f"jobs/{job.pk}/cancel/")
    assert (answer.status_code, answer.data["asked"]) == (202, "cancel")
    assert api.post(f"jobs/{job.pk}/resume/").data["asked"] == ""
    assert "Cancel it instead" in errors(api.post(f"jobs/{job.pk}/roll-back/"))[""]
    stand(job, "failed", "enforced")
    assert api.post(f"jobs/{job.pk}/roll-back/").data["asked"] == "roll_back"


@pytest.mark.parametrize("act", ["retry", "resume", "cancel", "roll-back"])
def test_a_dry_run_moves_no_job(api, acme, act):
    job = begin()
    stand(job, "failed" if act in ("retry", "roll-back") else "waiting", "enforced")
    if act == "resume":
        Job.objects.filter(pk=job.pk).update(asked="cancel")
    before = list(Job.objects.values_list("state", "asked", "next_at"))
    answer = api.post(f"jobs/{job.pk}/{act}/?dry_run=true")
    assert (answer.status_code, answer.data["changes"]) == (200, []), answer.data
    assert list(Job.objects.values_list("state", "asked", "next_at")) == before


def test_a_stale_look_stops_nothing(api, acme):
    job = begin()
    seen = api.get(f"jobs/{job.pk}/").headers["ETag"]
    stand(job, "waiting", "enforced")
    assert api.post(f"jobs/{job.pk}/cancel/", If_Match=seen).status_code == 412
    seen = api.get(f"jobs/{job.pk}/").headers["ETag"]
    assert api.post(f"jobs/{job.pk}/cancel/", If_Match=seen).status_code == 202


@pytest.fixture
def meanwhile(monkeypatch):
    """meanwhile(act): do something to the rows as soon as a request waits; what it gives counts the looks."""

    def set_up(act):
        looks = []

        def sleep(seconds):
            looks.append(seconds)
            if len(looks) == 2:
                act()

        monkeypatch.setattr(waiting, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
        return looks

    return set_up


def test_a_read_waits_until_the_job_rests(api, acme, meanwhile):
    job = begin()
    stand(job, "running", "rows")
    looks = meanwhile(lambda: stand(job, "done"))
    answer = api.get(f"jobs/{job.pk}/", Prefer="wait=20")
    assert (answer.status_code, answer.data["state"], len(looks)) == (200, "done", 2)
    assert answer.headers["Preference-Applied"] == "wait=20"


def test_a_read_waits_for_any_change_of_what_was_seen(api, acme, meanwhile):
    job = begin()
    seen = api.get(f"jobs/{job.pk}/").headers["ETag"]
    looks = meanwhile(lambda: stand(job, "running", "rows"))
    answer = api.get(f"jobs/{job.pk}/", Prefer="wait=20", If_None_Match=seen)
    assert (answer.status_code, answer.data["step"], len(looks)) == (200, "rows", 2)
    same = api.get(f"jobs/{job.pk}/", Prefer="wait=1", If_None_Match=answer.headers["ETag"])
    assert same.status_code == 304


def test_an_act_waits_for_the_job(api, acme, meanwhile):
    job = begin()
    stand(job, "failed", "rows")
    looks = meanwhile(lambda: stand(job, "done"))
    answer = api.post(f"jobs/{job.pk}/retry/", Prefer="wait=20")
    assert (answer.status_code, answer.data["state"], len(looks)) == (200, "done", 2)


def test_who_asked_is_told_in_words_where_nobody_was_signed_in(api, acme):
    with through("command"):
        job = services.start("provision", acme.system, title="Team", accounts=["ACME"], inputs={})
    assert api.get(f"jobs/{job.pk}/").data["author"] == "a command"
    (row,) = api.get("jobs/").data["results"]
    assert (row["author"], row["door"]) == ("a command", "command")


def test_an_account_is_retired_by_its_name(api, acme):
    path = f"accounts/{acme.pk}/retire/"
    assert errors(api.post(path, {})) == {"confirm": "This is required.", "data": "This is required."}
    assert set(errors(api.post(path, {"confirm": "ACM", "data": "keep"}))) == {"confirm"}
    assert set(errors(api.post(path, {"confirm": "ACME", "data": "burn"}))) == {"data"}
    for window_s in (-1, 10**30):
        told = errors(api.post(path, {"confirm": "ACME", "data": "keep", "window_s": window_s}))
        assert set(told) == {"window_s"}
    answer = api.post(path, {"confirm": "ACME", "data": "keep", "window_s": 60})
    assert answer.status_code == 202, answer.data
    assert (answer.data["job"]["kind"], answer.data["job"]["parameters"]["window_s"]) == ("retire", 60.0)
    assert "being retired already" in str(errors(api.post(path, {"confirm": "ACME", "data": "keep"})))
    told = api.get(f"accounts/{acme.pk}/")
    assert told.data["retiring"] == {"job": answer.data["job"]["id"], "until": None, "text": "retiring"}
    until = timezone.now().replace(microsecond=0) + timedelta(days=1)
    JobStep.objects.filter(job=answer.data["job"]["id"], name="window").update(result={"until": until.isoformat()})
    (row,) = api.get("accounts/?name=ACME").data["results"]
    assert datetime.fromisoformat(row["retiring"]["until"]) == until
    assert row["retiring"]["text"].startswith("retiring, removed on ")
    assert api.get(f"accounts/{acme.pk}/")["ETag"] == told["ETag"]  # the row itself is the same still
    assert api.post("accounts/999/retire/", {"confirm": "ACME", "data": "keep"}).status_code == 404


def test_a_dry_run_of_retiring_says_what_goes(api, acme):
    factories.user(acme, "svc")
    answer = api.post(f"accounts/{acme.pk}/retire/?dry_run=true", {"confirm": "ACME", "data": "delete"})
    assert answer.status_code == 200, answer.data
    assert any(change["removes_access"] for change in answer.data["changes"])
    assert Account.objects.filter(pk=acme.pk).exists()
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            "delete",
            [
                (True, "Stream “JOBS” of account “ACME” is deleted with 8 messages, as last seen."),
                (True, "KV bucket “prices” of account “ACME” is deleted with its data."),
                (True, "Stream “TMP” of account “ACME” is deleted with 1 message, as last seen."),
            ],
        ),
        (
            "keep",
            [
                (True, "Stream “TMP” of account “ACME” is kept in memory: it is lost with 1 message, as last seen."),
                (False, "Stream “JOBS” of account “ACME” stays in the servers' store with 8 messages, as last seen."),
                (False, "KV bucket “prices” of account “ACME” stays in the servers' store with its data."),
            ],
        ),
    ],
)
def test_a_dry_run_of_retiring_names_what_becomes_of_each_stream(api, acme, data, said):
    Account.objects.filter(pk=acme.pk).update(jetstream=True)
    factories.stream(acme, "JOBS", counts={"messages": 8})
    factories.stream(acme, "KV_prices", "kv")
    factories.stream(acme, "TMP", storage="memory", counts={"messages": 1})
    answer = api.post(f"accounts/{acme.pk}/retire/?dry_run=true", {"confirm": "ACME", "data": data})
    assert answer.status_code == 200, answer.data
    assert [(each["removes_access"], each["text"]) for each in answer.data["changes"]][:3] == said
    assert len([each for each in answer.data["changes"] if "JOBS" in each["text"]]) == 1
    assert [each.get("stays", False) for each in answer.data["changes"]][:3] == [not lost for lost, _ in said]


def test_a_dry_run_of_retiring_says_where_nunect_sees_nothing(api, acme):
    Account.objects.filter(pk=acme.pk).update(jetstream=True, jetstream_control=False)
    answer = api.post(f"accounts/{acme.pk}/retire/?dry_run=true", {"confirm": "ACME", "data": "delete"})
    told = "What else account “ACME” keeps is deleted: nunect doesn't see what that is."
    assert (answer.data["changes"][0]["text"], answer.data["changes"][0]["removes_access"]) == (told, True)


def test_new_credentials_are_handed_over_again(api, acme):
    factories.user(acme, "svc")
    job = begin()
    assert "made no credentials" in errors(api.post(f"jobs/{job.pk}/hand-over/", {}))[""]
    HandOver.objects.create(job=job, token_sha256="0" * 64, users=["svc"], expires_at=timezone.now())
    answer = api.post(f"jobs/{job.pk}/hand-over/", {"lifetime_s": 600})
    assert answer.status_code == 202, answer.data
    assert (answer.data["job"]["kind"], answer.data["job"]["id"] != job.pk) == ("hand_over", True)
    assert answer.data["hand_over"]["token"]
    assert set(errors(api.post(f"jobs/{job.pk}/hand-over/", {"lifetime_s": "long"}))) == {"lifetime_s"}


def test_who_may_do_what(acme):
    job = begin()
    looker = Api(token_of(factories.staff("sam", "provisioning.view_job")))
    assert looker.get(f"jobs/{job.pk}/").status_code == 200
    for act in ("retry", "resume", "cancel", "roll-back"):
        assert looker.post(f"jobs/{job.pk}/{act}/").status_code == 403
    changer = factories.staff("kim", "provisioning.view_job", "provisioning.change_job", "provisioning.add_job")
    assert Api(token_of(changer)).post(f"jobs/{job.pk}/hand-over/", {}).status_code == 403
    body = {"confirm": "ACME", "data": "keep"}
    assert Api(token_of(changer)).post(f"accounts/{acme.pk}/retire/", body).status_code == 403
    deleter = factories.staff("lea", "accounts_app.delete_account")
    assert Api(token_of(deleter)).post(f"accounts/{acme.pk}/retire/", body).status_code == 403
    assert Api(token_of(factories.staff("pat"))).get("jobs/").status_code == 403
    assert Api(token_of(changer, "write")).post(f"jobs/{job.pk}/cancel/").status_code == 200
    over = begin("SHOP")
    Job.objects.filter(pk=over.pk).update(state=Job.State.DONE)
    refused = Api(token_of(changer, "write")).post(f"jobs/{over.pk}/roll-back/")
    assert refused.status_code == 403 and "delete accounts" in str(refused.data)


def test_keys_in_a_job_are_for_who_manages_credentials(api, acme):
    job, key = begin(), new_nkey()[0]
    Job.objects.filter(pk=job.pk).update(results={"document": {"accounts": [{"users": [{"nkey": key}]}]}})
    assert key in str(api.get(f"jobs/{job.pk}/").data)
    looker = Api(token_of(factories.staff("sam", "provisioning.view_job")))
    told = looker.get(f"jobs/{job.pk}/").data
    assert key not in str(told) and told["results"]["document"]["accounts"][0]["users"] == [{"nkey": MASK}]


def test_a_link_is_withdrawn(api, acme):
    job = begin()
    assert "no link" in str(errors(api.post(f"jobs/{job.pk}/withdraw/")))
    token, link = handover.new_link()
    link.job = job
    link.save()
    answer = api.post(f"jobs/{job.pk}/withdraw/")
    assert answer.status_code in (200, 202) and answer.data["hand_overs"][0]["withdrawn_at"], answer.data
    assert api.post("hand-overs/open/", {"token": token}).status_code == 410


def test_a_token_sees_jobs_of_its_accounts_only(ada, acme):
    mine, theirs, both = begin("ACME"), begin("SHOP"), begin("ACME", "SHOP")
    kept = Api(token_of(ada, "write", accounts=["ACME"]))
    connection.run_on_commit.clear()
    assert [job["id"] for job in kept.get("jobs/").data["results"]] == [mine.pk]
    for job in (theirs, both):
        assert kept.get(f"jobs/{job.pk}/").status_code == 404
        assert kept.get(f"jobs/{job.pk}/log/").status_code == 404
        assert kept.post(f"jobs/{job.pk}/cancel/").status_code == 404
    assert kept.post(f"jobs/{mine.pk}/cancel/").status_code == 200
