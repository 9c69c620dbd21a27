"""Letting go of a system: one plain conf that means what ran, and the way back."""

import subprocess

import pytest
from django.core.exceptions import ValidationError

from accounts_app.models import System
from accounts_app.natsconf.parse import parse
from provisioning import managing, releasing
from provisioning.binary import binary
from provisioning.files import GENERATED, MAIN
from provisioning.observing import look_now
from provisioning.release_plan import look_ahead
from tests import factories
from tests.api.conftest import Api, token_of
from tests.provisioning.world import Intruder, dies_at

STEPS = ("release stage", "release kept", "release main", "release one")


@pytest.fixture
def shop(world):
    """A managed system with JetStream, a client's user, and lines of somebody's own in the main file."""
    world.stop()
    world.write_main("# our own lines\nmax_payload: 1M  # because of the pictures")
    world.start()
    world.user(world.account("SHOP", jetstream=True), "svc", "publish orders.>", "deny publish orders.secret")
    world.account("LAB")
    world.apply()
    return world


def files(world):
    return {name: (world.folder / name).read_bytes() for name in (MAIN, GENERATED)}


def runs(world):
    """The digest that the running server has logged last."""
    lines = [line for line in (world.folder / "log").read_text().splitlines() if "sha256:" in line]
    return "sha256:" + lines[-1].partition("sha256:")[2].split(")")[0].strip("'\"")


def may_what_it_might(world):
    return world.may("orders.new") is True and world.may("orders.secret") is False and not world.anonymous_gets_in()


def test_one_plain_conf_with_the_digest_that_ran(shop):
    before, ran, reloads = files(shop), shop.digest_on_disk(), shop.reloads()
    done = releasing.release(shop.system, "default")
    assert (done.own, done.digest) == ("stay", ran)
    assert "n1 reported the digest of the one file" in done.proof
    assert shop.digest_on_disk() == ran == runs(shop)
    assert shop.reloads() == reloads
    assert not shop.conf.exists()
    text = (shop.folder / MAIN).read_text()
    assert "max_payload: 1M  # because of the pictures" in text
    assert "include" not in parse(text).tree and text.count(shop.system.guard_nkey) == 2, "once told, once set"
    assert "a part of this file from now on and yours to edit" in text
    assert (shop.folder / f"{MAIN}.before-release").read_bytes() == before[MAIN]
    shop.restart()
    assert may_what_it_might(shop)
    assert System.objects.get().stage == "released"


def test_and_back_byte_for_byte(shop):
    before, reloads = files(shop), shop.reloads()
    releasing.release(shop.system, "default")
    with pytest.raises(ValidationError, match="put the former files back first"):
        managing.manage(shop.system, "default")
    said = releasing.undo(shop.system, "default")
    assert said == "The former files are back, and nunect observes “default”."
    assert files(shop) == before
    assert not list(shop.folder.glob("*.before-release")) and not list(shop.folder.glob(".*.tmp"))
    assert shop.reloads() == reloads
    assert look_now(shop.system).is_none
    managing.manage(shop.system, "default")
    shop.apply(fresh=True)
    assert shop.reloads() == reloads, "the servers hold what the rows say already"
    with pytest.raises(ValidationError, match="There is nothing to take back"):
        releasing.undo(shop.system, "default")


def test_without_what_is_nunects_own(shop):
    before, reloads = files(shop), shop.reloads()
    with Intruder(shop):
        done = releasing.release(shop.system, "default", "go")
        assert shop.reloads() == reloads + 1
        assert done.digest == shop.digest_on_disk() == runs(shop)
        tree = parse((shop.folder / MAIN).read_text()).tree
        assert tree["accounts"].keys() == {"SHOP", "LAB"}
        assert "server_metadata" not in tree and "exports" not in tree["accounts"]["SHOP"]
        assert may_what_it_might(shop)
        shop.restart()
        assert may_what_it_might(shop)
        releasing.undo(shop.system, "default")
        assert files(shop) == before
        wait_for_reload(shop, reloads + 1)
    assert look_now(shop.system).servers[0]["runs_it"] is True


