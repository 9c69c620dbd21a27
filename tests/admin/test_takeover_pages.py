"""“Take over a server” in the admin: four steps on a real server, and the way back."""

import re

import pytest

from accounts_app.models import AuditEntry, System
from provisioning.takeover.taking import take
from tests import factories
from tests.provisioning.taken_cluster import Plant
from tests.provisioning.taken_place import HASH, Member, Place
from tests.provisioning.world import dies_at

pytestmark = pytest.mark.live
AT = "/admin/provisioning/difference/takeover/"


@pytest.fixture
def place(transactional_db, tmp_path, settings, monkeypatch, request):
    settings.NATS_CONNECT_TIMEOUT = 0.5
    settings.NATS_REQUEST_TIMEOUT = 1.0
    settings.STATE_DIR = tmp_path / "state"
    settings.TAKEOVER_DIRS = [tmp_path / "shop"]
    (tmp_path / "shop").mkdir()
    made = Place(tmp_path / "shop", getattr(request, "param", "single"))
    monkeypatch.setenv("HOST_NAME", "h1")
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def page(client, transactional_db):
    client.force_login(factories.admin())
    return client


def text_of(answer):
    assert answer.status_code == 200, answer
    return answer.content.decode()


def step(page, place, name, **more):
    return text_of(page.get(AT, {"step": name, "file": str(place.main), **more}))


def stamp_of(shown):
    return re.search(r'name="stamp" value="(\w+)"', shown)[1]


def do(page, place, shown, **more):
    given = {"step": "do", "file": str(place.main), "system": "default", "stamp": stamp_of(shown), "confirm": "default"}
    return page.post(AT, {**given, **more}, follow=True)


def test_four_steps_take_it_over_and_one_gives_it_back(page, place):
    member = Member(place.port, "orders")
    assert member.alive()
    chosen = text_of(page.get(AT))
    assert f'value="{place.main}" checked' in chosen, "the one that runs is proposed"
    shown = step(page, place, "write")
    assert "2 accounts with 3 users become rows" in shown
    assert "into the new system <b" in shown
    assert HASH not in shown and "hunter-two" not in shown and "••••••" in shown
    assert '<span class="nu-plus">+include &quot;accounts.conf&quot;</span>' in shown
    shown = step(page, place, "prove")
    assert "The server runs what stands in your files" in shown
    assert "<b>1</b><span>client connected</span>" in shown
    shown = step(page, place, "do")
    assert place.files() == place.before and not System.objects.exists()
    wrong = text_of(do(page, place, shown, confirm="shop"))
    assert "Type the name of the system: default." in wrong and place.files() == place.before
    done = text_of(do(page, place, shown))
    for words in (
        "taken over",
        "Accounts and users have become rows",
        "nats-server reports the digest that was judged",
        "<b>1 / 1</b><span>clients stayed connected</span>",
    ):
        assert words in done, words
    assert System.objects.get().stage == "managed"
    assert member.alive()
    assert "taken over" in text_of(page.get(AT)), "it stands in the list"
    assert "What was done, and the way back" in step(page, place, "write", system="default")

    address = f"{AT}of/"
    assert "Type the name of the system: default." in text_of(page.post(address, {"file": str(place.main)}))
    back = text_of(page.post(address, {"file": str(place.main), "confirm": "default"}, follow=True))
    assert "nats-server.conf is as it was" in back and "Take it over again" in back
    assert place.files() == place.before
    assert member.alive()
    acts = AuditEntry.objects.filter(door="admin", person_name="ada").values_list("act", flat=True)
    assert {"take-over looked at", "taken over", "take-over done", "take-over undone", "take-over taken back"} <= {
        *acts
    }
    assert list(acts).count("take-over looked at") == 2


def test_what_has_changed_since_it_was_shown_is_shown_anew(page, place):
    shown = step(page, place, "do")
    place.main.write_text(place.main.read_text() + "\nlogtime: false\n")
    place.before = place.files()
    again = text_of(do(page, place, shown))
    assert "The files are no longer what was shown, so nothing was done." in again
    assert place.files() == place.before and not System.objects.exists()
    moved = step(page, place, "prove", stamp=stamp_of(shown))
    assert "no longer what was shown" in moved


@pytest.mark.long
def test_a_failure_tells_its_steps_and_that_all_is_as_it_was(page, place):
    url = "nats://127.0.0.1:1"
    failed = text_of(do(page, place, step(page, place, "do", url=url), url=url))
    assert "It was not taken over: the files are as they were." in failed
    assert "nats-server.conf is as it was" in failed and "did not take the new files" in failed
    assert place.files() == place.before


def test_one_that_was_cut_short_is_given_back_from_its_page(page, place):
    assert dies_at("takeover main", lambda: take(place.main, "default"))
    assert "was cut short" in step(page, place, "write")
    shown = text_of(page.get(f"{AT}of/", {"file": str(place.main)}))
    assert "was cut short" in shown
    page.post(f"{AT}of/", {"file": str(place.main), "confirm": "default"})
    assert place.files() == place.before


