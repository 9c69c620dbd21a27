"""A server set up by hand is taken over and given back: nobody is thrown out, nothing is lost, nobody gets in."""

import asyncio
import contextlib
import json
import socket
import subprocess
from datetime import timedelta

import nats
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from accounts_app.models import Account, AuditEntry, NatsUser, System
from accounts_app.systems import new_system
from monitoring import doctor
from provisioning import pipeline
from provisioning.binary import binary
from provisioning.errors import Locked, NotManaged, NotVerified, Unreachable
from provisioning.files import sole_writer
from provisioning.models import Difference, Revision
from provisioning.running_conf import Unreadable, read_running
from provisioning.server import Fleet
from provisioning.takeover.doors import usual_system
from provisioning.takeover.looking import look
from provisioning.takeover.returning import foresee
from provisioning.takeover.taking import take, undo
from tests import factories
from tests.ports import free_ports
from tests.provisioning.certificates import Authority
from tests.provisioning.taken_place import HASH, PASSWORD, Member, Place
from tests.provisioning.world import Intruder, dies_at

pytestmark = pytest.mark.live

MEMBERS = {
    "single": [("lab", PASSWORD), ("screen", "hunter-two"), ("orders", PASSWORD)],
    "parts": [("ops", PASSWORD), ("grafana", PASSWORD), ("guest", PASSWORD)],
    "environment": [("app", "pass-one"), ("worker", "pass-two"), ("other", PASSWORD)],
    "edge": [("desk", PASSWORD), ("temp", PASSWORD), ("page", PASSWORD)],
    "hashes": [("admin", PASSWORD), ("console", PASSWORD), ("billing", PASSWORD)],
}


@pytest.fixture
def place(transactional_db, tmp_path, settings, monkeypatch, request):
    """The place of that name, running."""
    settings.NATS_CONNECT_TIMEOUT = 0.5
    settings.NATS_REQUEST_TIMEOUT = 1.0
    settings.STATE_DIR = tmp_path / "state"
    folder = tmp_path / "nats"
    folder.mkdir()
    made = Place(folder, getattr(request, "param", "single"))
    monkeypatch.setenv("HOST_NAME", "h1")  # what stays in a main file, nunect must know as well
    try:
        yield made.start()
    finally:
        made.stop()


def members(place, name):
    return [Member(place.port, user, password) for user, password in MEMBERS[name]]


@pytest.mark.parametrize(("place", "name"), [(name, name) for name in MEMBERS], indirect=["place"])
def test_clients_stay_through_a_take_over_and_its_undoing(place, name):
    there = members(place, name)
    assert all(member.alive() for member in there)
    forecast = look(place.main, None)
    assert forecast.refusals == ()
    assert forecast.differences == ()
    assert place.files() == place.before, "a look writes nothing"
    assert not System.objects.exists()
    with Intruder(place):
        outcome = take(place.main, "default")
        system = System.objects.get()
        assert outcome.revision == Revision.objects.get()
        assert outcome.revision.servers[0]["proof"] == "digest"
        assert system.stage == "managed"
        assert all(member.alive() for member in there)
        pipeline.apply(system.pk, fresh=True)
        assert Revision.objects.count() == 1, "nothing is left to do"

        NatsUser.objects.get(name=MEMBERS[name][1][0]).delete()
        pipeline.apply(system.pk)
        assert [member.alive() for member in there] == [True, False, True]
        place.restart()
        assert Member(place.port, *MEMBERS[name][0]).alive()
        assert not Member(place.port, *MEMBERS[name][1]).alive()

        there = [Member(place.port, *MEMBERS[name][number]) for number in (0, 2)]
        assert all(member.alive() for member in there)
        ahead = list(foresee(place.main).sentences())
        given = ahead.index("It gives back what was revoked, disabled or taken away since:")
        assert MEMBERS[name][1][0] in ahead[given + 1]
        assert ahead[given + 2 :] == ["1 later revision goes with it."]
        said = undo(place.main).said
        assert any("runs the former configuration" in text for text in said)
        assert all(member.alive() for member in there)
        assert Member(place.port, *MEMBERS[name][1]).alive()
    assert place.files() == place.before
    with Fleet(system) as fleet:
        assert fleet.unauthorized
    pipeline.apply(system.pk, fresh=True)
    system.refresh_from_db()
    assert (system.stage, system.problem) == ("observed", "")
    difference = Difference.objects.get(system=system)
    missing = [change["text"] for change in difference.words if MEMBERS[name][1][0] in change["text"]]
    assert missing or "environment" in difference.unknown, "what the rows no longer say, and runs again"
    assert place.files() == place.before, "who only observes writes nothing"