def wait_for_reload(world, count):
    import time

    deadline = time.monotonic() + 5
    while world.reloads() < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert world.reloads() >= count


def test_an_edit_since_is_kept_beside(shop):
    before = files(shop)
    releasing.release(shop.system, "default")
    main = shop.folder / MAIN
    main.write_text(main.read_text() + "\nmax_connections: 500\n")
    edited = main.read_bytes()
    assert "What was edited since stands in" in releasing.undo(shop.system, "default")
    assert files(shop) == before
    assert (shop.folder / f"{MAIN}.edited").read_bytes() == edited


@pytest.mark.parametrize("own", ["stay", "go"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_it_means_the_same_and_goes_on(shop, step, own):
    before = files(shop)
    with Intruder(shop):
        assert dies_at(step, lambda: releasing.release(shop.system, "default", own))
        assert shop.digest_on_disk(), "the server would refuse what stands on disk"
        shop.restart()
        assert may_what_it_might(shop)
        releasing.release(shop.system, "default", own)
        assert shop.digest_on_disk() == runs(shop)
        assert may_what_it_might(shop)
        assert dies_at("undo one", lambda: releasing.undo(shop.system, "default"))
        assert shop.digest_on_disk()
        shop.restart()
        assert may_what_it_might(shop)
        releasing.undo(shop.system, "default")
    assert files(shop) == before


def refused(world, sentence, own="stay"):
    before = files(world) if world.conf.exists() else None
    with pytest.raises(ValidationError, match=sentence):
        releasing.release(world.system, "default", own)
    assert before is None or files(world) == before
    assert System.objects.get().stage == "managed"


def test_what_is_in_the_way_is_said_and_nothing_is_written(shop):
    main = shop.folder / MAIN
    good, ours = main.read_text(), shop.conf.read_text()
    with pytest.raises(ValidationError, match="Type the name of the system"):
        releasing.release(shop.system, "other")
    shop.conf.write_text(ours.replace("orders.secret", "orders.open"))
    refused(shop, "n1 runs something else than what stands in the files here")
    shop.conf.write_text(ours)
    main.write_text(good.replace(f'include "{GENERATED}"', f'max_control_line: 4096; include "{GENERATED}"'))
    shop.stop()
    shop.start()
    refused(shop, "has no line of its own that says: include “accounts.conf”")
    shop.stop()
    refused(shop, "No server answers")


def test_a_text_that_is_told_first_is_the_one_that_is_written(shop):
    ahead = look_ahead(shop.system, "go")
    assert System.objects.get().stage == "managed" and shop.conf.exists()
    releasing.release(shop.system, "default", "go")
    assert (shop.folder / MAIN).read_text() == ahead
    asked = subprocess.run([binary(), "-t", "-c", str(shop.folder / MAIN)], capture_output=True, text=True)
    assert asked.returncode == 0


def test_over_rest_with_a_look_before_that_tells_no_secret(shop):
    main = shop.folder / MAIN
    main.write_text(main.read_text().replace("max_payload", 'leafnodes { remotes: [] }  # "a-secret"\nmax_payload'))
    shop.restart()
    api, address = Api(token_of(factories.admin())), f"systems/{shop.system.pk}/release/"
    told = api.post(f"{address}?dry_run=true", {"confirm": "default"}).data["conf"]
    assert f'-include "{GENERATED}"' in told and "+accounts: {" in told
    assert "a-secret" not in told and "$2b$" not in told and "$2a$" not in told
    done = api.post(address, {"confirm": "default", "own": "stay"})
    assert done.status_code == 200, done.data
    assert (done.data["stage"], done.data["main"]) == ("released", str(main))
    assert done.data["digest"] == runs(shop)
    back = api.post(f"{address}undo/", {"confirm": "default"})
    assert (back.status_code, back.data["stage"]) == (200, "observed")
    assert shop.conf.exists()
