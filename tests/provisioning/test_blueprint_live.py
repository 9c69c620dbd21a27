"""The blueprints that nunect brings, on a real server: each user gets in and may do what it is for, and no more."""

import asyncio
import json
import socket
import time

import pytest
from nats.js.errors import NotFoundError

from accounts_app.door import through
from accounts_app.models import NatsUser
from provisioning.blueprints import catalogue, handover
from provisioning.blueprints.connecting import connections
from provisioning.blueprints.reading import read_blueprint
from provisioning.blueprints.submit import issue_again, look, provision
from provisioning.models import Job
from tests.factories import admin
from tests.ports import free_ports
from tests.provisioning.holders import Holder, Mqtt, enters
from tests.provisioning.jobs_world import told, turn, until

OF_OTHERS = ("$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.CREATE.X", "$SYS.REQ.SERVER.PING", "anything")


def provisioned(world, blueprint, /, **given):
    """What the link of a blueprint's job opens, once it is done."""
    spec = catalogue.find(blueprint).spec
    seen = look(world.system, spec, given)
    assert seen.good, seen.as_dict()
    with through("rest", person=admin()):
        made = provision(world.system, spec, given)
    job = until(world, made.job)
    assert job.state == Job.State.DONE, told(job)
    return handover.open_once(made.token)


@pytest.fixture
def world(world):
    world.system.public_url = f"nats://127.0.0.1:{world.port}"
    world.system.save(update_fields=["public_url"])
    return world


def test_an_event_driven_team(world):
    handed = provisioned(world, "event-driven-team", name="SHOP", prefix="shop", services="orders, billing")
    assert handed.keys() == {"SHOP-orders", "SHOP-billing", "SHOP-on-duty"}
    asyncio.run(talk_of_a_team(handed))
    asyncio.run(dead_letters_of_a_team(handed))
    others = provisioned(world, "event-driven-team", name="LAB", prefix="lab", services=["probe"], share_with=["SHOP"])
    assert others.keys() == {"LAB-on-duty", "LAB-probe"}


async def talk_of_a_team(handed):
    async with Holder(handed["SHOP-orders"]) as orders, Holder(handed["SHOP-billing"]) as billing:
        assert await orders.publishes("shop.orders.created", "shop.public.prices") == {
            "shop.orders.created": True, "shop.public.prices": True,
        }  # fmt: skip
        assert not any((await orders.publishes("shop.billing.paid", "lab.x", "$KV.config.x", *OF_OTHERS)).values())
        foreign = (
            "$JS.API.CONSUMER.MSG.NEXT.EVENTS.billing",
            "$JS.ACK.EVENTS.billing.1.1.1.1.0",
            "$JS.API.STREAM.LIST",
        )
        assert not any((await orders.publishes(*foreign)).values())
        assert await orders.subscribes("shop.billing.>", "shop.>") == {"shop.billing.>": True, "shop.>": True}
        own = "_INBOX.SHOP-billing.>"
        assert not any((await orders.subscribes("lab.>", ">", "_INBOX.>", own, "$JS.EVENT.>", "$KV.config.>")).values())

        stored = await orders.js.publish("shop.orders.created", b"one", headers={"Nats-Msg-Id": "1"})
        assert stored.stream == "EVENTS"
        assert (await orders.js.publish("shop.orders.created", b"one", headers={"Nats-Msg-Id": "1"})).duplicate
        # Both the ways in which clients find their consumer; each service gets every event.
        pulling = await billing.js.pull_subscribe("", "billing", stream="EVENTS")
        events = [message async for message in all_of(pulling)]
        assert {message.subject for message in events} == {"shop.orders.created", "shop.public.prices"}
        bound = await orders.js.pull_subscribe_bind("orders", "EVENTS")
        assert len([message async for message in all_of(bound)]) == len(events)

        async def answer(message):
            await message.respond(b"42")

        await billing.client.subscribe("requests.billing.how-many", "billing", cb=answer)
        await billing.settle()
        assert (await orders.client.request("requests.billing.how-many", b"", timeout=20)).data == b"42"

    async with Holder(handed["SHOP-on-duty"]) as people, Holder(handed["SHOP-orders"]) as orders:
        config = await people.js.key_value("config")
        await config.put("orders.limit", b"5")
        theirs = await orders.js.key_value("config")
        watcher = await theirs.watchall()
        assert (await watcher.updates(20)).value == b"5"
        await config.put("orders.limit", b"6")
        values = [await watcher.updates(20), await watcher.updates(20)]
        assert [entry.value for entry in values if entry is not None] == [b"6"]
        await watcher.stop()
        assert (await theirs.get("orders.limit")).value == b"6"
        assert await theirs.keys() == ["orders.limit"]
        assert {info.config.name for info in await people.js.streams_info()} == {"EVENTS", "DEAD_LETTERS", "KV_config"}
        assert (await people.js.consumer_info("EVENTS", "billing")).num_pending == 0
        never = ("shop.orders.created", "$JS.API.STREAM.PURGE.EVENTS", "$JS.API.CONSUMER.DELETE.EVENTS.billing")
        assert not any((await people.publishes(*never, *OF_OTHERS)).values())


