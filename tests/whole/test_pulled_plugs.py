"""Parts of the running product stop or die while rows change: afterwards servers hold what the rows say."""

import contextlib
import os
import signal
import time

SETTINGS = {"PROVISIONING_SWEEP_SECONDS": "3"}
SAVE = """
from accounts_app.models import Account, NatsUser, SubjectPermission, System
from accounts_app import credentials
account, _ = Account.objects.get_or_create(system=System.objects.get(), name="ACME")
user = NatsUser.objects.filter(name="svc").first() or NatsUser.objects.create(
    account=account, name="svc", credential="nkey", nkey=credentials.new_nkey()[0]
)
for number in range({first}, {last}):
    SubjectPermission.objects.create(user=user, action="publish", effect="allow", subject=f"saved.n{{number}}.x")
"""
BEHIND = """
from accounts_app.models import System
system = System.objects.get()
print("behind", system.wanted - system.done, system.problem)
"""
ASKED = """
import time
from provisioning.heartbeat import worker_age
end = time.time() + 40
while time.time() < end:
    age = worker_age()
    if age is not None and time.time() - age > {since} + 1:
        print("asked again")
        break
    time.sleep(0.2)
"""


def save(product, first, last):
    done = product.run("shell", "-v", "0", "-c", SAVE.format(first=first, last=last), **SETTINGS)
    assert done.returncode == 0, done.stderr
    return done


def pids(product, *words):
    return [pid for pid, command in product.processes().items() if all(word in command for word in words)]


def until_all_hold(product, first, last, seconds=60):
    deadline = time.monotonic() + seconds
    conf = product.config / "accounts.conf"
    while time.monotonic() < deadline:
        text = conf.read_text()
        if all(f"saved.n{number}.x" in text for number in range(first, last)):
            break
        time.sleep(0.2)
    said = product.run("shell", "-v", "0", "-c", BEHIND, **SETTINGS).stdout
    while "behind 0" not in said and time.monotonic() < deadline:
        said = product.run("shell", "-v", "0", "-c", BEHIND, **SETTINGS).stdout
    assert "behind 0" in said, said + product.logs()
    text = conf.read_text()
    assert [number for number in range(first, last) if f"saved.n{number}.x" not in text] == []


def test_a_broker_that_hangs_delays_nobody_and_loses_nothing(running):
    save(running, 0, 3)
    until_all_hold(running, 0, 3)
    (valkey,) = pids(running, "valkey-server")
    os.kill(valkey, signal.SIGSTOP)
    try:
        began = time.monotonic()
        save(running, 3, 6)
        assert time.monotonic() - began < 25
        status, found = running.ready()
        assert status == 503, found
    finally:
        os.kill(valkey, signal.SIGCONT)
    until_all_hold(running, 0, 6)
    running.until_ready()


def test_workers_killed_again_and_again_lose_nothing(running):
    for turn in range(2):
        save(running, 10 + turn * 5, 15 + turn * 5)
        for pid in pids(running, "celery", "worker"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(1.5)
    until_all_hold(running, 10, 20)
    running.until_ready()


def test_what_asks_for_sweeps_is_started_again(running):
    running.until_ready()
    (killed,) = pids(running, "celery", "beat")
    os.kill(killed, signal.SIGKILL)
    asked = running.run("shell", "-v", "0", "-c", ASKED.format(since=time.time()), **SETTINGS)
    assert "asked again" in asked.stdout, asked.stderr + running.logs()
    assert pids(running, "celery", "beat") != [killed]
