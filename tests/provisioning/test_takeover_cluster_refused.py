"""Servers that can't be taken over together: one is left out, they mean different things, or their files lie apart."""

import subprocess

import pytest

from provisioning.binary import binary
from provisioning.errors import Invalid, NotManaged, NotVerified
from provisioning.machine import ask_http
from provisioning.takeover.foreseeing import Wanted, shown_of
from provisioning.takeover.looking import look
from provisioning.takeover.neighbours import calls, heard_at
from provisioning.takeover.taking import take, undo
from tests import factories
from tests.ports import free_ports
from tests.provisioning.taken_cluster import TEAM, until
from tests.provisioning.taken_place import Member

pytestmark = pytest.mark.live


def test_one_of_them_alone_or_without_another_is_refused(plant):
    n1, n2, n3 = plant.mains.values()
    for one in (n1, n3):
        (sentence,) = look(one, None).refusals
        assert sentence.startswith(f"{one} belongs to one of several servers (a route to 127.0.0.1:")
        assert sentence.endswith(f" is named alone: take them over together: nunect takeover {n1} {n2} {n3}")
    (sentence,) = look(n1, None, others=[n2]).refusals
    assert sentence.startswith(f"{n3} belongs to these servers and isn't among them: it would keep the former accounts")
    with pytest.raises(NotManaged, match="can't be taken over"):
        take(n1, "plant", others=[n2])
    assert plant.files() == plant.before


@pytest.mark.long
def test_a_fourth_one_that_no_conf_tells_of_is_found_over_http_or_once_nunect_has_signed_in(plant, tmp_path):
    """It is joined by flags: its file has no cluster, and no route leads to it."""
    (tmp_path / "fourth").mkdir()
    client, own = free_ports(2)
    conf = plant.mains["n3"].read_text().partition('"accounts"')
    kept = f'server_name: "hall-4"\nlisten: "127.0.0.1:{client}"\n' + "".join(conf[1:])
    (tmp_path / "fourth/own.conf").write_text(kept)
    route = f"nats://route:to-the-next-hall@127.0.0.1:{plant.routes['n2']}"
    flags = ["-cluster", f"nats://route:to-the-next-hall@127.0.0.1:{own}", "-cluster_name", "plant", "-routes", route]
    fourth = subprocess.Popen(
        [binary(), "-c", "own.conf", *flags, "-l", "log"], cwd=tmp_path / "fourth", start_new_session=True
    )
    try:
        until(lambda: "hall-4" in str(ask_http(f"http://127.0.0.1:{plant.http['n1']}", "routez")))
        (sentence,) = look(plant.main, None, others=plant.others).refusals
        assert sentence.startswith("hall-4 at 127.0.0.1 belongs to these servers and isn't among them")
        for name, http in (("n1", "http: 127.0.0.1"), ("n3", "http_port")):
            text = plant.mains[name].read_text()
            plant.mains[name].write_text("".join(line for line in text.splitlines(True) if not line.startswith(http)))
        plant.before = plant.files()
        plant.restart("n1", "n3")
        with pytest.raises(NotVerified, match=r"hall-4 at .* belongs to these servers"):
            take(plant.main, "plant", others=plant.others)
        assert plant.files() == plant.before
        for port in (*plant.ports.values(), client):
            until(lambda port=port: Member(port, "orders").alive())  # who logs in amid a reload may have to try again
    finally:
        fourth.kill()
        fourth.wait()
    assert take(plant.main, "plant", others=plant.others).revision is not None
    assert len(undo(plant.main).said) == 6
    assert plant.files() == plant.before


# --- files alone, which nobody runs ----------------------------------------------------------------------

CONF = "port: {}\ncluster {{ name: c, listen: 127.0.0.1:{}, routes: [ nats://127.0.0.1:2, nats://127.0.0.1:3 ] }}\n{}"


def refused(folder, second, name="n2.conf", first=TEAM):
    """What is said of two main files, of which nobody runs either."""
    main, other = folder / "nats/nats-server.conf", folder / "nats" / name
    for path, text in ((main, CONF.format(4, 2, first)), (other, CONF.format(5, 3, second))):
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return look(main, None, others=[other]).refusals


def test_main_files_that_mean_something_else_are_refused_with_the_first_differences(db, tmp_path, settings):
    settings.STATE_DIR = tmp_path / "state"
    assert refused(tmp_path, TEAM) == ()
    (sentence,) = refused(tmp_path, TEAM.replace("'x'", "'y'"))
    assert sentence.startswith(f"{tmp_path}/nats/n2.conf doesn't mean the same as {tmp_path}/nats/nats-server.conf: ")
    assert "“y”" in sentence or "y" in sentence.rpartition(": ")[2]
    (sentence,) = refused(tmp_path, TEAM + "system_account: A\n")
    assert "its system account is A, not $SYS" in sentence
    many = TEAM.replace("{ A:", "{ " + ", ".join(f"T{number}: {{}}" for number in range(9)) + ", A:")
    assert "and 4 more differences" in refused(tmp_path, many)[0]
    (sentence,) = refused(tmp_path, "operator: x\n")
    assert sentence.startswith(f"{tmp_path}/nats/n2.conf:") and "operator mode" in sentence


