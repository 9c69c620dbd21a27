"""A system that nunect only observes: nothing is written, and what it would write is told."""

import html
import json
import subprocess

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from accounts_app import services
from accounts_app.importing import import_conf, read_conf
from accounts_app.models import Account, AuditEntry, NatsUser, System
from accounts_app.natsconf.digest import digest
from provisioning import decisions, drift_answers, managing, steps, tasks
from provisioning.files import GENERATED, MAIN
from provisioning.models import Difference, Drift, Revision
from provisioning.observing import look_now
from provisioning.strangers import NO_WAY_IN
from tests import factories
from tests.api.conftest import Api, token_of
from tests.provisioning.world import PASSWORD, Intruder, World, dies_at

BY_HAND = """accounts: {
  SHOP: {
    jetstream: {max_file: 1M}
    users: [
      {user: svc, password: "correct-horse-battery", permissions: {publish: ["orders.>"], subscribe: "_INBOX.>"}}
      {user: clerk, pass: $CLERK, permissions: {sub: "orders.*"}}
    ]
    exports: [{stream: "orders.events.>"}]
  }
  LAB: { users: [{user: lab, password: "a-word-for-the-lab"}], imports: [{stream: {account: SHOP, subject: "orders.events.>"}}] }
}
"""  # noqa: E501


def on_disk(folder):
    """{path: (bytes, when written)} of every file in the folder, but for what the server itself writes."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("log", "nats-server.pid") and "js" not in path.parts
    }


def texts(difference):
    return [word["text"] for word in difference.words]


@pytest.fixture
def theirs(transactional_db, tmp_path, settings, monkeypatch):
    """A server that runs with a conf of somebody's own, and a system that only observes it."""
    monkeypatch.setenv("CLERK", "clerks-know-much")
    made = World(tmp_path, settings)
    (tmp_path / GENERATED).unlink()
    (tmp_path / ".nunect.lock").unlink()
    made.write_main("# our own lines, do not touch\nmax_payload: 1M")
    (tmp_path / GENERATED).write_text(BY_HAND)
    managing.observe(made.system)
    try:
        yield made.start()
    finally:
        made.stop()


def import_theirs(world):
    report = import_conf(world.system, read_conf(world.folder / MAIN, {"CLERK": "clerks-know-much"}))
    assert not report.refused
    return report


def test_rows_are_brought_to_what_runs_and_nothing_is_written(theirs):
    before, reloads = on_disk(theirs.folder), theirs.reloads()
    theirs.apply()
    found = Difference.objects.get()
    assert "account `SHOP` is removed with 2 users" in texts(found)
    assert not found.is_none and found.where == str(theirs.folder / MAIN)
    import_theirs(theirs)
    theirs.apply()
    found = Difference.objects.get()
    assert (found.words, found.unknown) == ([], "")
    assert found.ours == found.theirs != ""
    assert found.is_none
    assert "nunect adds what is its own" in found.own[0]["text"]
    assert "user `clerk` of account `SHOP` may no longer subscribe `orders.>`" in found.own[1]["text"]
    assert found.unasked == NO_WAY_IN, "nobody there knows nunect yet"
    assert on_disk(theirs.folder) == before
    assert theirs.reloads() == reloads


def test_a_row_changed_too_far_is_told_and_taken_back(theirs):
    import_theirs(theirs)
    user = NatsUser.objects.get(name="svc")
    rule = user.permissions.get(action="publish")
    rule.delete()
    theirs.apply()
    assert texts(Difference.objects.get()) == ["user `svc` of account `SHOP` may no longer publish anything"]
    theirs.permit(user, "publish orders.>")
    theirs.apply()
    assert Difference.objects.get().is_none


def test_an_edit_by_hand_shows_at_the_next_look(theirs):
    import_theirs(theirs)
    theirs.conf.write_text(BY_HAND.replace('publish: ["orders.>"]', 'publish: ["orders.>", "refunds.>"]'))
    edited = on_disk(theirs.folder)
    tasks.sweep()
    assert texts(Difference.objects.get()) == ["user `svc` of account `SHOP` may no longer publish `refunds.>`"]
    assert on_disk(theirs.folder) == edited
    import_theirs(theirs)
    assert look_now(theirs.system).is_none


def test_a_password_in_clear_that_changed_is_told_without_a_word_of_it(theirs):
    import_theirs(theirs)
    theirs.conf.write_text(BY_HAND.replace(PASSWORD, "another-horse-entirely"))
    found = look_now(theirs.system)
    assert len(found.words) == 1 and "svc" in found.words[0]["text"]
    assert found.ours != found.theirs
    assert "horse" not in json.dumps(found.words)


