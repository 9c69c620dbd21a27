"""The way to servers that nunect didn't start, tried step by step on real ones."""

import contextlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from django.core.exceptions import ValidationError

from accounts_app import credentials
from accounts_app.models import System
from accounts_app.systems import new_system
from provisioning.binary import binary
from provisioning.connecting import STEPS, try_connection
from provisioning.server import Fleet
from tests.ports import free_ports
from tests.provisioning.certificates import Authority

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct-horse-battery"
OPS, APP = (f'{{ user: "{name}", password: "{PASSWORD}" }}' for name in ("ops", "app"))
SYSTEM = f'accounts {{ "$SYS": {{ users: [ {OPS} ] }}, APP: {{ users: [ {APP} ] }} }}'


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def server(tmp_path):
    """Starts nats-server with a conf of somebody's; gives its port. `server.reload()`: the last one reads it anew."""
    running = []

    def start(conf):
        (port,) = free_ports(1)
        path = tmp_path / "theirs.conf"
        path.write_text(f'listen: "127.0.0.1:{port}"\n{conf}\n')
        running.append(subprocess.Popen([binary(), "-c", path, "-l", tmp_path / "log"], cwd=tmp_path))
        wait_for(port, running[-1], tmp_path)
        return port

    def reload():
        log = tmp_path / "log"
        before = len(log.read_text())
        running[-1].send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 5
        while not (told := re.search("Reloaded server conf|Failed to reload.*", log.read_text()[before:])):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        return told[0]

    start.reload = reload
    yield start
    for process in running:
        process.kill()
        process.wait()


def wait_for(port, process, folder):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        time.sleep(0.02)
    raise AssertionError((folder / "log").read_text())


@pytest.fixture
def system(tmp_path, settings):
    settings.NATS_CONNECT_TIMEOUT, settings.NATS_REQUEST_TIMEOUT = 2.0, 1.0
    (tmp_path / "folder").mkdir()
    return new_system("theirs", stage=System.Stage.OBSERVED, conf_dir=str(tmp_path / "folder"))


def tried(system, url, **fields):
    for name, value in {"nats_url": url, **fields}.items():
        setattr(system, name, value)
    system.full_clean(exclude=["guard_nkey", "control_nkey", "relay_nkey", "jetstream_nkey"])
    system.save()
    (found,) = try_connection(System.objects.get())
    return found


def fails(found, name):
    """The step that failed: all before it went well, none after it was tried."""
    at = STEPS.index(name)
    states = [step.state for step in found.steps]
    assert states == ["ok"] * at + ["failed"] + ["untried"] * (len(STEPS) - at - 1), found
    assert not found.ok
    assert PASSWORD not in repr(found)
    return found.steps[at]


def test_a_user_of_the_system_account_is_enough_to_look(server, system):
    port = server(SYSTEM)
    found = tried(system, f"nats://127.0.0.1:{port}", login_user="ops", login_secret=PASSWORD)
    assert found.ok, found
    assert [step.name for step in found.steps] == list(STEPS)
    assert found.steps[STEPS.index("account")].text == "$SYS"
    assert "sha256:" in found.steps[-1].text
    with Fleet(System.objects.get()) as fleet:
        assert len(fleet.see(1)) == 1


def test_a_seed_does_as_well(server, system):
    public, seed = credentials.new_nkey()
    port = server(f'accounts {{ "$SYS": {{ users: [ {{ nkey: "{public}" }} ] }} }}')
    found = tried(system, f"nats://127.0.0.1:{port}", login_secret=seed)
    assert found.ok, found
    assert found.steps[STEPS.index("login")].text == public
    assert seed not in repr(found)


def test_the_lines_that_it_names_mend_it_by_a_reload(server, system, tmp_path):
    """A server that knows nobody of nunect's: the lines are pasted, the server is signalled, and then it does."""
    port = server('accounts { APP: { users: [ { user: "app", password: "secret" } ] } }')
    step = fails(tried(system, f"nats://127.0.0.1:{port}"), "login")
    assert "doesn't know nunect's own key" in step.text
    assert step.needs == "reload"
    assert system.control_nkey in step.lines
    conf = tmp_path / "theirs.conf"
    lines = "".join(line for line in step.lines.splitlines(keepends=True) if not line.startswith("#"))
    conf.write_text(conf.read_text().replace("accounts {", lines.strip().rstrip("}").rstrip().rstrip("}") + "}\n"))
    assert server.reload() == "Reloaded server conf"
    assert tried(system, f"nats://127.0.0.1:{port}").ok