def test_what_becomes_of_rows_that_the_system_has_already_is_said_before(place):
    take(place.main, "default")
    undo(place.main)
    system = System.objects.get()
    assert look(place.main, system).overwritten == (), "the same conf again"
    account = Account.objects.get(name="LAB")
    factories.user(account, "newcomer", "publish orders.>")
    NatsUser.objects.filter(name="lab").update(enabled=False)
    told = look(place.main, system)
    assert any("newcomer" in text and "removed" in text for text in told.overwritten), told.overwritten
    assert any("`lab`" in text and "added" in text for text in told.overwritten), told.overwritten
    assert "The system has rows already, which become what the conf says:" in list(told.sentences())
    take(place.main, "default")
    assert not NatsUser.objects.filter(name="newcomer").exists()
    assert NatsUser.objects.get(name="lab").enabled


def test_streams_store_before_during_and_after(place):
    async def stored(subject, count):
        client = await nats.connect(f"nats://127.0.0.1:{place.port}", user="orders", password=PASSWORD)
        jetstream = client.jetstream()
        if count == 1:
            await jetstream.add_stream(name="ORDERS", subjects=["orders.>"])
        await jetstream.publish(subject, b"x")
        info = await jetstream.stream_info("ORDERS")
        await client.close()
        return info.state.messages == count

    assert asyncio.run(stored("orders.1", 1))
    take(place.main, "default")
    assert asyncio.run(stored("orders.2", 2))
    place.restart()
    assert asyncio.run(stored("orders.3", 3))
    undo(place.main)
    assert asyncio.run(stored("orders.4", 4))
    place.restart()
    assert asyncio.run(stored("orders.5", 5))


@pytest.mark.parametrize("place", ["tls"], indirect=True)
def test_server_with_tls_is_taken_over_where_its_certificate_is_trusted(place, monkeypatch):
    ca = place.folder / "server.pem"
    press = Member(place.port, "press", ca=ca)
    assert press.alive()
    url = f"tls://localhost:{place.port}"
    with pytest.raises(Unreachable, match="did not take the new files"):
        take(place.main, "default", url=url)
    assert place.files() == place.before
    assert press.alive()
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    assert take(place.main, "default", url=url).revision is not None
    assert press.alive()
    undo(place.main)
    assert press.alive()
    assert place.files() == place.before


@pytest.mark.parametrize("asks", ["verify", "verify_and_map"])
@pytest.mark.parametrize("place", ["tls"], indirect=True)
def test_server_that_asks_for_certificates_is_taken_over_by_a_system_that_has_one(place, tmp_path, asks):
    """With verify_and_map a certificate says who somebody is, unless they sign in by an nkey, as nunect does."""
    authority = Authority()
    (place.folder / "ca.pem").write_text(authority.pem)
    for name, of in (("server", "localhost"), ("press", "press"), ("nunect", "nunect")):
        for kind, pem in zip(("", "-key"), authority.sign(of), strict=True):
            (place.folder / f"{name}{kind}.pem").write_text(pem)
    text = place.main.read_text().replace("timeout: 3", f'timeout: 3\n  ca_file: "ca.pem"\n  {asks}: true')
    if asks == "verify_and_map":
        text = text.replace(f'user: press, password: "{HASH}",', "user: press,")
    place.main.write_text(text)
    place.before = place.files()
    place.restart()
    ca, pair = place.folder / "ca.pem", (place.folder / "press.pem", place.folder / "press-key.pem")
    press = Member(place.port, "" if asks == "verify_and_map" else "press", ca=ca, pair=pair)
    assert press.alive()
    url = f"tls://localhost:{place.port}"
    with pytest.raises(NotManaged) as refused:
        take(place.main, "plant", url=url)
    assert "wants a certificate of every client" in refused.value.server_words
    pem = {name: (place.folder / f"{name}.pem").read_text() for name in ("nunect", "nunect-key")}
    (tmp_path / "empty").mkdir()
    new_system(
        "plant",
        stage=System.Stage.OBSERVED,
        conf_dir=str(tmp_path / "empty"),
        nats_url=url,
        tls_ca=authority.pem,
        tls_certificate=pem["nunect"],
        tls_key=pem["nunect-key"],
    )
    assert take(place.main, "plant").revision.servers[0]["proof"] == "digest"
    assert System.objects.get(name="plant").nats_url == url  # the certificate is of this name alone
    assert NatsUser.objects.get(name="press").credential == {"verify": "password"}.get(asks, "certificate")
    if asks == "verify_and_map":
        factories.user(Account.objects.get(name="PLANT"), "pat", credential="password", password_hash=HASH)
    told = [finding.detail for finding in doctor.examine() if finding.what == "Users of plant"]
    assert [("passwords of 1 users let nobody in" in each) for each in told] == [True] * (asks == "verify_and_map")
    assert press.alive()
    undo(place.main)
    assert press.alive()
    assert place.files() == place.before


