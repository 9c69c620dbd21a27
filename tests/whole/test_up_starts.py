"""What `up` makes of the state, the files and the settings that it finds."""

import socket
import subprocess
import time

from tests.whole.product import ROOT


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


def test_a_second_up_on_the_same_state_is_refused(running):
    second = running.run("up")
    assert second.returncode == 1
    assert "runs already" in second.stderr
    assert running.ready()[0] == 200


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


def test_an_edited_main_file_is_left_alone(stopped):
    main = stopped.config / "nats-server.conf"
    mine = main.read_text().replace("max_file: 10GB", "max_file: 9GB")
    main.write_text(mine)
    stopped.start()
    assert "edited by hand" in stopped.said()
    assert main.read_text() == mine


def test_a_corrupted_accounts_file_does_not_stop_a_start(stopped):
    conf = stopped.config / "accounts.conf"
    former = conf.read_text()
    conf.write_text("accounts: {{{{")
    stopped.start()
    assert conf.read_text() == former


def test_the_data_plane_starts_alone(stopped):
    alone = subprocess.Popen([ROOT / "scripts" / "nats-server.sh"], env=stopped.env, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 5
        answered = False
        while not answered and time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", stopped.ports["NATS_PORT"]), 1) as line:
                    answered = line.recv(4) == b"INFO"
            except OSError:
                time.sleep(0.05)
        assert answered
    finally:
        alone.terminate()
        alone.wait(10)


def test_a_run_leaves_the_checkout_clean(stopped):
    before = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout
    stopped.start()
    stopped.stop()
    after = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout
    assert after == before
