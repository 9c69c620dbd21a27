"""Three servers with main files of their own are taken over together, and given back together."""

import asyncio

import nats
import nats.js.errors
import pytest

from accounts_app.models import NatsUser, System
from provisioning import pipeline
from provisioning.takeover import journal as journals
from provisioning.takeover.looking import look
from provisioning.takeover.taking import take, undo
from tests.provisioning.taken_cluster import MEMBERS, Plant
from tests.provisioning.taken_place import PASSWORD, Member
from tests.provisioning.world import Intruder

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