@pytest.mark.parametrize("place", ["edge"], indirect=True)
def test_leaf_nodes_and_browsers_stay(place, tmp_path):
    """A branch is a server of its own: what is said in the hub reaches it before, during and after."""
    (port,) = free_ports(1)
    remote = f'remotes: [ {{ url: "nats-leaf://branch:{PASSWORD}@127.0.0.1:{place.leaves}" }} ]'
    (tmp_path / "leaf.conf").write_text(f'listen: "127.0.0.1:{port}"\nleafnodes {{ {remote} }}\n')
    branch = subprocess.Popen([binary(), "-c", tmp_path / "leaf.conf", "-l", tmp_path / "leaf.log"], cwd=tmp_path)

    async def scene():
        there = await _until_there(f"nats://127.0.0.1:{port}")
        desk = await nats.connect(f"nats://127.0.0.1:{place.port}", user="desk", password=PASSWORD)
        heard = await there.subscribe("field.>")
        await there.flush()
        await _until_heard(desk, heard, b"before")
        await asyncio.to_thread(take, place.main, "default")
        await _until_heard(desk, heard, b"after")
        await asyncio.to_thread(undo, place.main)
        await _until_heard(desk, heard, b"given back")
        cut = (tmp_path / "leaf.log").read_text().count("Leafnode connection closed")
        for client in (there, desk):
            assert client.stats["reconnects"] == 0
            await client.close()
        return cut

    try:
        page = Page(place.websocket, "page")
        assert page.alive()
        assert asyncio.run(scene()) == 0
        assert page.alive()
    finally:
        branch.kill()
        branch.wait()
    assert place.files() == place.before


