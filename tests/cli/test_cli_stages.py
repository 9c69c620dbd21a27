"""`nunect system …`: what runs beside what nunect would write, and who writes there."""

import json

import pytest

from accounts_app.models import System
from provisioning.files import MAIN
from tests import factories
from tests.api.test_stage_rest import CONF


@pytest.fixture
def system(db, tmp_path, settings):
    settings.NATS_CONNECT_TIMEOUT = 0.2
    made = factories.system()
    made.conf_dir, made.nats_url = str(tmp_path), "nats://127.0.0.1:1"
    made.save()
    (tmp_path / MAIN).write_text(CONF)
    return made


def test_observe_difference_and_manage(nunect, system, tmp_path):
    turned = nunect("system", "observe")
    assert (turned.exit_code, turned.stderr) == (0, "nunect only observes default from now on.\n")
    told = nunect("system", "difference", "default")
    assert told.exit_code == 2
    assert "default is observed. nunect would change 1 thing." in told.stdout
    assert "account `SHOP` is removed with 1 user" in told.stdout
    assert json.loads(nunect("system", "difference", "--json").stdout)["is_none"] is False
    held = nunect("create", "account", "name=NEW")
    assert held.exit_code == 3
    assert "held: written here. nunect only observes this system: nothing is written." in held.stderr
    tried = nunect("system", "manage", "--dry-run")
    assert tried.exit_code == 0 and "account `SHOP` is removed" in tried.stdout
    nobody = nunect("system", "manage")
    assert nobody.exit_code == 1 and "Nobody is here to be asked" in nobody.stderr
    wrong = nunect("system", "manage", "--confirm", "other")
    assert wrong.exit_code == 1 and "Type the name of the system: default." in wrong.stderr
    (tmp_path / MAIN).unlink()
    unknown = nunect("system", "difference")
    assert unknown.exit_code == 1 and "There is neither nats-server.conf nor accounts.conf" in unknown.stdout
    assert nunect("system", "manage", "--confirm", "default", "--wait", "0").exit_code == 0
    assert System.objects.get().stage == "managed"


@pytest.mark.django_db(transaction=True)  # a change counts by what its transaction has counted already
def test_release(nunect, system):
    gone = nunect("system", "release", "--confirm", "default", "--keep-files")
    assert (gone.exit_code, gone.stderr) == (0, "nunect has let go of default.\n")
    refused = nunect("create", "account", "name=NEW")
    assert refused.exit_code == 1
    assert "nunect has released system “default”: nothing is written." in refused.stderr
    assert nunect("system", "observe", "elsewhere").exit_code == 1
    nothing = nunect("system", "release", "--undo", "--confirm", "default")
    assert nothing.exit_code == 1 and "There is nothing to take back" in nothing.stderr


def test_one_plain_conf_needs_a_server_that_proves_it(nunect, system):
    refused = nunect("system", "release", "--confirm", "default")
    assert refused.exit_code == 1
    assert "nobody can prove" in refused.stderr
    assert System.objects.get().stage == "managed"


@pytest.mark.long
def test_servers_are_added_and_the_way_to_them_is_tried(nunect, system, tmp_path):
    (tmp_path / "edge").mkdir()
    where = ("--url", "nats://127.0.0.1:1", "--conf-dir", str(tmp_path / "edge"))
    asked = ("system", "add", "edge", *where, "--user", "ops")
    seen = nunect(*asked, "--secret-file", "-", "--dry-run", input="correct-horse-battery\n")
    assert seen.exit_code == 1 and "✗ port     Nobody lets nunect in at 127.0.0.1:1" in seen.stdout, seen.output
    assert not System.objects.filter(name="edge").exists()
    assert "correct-horse" not in seen.output
    added = nunect(*asked, "--secret-file", "-", input="correct-horse-battery\n")
    assert added.exit_code == 1, added.output
    assert "nunect observes edge from now on, and writes nothing." in added.stderr
    assert "✓ name     127.0.0.1" in added.stdout
    assert "✗ port     Nobody lets nunect in at 127.0.0.1:1" in added.stdout
    row = System.objects.get(name="edge")
    assert (row.stage, row.login_user, row.login_secret) == ("observed", "ops", "correct-horse-battery")
    again = nunect("system", "test", "edge", "--json")
    assert json.loads(again.stdout)["ok"] is False
    assert "correct-horse" not in added.output + again.output
    twice = nunect(*asked)
    assert twice.exit_code == 1 and "name" in twice.stderr


def test_what_stands_in_the_conf_is_adopted(nunect, system):
    nunect("system", "observe")
    tried = nunect("system", "adopt", "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert "account `SHOP` is added" in tried.stdout
    nobody = nunect("system", "adopt")
    assert nobody.exit_code == 1 and "Nobody is here to be asked" in nobody.stderr
    done = nunect("system", "adopt", "default", "--yes")
    assert (done.exit_code, done.stderr) == (0, "The rows say what stands in the conf.\n")
    assert nunect("system", "difference").exit_code == 0
