"""`python -m benchmarks.jobs`: many jobs at once on the product as `make up` starts it: seconds, reloads, memory."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import machine, percentile
from tests.whole.product import ROOT, Product

LOOK_S = 10  # a look starts a Python of its own, on cores that are asked for
START = """
import json, sys
from django.contrib.auth import get_user_model
from accounts_app.door import through
from accounts_app.models import System
from provisioning.blueprints import handover
from provisioning.jobs import services
count, streams = json.loads(sys.argv[1])
system, ada = System.objects.get(), get_user_model().objects.first()
for number in range(count):
    name = f"TEAM{number:04d}"
    account = {"name": name, "jetstream": True, "users": [
        {"name": f"{name.lower()}-api", "permissions": ["publish orders.>"]},
        {"name": f"{name.lower()}-worker", "permissions": ["subscribe orders.>"]},
    ]}
    if streams:
        stream = {"name": "ORDERS", "subjects": ["orders.>"], "max_bytes": "100KiB"}
        account["streams"] = [{**stream, "consumers": [{"name": "worker"}]}]
    with through("command", person=ada):
        services.start("provision", system, title=f"Team {number}", accounts=[name],
            inputs={"document": {"accounts": [account]}, "lifetime_s": 3600}, hand_over=handover.new_link()[1])
"""
LOOK = """
import json
from django.db.models import Count
from provisioning.models import Job, Revision
states = dict(Job.objects.values_list("state").annotate(Count("pk")))
ended = [(job.ended_at - job.created_at).total_seconds() for job in Job.objects.exclude(ended_at=None)]
problems = list(Job.objects.exclude(problem="").values_list("problem", flat=True)[:3])
print(json.dumps({"states": states, "revisions": Revision.objects.count(), "ended": ended, "problems": problems}))
"""


def measure(folder: Path, count: int, *, streams: bool) -> dict[str, Any]:
    """Start so many jobs as fast as the rows allow, and wait until all are done."""
    product = Product(folder, sys.executable)
    try:
        product.start()
        log = product.state / "logs" / "nats-server.log"
        before = log.read_text().count("Reloaded server configuration")
        began = time.monotonic()
        _shell(product, START, json.dumps([count, streams]))
        started = time.monotonic() - began
        memory = 0
        while True:
            time.sleep(LOOK_S)
            seen = json.loads(_shell(product, LOOK))
            memory = max(memory, _memory(product))
            waiting = count - sum(seen["states"].get(state, 0) for state in ("done", "failed"))
            print(f"  {time.monotonic() - began:6.1f} s  {seen['states']}", flush=True)
            if waiting <= 0:
                break
        return {
            "jobs": count,
            "streams": streams,
            "started_s": round(started, 1),
            "all_done_s": round(max(seen["ended"]), 1),
            "median_s": round(percentile(seen["ended"], 50), 1),
            "reloads": log.read_text().count("Reloaded server configuration") - before,
            "revisions": seen["revisions"],
            "largest_worker_mb": memory,
            "states": seen["states"],
            "problems": seen["problems"],
        }
    finally:
        product.kill()


def _shell(product: Product, script: str, *arguments: str) -> str:
    secrets = (product.state / "secrets.env").read_text().splitlines()
    env = dict(line.split("=", 1) for line in secrets if "=" in line) | product.env
    ready = "import django\ndjango.setup()\n"
    done = subprocess.run(
        [sys.executable, "-c", ready + script, *arguments],
        cwd=ROOT,
        env={**env, "DJANGO_SETTINGS_MODULE": "nunect.settings"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def _memory(product: Product) -> int:
    """Of the largest process of the workers, in MB."""
    found = [0]
    for pid, command in product.processes().items():
        if "celery" in command:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            found += [int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")]
    return max(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--no-streams", action="store_true")
    asked = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="nunect-jobs-") as folder:
        print(json.dumps(measure(Path(folder), asked.jobs, streams=not asked.no_streams), indent=2))


if __name__ == "__main__":
    main()
