"""What the further main files of a folder need, and how they differ, is said by name before a server says it."""

import pytest
from django.core.exceptions import ValidationError

from accounts_app.models import Account
from accounts_app.natsconf.emit import emit
from accounts_app.natsconf.parse import parse
from monitoring.doctor import examine
from provisioning import drift_answers, managing
from provisioning.errors import NotManaged, Unreachable
from provisioning.files import MAIN
from provisioning.models import Drift
from provisioning.observing import look_now
from tests.ports import free_ports
from tests.provisioning.pair import Pair
from tests.provisioning.world import dies_at

pytestmark = pytest.mark.live


@pytest.fixture
def pair(transactional_db, tmp_path, settings):
    """A system of two servers, of which a run has recorded a revision."""
    made = Pair(tmp_path, settings)
    try:
        made.start()
        shop, lab = made.account("SHOP"), made.account("LAB")
        made.user(shop, "till", "publish a.>")
        made.user(lab, "bench", "publish a.>")
        revision = made.apply()
        assert [server["name"] for server in revision.servers] == ["n1", "n2"]
        yield made
    finally:
        made.stop()


def more(pair, text):
    """Have n2 run with that in its main file."""
    pair.write_main(text)
    pair.restart()


def test_an_account_that_only_the_second_main_file_binds_stays_and_its_line_is_named(pair):
    (port,) = free_ports(1)
    more(pair, f'leafnodes {{\n  remotes: [ {{ url: "nats://127.0.0.1:{port}", account: SHOP }} ] }}')
    Account.objects.get(name="SHOP").delete()
    before = pair.reloads()
    pair.apply(fresh=True)
    pair.system.refresh_from_db()
    assert pair.system.problem == (
        "n2.conf:6 binds leafnodes to account “SHOP”: take that out first. It stays, without users."
    )
    assert (pair.reloads(), pair.may("a.b", user="till")) == (before + 1, None)
    assert "Reloaded server configuration" in (pair.folder / "n2.log").read_text()


def test_a_user_that_only_the_second_main_file_names_stays(pair):
    (port,) = free_ports(1)
    more(pair, f'websocket {{ listen: "127.0.0.1:{port}", no_tls: true, no_auth_user: "till" }}')
    Account.objects.get(name="SHOP").users.all().delete()
    pair.apply(fresh=True)
    assert Account.objects.get(name="SHOP").problem == (
        "n2.conf:5 names user “till” as no_auth_user: take that out first."
    )


FAULTS = {
    "accounts of its own": (
        lambda text, guard: "accounts { OWN: { users: [ { user: o, password: p } ] } }\n" + text,
        "holds 'accounts', which accounts.conf must own: import it, then take it out.",
    ),
    "no include": (
        lambda text, guard: text.replace('include "accounts.conf"', ""),
        'doesn\'t include "accounts.conf"; add this line at its end: include "accounts.conf"',
    ),
    "no guard": (
        lambda text, guard: text.replace(guard, "U" + "A" * 55),
        "lacks the guard, so an empty accounts.conf would let anybody in.",
    ),
}


def files_by_doctor(pair):
    """(level, detail) of the files."""
    return [(found.level, found.detail) for found in examine() if found.what == f"Files of {pair.system}"]


def test_edits_of_the_second_main_file_are_named_by_the_run_and_by_doctor_and_reach_no_server(pair):
    assert files_by_doctor(pair) == [("ok", "All 2 main files hold the guard and the include.")]
    before, reloads = pair.n2.read_text(), pair.reloads()
    for name, (edit, words) in FAULTS.items():
        pair.n2.write_text(edit(before, pair.system.guard_nkey))
        ((level, detail),) = files_by_doctor(pair)
        assert (level, detail.startswith(f"{pair.n2} {words}")) == ("error", True), (name, detail)
        pair.user(Account.objects.get(name="LAB"), f"late {name}", "publish a.>")
        with pytest.raises(NotManaged) as refused:
            pair.apply()
        assert refused.value.detail.startswith(f"{pair.n2} {words}"), name
        pair.system.refresh_from_db()
        assert pair.system.problem.startswith(f"{pair.n2} {words}"), name
    assert pair.reloads() == reloads
    (pair.folder / MAIN).write_text("port: 1\n")
    assert sorted(str(pair.n2) in detail for _, detail in files_by_doctor(pair)) == [False, True], "both are told"
    pair.n2.write_text(before)


def test_a_main_file_that_nobody_runs_is_told_by_doctor_and_stops_nothing(pair):
    stray = pair.folder / "spare/n4.conf"
    stray.parent.mkdir()
    bound = "leafnodes { remotes: [ { account: SHOP } ] }"
    stray.write_text(f'server_name: $NOBODY_KNOWS\n{bound}\ninclude "../accounts.conf"')
    ((level, detail),) = files_by_doctor(pair)
    assert (level, detail.startswith(f"{stray} lacks the guard")) == ("warning", True)
    Account.objects.get(name="SHOP").delete()
    pair.apply()
    pair.system.refresh_from_db()
    assert pair.system.problem.startswith("spare/n4.conf:2 binds leafnodes to account “SHOP”"), "it may be started"