async def dead_letters_of_a_team(handed):
    """What a service gives up on is told to the people on duty, who read the event itself."""
    async with Holder(handed["SHOP-billing"]) as billing, Holder(handed["SHOP-on-duty"]) as people:
        await billing.js.publish("shop.billing.broken", b"nobody can read this")
        pulling = await billing.js.pull_subscribe_bind("billing", "EVENTS")
        (message,) = await pulling.fetch(1, 20)
        await message.term()
        await billing.settle()
        letters = await people.js.pull_subscribe_bind("on-duty", "DEAD_LETTERS")
        (letter,) = await letters.fetch(1, 20)
        said = json.loads(letter.data)
        assert (said["stream"], said["consumer"]) == ("EVENTS", "billing")
        assert (await people.js.get_msg("EVENTS", said["stream_seq"])).data == b"nobody can read this"
        await letter.ack()


async def all_of(pulling):
    """The messages that a consumer has now, acknowledged."""
    info = await pulling.consumer_info()
    for message in await pulling.fetch(info.num_pending, 20):
        await message.ack_sync(20)
        yield message


def test_a_resilient_team_on_a_cluster_of_which_a_node_is_down(cluster):
    """The job waits and says for whom; when the node is back, the team stores on all three."""
    cluster.system.public_url = cluster.url_of("n1")
    cluster.system.save(update_fields=["public_url"])
    cluster.apply()
    text = catalogue.find("event-driven-team").text.replace("1207959552", "900000000")  # what its servers have
    spec = read_blueprint(text.replace("small: 256MiB", "small: 128MiB"))
    given = {"name": "SHOP", "prefix": "shop", "services": ["orders"], "resilient": True}
    away = next(name for name in cluster.followers() if name != "n1")
    cluster.kill(away)
    with through("rest", person=admin()):
        made = provision(cluster.system, spec, given)
    job = until(cluster, made.job, Job.State.WAITING)
    while away not in job.waits_for:
        turn(cluster)
        job.refresh_from_db()
    with pytest.raises(handover.HandOverError, match="aren't ready"):
        handover.open_once(made.token)
    cluster.start(away)
    cluster.apply(fresh=True)  # the sweep finds it
    assert until(cluster, job).state == Job.State.DONE, told(job)
    handed = handover.open_once(made.token)

    async def work():
        async with Holder(handed["SHOP-orders"]) as orders, Holder(handed["SHOP-on-duty"]) as people:
            assert (await orders.js.publish("shop.orders.created", b"one")).seq == 1
            replicas = {info.config.name: info.config.num_replicas for info in await people.js.streams_info()}
            assert replicas == {"EVENTS": 3, "DEAD_LETTERS": 3, "KV_config": 3}

    asyncio.run(work())


def test_a_work_queue(world):
    handed = provisioned(world, "work-queue", name="RENDER", queues=["thumbs", "films"], time_for_a_job="1s")
    assert handed.keys() == {"RENDER-producer", "RENDER-worker-thumbs", "RENDER-worker-films", "RENDER-on-duty"}
    asyncio.run(work_of_a_queue(handed))


