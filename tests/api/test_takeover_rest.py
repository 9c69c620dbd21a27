"""Taking servers over through REST: what is shown is done, on a real server, and only where the operator allowed it."""

import json
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts_app.credentials import new_nkey
from accounts_app.models import Answer, AuditEntry, NatsUser, System
from nunect.settings import Env
from provisioning import managing, pipeline
from provisioning.steps import reached
from provisioning.takeover.taking import take
from tests import factories
from tests.api.conftest import Api, errors, token_of
from tests.provisioning.taken_cluster import Plant
from tests.provisioning.taken_place import HASH, Member, Place
from tests.provisioning.world import dies_at

pytestmark = pytest.mark.live
SECRETS = (HASH, "hunter-two", "pass-one", "pass-two")


@pytest.fixture
def api(transactional_db):
    return Api(token_of(factories.admin()))


@pytest.fixture
def place(transactional_db, tmp_path, settings, monkeypatch, request):
    settings.NATS_CONNECT_TIMEOUT = 0.5
    settings.NATS_REQUEST_TIMEOUT = 1.0
    settings.STATE_DIR = tmp_path / "state"
    settings.TAKEOVER_DIRS = [tmp_path / "nats"]
    (tmp_path / "nats").mkdir()
    made = Place(tmp_path / "nats", getattr(request, "param", "single"))
    monkeypatch.setenv("HOST_NAME", "h1")
    try:
        yield made.start()
    finally:
        made.stop()


def looked(api, place, **more):
    answer = api.post("takeover/?dry_run=true", {"file": str(place.main), **more})
    assert answer.status_code == 200, answer.data
    return answer.data


def taken(api, place, stamp, **more):
    headers = more.pop("headers", {})
    return api.post("takeover/", {"file": str(place.main), "confirm": "default", "stamp": stamp, **more}, **headers)


def test_what_was_shown_is_done_proven_and_taken_back(api, place):
    there = [Member(place.port, "lab"), Member(place.port, "orders")]
    assert all(member.alive() for member in there)
    told = looked(api, place)
    assert place.files() == place.before, "a look writes nothing"
    assert not System.objects.exists()
    assert (told["possible"], told["in_the_way"], told["is_new"]) == (True, [], True)
    assert told["proof"]["server_runs_it"] is True
    assert told["proof"]["judged"].startswith("sha256:")
    assert told["proof"]["differences"] == []
    assert (told["forecast"]["clients"], told["forecast"]["disconnected"]) == (2, 0)
    assert told["forecast"]["restarts"] == []
    becomes = {each["path"].rpartition("/")[2]: each["becomes"] for each in told["files"]}
    assert becomes == {"nats-server.conf": "rewritten", "accounts.conf": "generated"}
    assert '+include "accounts.conf"' in told["conf"]
    text = json.dumps(told, ensure_ascii=False)
    assert not [secret for secret in SECRETS if secret in text]
    assert "••••••" in text

    done = taken(api, place, told["stamp"], headers={"Prefer": "wait=5"})
    assert done.status_code == 200, done.data
    assert done.data["revision"] == 1
    assert done.data["sync"] == {"state": "applied", "revision": 1, "problem": ""}
    assert (done.data["clients_before"], done.data["clients_stayed"]) == (2, 2)
    assert done.data["digest_before"] == told["proof"]["now"]
    steps = [step["text"] for step in done.data["steps"]]
    assert steps[0] == "Accounts and users have become rows"
    assert "nats-server reports the digest that was judged" in steps
    assert all(member.alive() for member in there)
    NatsUser.objects.get(name="lab").delete()
    pipeline.apply(System.objects.get().pk)
    assert not Member(place.port, "lab").alive()

    (known,) = api.get("takeover/").data["results"]
    assert (known["state"], known["undoable"], known["system"]) == ("taken", True, "default")
    ahead = api.post("takeover/undo/?dry_run=true", {"file": str(place.main)}).data
    assert ahead["later_revisions"] == 1
    (given,) = ahead["changes"]
    assert "`lab`" in given["text"] and not given["removes_access"]
    assert f"{place.main} comes back as it was." in ahead["files"]
    wrong = api.post("takeover/undo/", {"file": str(place.main), "confirm": "defualt"})
    assert errors(wrong) == {"confirm": "Type the name of the system: default."}
    back = api.post("takeover/undo/", {"file": str(place.main), "confirm": "default"})
    assert back.status_code == 200, back.data
    assert any("runs the former configuration" in text for text in back.data["said"])
    assert place.files() == place.before
    assert Member(place.port, "lab").alive()
    (known,) = api.get("takeover/").data["results"]
    assert (known["state"], known["undoable"]) == ("undone", False)
    acts = list(AuditEntry.objects.filter(door="rest", act__startswith="take").values_list("act", "person_name"))
    for act in ("take-over looked at", "taken over", "take-over done", "take-over undone", "take-over taken back"):
        assert (act, "ada") in acts
    trail = json.dumps(list(AuditEntry.objects.values_list("detail", flat=True)))
    assert not [secret for secret in SECRETS if secret in trail]