class Page:
    """A browser's connection, by hand."""

    def __init__(self, port, user):
        self.line = socket.create_connection(("127.0.0.1", port), 5)
        asked = "GET / HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
        self.line.sendall(f"{asked}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
        assert self.line.recv(4096).startswith(b"HTTP/1.1 101")
        self._say(b'CONNECT {"user":"%s","pass":"%s"}' % (user.encode(), PASSWORD.encode()))

    def alive(self):
        """Whether the server still answers on this very connection."""
        self._say(b"PING")
        told = b""
        while b"PONG" not in told:
            more = self.line.recv(4096)
            if not more or b"-ERR" in more:
                return False
            told += more
        return True

    def _say(self, words):
        """One binary frame, masked with zeros."""
        self.line.sendall(bytes([0x82, 0x80 | len(words) + 2]) + bytes(4) + words + b"\r\n")


async def _until_there(url):
    for _ in range(200):
        try:
            return await nats.connect(url, allow_reconnect=False, connect_timeout=1)
        except (OSError, nats.errors.Error):
            await asyncio.sleep(0.02)
    raise AssertionError(f"nobody at {url}")


async def _until_heard(desk, heard, word):
    """Said until it is heard: a leaf node learns of a subscription a moment later."""
    for _ in range(50):
        await desk.publish("field.report", word)
        await desk.flush()
        with contextlib.suppress(nats.errors.TimeoutError):
            while (await heard.next_msg(0.2)).data != word:
                pass
            return
    raise AssertionError(f"{word} was never heard")


STEPS = ["rows", "backup", "journal", "accounts.conf", "main", "reload", "verify", "managed", "taken"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("place", "step"), [*(("single", step) for step in STEPS), ("parts", "server.nunect.conf")], indirect=["place"]
)
def test_a_take_over_killed_at_any_step_leaves_a_server_that_starts_closed(place, step):
    someone = ("lab", PASSWORD)
    with Intruder(place):
        assert dies_at(f"takeover {step}", lambda: take(place.main, "default"))
        assert place.starts()
        place.restart()
        assert Member(place.port, *someone).alive()
        if step in ("verify", "managed", "taken"):
            undo(place.main)
            assert place.files() == place.before
        outcome = take(place.main, "default")
        assert outcome.revision is not None
        assert Member(place.port, *someone).alive()
        undo(place.main)
    assert place.files() == place.before


@pytest.mark.parametrize(
    "step", ["verify", "managed", *(pytest.param(step, marks=pytest.mark.long) for step in ("main", "reload"))]
)
def test_a_take_over_killed_once_its_files_are_written_is_ended_by_the_next_run(place, step):
    assert dies_at(f"takeover {step}", lambda: take(place.main, "default"))
    outcome = take(place.main, "default", agrees=lambda forecast: pytest.fail("it was agreed to already"))
    assert outcome.revision is not None
    assert System.objects.get().stage == System.Stage.MANAGED
    assert AuditEntry.objects.filter(act="taken over").count() == 1
    with pytest.raises(NotManaged) as again:
        take(place.main, "default")
    assert "nunect manages this conf already" in again.value.server_words
    undo(place.main)
    assert place.files() == place.before


def test_a_take_over_killed_after_its_last_word_goes_on_with_the_next_run_of_the_pipeline(place):
    assert dies_at("takeover taken", lambda: take(place.main, "default"))
    system = System.objects.get()
    assert system.stage == System.Stage.MANAGED
    assert pipeline.apply(system.pk).number == 1


@pytest.mark.parametrize("place", ["environment"], indirect=True)
def test_an_observed_conf_is_read_with_the_environment_of_its_server(place):
    assert read_running(place.folder).parsed.variables
    place.stop()
    with pytest.raises(Unreadable, match="nunect doesn't see the server's environment"):
        read_running(place.folder)


def test_a_system_that_has_a_main_file_of_its_own_is_never_meant(place, tmp_path):
    (tmp_path / "nats-server.conf").write_text("port: -1")
    new_system("first", conf_dir=str(tmp_path))
    assert usual_system(place.main) == ""
    with pytest.raises(CommandError, match="Say which system with --system: one of first, or a new name"):
        call_command("takeover", str(place.main), "--dry-run")


def test_the_system_is_the_one_that_has_this_folder(place):
    new_system("first", conf_dir=str(place.folder))
    new_system("second", conf_dir="/nowhere")
    assert usual_system(place.main) == "first"
    assert usual_system(place.folder / "deeper" / "nats-server.conf") == ""


def test_files_that_can_not_be_read_are_put_back_all_the_same(place):
    take(place.main, "default")
    (place.folder / "accounts.conf").write_text("accounts: {{{")
    call_command("takeover", str(place.main), "--undo", "--yes")
    assert place.files() == place.before
    assert Member(place.port, "lab").alive()


def test_a_dry_run_of_an_undoing_tells_and_touches_nothing(place, capsys):
    call_command("takeover", str(place.main), "--yes")
    taken = place.files()
    pipeline.apply(System.objects.get().pk)
    capsys.readouterr()
    call_command("takeover", str(place.main), "--undo", "--dry-run", "--yes")
    assert capsys.readouterr().out.splitlines() == [
        f"{place.main} comes back as it was.",
        f"{place.folder / 'accounts.conf'} goes.",
    ]
    assert place.files() == taken
    assert System.objects.get().stage == "managed"
    call_command("takeover", str(place.main), "--undo", "--dry-run", "--json")
    assert json.loads(capsys.readouterr().out)["changes"] == []
    undo(place.main)
    with pytest.raises(CommandError, match="there is no journal beside it"):
        call_command("takeover", str(place.main), "--undo", "--dry-run")
    Revision.objects.update(created_at=timezone.now() - timedelta(hours=1))
    take(place.main, "default")
    assert foresee(place.main).later == 0, "revisions of an earlier take-over are none of this one"


def test_what_an_undoing_leaves_and_what_is_in_its_way_is_said_before(place):
    take(place.main, "default")
    pay = factories.account("PAY", system=System.objects.get(), jetstream=True)
    factories.settled(factories.stream(pay, "EVENTS"), seen={"name": "EVENTS"})
    pipeline.apply(pay.system_id)
    told = [change["text"] for change in foresee(place.main).changes]
    assert told[-1] == "what `EVENTS` of account `PAY` hold lies in the store then, and no account has it"
    written = place.main.read_text()
    place.main.write_text(written + "# an edit")
    with pytest.raises(CommandError, match=r"Nothing is put back as it stands:\n.*was edited since the take-over"):
        call_command("takeover", str(place.main), "--undo", "--dry-run")
    place.main.write_text(written)


def test_a_server_that_takes_no_former_conf_is_told_by_what_it_reports(place, settings):
    take(place.main, "default")
    written = place.main.read_text()
    place.main.write_text(written + "\nserver_name: another\n")
    place.restart()
    place.main.write_text(written)
    settings.NATS_REQUEST_TIMEOUT = 0.2
    assert any("still runs another configuration, sha256:" in text for text in undo(place.main).said)


@pytest.mark.long
@pytest.mark.parametrize("step", ["back main", "back accounts.conf", "undone"])
def test_an_undoing_killed_at_any_step_is_begun_again(place, step):
    take(place.main, "default")
    with Intruder(place):
        assert dies_at(f"takeover {step}", lambda: undo(place.main))
        assert place.starts()
        place.restart()
        assert Member(place.port, "lab").alive()
        if step != "undone":
            undo(place.main)
    assert place.files() == place.before


def test_file_of_the_name_that_nunect_writes_is_kept_and_comes_back(place):
    """Their accounts.conf holds their accounts: the new main file goes before the new accounts.conf."""
    text = place.main.read_text()
    start, end = text.index("accounts {"), text.index("authorization {")
    (place.folder / "accounts.conf").write_text(text[start:end] + "\nwrite_deadline: 5s\n".replace("5s", '"5s"'))
    place.main.write_text(text[:start] + 'include "accounts.conf"\n' + text[end:])
    place.before = place.files()
    place.restart()
    with Intruder(place):
        for step in ("main", "accounts.conf"):
            assert dies_at(f"takeover {step}", lambda: take(place.main, "default"))
            assert place.starts()
            place.restart()
            assert Member(place.port, "lab").alive()
        take(place.main, "default")
        assert dies_at("takeover back accounts.conf", lambda: undo(place.main))
        place.restart()
        assert Member(place.port, "lab").alive()
        undo(place.main)
    assert place.files() == place.before


def test_server_that_lets_anybody_in_is_closed_and_the_forecast_says_who_goes(place):
    place.main.write_text(f"listen: 127.0.0.1:{place.port}\nhttp: 127.0.0.1:{place.http}\n")
    place.before = place.files()
    place.restart()
    stranger = Member(place.port)
    assert stranger.alive()
    forecast = look(place.main, None)
    assert (forecast.opened, forecast.clients.closed) == (True, 1)
    assert any("That ends, and such clients are disconnected." in text for text in forecast.sentences())
    take(place.main, "default")
    assert not stranger.alive()
    assert not place.anonymous_gets_in()
    undo(place.main)
    assert place.anonymous_gets_in()
    assert place.files() == place.before


def test_files_come_back_when_the_server_does_not_follow(place, settings):
    settings.NATS_REQUEST_TIMEOUT = 0.1
    place.stop()
    real = place.port
    place.main.write_text(place.main.read_text().replace(str(real), "1"))
    place.before = place.files()
    place.start("-p", str(real))  # so that nunect looks for it elsewhere
    with pytest.raises(Unreachable, match="did not take the new files"):
        take(place.main, "default")
    assert place.files() == place.before
    assert Member(real, "lab").alive()
    assert not Revision.objects.exists()


def test_a_person_who_says_no_changes_nothing(place):
    seen = []
    assert take(place.main, "default", agrees=lambda forecast: seen.append(forecast)) is None
    assert seen[0].possible
    assert place.files() == place.before
    assert not System.objects.exists()
    assert not Account.objects.exists()


def test_an_edit_since_the_take_over_is_not_lost(place):
    take(place.main, "default")
    place.main.write_text(place.main.read_text() + "\n# mine\n")
    with pytest.raises(NotManaged, match="was edited since"):
        undo(place.main)
    assert place.main.read_text().endswith("# mine\n")


def test_files_changed_while_a_person_thinks_are_looked_at_again(place):
    def changes(forecast):
        place.main.write_text(place.main.read_text() + "\nlogtime: false\n")
        return True

    with pytest.raises(NotVerified, match="changed since"):
        take(place.main, "default", agrees=changes)
    assert not System.objects.exists()


def test_what_was_given_back_can_be_taken_over_again(place):
    take(place.main, "default")
    undo(place.main)
    assert take(place.main, "default").revision is not None
    system = System.objects.get()
    assert (system.problem, system.done) == ("", system.wanted)
    NatsUser.objects.get(name="lab").delete()
    pipeline.apply(system.pk)
    assert not Member(place.port, "lab").alive()
    undo(place.main)
    assert take(place.main, "default").revision.number > 2
    assert Member(place.port, "lab").alive()
    undo(place.main)
    assert place.files() == place.before


def test_a_take_over_under_way_is_not_put_back_by_another(place, settings):
    assert dies_at("takeover main", lambda: take(place.main, "default"))
    half_way = place.files()
    settings.PROVISIONING_LOCK_TIMEOUT = 0.05
    with sole_writer(place.folder, 2**40, 1), pytest.raises(Locked):
        take(place.main, "default")
    assert place.files() == half_way
    settings.PROVISIONING_LOCK_TIMEOUT = 5
    assert take(place.main, "default").revision is not None


def test_files_can_be_given_back_and_taken_by_a_new_nunect(place):
    take(place.main, "default")
    System.objects.update(name="lost", conf_dir="")
    undo(place.main)
    assert place.files() == place.before
    assert take(place.main, "another").revision.number == 1


def test_a_system_of_other_accounts_is_left_alone(place):
    take(place.main, "default")
    undo(place.main)
    Account.objects.create(system=System.objects.get(), name="MORE")
    assert "accounts that this conf lacks (MORE)" in look(place.main, System.objects.get()).refusals[0]


def test_forecast_counts_clients_and_what_they_wait_for(place):
    there = members(place, "single")
    assert all(member.alive() for member in there)
    forecast = look(place.main, None)
    assert forecast.clients.count == 3
    assert forecast.clients.closed == 0
    assert 0.001 < forecast.waits_s < 0.01  # two bcrypt checks at cost 4
    said = list(forecast.sentences())
    assert "2 accounts with 3 users become rows." in said
    assert "3 clients are checked again by the reload, none is disconnected; nobody waits for it." in said


def refused(folder, text, **files):
    (folder / "nats-server.conf").write_text(f"port: 1\n{text}")  # where nobody listens
    for name, part in files.items():
        (folder / f"{name}.conf").write_text(part)
    return look(folder / "nats-server.conf", System.objects.first()).refusals


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("operator: x", "operator mode"),
        ("jetstream: on\nauthorization { user: a, password: b }", "JetStream belongs to no account"),
        ("accounts { A: { users: [ { user: a, password: b, permissions: { publish: 'x*' } } ] } }", "is left out"),
        ("accounts { A {} }\ntls { verify_and_map: true }", "wants a certificate of every client"),
        ("accounts { A {} }\ntls { verify: true }", "wants a certificate of every client"),
        ("accounts { A {} }\ncluster { routes: [ nats://a:1 ] }", "one of several"),
    ],
)
def test_what_cant_be_taken_over_is_said_with_its_place(db, tmp_path, text, words):
    (sentence, *others) = refused(tmp_path, text)
    assert words in sentence
    assert not others


