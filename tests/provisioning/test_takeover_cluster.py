"""Three servers with main files of their own are taken over together, and given back together."""

import asyncio
import signal
import subprocess
import time

import nats
import nats.js.errors
import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts_app.models import NatsUser, System
from accounts_app.natsconf.errors import ConfSyntaxError
from provisioning import pipeline, releasing
from provisioning.binary import binary
from provisioning.errors import NotManaged, NotVerified, Unreachable
from provisioning.models import Drift
from provisioning.release_plan import diff_ahead
from provisioning.server import Fleet
from provisioning.takeover import journal as journals
from provisioning.takeover.looking import look
from provisioning.takeover.machine import ask_http
from provisioning.takeover.neighbours import calls, heard_at
from provisioning.takeover.taking import take, undo
from tests.ports import free_ports
from tests.provisioning.taken_cluster import MEMBERS, Plant
from tests.provisioning.taken_place import PASSWORD, Member
from tests.provisioning.world import Intruder, dies_at

pytestmark = pytest.mark.live


@pytest.fixture
def plant(transactional_db, tmp_path, settings):
    settings.NATS_CONNECT_TIMEOUT = 0.5
    settings.NATS_REQUEST_TIMEOUT = 1.0
    settings.STATE_DIR = tmp_path / "state"
    (tmp_path / "nats").mkdir()
    made = Plant(tmp_path / "nats")
    try:
        yield made.start()
    finally:
        made.stop()


def until(is_so, timeout_s=10):
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


async def patiently(act, *args, **options):
    """A server that was just started learns from the others who is there, where streams are, and who leads them."""
    for _ in range(200):
        try:
            return await act(*args, **options)
        except (nats.js.errors.APIError, nats.js.errors.NoStreamResponseError, nats.errors.TimeoutError):
            await asyncio.sleep(0.05)
    raise AssertionError("JetStream does not answer")


def stored(plant, name, count):
    """Whether a stream with three replicas takes the next message at this server, and holds so many then."""

    async def work():
        client = await nats.connect(f"nats://127.0.0.1:{plant.ports[name]}", user="orders", password=PASSWORD)
        jetstream = client.jetstream(timeout=2)
        if count == 1:
            await patiently(jetstream.add_stream, name="ORDERS", subjects=["orders.>"], num_replicas=3)
        await patiently(jetstream.publish, "orders.one", b"x", headers={"Nats-Msg-Id": str(count)})  # stored once
        info = await patiently(jetstream.stream_info, "ORDERS")
        await client.close()
        return info.state.messages == count and len(info.cluster.replicas) == 2

    return asyncio.run(work())


def each_starts_with_its_clients(plant):
    """Whether each of them can be started now, one after the other, and lets its clients in."""
    assert plant.starts()
    for name in plant.NAMES:
        plant.restart(name)
        assert all(Member(plant.ports[name], *who).alive() for who in MEMBERS), name
    return True


