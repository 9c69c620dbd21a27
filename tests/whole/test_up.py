"""`up`: ready from nothing, the same again, and nothing left behind."""

import os
import signal
import socket
import stat
import subprocess
import time

from tests.whole.product import ROOT


def until(holds, seconds=20):
    """What `holds` answers, once that is true."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)
    return found


def test_first_start_second_start_and_a_clean_end(product):
    product.start()
    said = product.said()
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

    began = time.monotonic()
    product.start()
    assert time.monotonic() - began < 20  # the figure itself is the benchmark's
    assert "admin /" not in product.said()
    assert {path.name: path.read_bytes() for path in product.config.glob("*.conf")} == conf
    assert (product.state / "secrets.env").read_bytes() == secrets
    assert product.stop(signal.SIGTERM) == 0
    assert not product.processes()
    assert secrets.split(b"=")[1].split()[0].decode() not in said + product.logs()


def test_a_killed_supervisor_leaves_no_process(product):
    product.start()
    product.process.kill()
    product.process.wait(5)
    deadline = time.monotonic() + 10
    while product.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not product.processes()
    product.start()
    product.until_ready()


def test_a_child_that_dies_is_started_again_and_said(product):
    product.start()
    for name in ("nats-server", "valkey-server", "daphne"):
        pid = next(pid for pid, command in product.processes().items() if name in command)
        os.kill(pid, signal.SIGKILL)
        product.until_ready()
    assert "starting it again" in product.said()


def test_readyz_says_which_part_is_missing(product):
    product.start()
    pid = next(pid for pid, command in product.processes().items() if "valkey-server" in command)
    os.kill(pid, signal.SIGSTOP)
    status, told = product.ready()
    assert status == 503
    assert told["redis"]["state"] != "ok"
    assert told["database"]["state"] == "ok"
    os.kill(pid, signal.SIGCONT)
    product.until_ready()


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


def test_another_shell_finds_what_runs(product):
    product.start()
    beside = {key: value for key, value in product.env.items() if key not in product.ports}
    command = [product.python, str(ROOT / "manage.py"), "enforce"]
    told = subprocess.run(command, env=beside, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def test_a_number_that_is_none_is_said_in_one_sentence(product):
    product.start(wait=False, NUNECT_PORT="abc")
    code, said = product.end()
    assert code == 1
    assert said.strip().splitlines()[-1] == "nunect: NUNECT_PORT must be a whole number."
    assert "Traceback" not in said


def test_a_taken_port_is_said_in_one_sentence(product):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", product.ports["NATS_PORT"]))
        taken.listen()
        code, said = product.start(wait=False).end()
    assert code == 1
    assert "NATS_PORT" in said
    assert len(said.strip().splitlines()) == 1


def test_a_second_up_on_the_same_state_is_refused(product):
    product.start()
    second = product.run("up")
    assert second.returncode == 1
    assert "runs already" in second.stderr
    assert product.ready()[0] == 200


def test_an_unwritable_folder_is_said_in_one_sentence(product):
    product.config.parent.mkdir(exist_ok=True)
    product.config.write_text("a file where a folder should be")
    code, said = product.start(wait=False).end()
    assert code == 1
    assert "NUNECT_CONFIG_DIR" in said
    assert "Traceback" not in said


def test_an_old_nats_server_is_refused_with_the_reason(product, tmp_path):
    old = tmp_path / "nats-server"
    old.write_text("#!/bin/sh\necho 'nats-server: v2.9.10'\n")
    old.chmod(0o755)
    code, said = product.start(wait=False, NATS_SERVER_BIN=str(old)).end()
    assert code == 1
    assert "2.9.10" in said
    assert "digest" in said


def test_a_chosen_password_is_not_printed_and_works(product):
    product.start(NUNECT_ADMIN_PASSWORD="a-password-of-my-own")
    assert "a-password-of-my-own" not in product.said() + product.logs()
    answer = product.run(
        "shell",
        "-c",
        "from django.contrib.auth.models import User; print(User.objects.get().check_password('a-password-of-my-own'))",
    )
    assert "True" in answer.stdout


def test_an_edited_main_file_is_left_alone(product):
    product.start()
    product.stop()
    main = product.config / "nats-server.conf"
    mine = main.read_text().replace("max_file: 10GB", "max_file: 9GB")
    main.write_text(mine)
    product.start()
    assert "edited by hand" in product.said()
    assert main.read_text() == mine


def test_a_corrupted_accounts_file_does_not_stop_a_start(product):
    product.start()
    product.stop()
    conf = product.config / "accounts.conf"
    former = conf.read_text()
    conf.write_text("accounts: {{{{")
    product.start()
    assert conf.read_text() == former


def test_the_data_plane_starts_alone(product):
    product.start()
    product.stop()
    alone = subprocess.Popen([ROOT / "scripts" / "nats-server.sh"], env=product.env, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 5
        answered = False
        while not answered and time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", product.ports["NATS_PORT"]), 1) as line:
                    answered = line.recv(4) == b"INFO"
            except OSError:
                time.sleep(0.05)
        assert answered
    finally:
        alone.terminate()
        alone.wait(10)


def test_a_run_leaves_the_checkout_clean(product):
    before = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout
    product.start()
    product.stop()
    after = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout
    assert after == before
