"""Jobs on the product as `make up` starts it: workers are killed in the midst of them."""

import os
import signal
import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta

START = """
from django.contrib.auth import get_user_model
from accounts_app.door import through
from accounts_app.models import System
from provisioning.jobs import services
users = [{"name": f"dev-{number}", "permissions": [f"publish dev.{number}.>"]} for number in range(1500)]
document = {"accounts": [{"name": "FLEET", "users": users, "jetstream": True, "streams": [
    {"name": "READINGS", "subjects": ["dev.>"], "storage": "memory", "max_bytes": "1MiB"}]}]}
with through("command", person=get_user_model().objects.first()):
    job = services.start("provision", System.objects.get(), title="Fleet", accounts=["FLEET"],
        inputs={"document": document, "lifetime_s": 3600})
"""


class Table:
    """What the tables say, read beside the product: a command of its own would come too late."""

    def __init__(self, product):
        path = f"file:{product.state}/nunect.sqlite3?mode=ro"
        self.connection = sqlite3.connect(path, uri=True, timeout=20, isolation_level=None)

    def ask(self, query):
        return self.connection.execute(query).fetchall()

    def job(self):
        """(state, lease, problem) of the only job, None while there is none."""
        return next(iter(self.ask("select state, lease, problem from provisioning_job")), None)

    def lines(self):
        return self.ask("select at, step, text from provisioning_jobline order by id")


def test_a_job_whose_worker_is_killed_goes_on_within_ten_seconds(product):
    product.start()
    starter = threading.Thread(target=product.run, args=("shell", "-v", "0", "-c", START))
    starter.start()
    table, end = Table(product), time.monotonic() + 120
    while not table.ask("select 1 from provisioning_jobstep where name = 'rows' and state = 'running'"):
        assert time.monotonic() < end, table.job()
        time.sleep(0.01)
    job = table.job()
    os.kill(int(job[1].partition("-")[0]), signal.SIGKILL)
    killed = datetime.now(UTC)
    starter.join()
    while (job := table.job())[0] != "done":
        assert job[0] != "failed", job
        assert datetime.now(UTC) < killed + timedelta(seconds=180), (job, table.lines(), product.logs())
        time.sleep(0.05)
    died = [at for at, _, text in table.lines() if "died" in text]
    assert len(died) == 1, table.lines()
    took = (datetime.fromisoformat(died[0]).replace(tzinfo=UTC) - killed).total_seconds()
    assert took < 10, f"it took {took:.1f} s until another worker went on"
    assert table.ask("select state, attempts from provisioning_jobstep where name = 'rows'") == [("done", 2)]