def test_clients_and_replicated_streams_stay_through_a_take_over_and_its_undoing(plant):
    assert stored(plant, "n1", 1)
    there = plant.members()
    assert all(member.alive() for member in there)
    forecast = look(plant.main, None, others=plant.others)
    assert (forecast.refusals, forecast.differences) == ((), ())
    said = list(forecast.sentences())
    assert "All 3 servers will see the same accounts, users and permissions as before." in said
    assert [part.clients and part.clients.count for part in forecast.parts] == [3, None, 3]
    assert plant.files() == plant.before, "a look writes nothing"
    with Intruder(plant):
        outcome = take(plant.main, "plant", others=plant.others)
        assert [server["name"] for server in outcome.revision.servers] == ["hall-1", "hall-2", "hall-3"]
        assert len([text for text in outcome.said if "runs revision 1: it reports sha256:" in text]) == 3
        assert all(member.alive() for member in there)
        assert stored(plant, "n2", 2)
        assert len(list(plant.folder.rglob("accounts.conf"))) == 1
        assert 'include "../accounts.conf"' in plant.mains["n3"].read_text()
        assert (plant.folder / "teams.nunect.conf").read_text().count("CONTROL") == 1, "what is left is for both"
        (found,) = plant.folder.rglob("*.json")
        assert [main.path for main in journals.load(found).mains] == [str(main) for main in plant.mains.values()]

        system = System.objects.get()
        pipeline.apply(system.pk, fresh=True)
        assert system.revisions.count() == 1, "nothing is left to do"
        NatsUser.objects.get(name="press").delete()
        revision = pipeline.apply(system.pk)
        assert [server["revision"] for server in revision.servers] == [2, 2, 2], revision.servers
        gone = [who == MEMBERS[2] for _ in plant.ports for who in MEMBERS]
        assert [member.alive() for member in there] == [not each for each in gone]
        plant.restart("n3")
        assert stored(plant, "n3", 3)
        there = [Member(port, "orders") for port in plant.ports.values()]

        said = undo(plant.mains["n2"]).said
        assert len([text for text in said if "runs the former configuration" in text]) == 3, said
        assert all(member.alive() for member in there)
        assert all(Member(port, *MEMBERS[2]).alive() for port in plant.ports.values())
        assert stored(plant, "n1", 4)
    assert plant.files() == plant.before
    plant.restart()
    assert stored(plant, "n2", 5)


def test_a_server_that_does_not_follow_brings_all_of_them_back(plant, settings):
    settings.NATS_REQUEST_TIMEOUT = 0.3
    there = plant.members()
    assert all(member.alive() for member in there)
    plant.signal("n3", signal.SIGSTOP)
    try:
        with pytest.raises(Unreachable) as failed:
            take(plant.main, "plant", others=plant.others)
    finally:
        plant.signal("n3", signal.SIGCONT)
    assert failed.value.detail.startswith(f"nats-server of {plant.mains['n3']} did not take the new files: ")
    assert plant.files() == plant.before
    assert System.objects.get().stage == "observed"
    assert [member.alive() for member in there] == [True] * 9
    with Fleet(System.objects.get(), own=True) as fleet:
        assert fleet.unauthorized, "none of them knows nunect any more"


@pytest.mark.long
def test_a_server_that_is_away_starts_with_the_new_files(plant):
    plant.stop("n2")
    with pytest.raises(ConfSyntaxError, match="--env HALL"):
        look(plant.main, None, others=plant.others)
    known = {"HALL": "hall-2"}
    forecast = look(plant.main, None, known, others=plant.others)
    assert f"{plant.mains['n2']}: No nats-server of this machine runs with it" in "\n".join(forecast.sentences())
    assert dies_at("takeover verify", lambda: take(plant.main, "plant", known, others=plant.others))
    said = take(plant.main, "plant", others=plant.others).said
    assert f"No nats-server runs with {plant.mains['n2']}: its next start will be the first with it." in said
    system = System.objects.get()
    with pytest.raises(ValidationError, match=r"n2\.conf:2:14: Nothing above defines \$HALL"):
        releasing.release(system, "plant")
    plant.start("n2")
    assert Member(plant.ports["n2"], "orders").alive()
    revision = pipeline.apply(system.pk, fresh=True)
    assert len(revision.servers) == 3, "it holds what the others hold"
    assert not Drift.objects.exists()
    plant.stop("n3")
    undo(plant.main)
    assert plant.files() == plant.before


def test_one_of_them_alone_or_without_another_is_refused(plant):
    n1, n2, n3 = plant.mains.values()
    for one in (n1, n3):
        (sentence,) = look(one, None).refusals
        assert sentence.startswith(f"{one} is of one of several servers (a route to 127.0.0.1:")
        assert "name the main files of all of them" in sentence
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
        assert all(Member(port, "orders").alive() for port in (*plant.ports.values(), client))
    finally:
        fourth.kill()
        fourth.wait()
    assert take(plant.main, "plant", others=plant.others).revision is not None
    assert len(undo(plant.main).said) == 6
    assert plant.files() == plant.before