def test_an_edit_of_the_second_main_file_that_is_none_of_nunects_is_no_drift(pair):
    more(pair, "max_payload: 2MB")
    reloads = pair.reloads()
    pair.apply(fresh=True)
    assert not Drift.objects.exists()
    assert pair.reloads() == reloads


def test_a_hand_made_file_that_only_the_second_server_would_refuse_is_not_left_there(pair):
    pair.system.drift_policy = "ask"
    pair.system.save(update_fields=["drift_policy"])
    guard = f'{{ nkey: "{pair.system.guard_nkey}" }}'
    pair.n2.write_text(pair.n2.read_text().replace(guard, f"{guard}, {{ user: bob, password: own }}"))
    before = pair.conf.read_text()
    pair.conf.write_text(before.replace("users: [", "users: [ { user: bob, password: x },", 1))
    assert pair.digest_on_disk(), "the first one would take it"
    pair.apply(fresh=True)
    (drift,) = Drift.objects.all()
    assert drift.summary.startswith("A server would refuse accounts.conf in n2.conf: ")
    assert ("bob" in drift.summary, drift.state, pair.conf.read_text() == before) == (True, "repaired", True)


def test_what_only_the_second_server_would_not_start_with_is_not_written_while_all_are_away(pair):
    guard = f'{{ nkey: "{pair.system.guard_nkey}" }}'
    pair.n2.write_text(pair.n2.read_text().replace(guard, f"{guard}, {{ user: bob, password: own }}"))
    pair.stop()
    pair.user(Account.objects.get(name="LAB"), "bob", "publish a.>")
    pair.user(Account.objects.get(name="SHOP"), "late", "publish a.>")
    with pytest.raises(Unreachable):
        pair.apply()
    told = Account.objects.get(name="LAB").problem
    assert ("n2.conf" in told, "bob" in told) == (True, True), told
    assert "bob" not in pair.conf.read_text()
    pair.start()


def test_what_an_observed_second_main_file_says_otherwise_is_named_and_each_server_has_its_file(pair):
    managing.observe(pair.system)
    found = look_now(pair.system)
    assert found.is_none, found.summary
    files = {"n1": str(pair.folder / MAIN), "n2": str(pair.n2)}
    assert {one["name"]: (one["runs_it"], one["where"]) for one in found.servers} == {
        name: (True, file) for name, file in files.items()
    }
    text = pair.n2.read_text()
    pair.n2.write_text(text + "max_payload: 2MB\n")
    found = look_now(pair.system)
    assert (found.words, found.summary) == ([], f"n2 runs something else than what stands in {pair.n2}.")

    own = parse((pair.folder / "accounts.conf").read_text()).tree["accounts"]
    own["SHOP"]["users"] = []
    pair.n2.write_text(text.replace('include "accounts.conf"', emit({"accounts": own})))
    pair.reload("n2")
    found = look_now(pair.system)
    assert [word["text"] for word in found.words] == ["n2.conf: user `till` of account `SHOP` is added"]
    assert (found.is_none, found.ours == found.theirs) == (False, False)
    assert [one["runs_it"] for one in found.servers] == [True, True]
    Account.objects.get(name="SHOP").users.all().delete()
    found = look_now(pair.system)
    assert [word["text"] for word in found.words] == [f"{MAIN}: user `till` of account `SHOP` is removed"]


def edited(pair):
    """accounts.conf with a user of somebody's own, which both servers run."""
    pair.system.drift_policy = "ask"
    pair.system.save(update_fields=["drift_policy"])
    tree = parse(pair.conf.read_text()).tree
    tree["accounts"]["LAB"]["users"].append(
        {"user": "hand", "password": "by-hand-alone", "permissions": {"publish": "x"}}
    )
    text = emit(tree)
    pair.conf.write_text(text)
    pair.reload("n1", "n2")
    return text


def test_what_was_edited_by_hand_and_runs_on_both_is_adopted_although_their_digests_differ(pair):
    before = pair.conf.read_text()
    text = edited(pair)
    pair.conf.write_text(before)
    pair.apply(fresh=True)
    (drift,) = Drift.objects.all()
    assert drift.summary.startswith("n1 (nats-server.conf), n2 (n2.conf) run an altered revision")
    with pytest.raises(ValidationError, match="put it there to adopt it, or revert"):
        drift_answers.adopt(drift)
    pair.conf.write_text(text + "# another text of the same meaning\n")
    drift_answers.adopt(drift)
    assert dies_at("write", pair.apply)
    pair.apply(fresh=True)
    assert set(Drift.objects.values_list("where", "state")) == {("server", "adopted"), ("file", "adopted")}
    assert pair.may("x", user="hand", password="by-hand-alone") is True