def test_a_server_without_users_stays_open_when_it_lets_nunect_in(server, system, tmp_path):
    port = server("")
    step = fails(tried(system, f"nats://127.0.0.1:{port}"), "account")
    assert step.text.startswith("The server has no users: it lets in everybody")
    pasted(tmp_path, step.lines)
    assert server.reload() == "Reloaded server conf"
    assert tried(system, f"nats://127.0.0.1:{port}").ok
    assert is_open(port)


def test_users_of_the_global_account_keep_what_they_have(server, system, tmp_path):
    """A single user beside accounts is what the server refuses; the lines say so, and what to make of it."""
    port = server(f'authorization {{ user: "app", password: "{PASSWORD}" }}')
    step = fails(tried(system, f"nats://127.0.0.1:{port}", login_user="app", login_secret=PASSWORD), "account")
    assert "in account “$G”, which is not the system account" in step.text
    conf = tmp_path / "theirs.conf"
    alone = conf.read_text()
    pasted(tmp_path, step.lines)
    assert "Can not have a single user/pass and " in server.reload()
    assert "authorization { users: [ { user: …, password: … } ] }" in step.lines
    users = f"authorization {{ users: [ {APP} ] }}"
    conf.write_text(alone.replace(alone.splitlines()[1], users) + step.lines)
    assert server.reload() == "Reloaded server conf"
    assert tried(system, f"nats://127.0.0.1:{port}", login_user="", login_secret="").ok


def test_a_system_account_of_another_name_is_told_by_what_nobody_answers(server, system, tmp_path):
    """The conf says another one: the lines turn that at a start, and users of that one could be added by a reload."""
    users = f'"$SYS": {{ users: [ {OPS} ] }}, THEIRS: {{ users: [ {APP} ] }}'
    port = server(f"system_account: THEIRS\naccounts {{ {users} }}")
    login = {"login_user": "ops", "login_secret": PASSWORD}
    step = fails(tried(system, f"nats://127.0.0.1:{port}", **login), "rights")
    assert "Account “$SYS” is not the system account of this server" in step.text
    assert (step.needs, 'system_account: "$SYS"' in step.lines) == ("restart", True)
    assert tried(system, f"nats://127.0.0.1:{port}", login_user="app", login_secret=PASSWORD).ok
    refused = fails(tried(system, f"nats://127.0.0.1:{port}", login_user="", login_secret=""), "login")
    assert "Where system_account names another account, they belong there" in refused.lines
    conf = tmp_path / "theirs.conf"
    ours = emit_users(system)
    conf.write_text(conf.read_text().replace("THEIRS: { users: [", f"THEIRS: {{ users: [ {ours},"))
    assert server.reload() == "Reloaded server conf"
    assert tried(system, f"nats://127.0.0.1:{port}").ok


def test_a_server_without_a_system_account_needs_a_restart(server, system, tmp_path):
    """Users of `$SYS` that come by a reload get in there, and nobody hears them."""
    port = server(f"no_system_account: true\naccounts {{ APP: {{ users: [ {APP} ] }} }}")
    step = fails(tried(system, f"nats://127.0.0.1:{port}", login_user="app", login_secret=PASSWORD), "account")
    assert "runs without a system account" in step.text
    assert step.needs == "restart"
    conf = tmp_path / "theirs.conf"
    conf.write_text(conf.read_text().replace("accounts {", f'accounts {{ "$SYS": {{ users: [ {OPS} ] }},'))
    assert server.reload() == "Reloaded server conf"
    found = tried(system, f"nats://127.0.0.1:{port}", login_user="ops", login_secret=PASSWORD)
    assert fails(found, "account").needs == "restart"
    port = server(step.lines)
    assert tried(system, f"nats://127.0.0.1:{port}", login_user="", login_secret="").ok


def test_each_server_is_told_of_and_none_waits_for_another(server, system):
    port = server(SYSTEM)
    (closed,) = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        system.nats_url = ",".join(f"nats://127.0.0.1:{each}" for each in (closed, silent.getsockname()[1], port))
        system.login_user, system.login_secret = "ops", PASSWORD
        found = try_connection(system)
    assert [one.ok for one in found] == [False, False, True]
    assert [next((step.name for step in one.steps if step.state == "failed"), "") for one in found] == [
        "port",
        "server",
        "",
    ]