async def work_of_a_queue(handed):
    thumbs, films = Holder(handed["RENDER-worker-thumbs"]), Holder(handed["RENDER-worker-films"])
    async with Holder(handed["RENDER-producer"]) as producer, thumbs, films, Holder(handed["RENDER-on-duty"]) as people:
        for subject in ("jobs.thumbs", "jobs.thumbs.small", "jobs.films.long"):
            await producer.js.publish(subject, subject.encode())
        assert not any((await producer.subscribes("jobs.>", "_INBOX.>")).values())
        reading = ("$JS.API.CONSUMER.MSG.NEXT.JOBS.thumbs", "$JS.API.STREAM.INFO.JOBS")
        assert not any((await producer.publishes(*reading, *OF_OTHERS)).values())
        foreign = (
            "$JS.API.CONSUMER.MSG.NEXT.JOBS.films",
            "$JS.ACK.JOBS.films.1.1.1.1.0",
            "jobs.thumbs",
            "$KV.settings.a",
        )
        assert not any((await thumbs.publishes(*foreign, *OF_OTHERS)).values())
        assert not any((await thumbs.subscribes("jobs.>", "_INBOX.RENDER-worker-films.>", "$JS.EVENT.>")).values())

        own = await thumbs.js.pull_subscribe("", "thumbs", stream="JOBS")
        assert [message.subject async for message in all_of(own)] == ["jobs.thumbs", "jobs.thumbs.small"]
        theirs = await films.js.pull_subscribe_bind("films", "JOBS")
        (job,) = await theirs.fetch(1, 20)
        await job.in_progress()
        await job.ack_sync(20)
        assert (await people.js.stream_info("JOBS")).state.messages == 0  # done jobs are gone

        # A job that every worker fails at is a dead letter after its tries; the people on duty put it back or away.
        await producer.js.publish("jobs.films.broken", b"broken")
        for _ in range(5):
            (job,) = await theirs.fetch(1, 20)
            await job.nak()
        await films.settle()
        letters = await people.js.pull_subscribe_bind("on-duty", "DEAD_LETTERS")
        pulled = asyncio.create_task(letters.fetch(1, 20))
        await assert_nothing_is_left(theirs)
        (letter,) = await pulled
        sequence = json.loads(letter.data)["stream_seq"]
        assert (await people.js.get_msg("JOBS", sequence)).subject == "jobs.films.broken"
        assert await people.js.delete_msg("JOBS", sequence)
        await letter.ack_sync(20)

        await (await people.js.key_value("settings")).put("films.codec", b"av1")
        assert (await (await films.js.key_value("settings")).get("films.codec")).value == b"av1"


async def assert_nothing_is_left(pulling):
    with pytest.raises(TimeoutError):
        await pulling.fetch(1, 0.5)


def test_an_iot_fleet_over_nats(world):
    from accounts_app import credentials

    nkey, seed = credentials.new_nkey()
    csv = f"name,nkey,description\nmeter-1,,In the hall\nmeter-2,{nkey},Brings its own key\n"
    handed = provisioned(world, "iot-fleet", name="METERS", devices=csv)
    assert handed.keys() == {"meter-1", "METERS-backend"}  # nobody hands over what the owner has already
    own = connections(world.system, {"meter-2": seed})
    handed["meter-2"] = {"kind": "nkey", "secret": seed, "connect": own["meter-2"]}
    asyncio.run(talk_of_a_fleet(handed))


async def talk_of_a_fleet(handed):
    one, two = Holder(handed["meter-1"]), Holder(handed["meter-2"])
    async with one, two, Holder(handed["METERS-backend"]) as backend:
        assert await one.publishes("telemetry.meter-1.temp", "telemetry.meter-1.a.b") == {
            "telemetry.meter-1.temp": True, "telemetry.meter-1.a.b": True,
        }  # fmt: skip
        foreign = ("telemetry.meter-2.temp", "telemetry.x", "commands.meter-2.off", "commands.meter-1.off")
        api = ("$JS.API.DIRECT.GET.KV_config.$KV.config.meter-2", "$JS.API.STREAM.INFO.KV_config", "$KV.config.meter-1")
        assert not any((await one.publishes(*foreign, *api, *OF_OTHERS)).values())
        heard = ("commands.meter-2.>", "commands.>", "telemetry.>", "$KV.config.>", "$KV.config.meter-2", "_INBOX.>")
        assert not any((await one.subscribes(*heard, "_INBOX.meter-2.>")).values())

        for device, value in ((one, b"20.5"), (two, b"19.0")):
            name = device.handed["connect"]["context"]["description"].split("/")[1]
            assert (await device.js.publish(f"telemetry.{name}.temp", value)).stream == "TELEMETRY"
        pulling = await backend.js.pull_subscribe("", "backend", stream="TELEMETRY")
        told_ = {message.subject: message.data async for message in all_of(pulling)}
        assert told_["telemetry.meter-2.temp"] == b"19.0"
        last = await backend.js.get_last_msg("TELEMETRY", "telemetry.meter-1.temp", direct=True)
        assert last.data == b"20.5"

        async def obey(message):
            await message.respond(b"done")

        await one.client.subscribe("commands.meter-1.>", cb=obey)
        changes = await one.client.subscribe("$KV.config.meter-1")
        await one.settle()
        assert (await backend.client.request("commands.meter-1.off", b"", timeout=20)).data == b"done"
        config = await backend.js.key_value("config")
        await config.put("meter-1", b'{"every": 10}')
        assert (await changes.next_msg(20)).data == b'{"every": 10}'
        now = await one.client.request("$JS.API.DIRECT.GET.KV_config.$KV.config.meter-1", b"", timeout=20)
        assert now.data == b'{"every": 10}'
        with pytest.raises(NotFoundError):
            await config.get("meter-2")