def test_a_system_with_files_of_its_own_is_not_proposed(page, place, tmp_path, settings):
    settings.CONFIG_DIR = tmp_path / "config"
    settings.CONFIG_DIR.mkdir()
    factories.system()
    (settings.CONFIG_DIR / "nats-server.conf").write_text("port: 1\n")
    assert '<b class="nu-strong">shop</b>' in step(page, place, "write")
    refused = step(page, place, "prove", system="default")
    assert "has a main file of its own" in refused and "Next" not in refused


@pytest.fixture
def folder(tmp_path, settings):
    (tmp_path / "nats-server.conf").write_text("port: 1\naccounts { A {} }\n")
    settings.TAKEOVER_DIRS = [tmp_path]
    return tmp_path


def test_it_is_for_who_has_the_right_and_found_by_them(client, transactional_db, folder):
    factories.system()
    sam = factories.staff("sam", "accounts_app.change_system", "accounts_app.view_account")
    client.force_login(sam)
    for address in (AT, f"{AT}of/"):
        assert client.get(address).status_code == 403
        assert client.post(address, {"step": "do", "file": "x"}).status_code == 403
    for where in ("/admin/accounts_app/system/", "/admin/"):
        assert AT not in text_of(client.get(where))
    bea = factories.staff(
        "bea", "accounts_app.change_system", "accounts_app.view_account", "provisioning.take_over_server"
    )
    client.force_login(bea)
    for where in ("/admin/accounts_app/system/", "/admin/"):
        assert AT in text_of(client.get(where))
    assert str(folder / "nats-server.conf") in text_of(client.get(AT))


def test_without_allowed_folders_it_tells_the_setting(page, folder, settings):
    settings.TAKEOVER_DIRS = []
    for query in ({}, {"step": "write", "file": str(folder / "nats-server.conf")}):
        assert "NUNECT_TAKEOVER_DIRS=/etc/nats" in text_of(page.get(AT, query))
    assert "NUNECT_TAKEOVER_DIRS" in text_of(page.post(AT, {"step": "do", "file": str(folder / "nats-server.conf")}))
    assert "NUNECT_TAKEOVER_DIRS" in text_of(page.get(f"{AT}of/", {"file": str(folder / "nats-server.conf")}))


@pytest.mark.parametrize("file", ["/etc/passwd", "nats-server.conf", "/x/../etc/passwd", "\x00", "x" * 5000])
def test_other_files_are_refused_at_every_step(page, folder, file):
    for name in ("write", "prove", "do"):
        shown = text_of(page.get(AT, {"step": name, "file": file}))
        assert 'role="alert"' in shown and "root:" not in shown
    assert 'role="alert"' in text_of(page.post(AT, {"step": "do", "file": file, "confirm": "default"}))
    assert 'role="alert"' in text_of(page.post(f"{AT}of/", {"file": file, "confirm": "default"}))


@pytest.fixture
def plant(transactional_db, tmp_path, settings):
    settings.NATS_CONNECT_TIMEOUT = 0.5
    settings.NATS_REQUEST_TIMEOUT = 1.0
    settings.STATE_DIR = tmp_path / "state"
    settings.TAKEOVER_DIRS = [tmp_path / "plant"]
    (tmp_path / "plant").mkdir()
    made = Plant(tmp_path / "plant")
    try:
        yield made.start()
    finally:
        made.stop()


def test_servers_that_are_joined_are_offered_shown_and_taken_together(page, plant):
    n1, n2, n3 = map(str, plant.mains.values())
    chosen = text_of(page.get(AT))
    assert f'value="{n1}" checked' in chosen and f'value="{n3}"' not in chosen
    assert chosen.count(f'together with <span class="nu-mono">{plant.folder}/n') == 2
    shown = step(page, plant, "write")
    for name in ("n2.conf", "n3/nats-server.conf", "accounts.conf", "teams.nunect.conf"):
        assert f'<code class="nu-mono">{name}</code>' in shown, name
    assert "+include &quot;../accounts.conf&quot;" in shown
    shown = step(page, plant, "prove", others=f"{n2}\n{n3}")
    assert "All 3 main files give the same people the same rights." in shown
    assert '<td class="nu-mono">n3/nats-server.conf</td><td>yes</td>' in shown
    shown = step(page, plant, "do", others=f"{n2}\n{n3}")
    assert "3 servers are reloaded" in shown
    done = text_of(do(page, plant, shown, others=f"{n2}\n{n3}"))
    assert "together with" in done and "nats-server of n2.conf was asked to read its files again" in done
    assert "n3/nats-server.conf was written" in done
    assert not any(n3 in line for line in text_of(page.get(AT)).splitlines() if "nu-offer" in line), "it is managed"
    back = text_of(page.post(f"{AT}of/", {"file": n2, "confirm": "default"}, follow=True))
    assert "n3/nats-server.conf is as it was" in back and "others=" in back
    assert plant.files() == plant.before
    entry = AuditEntry.objects.filter(act="take-over done").get()
    assert entry.detail["others"] == [n2, n3]


def test_one_of_several_that_is_not_below_the_others_folder_is_refused_on_its_page(page, plant):
    (plant.folder / "n3/other.conf").write_text("port: 1\naccounts { A: {} }\n")
    shown = step(page, plant, "write", others=str(plant.folder / "n3/other.conf"))
    assert "belongs to these servers and isn" in shown
    shown = step(page, plant, "write", others="/etc/hosts")
    assert "is in none of the folders that" in shown