def test_a_system_that_is_not_saved_is_tried_without_lines_that_nobody_could_keep(server):
    port = server(SYSTEM)
    way = System(nats_url=f"nats://127.0.0.1:{port}", stage=System.Stage.OBSERVED)
    (found,) = try_connection(way)
    step = fails(found, "login")
    assert "or save and add the key" in step.text
    assert step.lines == step.needs == ""
    way.login_user, way.login_secret = "ops", PASSWORD
    assert try_connection(way)[0].ok


def pasted(folder, lines):
    conf = folder / "theirs.conf"
    conf.write_text(conf.read_text() + lines)


def emit_users(system):
    return ", ".join(f'{{ nkey: "{key}" }}' for key in (system.control_nkey, system.relay_nkey))


def is_open(port):
    """Whether somebody without a credential gets in."""
    with socket.create_connection(("127.0.0.1", port), 2) as line:
        line.sendall(b'CONNECT {"verbose": false, "pedantic": false}\r\nPING\r\n')
        told = b""
        while b"PONG" not in told and b"-ERR" not in told:
            told += line.recv(4096)
    return b"PONG" in told


def test_a_wrong_password_is_said(server, system):
    port = server(SYSTEM)
    step = fails(tried(system, f"nats://127.0.0.1:{port}", login_user="ops", login_secret="wrong"), "login")
    assert step.text == "It refuses “ops”: the credential is wrong, or may not be used from here."
    assert not step.lines


def test_a_user_of_another_account_can_ask_nobody(server, system):
    port = server(SYSTEM)
    step = fails(tried(system, f"nats://127.0.0.1:{port}", login_user="app", login_secret=PASSWORD), "account")
    assert "in account “APP”, which is not the system account" in step.text
    assert system.relay_nkey in step.lines
    assert "a second “accounts” would take the place of the first" in step.lines
    assert "authorization {" not in step.lines  # beside accounts there is none of the kind


def test_a_user_who_may_ask_nothing_is_told_with_the_lines_that_mend_it(server, system):
    user = f'{{ user: "app", password: "{PASSWORD}", permissions: {{ publish: "shop.>" }} }}'
    port = server(f'accounts {{ "$SYS": {{ users: [ {OPS} ] }}, APP: {{ users: [ {user} ] }} }}')
    step = fails(tried(system, f"nats://127.0.0.1:{port}", login_user="app", login_secret=PASSWORD), "account")
    assert step.text.startswith("The user may not ask the server anything: it isn't in the system account")
    assert system.relay_nkey in step.lines


def test_rights_that_are_missing_are_named(server, system):
    user = f'{{ user: "ops", password: "{PASSWORD}", permissions: {{ publish: "$SYS.REQ.USER.INFO" }} }}'
    port = server(f'accounts {{ "$SYS": {{ users: [ {user} ] }} }}')
    step = fails(tried(system, f"nats://127.0.0.1:{port}", login_user="ops", login_secret=PASSWORD), "rights")
    assert "$SYS.REQ.SERVER.PING.VARZ" in step.text


def test_a_closed_port_and_an_unknown_host(system):
    (port,) = free_ports(1)
    step = fails(tried(system, f"nats://127.0.0.1:{port}"), "port")
    assert step.text == f"Nobody lets nunect in at 127.0.0.1:{port}: connection refused."
    assert "localhost" in fails(tried(system, f"nats://localhost:{port}"), "port").text
    assert "is no name that this machine knows" in fails(tried(system, "nats://nobody.invalid:4222"), "name").text


def test_a_websocket_is_none_of_nunects_ways(server, system):
    (port,) = free_ports(1)
    server(f'websocket {{ listen: "127.0.0.1:{port}", no_tls: true }}\n{SYSTEM}')
    assert "speaks no websocket" in fails(tried(system, f"ws://127.0.0.1:{port}"), "server").text


def test_what_is_no_nats_server_is_told(system, settings):
    settings.NATS_CONNECT_TIMEOUT = 0.3
    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=greet, args=(door,), daemon=True).start()
        step = fails(tried(system, f"nats://127.0.0.1:{door.getsockname()[1]}"), "server")
    assert "doesn't begin as a nats-server does" in step.text


def greet(door):
    with contextlib.suppress(OSError):
        while True:
            door.accept()[0].sendall(b"220 mail.example.org ESMTP\r\n")