@pytest.mark.parametrize("place", ["parts"], indirect=True)
def test_includes_are_told_one_by_one(api, place):
    told = looked(api, place)
    becomes = {each["path"].removeprefix(f"{place.folder}/"): each["becomes"] for each in told["files"]}
    assert becomes["conf.d/server.nunect.conf"] == "made"
    assert becomes["conf.d/teams.conf"] == "left"
    assert {each["file"] for each in told["notes"]} <= {str(place.main), *map(str, place.folder.glob("conf.d/*"))}
    assert all(each["line"] > 0 for each in told["notes"])


@pytest.mark.parametrize("place", ["environment"], indirect=True)
def test_values_of_the_environment_are_not_shown(api, place):
    assert not [secret for secret in SECRETS if secret in json.dumps(looked(api, place))]


def test_a_file_that_changes_after_the_look_is_looked_at_again(api, place):
    stamp = looked(api, place)["stamp"]
    place.main.write_text(place.main.read_text() + "\nlogtime: false\n")
    place.before = place.files()
    late = taken(api, place, stamp)
    assert late.status_code == 412
    assert late.data["detail"] == "What would be done is no longer what was shown: look again."
    assert place.files() == place.before
    assert not System.objects.exists()
    for more, field in (({"confirm": "x"}, "confirm"), ({"stamp": ""}, "stamp")):
        answer = api.post("takeover/", {"file": str(place.main), "confirm": "default", "stamp": stamp, **more})
        assert list(errors(answer)) == [field]
    assert taken(api, place, looked(api, place)["stamp"]).status_code == 200


def test_the_same_request_twice_is_done_once(api, place):
    stamp = looked(api, place)["stamp"]
    failed = taken(api, place, "0" * 32, headers={"Idempotency_Key": "one"})
    assert failed.status_code == 412
    first = taken(api, place, stamp, headers={"Idempotency_Key": "two"})
    again = taken(api, place, stamp, headers={"Idempotency_Key": "two"})
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert {**again.data, "sync": ""} == {**first.data, "sync": ""}
    Answer.objects.update(status=0, body=b"")  # as if the first were under way
    assert (
        "is under way, or was cut short" in taken(api, place, stamp, headers={"Idempotency_Key": "two"}).data["detail"]
    )


def test_what_is_in_the_way_is_told_with_its_place(api, place):
    place.main.write_text(place.main.read_text() + "\nauthorization { auth_callout { issuer: A } }\n")
    told = looked(api, place)
    assert told["possible"] is False
    assert told["stamp"] == ""
    assert any("callout" in each["text"] and each["line"] > 1 for each in told["in_the_way"]), told["in_the_way"]
    place.main.write_text("port: 4222\naccounts { A: { users: [ { user: a, password: hunter-two } }\n")
    (broken,) = looked(api, place)["in_the_way"]
    assert (broken["file"], broken["line"]) == (str(place.main), 2)
    place.main.write_text("port: 4222\nauthorization { user: a, password: 2026-hunter-two-three }\n")
    (broken,) = looked(api, place)["in_the_way"]
    assert (broken["line"], "hunter" in broken["text"]) == (2, False)


@pytest.mark.long
def test_a_server_that_does_not_follow_keeps_its_files(api, place):
    stamp = looked(api, place, url="nats://127.0.0.1:1")["stamp"]
    failed = taken(api, place, stamp, url="nats://127.0.0.1:1")
    assert failed.status_code == 409
    assert "did not take the new files" in failed.data["detail"]
    assert place.files() == place.before
    assert Member(place.port, "lab").alive()
    entry = AuditEntry.objects.get(act="take-over failed")
    assert "nats-server.conf is as it was" in entry.detail["steps"]