BOUND = 'leafnodes {\n  remotes: [ { url: "nats://127.0.0.1:9", account: EDGE } ] }\n'
LET_IN = 'websocket { listen: "127.0.0.1:6", no_tls: true\n  no_auth_user: web }\n'


def test_what_another_main_file_needs_and_the_first_lacks_is_said_with_its_line(db, tmp_path, settings):
    settings.STATE_DIR = tmp_path / "state"
    n2 = tmp_path / "nats/n2.conf"
    for more, place, said in ((BOUND, "5:43", "bound to account “EDGE”"), (LET_IN, "5:3", "come in as user “web”")):
        (sentence,) = refused(tmp_path, TEAM + more)
        assert sentence.startswith(f"{n2}:{place}: ")
        assert f"{said} here, which {tmp_path}/nats/nats-server.conf hasn't: its server" in sentence
        judged = subprocess.run([binary(), "-t", "-c", n2], capture_output=True)
        started = subprocess.run([binary(), "-c", n2], capture_output=True, timeout=10)
        assert (judged.returncode, started.returncode != 0) == (0, True), "the binary alone doesn't say so"
    there = TEAM.replace("{ A:", "{ EDGE: {}, A:")
    assert len(refused(tmp_path, there + BOUND)) == 2, "the account is a difference besides"
    assert refused(tmp_path, there + BOUND, first=there) == ()
    first = tmp_path / "nats/nats-server.conf"
    forecast = look(first, None, others=[n2])
    told = f"{n2}:5:43: Leafnodes are bound to account “EDGE” here; while it stands, that can't go."
    assert told in forecast.sentences()
    refused(tmp_path, TEAM + BOUND)
    shown = shown_of(Wanted(str(first)), first, look(first, None, others=[n2]), factories.admin())
    assert [(each.file, each.line, each.column) for each in shown.in_the_way] == [(str(n2), 5, 43)]


def test_users_whom_only_one_of_them_knows_by_certificate_are_refused(db, tmp_path, settings):
    settings.STATE_DIR = tmp_path / "state"
    team = 'accounts { A: { users: [ { user: "CN=a" } ] } }\n'
    maps = "websocket { port: 7, tls { verify_and_map: true } }\n"
    for first, second in ((maps + team, team), (team, maps + team)):
        said = "\n".join(refused(tmp_path, second, first=first))
        assert "user “CN=a” is known by its certificate (verify_and_map) at one of them alone" in said


def test_which_of_them_the_binary_refuses_is_said(db, tmp_path, settings):
    settings.STATE_DIR = tmp_path / "state"
    with pytest.raises(Invalid) as found:
        refused(tmp_path, TEAM + "tls { cert_file: x }\n")
    assert found.value.detail == f"{tmp_path}/nats/n2.conf: nats-server refuses what would be written."


def test_main_files_in_places_where_nunect_cant_keep_one_file_for_both_are_refused(db, tmp_path, settings):
    settings.STATE_DIR = tmp_path / "state"
    assert "is not below" in refused(tmp_path, TEAM, name="../n2/nats-server.conf")[0]
    (sentence,) = refused(tmp_path, "include 'nats-server.conf'\n", first=TEAM)
    assert "another one includes it" in sentence


def test_their_common_file_of_the_generated_ones_name_is_kept_until_all_have_turned(db, tmp_path, settings):
    settings.STATE_DIR = tmp_path / "state"
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats/accounts.conf").write_text(TEAM)
    assert refused(tmp_path, 'include "accounts.conf"\n', first='include "accounts.conf"\n') == ()
    (tmp_path / "nats/accounts.conf").write_text(TEAM.partition("{")[2].rpartition("}")[0])
    inner = 'accounts { include "accounts.conf" }\n'
    assert "between two of the writes" in refused(tmp_path, inner, first=inner)[0]


def test_where_servers_call_and_listen():
    tree = {
        "cluster": {"addr": "0.0.0.0", "port": 6222, "routes": ["nats-route://u:p@[::1]:6223", "nats://b.example:1"]},
        "gateway": {
            "name": "A",
            "listen": ":7222",
            "gateways": [{"name": "B", "urls": ["nats://b:7223"]}, {"url": "x"}],
        },
    }
    assert [str(each) for each in heard_at(tree)] == ["0.0.0.0:6222", ":7222"]
    assert [str(each) for each in calls(tree)] == ["[::1]:6223", "b.example:1", "b:7223", ":0"]
    assert heard_at({"cluster": {"listen": 6222}})[0].port == 6222
    assert (heard_at({}), calls({"cluster": "x"})) == ([], [])
