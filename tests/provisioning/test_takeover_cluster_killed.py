"""nunect is killed at each step of taking over or letting go of three servers: any of them starts, with its clients."""

import os

import pytest

from accounts_app.models import System
from provisioning import pipeline, releasing
from provisioning.takeover.taking import take, undo
from tests.provisioning.taken_cluster import MEMBERS
from tests.provisioning.taken_place import Member
from tests.provisioning.world import Intruder, dies_at

pytestmark = pytest.mark.live
STEPS = ["rows", "backup", "journal", "teams.nunect.conf", "accounts.conf", "main", "n2.conf", "n3/nats-server.conf"]
STEPS += ["reload n2.conf", "reload n3/nats-server.conf", "reload", "verify", "managed", "taken"]
WRITTEN = STEPS[STEPS.index("n3/nats-server.conf") :]
BACK = [f"back {name}" for name in ("n3/nats-server.conf", "n2.conf", "main", "accounts.conf", "teams.nunect.conf")]
BACK += ["undone"]
EVERY = os.environ.get("EVERY_STEP")  # of `make deaths`


def each_starts_with_its_clients(plant):
    """Whether each of them can be started now, one after the other, and lets its clients in."""
    assert plant.starts()
    for name in plant.NAMES:
        plant.restart(name)
        assert all(Member(plant.ports[name], *who).alive() for who in MEMBERS), name
    return True


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS if EVERY else ("journal", "n2.conf", "n3/nats-server.conf", "reload", "verify"))
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


@pytest.mark.long
@pytest.mark.parametrize("step", BACK if EVERY else ("back n3/nats-server.conf", "back main", "undone"))
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
@pytest.mark.skipif(not EVERY, reason="takes a minute: make deaths")
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


@pytest.mark.long
@pytest.mark.parametrize("own", ("stay", "go") if EVERY else ("stay",))
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