def test_of_two_at_once_the_second_keeps_its_hands_off(api, place):
    """Both have looked; the first one ends while the second is about to write."""
    stamp, first = looked(api, place)["stamp"], []

    def between(step, **more):
        if step == "takeover rows" and not first:
            first.append(None)
            first[0] = taken(api, place, stamp)

    reached.connect(between)
    try:
        second = taken(api, place, stamp)
    finally:
        reached.disconnect(between)
    assert first[0].status_code == 200
    assert (second.status_code, "look again" in second.data["detail"]) == (409, True)
    assert Member(place.port, "lab").alive()
    assert api.post("takeover/undo/", {"file": str(place.main), "confirm": "default"}).status_code == 200
    assert place.files() == place.before


def test_one_that_was_cut_short_is_undone_first(api, place):
    stamp = looked(api, place)["stamp"]
    assert dies_at("takeover main", lambda: take(place.main, "default"))
    assert "was cut short" in looked(api, place)["in_the_way"][0]["text"]
    assert taken(api, place, stamp).status_code == 412
    assert api.post("takeover/undo/", {"file": str(place.main), "confirm": "default"}).status_code == 200
    assert place.files() == place.before


# --- who, and where ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "taken"),
    [("", []), ("/etc/nats", ["/etc/nats"]), ("/etc/nats, /srv/nats,", ["/etc/nats", "/srv/nats"])],
)
def test_the_setting_names_folders(monkeypatch, given, taken):
    monkeypatch.setenv("NUNECT_TAKEOVER_DIRS", given)
    assert Env().folders("NUNECT_TAKEOVER_DIRS") == [Path(one) for one in taken]


@pytest.mark.parametrize("given", ["nats", "/", "/etc/nats,."])
def test_a_setting_that_names_no_folders_is_refused(monkeypatch, given):
    monkeypatch.setenv("NUNECT_TAKEOVER_DIRS", given)
    with pytest.raises(ImproperlyConfigured, match="NUNECT_TAKEOVER_DIRS must be whole paths of folders"):
        Env().folders("NUNECT_TAKEOVER_DIRS")


@pytest.fixture
def nats(tmp_path, settings):
    """An allowed folder with a main file that nobody runs."""
    folder = tmp_path / "nats"
    folder.mkdir()
    (folder / "nats-server.conf").write_text(
        "port: 1\naccounts { A { users: [ { user: a, password: hunter-two } ] } }\n"
    )
    settings.TAKEOVER_DIRS = [folder]
    settings.STATE_DIR = tmp_path / "state"
    return folder


def test_only_with_a_right_of_its_own(transactional_db, api, nats):
    body = {"file": str(nats / "nats-server.conf")}
    changes = factories.staff("cho", "accounts_app.change_system")
    only = factories.staff("oli", "provisioning.take_over_server")
    both = factories.staff("bea", "accounts_app.change_system", "provisioning.take_over_server")
    factories.account("ACME")
    writer, single = Api(token_of(both, "write")), Api(token_of(both, accounts=["ACME"]))
    for who in (Api(token_of(changes)), Api(token_of(only)), writer, single):
        for answer in (
            who.get("takeover/"),
            who.post("takeover/", {**body, "confirm": "default", "stamp": "x"}),
            who.post("takeover/undo/", body),
        ):
            assert answer.status_code == 403, answer.data
        looked = who.post("takeover/?dry_run=true", {**body, "system": "new"})
        assert looked.status_code == (200 if who is writer else 403), "a token may look as far as its person may write"
    assert Api(token_of(both)).get("takeover/").status_code == 200
    assert Api(token_of(both)).post("takeover/?dry_run=true", {**body, "system": "new"}).status_code == 200
    assert "“Can take over servers of this machine”" in Api(token_of(changes)).get("takeover/").data["detail"]


def test_public_keys_are_for_who_may_give_credentials(transactional_db, api, nats):
    nkey = new_nkey()[0]
    (nats / "nats-server.conf").write_text(f"port: 1\naccounts {{ A {{ users: [ {{ nkey: {nkey} }} ] }} }}\n")
    body = {"file": str(nats / "nats-server.conf"), "system": "new"}
    bea = Api(token_of(factories.staff("bea", "accounts_app.change_system", "provisioning.take_over_server")))
    seen, other = (json.dumps(who.post("takeover/?dry_run=true", body).data) for who in (api, bea))
    assert nkey in seen
    assert nkey not in other


