"""Jobs on a real server: runs of the pipeline and looks at jobs in this process, as workers would take turns."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time

from django.db import connections

from accounts_app.door import through
from accounts_app.models import Account, System
from provisioning import pipeline
from provisioning.blueprints import handover
from provisioning.errors import ProvisioningError
from provisioning.jobs import engine, kept, lease, services
from provisioning.models import Job
from tests.factories import admin

STREAM = {"name": "ORDERS", "subjects": ["orders.>"], "max_age": "7d"}
POINTS = ("begun", "acted", "written")


def document(name="ACME", *users, **fields):
    """An account with a user that may do everything, a stream with a consumer, and a KV bucket."""
    made = [{"name": user, "credential": "nkey", "access": "all"} for user in users or (f"{name.lower()}-svc",)]
    return {"accounts": [{"name": name, "jetstream": True, "users": made, **fields}]}


def with_streams(name="ACME", *users, **fields):
    consumer = {"name": "worker", "ack_wait": "10s"}
    streams = [{**STREAM, "deletion": "delete", "consumers": [consumer]}]
    buckets = [{"name": "config", "deletion": "delete"}]
    return document(name, *users, **{"streams": streams, "kv_buckets": buckets, **fields})


def provision(world, said, *, person="ada", link=True):
    """A job in somebody's name; (job, token of its link)."""
    token, hand_over = handover.new_link(3600) if link else ("", None)
    names = [account["name"] for account in said["accounts"]]
    with through("rest", person=admin(person)):
        job = services.start(
            "provision",
            world.system,
            title=f"Team {names[0]}",
            accounts=names,
            inputs={"document": said, "lifetime_s": 3600},
            hand_over=hand_over,
        )
    return job, token


def retire(name="ACME", window_s=0.0, data="delete", person="ada"):
    with through("rest", person=admin(person)):
        return services.retire(Account.objects.get(name=name), name, window_s, data)


def as_ada(act, *args):
    with through("rest", person=admin()):
        return act(*args)


def turn(world):
    """One run of the pipeline if rows have moved, and one look at every job."""
    wanted, done = System.objects.values_list("wanted", "done").get(pk=world.system.pk)
    if wanted != done:
        with contextlib.suppress(ProvisioningError):
            pipeline.apply(world.system.pk)
    Job.objects.filter(state__in=Job.ACTIVE).update(next_at=None)
    for job_id in lease.due().values_list("pk", flat=True):
        engine.advance(job_id)


def until(world, job, *states, seconds=60):
    """Take turns until the job is in one of these states (at rest, when none is given)."""
    wanted = states or (*Job.ENDED, Job.State.FAILED)
    end = time.monotonic() + seconds
    while True:
        job.refresh_from_db()
        if job.state in wanted:
            return job
        assert job.state not in (*Job.ENDED, Job.State.FAILED), told(job)
        assert time.monotonic() < end, told(job)
        turn(world)


def told(job):
    lines = [f"{job.state}: {job.problem or job.waits_for}"]
    lines += [f"  {step.name} {step.state} {step.waits_for}" for step in job.steps.all()]
    return "\n".join(lines + [f"    {line.step}: {line.text}" for line in job.lines.all()])


def steps(job):
    return {step.name: step.state for step in job.steps.all()}


def dies(act, step, point):
    """Run `act` in a child that is killed with SIGKILL as a job passes this point; True when it was."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            engine.passed.connect(
                lambda sender, **seen: (
                    os.kill(os.getpid(), signal.SIGKILL) if (seen["step"], seen["point"]) == (step, point) else None
                ),
                weak=False,
            )
            act()
        finally:
            os._exit(7)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def dump(world):
    """Everything that people can say of all accounts but nunect's own, in the database's words; and the conf
    without its mark, and the folders of the store."""
    names = list(Account.objects.exclude(name__startswith="$").values_list("name", flat=True))
    rows = json.loads(kept.dumps(kept.read(world.system, names)))
    for each in (row for label in ("accounts_app.Stream", "accounts_app.Consumer") for row in rows[label]):
        each["fields"] = {name: each["fields"].get(name) for name in ("name", "config", "managed", "leaving")}
    return rows, conf(world), folders(world)


def conf(world):
    return [line for line in world.conf.read_text().splitlines() if "nunect_revision" not in line and line[:1] != "#"]


def folders(world, store="js"):
    """{account: names of its streams} in the store."""
    found = {}
    for home in sorted((world.folder / store / "jetstream").glob("*")):
        if home.name.startswith("$") or not home.is_dir():
            continue
        found[home.name] = sorted(each.name for each in (home / "streams").glob("*")) if home.exists() else []
    return found


def client(world, seed, work):
    """What `work(client)` gives to a client that signs in with a seed."""
    import base64

    from nats.aio.client import Client

    from accounts_app import credentials
    from accounts_app.natsconf import nkeys

    async def run():
        made = Client()
        made._public_nkey = credentials.public_of(nkeys.decode_seed(seed)[1])
        await made.connect(
            [f"nats://127.0.0.1:{world.port}"],
            signature_cb=lambda nonce: base64.b64encode(credentials.sign(seed, nonce.encode())),
            allow_reconnect=False,
            connect_timeout=20,
        )
        try:
            return await work(made)
        finally:
            await made.close()

    return asyncio.run(run())