@pytest.mark.parametrize(
    "damage, sentence",
    [
        ("accounts: {", "can't be read as a server would"),
        ("operator: /etc/nats/op.jwt", "operator mode"),
        ("accounts: {A: {users: [{user: a, password: $NOT_SET_ANYWHERE}]}}", "NOT_SET_ANYWHERE"),
        (None, "accounts.conf can't be read"),
    ],
)
def test_what_cant_be_compared_is_said_in_words(theirs, damage, sentence):
    if damage is None:
        theirs.conf.unlink()
    else:
        theirs.conf.write_text(damage)
    theirs.apply()
    found = Difference.objects.get()
    assert sentence in found.unknown and found.unknown == found.summary
    assert not found.is_none


def test_manage_writes_once_and_proves_it(theirs):
    import_theirs(theirs)
    theirs.apply()
    with Intruder(theirs):
        assert theirs.may("orders.new") is True
        before, reloads = theirs.conf.read_bytes(), theirs.reloads()
        managing.manage(theirs.system, "default")
        assert theirs.conf.read_bytes() == before, "only a run writes"
        revision = theirs.apply()
        assert theirs.reloads() == reloads + 1
        assert theirs.may("orders.new") is True
        assert theirs.may("payroll.x") is False
        theirs.apply(fresh=True)
        assert theirs.reloads() == reloads + 1
    assert revision.config_digest == theirs.digest_on_disk()
    assert theirs.state()[0] == theirs.state()[1]


def test_back_to_observing_leaves_everything_as_it_is(world):
    user = world.user(world.account(), "svc", "publish orders.>")
    revision = world.apply()
    managing.observe(world.system)
    before, reloads = on_disk(world.folder), world.reloads()
    found = look_now(world.system)
    assert found.is_none and found.own == []
    told = {"name": "n1", "digest": revision.config_digest, "runs_it": True, "refusal": ""}
    assert found.servers == [{**told, "where": str(world.folder / MAIN)}]
    user.permissions.all().delete()
    world.apply()
    world.apply(fresh=True)
    assert texts(Difference.objects.get()) == ["user `svc` of account `ACME` may no longer publish anything"]
    assert on_disk(world.folder) == before
    assert world.reloads() == reloads
    assert world.may("orders.new") is True
    managing.manage(world.system, "default")
    world.apply()
    assert world.reloads() == reloads + 1
    assert world.may("orders.new") is False


def test_a_file_that_runs_nowhere_is_told(world):
    world.user(world.account(), "svc", "publish orders.>")
    world.apply()
    managing.observe(world.system)
    world.conf.write_text(world.conf.read_text().replace("orders.>", "billing.>"))
    found = look_now(world.system)
    assert found.servers[0]["runs_it"] is False
    assert found.summary == f"n1 runs something else than what stands in {found.where}."
    assert found.servers[0]["refusal"] == ""


def test_a_file_that_the_server_would_refuse_is_told_with_its_words(world, client):
    """Before its next start: nothing that runs shows it."""
    world.user(world.account(), "svc", "publish orders.>")
    world.apply()
    managing.observe(world.system)
    main = world.folder / "nats-server.conf"
    main.write_text(main.read_text() + "max_paylod: 2MB\n")
    found = look_now(world.system)
    assert found.summary.endswith("nats-server.conf, which it would refuse: it could not start again.")
    assert "max_paylod" in found.servers[0]["refusal"]
    client.force_login(factories.admin())
    page = client.get(reverse("admin:provisioning_difference_of", args=[world.system.pk]))
    assert found.servers[0]["refusal"] in html.unescape(page.content.decode())
    main.write_text(
        main.read_text().replace("max_paylod: 2MB", 'leafnodes { remotes: [ { url: "nats://u:s3cret@a b:x" } ] }')
    )
    told = look_now(world.system).servers[0]["refusal"]
    assert "://…@" in told and "s3cret" not in told


def test_manage_is_the_answer_to_what_was_changed_by_hand(world):
    System.objects.filter(pk=world.system.pk).update(drift_policy="ask")
    world.user(world.account(), "svc", "publish orders.>")
    world.apply()
    managing.observe(world.system)
    world.conf.write_text(world.conf.read_text().replace("orders.>", "billing.>"))
    managing.manage(world.system, "default")
    world.apply()
    assert "orders.>" in world.conf.read_text()
    assert not Drift.objects.filter(state="open").exists()