def test_files_that_nunect_could_not_keep_are_refused(db, tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    assert "nothing includes it" in refused(folder, "accounts { A {} }", accounts="x: 1")[0]
    (tmp_path / "b.conf").write_text("debug: off")
    (folder / "accounts.conf").unlink()
    (folder / "b").mkdir()
    (folder / "b/nats-server.conf").symlink_to(folder / "nats-server.conf")
    assert "is a link" in look(folder / "b/nats-server.conf", None).refusals[0]
    assert "from outside of" in refused(folder, "include '../b.conf'\naccounts { A {} }")[0]


def test_server_that_nunect_cant_see_is_not_written_under(place):
    """It runs with a copy of the file: what would be written would change nothing now, and perhaps its next start."""
    elsewhere = place.folder / "copy"
    elsewhere.mkdir()
    (elsewhere / "nats-server.conf").write_bytes(place.main.read_bytes())
    (sentence,) = look(elsewhere / "nats-server.conf", None).refusals
    assert sentence.startswith(f"Somebody listens at nats://127.0.0.1:{place.port}, but no nats-server")


def test_command_shows_asks_does_and_undoes(place, capsys):
    call_command("takeover", str(place.main), "--dry-run")
    assert "same accounts, users and permissions as before" in capsys.readouterr().out
    with pytest.raises(CommandError, match="say --yes"):
        call_command("takeover", str(place.main))
    capsys.readouterr()
    call_command("takeover", str(place.main), "--yes", "--json")
    assert json.loads(capsys.readouterr().out)["revision"] == 1
    with pytest.raises(CommandError, match="already"):
        call_command("takeover", str(place.main), "--yes", "--system", "other")
    call_command("takeover", str(place.main), "--undo", "--yes")
    assert f"{place.main} is as it was." in capsys.readouterr().out
    assert place.files() == place.before