def test_an_iot_fleet_over_mqtt(world):
    (port,) = free_ports(1)
    world.write_main(f'mqtt {{ listen: "127.0.0.1:{port}" }}')
    world.restart()
    handed = provisioned(world, "iot-fleet", name="METERS", devices="name\nmeter-1\nmeter-2\n", mqtt="yes")
    assert {name: one["kind"] for name, one in handed.items()} == {
        "meter-1": "password", "meter-2": "password", "METERS-backend": "nkey",
    }  # fmt: skip
    device = Mqtt(port, "meter-1", handed["meter-1"]["secret"])
    assert device.entered
    assert [device.subscribe(f"commands/{topic}") for topic in ("meter-1/#", "meter-1/off", "meter-2/#", "#")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert not device.subscribe("telemetry/#")
    device.publish("telemetry/meter-2/temp", b"forged")
    device.publish("telemetry/meter-1/temp", b"20.5")

    async def behind():
        async with Holder(handed["METERS-backend"]) as backend:
            pulling = await backend.js.pull_subscribe("", "backend", stream="TELEMETRY")
            (message,) = await pulling.fetch(1, 20)
            assert (message.subject, message.data) == ("telemetry.meter-1.temp", b"20.5")
            assert (await pulling.consumer_info()).num_pending == 0  # the forged one is nowhere
            await backend.client.publish("commands.meter-1.off", b"now")
            await backend.settle()

    asyncio.run(behind())
    assert device.message() == ("commands/meter-1/off", b"now")
    device.close()
    with socket.create_connection(("127.0.0.1", port), 20):  # the listener is there for whoever comes
        wrong = Mqtt(port, "meter-1", handed["meter-2"]["secret"])
    assert not wrong.entered


def test_hundreds_of_devices_share_a_reload_and_more_may_come(world):
    def csv(count):
        return "name\n" + "".join(f"meter-{number:04}\n" for number in range(count))

    before, begun = world.reloads(), time.monotonic()
    handed = provisioned(world, "iot-fleet", name="METERS", devices=csv(200))
    spent = time.monotonic() - begun
    assert len(handed) == 201
    assert world.reloads() - before <= 2
    assert spent < 60, f"{spent:.0f} s"
    first = handed["meter-0000"]
    again = provisioned(world, "iot-fleet", name="METERS", devices=csv(220))
    assert len(again) == 20  # those that were there keep theirs
    assert world.reloads() - before <= 4

    async def both():
        async with Holder(first) as old, Holder(again["meter-0219"]) as new:
            assert await old.publishes("telemetry.meter-0000.a", "telemetry.meter-0219.a") == {
                "telemetry.meter-0000.a": True, "telemetry.meter-0219.a": False,
            }  # fmt: skip
            assert await new.may_publish("telemetry.meter-0219.a")

    asyncio.run(both())


def test_new_credentials_end_the_old_ones(world):
    handed = provisioned(world, "iot-fleet", name="METERS", devices="name\nmeter-1\n", mqtt=True)
    job = Job.objects.get()
    with through("rest", person=admin()):
        made = issue_again(job)
    assert until(world, made.job).state == Job.State.DONE
    anew = handover.open_once(made.token)
    assert anew.keys() == handed.keys()
    url = handed["meter-1"]["connect"]["url"]
    passwords = [each["meter-1"]["secret"] for each in (handed, anew)]
    entered = [asyncio.run(enters(url, user="meter-1", password=password)) for password in passwords]
    assert entered == [False, True]
    assert NatsUser.objects.filter(account__name="METERS").count() == 2
