"""One-time links: sealed to a key that nunect doesn't have, opened once, and nothing told to strangers."""

import json
import shlex
import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from accounts_app import credentials
from accounts_app.credentials import NewSecret
from accounts_app.models import AuditEntry
from provisioning.blueprints import handover
from provisioning.blueprints.handover import HandOverError, Opener
from provisioning.events import job_changed
from provisioning.models import HandOver, Job, JobLine
from tests import factories

WHO = Opener("ada", "192.0.2.7", "a browser")


@pytest.fixture
def job(db):
    return Job.objects.create(system=factories.system(), kind=Job.Kind.PROVISION, title="Team: SHOP", door="rest")


def given(job, secrets=None, *, ready=True, lifetime_s=3600.0):
    """(token, saved hand-over with these secrets)"""
    token, row = handover.new_link(lifetime_s)
    row.job = job
    row.save()
    handover.seal(row, secrets or {"svc": NewSecret("password", "pa55word-of-svc")})
    if ready:
        handover.make_ready(row, lifetime_s)
    return token, row


def refused(token, opener=WHO):
    with pytest.raises(HandOverError) as error:
        handover.open_once(token, opener)
    return error.value


def everything_written():
    """All text that any table of the database holds."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found += [str(value) for row in cursor.fetchall() for value in row]
    return "\n".join(found)


def test_a_link_opens_what_was_sealed_and_says_how_to_connect(job):
    account = factories.account("SHOP", system=job.system)
    nkey, seed = credentials.new_nkey()
    user = factories.user(account, "svc", "publish shop.>", "subscribe _INBOX.svc.>", nkey=nkey)
    token, _ = given(job, {"svc": NewSecret("nkey", seed), "gone": NewSecret("password", "of somebody who left")})
    opened = handover.open_once(token, WHO)
    assert opened["svc"]["secret"] == seed
    connect = opened["svc"]["connect"]
    assert connect["account"] == "SHOP"
    assert connect["url"] == user.system.client_url
    assert connect["files"] == {"svc.nk": f"{seed}\n"}
    assert connect["context"]["inbox_prefix"] == "_INBOX.svc"
    assert seed in connect["snippet"]
    compile(connect["snippet"], "snippet", "exec")
    assert opened["gone"] == {"kind": "password", "secret": "of somebody who left", "connect": None}


@pytest.mark.parametrize(
    ("rules", "does", "words"),
    [
        (["publish shop.>", "subscribe shop.*.new"], "Listens to what is published on shop.*.new", "sub 'shop.*.new'"),
        (["subscribe jobs.a workers"], "Listens to what is published on jobs.a", "sub --queue workers jobs.a"),
        (
            ["publish shop.*.>", "subscribe _INBOX.>"],
            "Publishes a message on shop.test.test",
            "pub shop.test.test hello",
        ),
        (
            ["publish $JS.API.CONSUMER.INFO.JOBS.svc", "publish $JS.ACK.JOBS.svc.>"],
            "Looks at consumer svc of JOBS",
            "consumer info JOBS svc",
        ),
        (["publish jobs.>", "publish $JS.API.STREAM.LIST"], "Lists the streams of the account", "stream ls"),
        (["publish shop.>", "deny publish shop.secret"], "Connects, and says how long", "rtt"),
        ([], "Connects, and says how long", "rtt"),
    ],
)
def test_a_first_command_does_what_the_user_may(job, rules, does, words):
    account = factories.account("SHOP", system=job.system)
    factories.user(account, "it's me", *rules)
    token, _ = given(job, {"it's me": NewSecret("nkey", "SUAHUSH")})
    connect = handover.open_once(token, WHO)["it's me"]["connect"]
    assert connect["first"]["does"].startswith(does)
    server = shlex.quote(account.system.client_url)
    assert connect["first"]["command"] == f"nats --server {server} --nkey it_s_me.nk {words}"
    assert "HUSH" not in str(connect["first"])


def test_the_owner_reads_what_it_may_and_nothing_of_other_users(job, django_assert_max_num_queries):
    account = factories.account("SHOP", system=job.system)
    role = factories.role(
        account,
        "worker",
        "subscribe jobs.{{name()}}",
        "publish $JS.API.CONSUMER.MSG.NEXT.JOBS.svc",
        allow_responses=True,
    )
    for name in ("svc", "boss", *(f"svc-{number}" for number in range(20))):
        factories.user(account, name, access="role", role=role)
    factories.user(account, "own", "subscribe _INBOX.own.>", credential="password", password_hash="$2a$04$x")
    factories.user(account, "all", access="all")
    factories.stream(account, "JOBS", subjects=["jobs.>"])
    factories.stream(account, "KV_settings", kind="kv")
    factories.stream(account, "$MQTT_sess", managed=False)
    factories.stream(factories.account("OTHER", system=job.system), "HIDDEN", subjects=["hidden"])
    names = ["svc", "own", "all", *(f"svc-{number}" for number in range(20))]
    token, _ = given(job, {name: NewSecret("nkey", "SUAHUSH") for name in names})
    with django_assert_max_num_queries(20):
        opened = handover.open_once(token, WHO)
    told = opened["svc"]["connect"]
    assert told["may"] == ["may subscribe jobs.svc", "may fetch from consumer svc of JOBS", "may reply to requests"]
    assert told["streams"] == [
        {"kind": "stream", "name": "JOBS", "subjects": ["jobs.>"]},
        {"kind": "kv", "name": "settings", "subjects": []},
    ]
    assert "boss" not in str(opened) and "HIDDEN" not in str(opened)
    assert opened["own"]["connect"]["first"]["command"] == 'nats --context "$PWD/own.json" rtt'
    assert opened["all"]["connect"]["may"] == ["may do everything in its account"]
    assert opened["all"]["connect"]["first"]["command"].endswith("sub '>'")


def test_it_opens_once_and_tells_who_when_and_from_where(job, django_capture_on_commit_callbacks):
    token, row = given(job)
    heard = []

    def hear(sender, **said):
        heard.append(said["job_id"])

    job_changed.connect(hear)
    with django_capture_on_commit_callbacks(execute=True):
        handover.open_once(token, WHO)
    job_changed.disconnect(hear)
    row.refresh_from_db()
    assert (row.sealed, row.opened_by, row.opened_from, row.opened_with) == ("", "ada", "192.0.2.7", "a browser")
    assert row.opened_at is not None
    assert refused(token).reason == "used"
    entry = AuditEntry.objects.get(act="hand-over opened")
    assert entry.detail == {
        "count": 1, "users": ["svc"], "person": "ada", "address": "192.0.2.7", "agent": "a browser",
    }  # fmt: skip
    assert JobLine.objects.get(job=job).text == "ada picked up the credentials."
    assert heard == [job.pk]


def test_each_way_not_to_open_has_one_sentence(job):
    early, _ = given(job, ready=False)
    over, row = given(job)
    HandOver.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    withdrawn, back = given(job)
    assert handover.withdraw(back) is True
    assert handover.withdraw(back) is False
    used, _ = given(job)
    handover.open_once(used)
    found = [refused(token) for token in (early, over, withdrawn, used, "nobody's")]
    assert [each.reason for each in found] == ["not_ready", "over", "withdrawn", "used", "unknown"]
    sentences = [str(each) for each in found]
    assert len(set(sentences)) == 5
    assert all(sentence.endswith((".", "again soon.")) and "\n" not in sentence for sentence in sentences)


def test_an_early_try_costs_nothing(job):
    token, row = given(job, ready=False)
    refused(token)
    handover.make_ready(row, 60.0)
    assert handover.open_once(token)["svc"]["secret"] == "pa55word-of-svc"


def test_its_life_begins_when_it_is_ready(job):
    token, row = given(job, ready=False, lifetime_s=60.0)
    HandOver.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(days=1))  # the job took long
    row.refresh_from_db()
    handover.make_ready(row, 60.0)
    assert handover.look(token).users == ("svc",)


def test_strangers_learn_nothing_from_near_misses(job):
    """Any other token is unknown, whatever became of the real one, and however near it is."""
    token, _ = given(job)
    near = [token[:-1], token + "=", token.swapcase(), token[:-1] + chr(ord(token[-1]) ^ 1), "", "\ud800", "x" * 9999]
    before = {str(refused(other)) for other in near}
    handover.open_once(token)
    after = {str(refused(other)) for other in near}
    assert before == after == {str(HandOverError("unknown"))}


def test_a_look_opens_nothing(job):
    token, _ = given(job, {"b": NewSecret("nkey", "x"), "a": NewSecret("nkey", "y")})
    waiting = handover.look(token)
    assert (waiting.title, waiting.users) == ("Team: SHOP", ("a", "b"))
    handover.look(token)
    assert handover.open_once(token)["a"]["secret"] == "y"
    with pytest.raises(HandOverError, match="already"):
        handover.look(token)


def test_no_secret_is_written_anywhere_in_clear(job, caplog):
    _, seed = credentials.new_nkey()
    token, row = given(job, {"svc": NewSecret("nkey", seed)})
    told = everything_written() + repr(row) + repr(handover.look(token))
    handover.open_once(token, WHO)
    told += everything_written() + caplog.text
    assert seed not in told
    assert token not in told
    assert seed[2:40] not in told


def test_what_is_kept_is_of_no_use_without_the_link(job):
    """The row's own key material doesn't open it, and neither does another link."""
    token, row = given(job)
    other, foreign = given(job, {"eve": NewSecret("password", "hers")})
    row.refresh_from_db()
    foreign.refresh_from_db()
    HandOver.objects.filter(pk=foreign.pk).update(sealed=row.sealed)  # somebody who may write into the table
    assert refused(other).reason == "unknown"
    HandOver.objects.filter(pk=row.pk).update(sealed=row.sealed[:-2] + "AA")
    assert refused(token).reason == "unknown"
    HandOver.objects.filter(pk=row.pk).update(sealed=row.sealed)
    assert handover.open_once(token)["svc"]["secret"] == "pa55word-of-svc"


def test_sealing_anew_replaces_what_was_sealed(job):
    token, row = given(job, ready=False)
    first = row.sealed
    handover.seal(row, {"svc": NewSecret("password", "second"), "two": NewSecret("password", "third")})
    assert row.sealed != first
    handover.make_ready(row)
    assert {name: one["secret"] for name, one in handover.open_once(token).items()} == {"svc": "second", "two": "third"}


def test_what_is_over_is_forgotten(job):
    over, row = given(job)
    HandOver.objects.filter(pk=row.pk).update(expires_at=timezone.now())
    standing, _ = given(job)
    early, waits = given(job, ready=False)
    HandOver.objects.filter(pk=waits.pk).update(expires_at=timezone.now())
    assert (handover.forget_over(), handover.forget_over()) == (1, 0)
    row.refresh_from_db()
    waits.refresh_from_db()
    assert (row.sealed, bool(waits.sealed)) == ("", True)
    assert handover.open_once(standing)
    assert refused(over).reason == "over"
    assert refused(early).reason == "not_ready"


def test_of_many_at_once_one_gets_it(transactional_db):
    job = Job.objects.create(system=factories.system(), kind=Job.Kind.PROVISION, title="Team", door="rest")
    token, _ = given(job)
    start, found = threading.Barrier(5), []

    def open_it():
        start.wait()
        try:
            found.append(handover.open_once(token)["svc"]["secret"])
        except HandOverError as error:
            found.append(error.reason)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=open_it) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["pa55word-of-svc", "used", "used", "used", "used"]
    assert AuditEntry.objects.filter(act="hand-over opened").count() == 1


def test_a_pick_up_that_is_rolled_back_took_nothing(job):
    token, _ = given(job)
    with transaction.atomic():
        handover.open_once(token)
        transaction.set_rollback(True)
    assert handover.open_once(token)


def test_a_thousand_credentials_fit_and_cost_few_queries(job, django_assert_max_num_queries):
    account = factories.account("FLEET", system=job.system)
    role = factories.role(account, "device", "publish t.{{name()}}.>", "subscribe _INBOX.{{name()}}.>")
    from accounts_app.models import NatsUser

    NatsUser.objects.bulk_create(
        NatsUser(
            system=job.system,
            account=account,
            name=f"d{number}",
            credential="nkey",
            nkey=credentials.new_nkey()[0],
            access="role",
            role=role,
        )
        for number in range(1000)
    )
    secrets = {f"d{number}": NewSecret("nkey", credentials.new_nkey()[1]) for number in range(1000)}
    token, row = given(job, secrets)
    assert len(row.sealed) < 150_000
    with django_assert_max_num_queries(25):
        opened = handover.open_once(token)
    assert len(opened) == 1000
    assert opened["d7"]["connect"]["context"]["inbox_prefix"] == "_INBOX.d7"
    assert len(json.dumps(opened)) < 3_000_000


def test_a_link_says_nothing_in_its_repr():
    token, row = handover.new_link()
    assert token not in str(row.__dict__)
    assert len(token) == 43
