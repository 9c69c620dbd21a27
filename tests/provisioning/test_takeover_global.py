"""JetStream that lives in `$G` is given to an account with all it keeps, and back; whoever dies meanwhile."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import namedtuple

import nats
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from nats.js.api import ConsumerConfig, RetentionPolicy

from accounts_app.models import System
from provisioning.binary import binary
from provisioning.errors import NotManaged, NotVerified, NotWritten, Unreachable
from provisioning.machine import find_process
from provisioning.takeover import globalstore, globalstore_taking, globalstore_trial, taking
from provisioning.takeover import globalstore_names as names
from provisioning.takeover.globalstore_inventory import OwnApi, lost, take_inventory, unlike
from provisioning.takeover.globalstore_service import Service
from provisioning.takeover.globalstore_taking import look_global, take_global, undo_global
from provisioning.takeover.looking import look
from tests.provisioning.taken_place import PASSWORD, Member, Place
from tests.provisioning.world import Intruder, dies_at

pytestmark = pytest.mark.live


@pytest.fixture
def place(transactional_db, tmp_path, settings):
    settings.NATS_CONNECT_TIMEOUT = 0.5
    settings.NATS_REQUEST_TIMEOUT = 1.0
    settings.STATE_DIR = tmp_path / "state"
    folder = tmp_path / "nats"
    folder.mkdir()
    made = Place(folder, "global").start()
    asyncio.run(fill(made))
    try:
        yield made
    finally:
        Keeper(made).stop()


class Keeper:
    """The service manager of a place: stops and starts its server by commands."""

    def __init__(self, place):
        self.place = place
        self.script = place.folder / "start.sh"
        self.script.write_text(f"cd {place.folder}; {binary()} -c nats-server.conf -l log >/dev/null 2>&1 & exit 0\n")

    def service(self, **more):
        return Service(start_command=f"sh {self.script}", signal="term", **{"wait_s": 10, **more})

    def stop(self):
        self.place.stop()
        while (process := find_process(self.place.main)) is not None:  # what a child has started may come late
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.005)

    def restart(self):
        """As after a power cut: whatever stands on disk is started."""
        self.stop()
        self.place.start()


async def connected(place):
    return await nats.connect(f"nats://127.0.0.1:{place.port}", user="orders", password=PASSWORD, allow_reconnect=False)


async def fill(place):
    """Streams of every kind, with consumers that are in the middle of their work."""
    client = await connected(place)
    jetstream = client.jetstream()
    await jetstream.add_stream(name="EVENTS", subjects=["events.>"], max_msgs=6)
    await jetstream.add_stream(name="WORK", subjects=["work.>"], retention=RetentionPolicy.WORK_QUEUE)
    for number in range(9):
        await jetstream.publish(f"events.{number}", b"x" * number)
        await jetstream.publish(f"work.{number}", b"y")
    pull = await jetstream.pull_subscribe("work.>", "puller", config=ConsumerConfig(ack_wait=3600))
    for message in (await pull.fetch(5))[:3]:
        await message.ack_sync()
    push = await jetstream.subscribe(
        "events.>", durable="pusher", manual_ack=True, config=ConsumerConfig(ack_wait=3600)
    )
    await (await push.next_msg()).ack_sync()
    bucket = await jetstream.create_key_value(bucket="settings")
    await bucket.put("colour", b"green")
    await bucket.delete("colour")
    await bucket.put("size", b"12")
    objects = await jetstream.create_object_store("files")
    await objects.put("logo", b"z" * 300_000)
    await client.close()


async def _kept(place):
    client = await connected(place)
    try:
        return await take_inventory(OwnApi(client), "")
    finally:
        await client.close()


def kept(place):
    return asyncio.run(_kept(place))


def published(place):
    """The sequence of one more message of EVENTS, and what the buckets say."""

    async def run():
        client = await connected(place)
        jetstream = client.jetstream()
        try:
            number = (await jetstream.publish("events.more", b"more")).seq
            value = (await (await jetstream.key_value("settings")).get("size")).value
            whole = (await (await jetstream.object_store("files")).get("logo")).data
            return number, value, len(whole)
        finally:
            await client.close()

    return asyncio.run(run())


def folders(place):
    return sorted(path.name for path in (place.folder / "data/jetstream").iterdir())


def test_streams_go_to_an_account_and_come_back_as_they_were(place):
    keeper, before = Keeper(place), kept(place)
    assert before["WORK"]["consumers"]["puller"]["num_ack_pending"] == 2
    assert before["EVENTS"]["consumers"]["pusher"]["ack_floor"]["stream_seq"] == 4
    assert sorted(before) == ["EVENTS", "KV_settings", "OBJ_files", "WORK"]
    with Intruder(place):
        outcome = take_global(place.main, "default", "SHOP", service=keeper.service())
        assert "Account SHOP has what `$G` had: 4 streams, 2 durable consumers, 18 messages" in outcome.said[0]
        assert outcome.revision.servers[0]["proof"] == "digest"
        assert System.objects.get().stage == "managed"
        assert unlike(before, kept(place)) == []
        assert folders(place) == ["SHOP"]
        assert not (place.folder / "data/nunect-trial").exists()
        assert published(place) == (10, b"12", 300_000)
        keeper.restart()
        assert published(place) == (11, b"12", 300_000)
        with pytest.raises(NotManaged, match="were moved to account SHOP"):
            taking.undo(place.main)
        with pytest.raises(NotManaged, match="in account SHOP already"):
            take_global(place.main, "default", "SHOP", service=keeper.service())

        during = kept(place)
        said = undo_global(place.main, keeper.service()).said
        assert "`$G` has what account SHOP had: 4 streams" in said[0]
        place.wait()
        assert unlike(during, kept(place)) == []
        assert folders(place) == ["$G"]
        assert published(place) == (12, b"12", 300_000)
    assert place.files() == place.before
    assert System.objects.get().stage == "observed"
    assert take_global(place.main, "default", "SHOP", service=keeper.service()).revision is not None
    assert published(place) == (13, b"12", 300_000)


STEPS = [
    "journal",
    "store copied",
    "stopped",
    "doubled",
    "accounts.conf",
    "main",
    "moved",
    "started",
    "verify",
    "taken",
]


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_whoever_dies_a_start_finds_the_streams_and_the_next_run_ends_it(place, step):
    keeper, before = Keeper(place), kept(place)
    with Intruder(place):
        assert dies_at(f"takeover {step}", lambda: take_global(place.main, "default", "SHOP", service=keeper.service()))
        keeper.restart()
        assert unlike(before, kept(place)) == []
        assert published(place)[0] == 10
        assert take_global(place.main, "default", "SHOP", service=keeper.service()).revision is not None
        assert lost(before, kept(place)) == []
        assert published(place)[0] == 11
        assert folders(place) == ["SHOP"]
        assert System.objects.get().stage == "managed"
        assert not (place.folder / "data/nunect-trial").exists()
        with pytest.raises(NotManaged, match="in account SHOP already"):
            take_global(place.main, "default", "SHOP", service=keeper.service())


@pytest.mark.long
@pytest.mark.parametrize("step", ["main", "doubled"])
def test_what_was_cut_short_can_be_undone(place, step):
    keeper = Keeper(place)
    assert dies_at(f"takeover {step}", lambda: take_global(place.main, "default", "SHOP", service=keeper.service()))
    keeper.restart()
    assert published(place)[0] == 10
    undo_global(place.main, keeper.service())
    keeper.restart()
    assert published(place)[0] == 11
    assert folders(place) == ["$G"]
    assert place.files() == place.before


def test_messages_of_a_killed_trial_go_with_the_next_run(place):
    """Nothing is to be undone then, but for the copy; and a copy never stands in the way of room for itself."""
    keeper, copy = Keeper(place), place.folder / "data/nunect-trial"
    assert dies_at("takeover store tried", lambda: take_global(place.main, "default", "SHOP", service=keeper.service()))
    assert list(copy.rglob("*.blk")) != []
    with pytest.raises(CommandError, match="Nothing says"):
        call_command("takeover", str(place.main), "--undo", "--yes")
    assert not copy.exists()
    copy.mkdir()
    (copy / "left").touch()
    call_command("takeover", str(place.main), "--dry-run", "--global-account", "SHOP")
    assert not copy.exists()
    assert published(place)[0] == 10


@pytest.mark.long
@pytest.mark.parametrize("step", ["stopped", "doubled", "accounts.conf", "main", "dropped"])
def test_an_undoing_that_is_killed_leaves_streams_and_is_begun_again(place, step):
    keeper = Keeper(place)
    take_global(place.main, "default", "SHOP", service=keeper.service())
    before = kept(place)
    with Intruder(place):
        assert dies_at(f"takeover back {step}", lambda: undo_global(place.main, keeper.service()))
        keeper.restart()
        assert unlike(before, kept(place)) == []
        assert published(place)[0] == 10
        undo_global(place.main, keeper.service())
        keeper.restart()
    assert published(place)[0] == 11
    assert folders(place) == ["$G"]
    assert place.files() == place.before


def test_a_server_started_in_the_very_moment_loses_nothing(place):
    """It has read the former conf, and works in `$G`, when the new one stands on disk already."""
    keeper = Keeper(place)
    assert dies_at("takeover main", lambda: take_global(place.main, "default", "SHOP", service=keeper.service()))
    new = place.main.read_bytes()
    place.main.write_bytes(place.before["nats-server.conf"])
    keeper.restart()
    place.main.write_bytes(new)

    async def makes():
        client = await connected(place)
        await client.jetstream().add_stream(name="LATE", subjects=["late"])
        await client.jetstream().publish("late", b"x")
        await client.close()

    asyncio.run(makes())
    for act in (
        lambda: take_global(place.main, "default", "SHOP", service=keeper.service()),
        lambda: undo_global(place.main, keeper.service()),
    ):
        place.process.terminate()
        place.process.wait(10)
        with pytest.raises(NotManaged, match="A server has written both"):
            act()
    place.main.write_bytes(place.before["nats-server.conf"])
    keeper.restart()
    assert kept(place)["LATE"]["state"]["messages"] == 1
    assert folders(place) == ["$G", "SHOP"]


def test_a_copy_that_loses_something_stops_it_before_anything_is_written(place, monkeypatch):
    """The streams come up otherwise under the new conf: here since the copy is tampered with in between."""
    keeper, real = Keeper(place), names.double

    def tampers(source, target):
        real(source, target)
        if target.parent.parent.name == globalstore.COPY:
            shutil.rmtree(target / "streams/WORK/obs/puller")

    monkeypatch.setattr(names, "double", tampers)
    with pytest.raises(NotVerified, match="did not come up as before") as refusal:
        take_global(place.main, "default", "SHOP", service=keeper.service())
    assert "Stream WORK: consumer puller is gone." in refusal.value.server_words
    assert place.files() == place.before
    assert published(place)[0] == 10, "it was never stopped"


def test_what_the_stopped_server_left_is_tried_again_and_all_comes_back(place, monkeypatch):
    """Tampered with only after the stop: the server is started again with what it had."""
    keeper, real = Keeper(place), globalstore_trial.look_with

    def tampers(tree, account, store, program):
        if account == "SHOP" and not place.listens():
            (next((store.copy / "jetstream/SHOP/streams/EVENTS/msgs").glob("*.blk"))).write_bytes(b"")
            (store.copy / "jetstream/SHOP/streams/EVENTS/msgs/index.db").unlink(missing_ok=True)
        return real(tree, account, store, program)

    monkeypatch.setattr(globalstore_trial, "look_with", tampers)
    with pytest.raises(NotVerified, match="did not come up as before") as refusal:
        take_global(place.main, "default", "SHOP", service=keeper.service())
    assert "Stream EVENTS: messages is 0, not 6." in refusal.value.server_words
    place.wait()
    assert published(place)[0] == 10
    assert folders(place) == ["$G"]
    assert place.files() == place.before


def test_a_conf_that_no_server_starts_with_can_be_undone(place):
    """Here since the generated file, which may be at any revision, was spoilt."""
    keeper = Keeper(place)
    take_global(place.main, "default", "SHOP", service=keeper.service())
    keeper.stop()
    generated = place.folder / "accounts.conf"
    generated.write_text(generated.read_text() + "accounts { SHOP { jetstream: 7 } }\n")
    assert not place.starts()
    said = undo_global(place.main, keeper.service()).said
    assert "No nats-server starts with the conf of the take-over." in said[0]
    assert place.files() == place.before
    place.start()
    assert published(place)[0] == 10
    assert folders(place) == ["$G"]


def test_an_undoing_that_would_lose_something_leaves_all_as_it_is(place, monkeypatch):
    keeper, real = Keeper(place), globalstore_trial.look_with
    take_global(place.main, "default", "SHOP", service=keeper.service())
    taken = place.files()

    def tampers(tree, account, store, program):
        if account == "$G":
            shutil.rmtree(store.copy / "jetstream/$G/streams/KV_settings")
        return real(tree, account, store, program)

    monkeypatch.setattr(globalstore_trial, "look_with", tampers)
    with pytest.raises(NotVerified, match="did not come up as before") as refusal:
        undo_global(place.main, keeper.service())
    assert refusal.value.server_words == "Stream KV_settings is gone."
    place.wait()
    assert published(place)[0] == 10
    assert folders(place) == ["SHOP"]
    assert place.files() == taken
    assert not (place.folder / "data/nunect-trial").exists()


def test_a_server_that_does_not_come_up_gets_all_back(place):
    """The first start fails, the second one works."""
    keeper = Keeper(place)
    keeper.script.write_text(
        f"[ -e {place.folder}/once ] || {{ touch {place.folder}/once; exit 0; }}\n{keeper.script.read_text()}"
    )
    with pytest.raises(NotVerified, match="All is as it was before"):
        take_global(place.main, "default", "SHOP", service=keeper.service(wait_s=2))
    place.wait()
    assert published(place)[0] == 10
    assert folders(place) == ["$G"]
    assert place.files() == place.before


def test_streams_that_are_gone_afterwards_give_all_back(place, monkeypatch):
    keeper = Keeper(place)
    monkeypatch.setattr(globalstore_taking, "lost", lambda before, now: ["Stream WORK is gone."])
    with pytest.raises(NotVerified, match=r"did not come up as before\. All is as it was before"):
        take_global(place.main, "default", "SHOP", service=keeper.service())
    place.wait()
    assert published(place)[0] == 10
    assert place.files() == place.before


def test_a_server_whose_store_is_elsewhere_is_found_out(place):
    """The conf was edited since the start."""
    shutil.copytree(place.folder / "data", place.folder / "other")
    shutil.rmtree(place.folder / "other/jetstream/$G/streams/WORK")
    place.main.write_text(place.main.read_text().replace('"data"', '"other"'))
    with pytest.raises(NotVerified, match="such as WORK: its store is elsewhere"):
        look_global(place.main, None, None, "SHOP")
    assert not (place.folder / "other/nunect-trial").exists()


def test_streams_in_memory_are_named(place):
    async def makes():
        client = await connected(place)
        await client.jetstream().add_stream(name="FLEETING", subjects=["fleeting"], storage="memory")
        await client.close()

    asyncio.run(makes())
    forecast = look_global(place.main, None, None, "SHOP")
    assert "In memory, and gone with any stop of the server: FLEETING." in forecast.restart


def test_a_person_stops_and_starts_it(place):
    keeper, heard = Keeper(place), []

    def hears(text):
        heard.append(text)
        if text.startswith("Stop"):
            threading.Thread(target=place.stop).start()
        else:
            subprocess.run(["sh", keeper.script], check=True)

    take_global(place.main, "default", "SHOP", service=Service(say=hears, wait_s=10))
    assert [text.split()[0] for text in heard] == ["Stop", "Start"]
    assert published(place)[0] == 10


def test_nobody_stops_it_and_nothing_is_changed(place):
    with pytest.raises(Unreachable, match="was not stopped within"):
        take_global(place.main, "default", "SHOP", service=Service(wait_s=0.2))
    assert published(place)[0] == 10
    assert place.files() == place.before


def test_command_asks_moves_and_gives_back(place, capsys):
    keeper = Keeper(place)
    with pytest.raises(CommandError, match="--global-account NAME"):
        call_command("takeover", str(place.main), "--dry-run")
    call_command("takeover", str(place.main), "--dry-run", "--global-account", "SHOP")
    said = capsys.readouterr().out
    assert "4 streams, 2 durable consumers, 18 messages" in said
    assert "The server will see the same accounts, users and permissions as before." in said
    assert "A reload does it" not in said
    assert not (place.folder / "data/nunect-trial").exists()
    assert place.files() == place.before
    options = ["--start-command", f"sh {keeper.script}", "--signal", "term", "--wait", "30", "--yes", "--json"]
    call_command("takeover", str(place.main), "--global-account", "SHOP", *options)
    assert json.loads(capsys.readouterr().out)["revision"] == 1
    assert published(place)[0] == 10
    call_command("takeover", str(place.main), "--undo", *options)
    place.wait()
    assert published(place)[0] == 11
    assert place.files() == place.before


# What is refused


def refused(tmp_path, text, **more):
    folder = tmp_path / "refused"
    folder.mkdir(exist_ok=True)
    (folder / "data/jetstream/$G/streams").mkdir(parents=True, exist_ok=True)
    main = folder / "nats-server.conf"
    main.write_text(f'port: 1\njetstream {{ store_dir: "{folder}/data" }}\n{text}')
    return folder, list(look(main, None, account="SHOP", **more).refusals)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cluster { name: c, listen: '127.0.0.1:2', routes: ['nats://a:3'] }", "JetStream of a cluster"),
        ("jetstream { store_dir: data, cipher: aes, key: abcdefgh }", "The store is encrypted"),
        ("mappings { a: b }", "`mappings` at the top belong to `$G`"),
        ("accounts { A { users: [ {user: a, password: b} ] } }", "this one's does not"),
        ("jetstream { store_dir: elsewhere }", "the store is elsewhere"),
    ],
)
def test_what_cant_be_moved_is_said(db, tmp_path, text, words):
    _, sentences = refused(tmp_path, text)
    assert any(words in sentence for sentence in sentences), sentences


def test_users_keep_their_rights_and_who_came_without_a_credential_still_is_one_of_them(db, tmp_path):
    main = refused(tmp_path, "")[0] / "nats-server.conf"
    users = "{user: a, password: b, permissions: {publish: x}}, {user: guest, password: c, permissions: {subscribe: y}}"
    main.write_text(main.read_text() + f"authorization {{ users: [ {users} ] }}\nno_auth_user: guest\n")
    forecast = look(main, None, account="SHOP")
    assert (forecast.refusals, forecast.differences, forecast.opened) == ((), (), False)
    assert "no_auth_user: guest" in forecast.residual.texts[str(main)]
    assert [(account.name, len(account.users)) for account in forecast.seen.reading.accounts] == [("SHOP", 2)]
    main.write_text(main.read_text().replace(f"users: [ {users} ]", "user: guest, password: c"))
    assert look(main, None, account="SHOP").differences == ()


def test_store_that_is_full_strange_or_closed_is_refused(db, tmp_path, monkeypatch):
    folder, sentences = refused(tmp_path, "")
    assert sentences == []
    root = folder / "data/jetstream"
    (root / "$G/streams/A").symlink_to(tmp_path)
    assert "leads to another place" in refused(tmp_path, "")[1][0]
    (root / "$G/streams/A").unlink()
    (root / "SHOP").mkdir()
    assert "is there already" in refused(tmp_path, "")[1][0]
    (root / "SHOP").rmdir()
    (root / "$SYS").mkdir()
    assert "one of a cluster" in refused(tmp_path, "")[1][0]
    (root / "$SYS").rmdir()
    monkeypatch.setattr(globalstore.os, "access", lambda path, how: "streams" not in str(path))
    assert "can't be read" in refused(tmp_path, "")[1][0]
    monkeypatch.undo()
    usage = namedtuple("Usage", "free")
    monkeypatch.setattr(globalstore.shutil, "disk_usage", lambda path: usage(1000))
    assert "too little for the copy" in refused(tmp_path, "")[1][0]


def test_disk_without_second_names_says_so(db, tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").touch()

    def refuses(source, target):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(names.os, "link", refuses)
    with pytest.raises(NotWritten, match="this disk has no hard links"):
        names.double(tmp_path / "a", tmp_path / "b")


def test_forecast_of_an_open_server_closes_it(place):
    keeper = Keeper(place)
    text = place.main.read_text()
    start, end = text.index("authorization {"), text.index("max_payload")
    place.main.write_text(text[:start] + text[end:])
    keeper.restart()
    assert Member(place.port).alive()
    forecast = look_global(place.main, None, None, "SHOP")
    globalstore_trial.clear(globalstore.store_of(forecast.seen))
    assert forecast.opened
    assert forecast.differences == ()
    take_global(place.main, "default", "SHOP", service=keeper.service())
    assert not place.anonymous_gets_in()
    assert folders(place) == ["SHOP"]


def test_a_command_that_fails_is_told_in_its_own_words():
    with pytest.raises(Unreachable) as failed:
        Service(start_command="sh -c 'echo no such unit >&2; exit 5'").start()
    assert failed.value.detail.endswith("ended with 5.")
    assert failed.value.server_words == "no such unit"
    with pytest.raises(Unreachable) as failed:
        Service(start_command="ls $(cat nats.pid)").start()
    assert failed.value.detail.endswith("It was run without a shell: put what needs one into a script.")
    with pytest.raises(Unreachable) as failed:
        Service(start_command="false").start()
    assert (failed.value.detail, failed.value.server_words) == ("`false` ended with 1.", "")