@pytest.mark.parametrize("step", steps.STEPS)
def test_a_run_on_its_way_writes_nothing_once_it_is_observed(world, step):
    """Whoever says “observe” is answered when the run has ended or can no longer write; killed or not."""
    user = world.user(world.account(), "svc", "publish orders.>")
    world.apply()
    user.permissions.all().delete()
    dies_at(step, lambda: world.apply())
    managing.observe(world.system)
    before, reloads = on_disk(world.folder), world.reloads()
    world.permit(user, "publish billing.>")
    world.apply()
    world.apply(fresh=True)
    assert on_disk(world.folder) == before
    assert world.reloads() == reloads
    assert world.digest_on_disk(), "the server would refuse what stands on disk"


def test_a_run_between_its_look_and_its_lock_turns_round(world):
    user = world.user(world.account(), "svc", "publish orders.>")
    world.apply()
    before, reloads = world.conf.read_bytes(), world.reloads()
    user.permissions.all().delete()

    def observe_meanwhile(sender, step, **_):
        if step == "plan":
            steps.reached.disconnect(observe_meanwhile)
            managing.observe(world.system)

    steps.reached.connect(observe_meanwhile)
    world.apply()
    assert world.conf.read_bytes() == before
    assert world.reloads() == reloads
    assert Difference.objects.exists(), "it went on as a look"


def test_what_would_write_says_that_it_wont(world, settings):
    account = world.account("A")
    world.user(account)
    world.apply()
    world.conf.write_text(world.conf.read_text() + "# by hand\n")
    System.objects.filter(pk=world.system.pk).update(drift_policy="ask")
    world.apply(fresh=True)
    drift = Drift.objects.get()
    managing.observe(world.system)
    for act in (
        lambda: decisions.try_again(account),
        lambda: drift_answers.revert(drift),
        lambda: drift_answers.adopt(drift),
        lambda: drift_answers.ignore(drift),
        lambda: retire(account),
    ):
        with pytest.raises(ValidationError, match="only observes system “default”: nothing is written"):
            act()
    api = Api(token_of(factories.admin()))
    kicked = api.post("live/connections/kick/", {"server_id": "N" + "A" * 55, "cid": 1})
    assert kicked.status_code == 422 and "only observes" in kicked.data["detail"]


def retire(account):
    from provisioning.jobs import services as jobs

    jobs.retire(account, account.name, 0, "keep")


def test_a_released_system_is_only_there_to_be_read(world):
    account = world.account()
    user = world.user(account)
    revision = world.apply()
    managing.release(world.system, "default")
    world.conf.write_text("# by hand\naccounts: {}\n")
    before, reloads = on_disk(world.folder), world.reloads()
    for act in (
        lambda: world.user(account, "more"),
        lambda: services.disable_users(NatsUser.objects.filter(pk=user.pk)),
        lambda: account.delete(),
    ):
        with pytest.raises(ValidationError, match="has released system “default”"):
            act()
    assert Account.objects.filter(name="ACME").exists()
    tasks.sweep()
    tasks.expire()
    assert world.apply(fresh=True) == revision
    assert on_disk(world.folder) == before
    assert world.reloads() == reloads
    assert not Difference.objects.exists()
    managing.observe(world.system)
    world.user(account, "more")


def test_what_turns_a_stage_is_asked_for_and_remembered(db, settings, tmp_path):
    system = factories.system()
    with pytest.raises(ValidationError, match="Type the name of the system: default"):
        managing.release(system, "defualt")
    with pytest.raises(ValidationError, match="is managed already"):
        managing.manage(system, "default")
    managing.observe(system)
    with pytest.raises(ValidationError, match="is observed already"):
        managing.observe(system)
    managing.manage(system, "default")
    told = AuditEntry.objects.filter(act__startswith="system ").order_by("pk").values_list("act", flat=True)
    assert list(told) == ["system observed", "system managed"]


def test_the_digest_told_is_the_binarys_own(theirs):
    """What `runs_it` rests on: the tree that was read is the one that the server makes of the file."""
    from provisioning.binary import binary
    from provisioning.running_conf import read_running

    ours = digest(read_running(theirs.folder).parsed.tree)
    asked = subprocess.run([binary(), "-t", "-c", str(theirs.folder / MAIN)], capture_output=True, text=True)
    assert ours in asked.stderr
    assert not Revision.objects.exists()
