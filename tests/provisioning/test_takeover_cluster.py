"""Three servers with main files of their own are taken over together, and given back together."""

import asyncio
import signal
import subprocess

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
from provisioning.errors import Unreachable
from provisioning.models import Drift
from provisioning.release_plan import diff_ahead
from provisioning.server import Fleet
from provisioning.takeover import journal as journals
from provisioning.takeover.looking import look
from provisioning.takeover.taking import take, undo
from tests.ports import free_ports
from tests.provisioning.taken_cluster import MEMBERS, TEAM, until
from tests.provisioning.taken_place import PASSWORD, Member
from tests.provisioning.world import Intruder, dies_at

pytestmark = pytest.mark.live


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
        jetstream = client.jetstream(timeout=20)
        if count == 1:
            await patiently(jetstream.add_stream, name="ORDERS", subjects=["orders.>"], num_replicas=3)
        await patiently(jetstream.publish, "orders.one", b"x", headers={"Nats-Msg-Id": str(count)})  # stored once
        info = await patiently(jetstream.stream_info, "ORDERS")
        await client.close()
        return info.state.messages == count and len(info.cluster.replicas) == 2

    return asyncio.run(work())


@pytest.mark.long
def test_clients_and_replicated_streams_stay_through_a_take_over_and_its_undoing(plant):
    assert stored(plant, "n1", 1)
    there = plant.members()
    assert all(member.alive() for member in there)
    forecast = look(plant.main, None, others=plant.others)
    assert (forecast.refusals, forecast.differences) == ((), ())
    said = list(forecast.sentences())
    assert "All 3 servers will see the same accounts, users and permissions as before." in said
    assert "Together at least 6 clients, none of them disconnected." in said
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


@pytest.mark.long
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