def test_variables_of_a_server_that_does_not_run_can_be_given(api, nats):
    (nats / "nats-server.conf").write_text("port: 1\naccounts { A { users: [ { user: a, password: $SHOP_PW } ] } }\n")
    body = {"file": str(nats / "nats-server.conf")}
    (place,) = api.post("takeover/?dry_run=true", body).data["in_the_way"]
    assert (place["line"], "SHOP_PW" in place["text"]) == (2, True)
    seen = [api.post("takeover/?dry_run=true", {**body, "env": {"SHOP_PW": pw}}).data for pw in ("hunter-two", "three")]
    assert all(told["possible"] for told in seen), seen
    assert "hunter" not in json.dumps(seen)
    assert seen[0]["stamp"] != seen[1]["stamp"]
    act = {**body, "env": {"SHOP_PW": "hunter-two"}, "confirm": "default", "stamp": seen[0]["stamp"]}
    assert api.post("takeover/", {**act, "env": {"SHOP_PW": "three"}}).status_code == 412
    done = api.post("takeover/", act)
    assert (done.status_code, done.data["revision"], done.data["sync"]["state"]) == (200, None, "pending")
    assert "hunter" not in json.dumps(list(AuditEntry.objects.values_list("detail", flat=True)))


def test_a_system_that_nunect_has_let_go_of_takes_no_server_over(api, nats):
    system = factories.system()
    System.objects.update(conf_dir=str(nats))
    managing.release(System.objects.get(), system.name)
    body = {"file": str(nats / "nats-server.conf"), "system": system.name}
    (place,) = api.post("takeover/?dry_run=true", body).data["in_the_way"]
    assert "nunect has released system “default”: nothing is written. Observe it again" in place["text"]
    assert api.post("takeover/", {**body, "confirm": system.name, "stamp": "x"}).status_code == 412
    assert "accounts { A" in (nats / "nats-server.conf").read_text()


def test_what_the_servers_binary_refuses_is_in_the_way(api, nats):
    text = "port: 1\nwrite_deadline: 'hunter-two'\naccounts { A { users: [ { user: a, password: hunter-two } ] } }\n"
    (nats / "nats-server.conf").write_text(text)
    first, *words = api.post("takeover/?dry_run=true", {"file": str(nats / "nats-server.conf")}).data["in_the_way"]
    assert first["text"] == "nats-server refuses what would be written."
    assert "invalid duration" in words[0]["text"]
    assert "hunter" not in words[0]["text"]


def test_nothing_is_allowed_where_the_setting_names_no_folder(api, nats, settings):
    settings.TAKEOVER_DIRS = []
    for answer in (
        api.get("takeover/"),
        api.post("takeover/?dry_run=true", {"file": str(nats / "nats-server.conf")}),
        api.post("takeover/", {"file": str(nats / "nats-server.conf")}),
        api.post("takeover/undo/", {"file": str(nats / "nats-server.conf")}),
    ):
        assert answer.status_code == 403
        assert "NUNECT_TAKEOVER_DIRS" in answer.data["detail"]


def test_files_outside_of_the_folders_are_refused_by_every_way_to_them(api, nats, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "nats-server.conf").write_text("password_of_somebody: hunter-two\n")
    (nats / "link").symlink_to(outside)
    (nats / "file").symlink_to(outside / "nats-server.conf")
    for name in (
        str(outside / "nats-server.conf"),
        str(nats / ".." / "outside" / "nats-server.conf"),
        str(nats / "link" / "nats-server.conf"),
        str(nats / "file"),
        "/etc/passwd",
        "nats-server.conf",
        f"{nats}/nats-server.conf\x00",
        f"{nats}/{'x' * 300}/nats-server.conf",
        str(nats / "none" / "nats-server.conf"),
        str(nats),
        "",
    ):
        for path in ("takeover/?dry_run=true", "takeover/", "takeover/undo/?dry_run=true", "takeover/undo/"):
            answer = api.post(path, {"file": name, "confirm": "default"})
            assert list(errors(answer)) == ["file"], (path, name)
            assert "hunter" not in json.dumps(answer.data)
    why = AuditEntry.objects.filter(act="take-over refused").values_list("detail", flat=True)
    assert any("in none of the folders" in each["why"] for each in why)