@pytest.mark.parametrize("first", [False, True])
def test_tls_of_an_authority_of_their_own(server, system, authority, tmp_path, first):
    certificate, key = authority.sign()
    write(tmp_path, certificate, key)
    more = ", handshake_first: true" if first else ""
    port = server(f'tls {{ cert_file: "cert.pem", key_file: "key.pem"{more} }}\n{SYSTEM}')
    login = {"login_user": "ops", "login_secret": PASSWORD, "tls_first": first}
    url = f"tls://localhost:{port}"
    assert "give its authority" in fails(tried(system, url, **login), "tls").text
    assert tried(system, url, tls_ca=authority.pem).ok
    assert "not signed by the authority" in fails(tried(system, url, tls_ca=Authority("another").pem), "tls").text
    assert "another name" in fails(tried(system, f"tls://127.0.0.1:{port}", tls_ca=authority.pem), "tls").text


def test_servers_that_ask_for_a_certificate(server, system, authority, tmp_path):
    write(tmp_path, *authority.sign())
    (tmp_path / "ca.pem").write_text(authority.pem)
    tls = 'tls { cert_file: "cert.pem", key_file: "key.pem", ca_file: "ca.pem", verify: true }'
    port = server(f"{tls}\n{SYSTEM}")
    login = {"login_user": "ops", "login_secret": PASSWORD, "tls_ca": authority.pem}
    url = f"tls://localhost:{port}"
    assert "asks every client for a certificate" in fails(tried(system, url, **login), "tls").text
    certificate, key = authority.sign("nunect")
    assert tried(system, url, tls_certificate=certificate, tls_key=key).ok
    with Fleet(System.objects.get()) as fleet:
        assert len(fleet.see(1)) == 1
    old = dict(zip(("tls_certificate", "tls_key"), authority.sign("nunect", days=-1), strict=True))
    with pytest.raises(ValidationError, match="has expired on"):
        tried(system, url, **old)
    System.objects.update(**old)
    (found,) = try_connection(System.objects.get())
    assert "The certificate that nunect shows has expired on" in fails(found, "tls").text
    theirs = dict(zip(("tls_certificate", "tls_key"), Authority("another").sign("nunect"), strict=True))
    found = tried(system, url, **theirs)
    assert not found.ok
    assert "certificate" in next(step.text for step in found.steps if step.state == "failed")


def test_a_certificate_that_has_expired(server, system, authority, tmp_path):
    write(tmp_path, *authority.sign(days=-1))
    port = server(f'tls {{ cert_file: "cert.pem", key_file: "key.pem" }}\n{SYSTEM}')
    step = fails(tried(system, f"tls://localhost:{port}", tls_ca=authority.pem), "tls")
    assert step.text == "Its certificate has expired."


def write(folder, certificate, key):
    (folder / "cert.pem").write_text(certificate)
    (folder / "key.pem").write_text(key)


def test_what_can_be_no_connection_is_refused_at_its_field(system, authority):
    certificate, key = authority.sign("nunect")
    other = authority.sign("other")[1]
    wrong = [
        ({"tls_ca": "no PEM"}, "tls_ca", "no certificate in PEM"),
        ({"tls_certificate": "no PEM", "tls_key": key}, "tls_certificate", "no certificate in PEM"),
        ({"tls_ca": authority.sign(days=-1)[0]}, "tls_ca", "has expired on"),
        ({"tls_certificate": certificate}, "tls_key", "needs its key"),
        ({"tls_key": key}, "tls_certificate", "needs its certificate"),
        ({"tls_certificate": certificate, "tls_key": other}, "tls_key", "belongs to another certificate"),
        ({"tls_certificate": certificate, "tls_key": "no PEM"}, "tls_key", "no private key in PEM"),
        ({"login_user": "ops"}, "login_secret", "needs a password"),
        ({"login_secret": "hunter2"}, "login_secret", "seed of a user's nkey"),
    ]
    for fields, at, said in wrong:
        row = System.objects.get()
        for name, value in fields.items():
            setattr(row, name, value)
        with pytest.raises(ValidationError) as refused:
            row.full_clean(exclude=["guard_nkey", "control_nkey", "relay_nkey", "jetstream_nkey"])
        assert said in refused.value.message_dict[at][0], fields
        assert list(refused.value.message_dict) == [at], fields
        assert "hunter2" not in str(refused.value)