def test_command_takes_several_and_gives_them_back_by_any(plant, capsys):
    n1, n2, n3 = map(str, plant.mains.values())
    with pytest.raises(CommandError, match="--global-account is for one server"):
        call_command("takeover", n1, n2, n3, "--global-account", "HOME")
    call_command("takeover", n3, n2, n1, "--dry-run")
    assert f"{n1} is written anew" in capsys.readouterr().out
    call_command("takeover", n2, n3, n1, "--yes")
    assert System.objects.get().conf_dir == str(plant.folder), "the uppermost file of the usual name is the first"
    assert f"The server of {n3} runs revision 1" in capsys.readouterr().out
    with pytest.raises(CommandError, match="already"):
        call_command("takeover", n1, n2, n3, "--yes", "--system", "other")
    call_command("takeover", n3, "--undo", "--yes")
    assert f"{n2} is as it was." in capsys.readouterr().out
    assert plant.files() == plant.before


def test_a_release_writes_a_plain_conf_for_each_of_them_that_it_runs_already(plant):
    take(plant.main, "plant", others=plant.others)
    system, taken = System.objects.get(), plant.files()
    ahead = diff_ahead(system, "stay")
    assert [name in ahead for name in ("--- nats-server.conf", "--- n2.conf", "--- n3/nats-server.conf")] == [True] * 3
    done = releasing.release(system, "plant")
    assert done.proof.startswith("hall-1, hall-2, hall-3 reported the digest of the one file before and after")
    assert len(done.kept) == 4 and plant.starts() and not (plant.folder / "accounts.conf").exists()
    releasing.undo(system, "plant")
    assert plant.files() == taken and not list(plant.folder.rglob("*.before-release"))
    undo(plant.main)
    assert plant.files() == plant.before


@pytest.mark.long
@pytest.mark.parametrize("own", ["stay", "go"])
def test_a_release_leaves_each_of_them_a_conf_to_start_with(plant, own):
    take(plant.main, "plant", others=plant.others)
    system, taken = System.objects.get(), plant.files()
    with Intruder(plant):
        assert dies_at("release n2.conf", lambda: releasing.release(system, "plant", own))
        assert each_starts_with_its_clients(plant)
        done = releasing.release(system, "plant", own)
        assert len(done.kept) == 4
        assert "hall-3" in done.proof, "it was the last to be asked"
        assert not (plant.folder / "accounts.conf").exists()
        assert not any(b'accounts.conf"' in plant.files()[name] for name in ("nats-server.conf", "n2.conf"))
        assert each_starts_with_its_clients(plant)
        releasing.undo(system, "plant")
        assert plant.files() == taken
        undo(plant.main)
        assert each_starts_with_its_clients(plant)
    assert plant.files() == plant.before


@pytest.mark.long
def test_clusters_that_are_joined_by_gateways_are_taken_over_together(transactional_db, tmp_path, settings):
    settings.STATE_DIR = tmp_path / "state"
    clients, gates, folder = free_ports(2), free_ports(2), tmp_path / "nats"
    folder.mkdir()
    mains, processes, before = [folder / "nats-server.conf", folder / "west.conf"], [], {}
    told = ", ".join(
        f'{{ name: {name}, url: "nats://127.0.0.1:{gate}" }}'
        for name, gate in zip(("EAST", "WEST"), gates, strict=True)
    )
    for main, name, port, gate in zip(mains, ("EAST", "WEST"), clients, gates, strict=True):
        gateway = f'gateway {{ name: {name}, listen: "127.0.0.1:{gate}", gateways: [ {told} ] }}'
        main.write_text(f'server_name: {name}\nlisten: "127.0.0.1:{port}"\n{gateway}\n{TEAM}')
        before[main] = main.read_bytes()
        command = [binary(), "-c", main, "-l", folder / f"{name}.log"]
        processes.append(subprocess.Popen(command, cwd=folder))
    try:
        logs = [folder / "EAST.log", folder / "WEST.log"]
        until(lambda: all(log.exists() and "Outbound gateway connection to" in log.read_text() for log in logs))
        assert "a gateway to 127.0.0.1" in look(mains[0], None).refusals[0]
        there = [Member(port, "a", "b") for port in clients]
        assert all(member.alive() for member in there)
        revision = take(mains[0], "world", others=mains[1:]).revision
        assert [server["name"] for server in revision.servers] == ["EAST", "WEST"]
        assert all(member.alive() for member in there)
        undo(mains[1])
        assert {main: main.read_bytes() for main in mains} == before
        assert all(member.alive() for member in there)
    finally:
        for process in processes:
            process.kill()
            process.wait()


