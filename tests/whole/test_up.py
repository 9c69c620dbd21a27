"""`up`: ready from nothing, the same again, and nothing left behind."""

import os
import signal
import stat
import subprocess
import time

import redis

from tests.whole.product import ROOT


def until(holds, seconds=20):
    """What `holds` answers, once that is true."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)
    return found


def test_first_start_second_start_and_a_clean_end(product):
    product.tables = None  # from nothing at all
    product.start()
    said = product.said()
    assert "Preparing the database" in said
    assert product.password()
    assert product.ready()[0] == 200
    assert product.get("/healthz") == (200, "ok\n")
    assert product.get("/admin/login/")[0] == 200
    conf = {path.name: path.read_bytes() for path in product.config.glob("*.conf")}
    secrets = (product.state / "secrets.env").read_bytes()
    for path in (product.state / "secrets.env", *product.config.glob("*.conf")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert product.stop() == 0
    assert not product.processes()

    product.start()  # how long it takes is the benchmark's: a busy machine is no reason to fail
    assert "Preparing the database" not in product.said()
    assert "admin /" not in product.said()
    assert {path.name: path.read_bytes() for path in product.config.glob("*.conf")} == conf
    assert (product.state / "secrets.env").read_bytes() == secrets
    assert product.stop(signal.SIGTERM) == 0
    assert not product.processes()
    assert secrets.split(b"=")[1].split()[0].decode() not in said + product.logs()


def test_it_starts_again_with_much_to_load_and_servers_that_are_away(product):
    """What Valkey kept takes a while to load, and a server of a managed system is down: nunect comes up and says so."""
    product.start()
    socket = next(product.state.rglob("valkey.sock"))
    with redis.Redis(unix_socket_path=str(socket)) as client:
        for number in range(60):
            client.set(f"ballast:{number}", bytes(2**20))
    (product.config / "far").mkdir()
    far = f"new_system('far', conf_dir='{product.config}/far', nats_url='nats://127.0.0.1:9')"
    away = f"Server.objects.create(system={far}, name='far-away', server_id='N9', state='unreachable')"
    made = product.run("shell", "-c", f"from accounts_app.systems import new_system; {away}")
    assert made.returncode == 0, made.stderr
    assert product.stop() == 0
    product.start()
    assert "nunect is ready" in product.said()
    status, told = product.ready()
    assert status == 503
    assert {"name": "far-away", "state": "unreachable"}.items() <= told["servers"][-1].items()
    assert product.stop() == 0


def test_a_killed_supervisor_leaves_no_process(running):
    running.process.kill()
    running.process.wait(5)
    deadline = time.monotonic() + 10
    while running.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running.processes()
    running.start()
    running.until_ready()


def test_a_child_that_dies_is_started_again_and_said(running):
    for name in ("nats-server", "valkey-server", "daphne"):
        pid = next(pid for pid, command in running.processes().items() if name in command)
        os.kill(pid, signal.SIGKILL)
        running.until_ready()
    assert "starting it again" in running.said()


def test_readyz_says_which_part_is_missing(running):
    pid = next(pid for pid, command in running.processes().items() if "valkey-server" in command)
    os.kill(pid, signal.SIGSTOP)
    status, told = running.ready()
    assert status == 503
    assert told["redis"]["state"] != "ok"
    assert told["database"]["state"] == "ok"
    os.kill(pid, signal.SIGCONT)
    running.until_ready()


def test_a_child_that_will_not_live_ends_it_with_a_sentence(product):
    product.start()
    main = product.config / "nats-server.conf"
    main.write_text(main.read_text() + "\nnonsense {\n")
    pid = next(pid for pid, command in product.processes().items() if "nats-server" in command)
    os.kill(pid, signal.SIGKILL)
    code, said = product.end()
    assert code == 1
    assert "nats-server" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not product.processes()


def test_a_web_process_that_will_not_live_leaves_the_servers_alone(product):
    product.start()
    servers = {pid for pid, command in product.processes().items() if "nats-server" in command}
    for _ in range(5):
        pid = until(lambda: next((pid for pid, command in product.processes().items() if "daphne" in command), None))
        os.kill(pid, signal.SIGKILL)
        until(lambda gone=pid: gone not in product.processes())
    until(lambda: "It is left down" in product.said())
    assert servers == {pid for pid, command in product.processes().items() if "nats-server" in command}


def test_another_shell_finds_what_runs(running):
    beside = {key: value for key, value in running.env.items() if key not in running.ports}
    command = [running.python, str(ROOT / "manage.py"), "enforce"]
    told = subprocess.run(command, env=beside, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