def test_an_include_from_outside_is_not_read(api, nats, tmp_path):
    (tmp_path / "other.conf").write_text("hunter-two: }\n")
    (nats / "nats-server.conf").write_text("port: 1\ninclude '../other.conf'\naccounts { A {} }\n")
    answer = api.post("takeover/?dry_run=true", {"file": str(nats / "nats-server.conf")})
    assert "other.conf, which is in none of the folders" in errors(answer)["file"]
    assert "hunter" not in json.dumps(answer.data)


def test_a_journal_that_names_other_files_undoes_nothing(api, nats, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    copy = nats / "evil"
    copy.write_text("theirs")
    entry = {"path": str(victim), "before": "", "after": "", "backup": str(copy)}
    told = {"version": 1, "main": str(nats / "nats-server.conf"), "system": "default", "at": "20270101T000000Z"}
    told |= {"digest_before": "", "digest_after": "", "files": [entry], "state": "taken"}
    (nats / "nats-server.conf.before-nunect-20270101T000000Z.json").write_text(json.dumps(told))
    answer = api.post("takeover/undo/", {"file": str(nats / "nats-server.conf"), "confirm": "default"})
    assert "in none of the folders" in errors(answer)["file"]
    assert victim.read_text() == "mine"


def test_files_that_are_there_are_offered(api, nats):
    (nats / "b").mkdir()
    (nats / "b" / "nats-server.conf").write_text("port: 1\n")
    (nats / "loop").symlink_to("/")
    told = api.get("takeover/").data
    assert told["folders"] == [str(nats)]
    ours = [each for each in told["offers"] if each["file"].startswith(str(nats))]
    assert [each["file"] for each in ours] == [str(nats / "nats-server.conf"), str(nats / "b" / "nats-server.conf")]
    assert not any(each["running"] for each in ours)
    system = factories.system()
    system.conf_dir = str(nats / "b")
    system.save()
    told = api.get("takeover/").data["offers"]
    assert str(nats / "b" / "nats-server.conf") not in [each["file"] for each in told], "nunect manages it already"


def offered(api):
    """The offers in the allowed folders: more servers may run on this machine."""
    return [each for each in api.get("takeover/").data["offers"] if each["allowed"]]


def test_several_servers_are_taken_over_with_one_call_and_given_back_with_another(transactional_db, tmp_path, settings):
    settings.NATS_CONNECT_TIMEOUT, settings.NATS_REQUEST_TIMEOUT = 0.5, 1.0
    settings.STATE_DIR, settings.TAKEOVER_DIRS = tmp_path / "state", [tmp_path / "nats"]
    (tmp_path / "nats").mkdir()
    plant, api = Plant(tmp_path / "nats"), Api(token_of(factories.admin()))
    n1, n2, n3 = map(str, plant.mains.values())
    try:
        plant.start()
        (offer,) = offered(api)
        assert offer == {"file": n1, "running": True, "allowed": True, "others": [n2, n3]}
        refused = looked(api, plant)
        assert not refused["possible"] and "is named alone" in refused["in_the_way"][0]["text"]
        outside = api.post("takeover/?dry_run=true", {"file": n1, "others": [n2, "/etc/passwd"]})
        assert errors(outside)["others"].startswith("/etc/passwd is in none of the folders")
        told = looked(api, plant, others=[n2, n3])
        assert [each["file"] for each in told["servers"]] == [n1, n2, n3]
        assert [each["server_runs_it"] for each in told["servers"]] == [True, None, True]
        assert len({each["judged"] for each in told["servers"]}) == 3 and told["proof"]["server_runs_it"] is None
        assert taken(api, plant, told["stamp"]).status_code == 412, "what was shown was all three"
        done = taken(api, plant, told["stamp"], others=[n2, n3])
        assert done.status_code == 200, done.data
        assert (done.data["file"], done.data["others"], done.data["revision"]) == (n1, [n2, n3], 1)
        assert offered(api) == []
        (known,) = api.get("takeover/").data["results"]
        assert (known["file"], known["others"], known["undoable"]) == (n1, [n2, n3], True)
        back = api.post("takeover/undo/", {"file": n3, "confirm": "default"})
        assert back.status_code == 200, back.data
        assert len([text for text in back.data["said"] if "runs the former configuration" in text]) == 3
        assert plant.files() == plant.before
    finally:
        plant.stop()