# --- files alone, which nobody runs ----------------------------------------------------------------------

CONF = "port: {}\ncluster {{ name: c, listen: 127.0.0.1:{}, routes: [ nats://127.0.0.1:2, nats://127.0.0.1:3 ] }}\n{}"
TEAM = "accounts { A: { users: [ { user: a, password: b, permissions: { publish: 'x' } } ] } }\n"


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


# --- killed at each step ---------------------------------------------------------------------------------

STEPS = ["rows", "backup", "journal", "teams.nunect.conf", "accounts.conf", "main", "n2.conf", "n3/nats-server.conf"]
STEPS += ["reload n2.conf", "reload n3/nats-server.conf", "reload", "verify", "managed", "taken"]
WRITTEN = STEPS[STEPS.index("n3/nats-server.conf") :]


@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=() if step == "n2.conf" else pytest.mark.long) for step in STEPS]
)
def test_a_take_over_killed_at_any_step_leaves_servers_that_start_closed_and_is_ended_or_put_back(plant, step):
    with Intruder(plant):
        assert dies_at(f"takeover {step}", lambda: take(plant.main, "plant", others=plant.others))
        assert each_starts_with_its_clients(plant)
        if step == "taken":
            assert pipeline.apply(System.objects.get().pk).number == 1
        else:
            asked = []
            outcome = take(plant.main, "plant", others=plant.others, agrees=lambda forecast: not asked.append(forecast))
            assert [server["name"] for server in outcome.revision.servers] == ["hall-1", "hall-2", "hall-3"]
            assert bool(asked) == (step not in WRITTEN), "once all is written it is ended, else begun anew"
        assert all(Member(port, *who).alive() for port in plant.ports.values() for who in MEMBERS)
        undo(plant.main)
    assert plant.files() == plant.before


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(step, marks=() if step == "back n2.conf" else pytest.mark.long)
        for step in (
            "back n3/nats-server.conf",
            "back n2.conf",
            "back main",
            "back accounts.conf",
            "back teams.nunect.conf",
            "undone",
        )
    ],
)
def test_an_undoing_killed_at_any_step_leaves_servers_that_start_closed_and_is_begun_again(plant, step):
    take(plant.main, "plant", others=plant.others)
    with Intruder(plant):
        assert dies_at(f"takeover {step}", lambda: undo(plant.main))
        assert each_starts_with_its_clients(plant)
        if step != "undone":
            undo(plant.mains["n3"])
        assert all(Member(port, *who).alive() for port in plant.ports.values() for who in MEMBERS)
    assert plant.files() == plant.before


@pytest.mark.long
def test_their_common_accounts_conf_stays_until_every_main_file_has_turned(plant):
    """The file that all include has the very name that nunect writes."""
    (plant.folder / "teams.conf").rename(plant.folder / "accounts.conf")
    for name in ("n1", "n2"):
        text = plant.mains[name].read_text()
        plant.mains[name].write_text(text.replace('include "teams.conf"', 'include "accounts.conf"'))
    plant.before = plant.files()
    plant.restart()
    with Intruder(plant):
        for step in ("main", "n2.conf", "n3/nats-server.conf", "accounts.conf", "reload n2.conf"):
            assert dies_at(f"takeover {step}", lambda: take(plant.main, "plant", others=plant.others)), step
            assert each_starts_with_its_clients(plant), step
            if step in ("main", "accounts.conf"):
                undo(plant.main)
                assert plant.files() == plant.before
        take(plant.main, "plant", others=plant.others)
        assert dies_at("takeover back accounts.conf", lambda: undo(plant.main))
        assert each_starts_with_its_clients(plant)
        undo(plant.main)
    assert plant.files() == plant.before
