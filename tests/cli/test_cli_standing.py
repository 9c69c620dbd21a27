"""What is said when nothing differs, the same key again, and what an older secret is safe from."""

import json
import ssl

import pytest
from django.db.models import F, QuerySet

from accounts_app.models import Account, NatsUser, System
from accounts_app.systems import new_system
from nunect.cli.config import Target
from nunect.cli.local import MARK, Local
from nunect.cli.remote import Remote
from tests import factories
from tests.api.conftest import token_of

DOCUMENT = "accounts: [{name: BIG, users: [{name: svc}]}]"


@pytest.fixture
def empty(db):
    return factories.system()


@pytest.fixture
def big(empty, nunect):
    answer = nunect("apply", "-f", "-", "--yes", "--wait", "0", input=DOCUMENT)
    assert answer.exit_code == 0, answer.stderr
    return Account.objects.get(name="BIG")


def stands(kind, problem=""):
    """As a run leaves the account; past the signals, which would want it once more."""
    QuerySet(Account).filter(name="BIG").update(
        done=F("wanted") - int(kind != "applied"),
        problem_kind=kind if kind in ("failed", "held") else "",
        problem=problem,
        problem_wanted=F("wanted"),
    )


@pytest.mark.parametrize(
    "kind, problem, code",
    [("failed", "bad limit", 4), ("held", "10 users go", 3), ("pending", "", 3), ("applied", "", 0)],
)
def test_nothing_to_change_still_says_how_the_servers_stand(nunect, big, kind, problem, code):
    stands(kind, problem)
    answer = nunect("apply", "-f", "-", "--wait", "1", input=DOCUMENT)
    assert answer.exit_code == code, answer.stderr
    assert "Nothing to change." in answer.stderr
    assert f"{kind}: " in answer.stderr and problem in answer.stderr
    told = json.loads(nunect("apply", "-f", "-", "--wait", "1", "--json", input=DOCUMENT).stdout)
    assert told["sync"]["state"] == kind
    assert problem in told["sync"]["problem"]


def test_plan_warns_of_what_is_not_in_force_and_ends_with_0(nunect, big):
    stands("failed", "bad limit")
    answer = nunect("plan", "-f", "-", input=DOCUMENT)
    assert answer.exit_code == 0
    assert "warning: 1 account failed: BIG: bad limit" in answer.stderr
    other = nunect("apply", "-f", "-", "--wait", "1", input="accounts: []\nroles: []")
    assert other.exit_code == 0, other.stderr


def test_status_ends_with_1_and_the_servers_words(nunect, big):
    stands("failed", "bad limit")
    answer = nunect("status")
    assert answer.exit_code == 1
    assert "1 account failed: BIG: bad limit" in answer.stdout


def test_the_same_key_again_tells_the_same_secrets(nunect, empty, tmp_path):
    given = ("apply", "-f", "-", "--yes", "--wait", "0", "--json", "--idempotency-key", "k1")
    first = json.loads(nunect(*given, input=DOCUMENT).stdout)
    again = json.loads(nunect(*given, input=DOCUMENT).stdout)
    assert first["secrets"]["svc"]["seed"] == again["secrets"]["svc"]["seed"]
    file = tmp_path / "secrets.json"
    file.touch()  # what a killed job leaves
    told = nunect(*(each for each in given if each != "--json"), "--secrets-to", str(file), input=DOCUMENT)
    assert told.exit_code == 0, told.stderr
    assert "nothing was done again" in told.stderr
    assert json.loads(file.read_text()) == first["secrets"]
    nunect(*given, "--secrets-to", str(file), input=DOCUMENT)
    assert json.loads((tmp_path / "secrets.json.new").read_text()) == first["secrets"]


def test_a_file_of_secrets_matters_only_when_there_are_some(nunect, big, tmp_path):
    file = tmp_path / "secrets.json"
    file.write_text("{}")
    same = nunect("apply", "-f", "-", "--yes", "--wait", "0", "--secrets-to", str(file), input=DOCUMENT)
    assert same.exit_code == 0, same.stderr
    more = DOCUMENT.replace("{name: svc}", "{name: svc}, {name: two}")
    refused = nunect("apply", "-f", "-", "--yes", "--wait", "0", "--secrets-to", str(file), input=more)
    assert refused.exit_code == 1
    assert "is there already" in refused.stderr and "user `two`" not in refused.stderr
    assert file.read_text() == "{}"


@pytest.mark.parametrize("act", ["plan", "apply"])
def test_prune_of_documents_without_accounts_is_refused(nunect, big, act):
    answer = nunect(act, "-f", "-", "--prune", input="accounts: []")
    assert answer.exit_code == 1
    assert "The documents name no account; --prune would delete all of them." in answer.stderr


def test_what_names_an_account_alone_is_told_with_file_and_line(nunect, empty):
    text = "accounts:\n  - name: DUP\n  - name: B\n  - name: DUP\n    users: []\n"
    assert "stdin:4: " in nunect("apply", "-f", "-", "--yes", input=text).stderr
    taken = "accounts:\n  - name: DUP\n    users:\n      - name: a\n      - name: x\n"
    factories.user(factories.account("OTHER"), "x")
    answer = nunect("apply", "-f", "-", "--yes", input=taken)
    assert "nunect: stdin:5: Account “DUP”, user “x”" in answer.stderr
    errors = json.loads(nunect("apply", "-f", "-", "--yes", "--json", input=taken).stderr)["errors"]
    assert (errors[0]["file"], errors[0]["line"]) == ("stdin", 5)


def test_creds_overwrite_nothing_and_name_one_seed_file(nunect, big, tmp_path):
    file = tmp_path / "env"
    file.write_text("the only copy")
    answer = nunect("user", "creds", "svc", "--out", str(file))
    assert answer.exit_code == 1 and "is there already: name another file." in answer.stderr
    assert file.read_text() == "the only copy"
    fresh = nunect("user", "creds", "svc", "--as", "env", "--out", str(tmp_path / "new"))
    assert "Put the seed into ~/.config/nats/svc.nk (mode 0600)." in fresh.stderr
    assert "NATS_NKEY=~/.config/nats/svc.nk\n" in (tmp_path / "new").read_text()


def test_a_password_is_rotated_with_an_overlap_only_when_somebody_says_so(nunect, big):
    factories.user(big, "web", credential="password", password_hash="$2b$11$" + "a" * 53)
    answer = nunect("user", "rotate", "web", "--overlap", "1h", "--wait", "0")
    assert answer.exit_code == 1
    assert "web signs in with a password now" in answer.stderr and "--yes" in answer.stderr
    assert nunect("user", "rotate", "web", "--overlap", "1h", "--yes", "--wait", "0").exit_code == 0
    assert NatsUser.objects.get(name="web").credential == "nkey"


def test_a_user_is_added_with_access_and_connection_types(nunect, big):
    both = nunect("user", "add", "BIG", "u", "--password", "--nkey")
    assert both.exit_code == 1 and "in one way" in both.stderr
    made = nunect(
        "user", "add", "BIG", "u", "--access", "all", "--connection-type", "mqtt", "--connection-type", "STANDARD",
        "--wait", "0",
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    user = NatsUser.objects.get(name="u")
    assert (user.access, sorted(user.connection_types)) == ("all", ["MQTT", "STANDARD"])


def test_a_plain_port_asked_by_tls_is_told():
    reason = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    reason.reason = "WRONG_VERSION_NUMBER"
    told = Remote(Target("https://n.example:8000", "nun_x"))._unreachable(reason, 1)
    assert str(told) == "https://n.example:8000 answers, but not by TLS: try http://n.example:8000."


def test_status_counts_the_streams_that_wait_for_a_person(nunect, empty):
    of = factories.account("KEEPS", jetstream=True)
    QuerySet(Account).update(done=F("wanted"))
    drifted, refused = factories.stream(of, "DRIFTED"), factories.stream(of, "KV_wrong", kind="kv")
    factories.settled(drifted, drift=[{"setting": "max_age", "wanted": 0, "seen": 1, "words": "another age"}], seen={})
    QuerySet(type(refused)).filter(pk=refused.pk).update(problem_kind="failed", problem_wanted=F("wanted"))
    answer = nunect("status")
    assert "1 stream drifted: `nunect list streams state=drifted`." in answer.stderr
    assert "1 KV bucket failed: `nunect list kv-buckets state=failed`." in answer.stderr
    assert answer.exit_code == 1
    told = json.loads(nunect("status", "--json").stdout)["jetstream"]
    assert told == {"failed": {"kv-buckets": 1}, "drifted": {"streams": 1}}


def as_token(monkeypatch, token):
    """From now on commands come with a token, as they do from elsewhere."""
    environ = Local._environ

    def narrowed(self, *request):
        kept = {key: value for key, value in environ(self, *request).items() if key != MARK}
        return {**kept, "HTTP_AUTHORIZATION": f"Bearer {token}"}

    monkeypatch.setattr(Local, "_environ", narrowed)


def test_status_tells_as_much_as_a_person_may_see(nunect, big, monkeypatch):
    as_token(monkeypatch, token_of(factories.staff("vera", "accounts_app.view_account")))
    stands("failed", "bad limit")
    answer = nunect("status")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert "as vera" in answer.stdout and "ready" not in answer.stdout
    assert json.loads(nunect("status", "--json").stdout)["health"] is None
    refused = nunect("provision", "work-queue", "--set", "name=X")
    assert refused.exit_code == 1 and "There are ." not in refused.stderr


def test_nobody_waits_for_accounts_of_a_system_that_is_only_observed(nunect, big):
    System.objects.update(stage=System.Stage.OBSERVED)
    assert json.loads(nunect("status", "--json").stdout)["accounts"] == {"failed": {}, "held": {}}


def test_a_system_that_nunect_does_not_manage_is_removed(nunect, empty):
    new_system("trial", stage=System.Stage.OBSERVED)
    asked = nunect("system", "remove", "trial")
    assert (asked.exit_code, asked.stderr) == (
        1,
        "nunect: Nobody is here to be asked: say --confirm NAME when it shall be done.\n",
    )
    wrong = nunect("system", "remove", "trial", "--confirm", "default")
    assert wrong.exit_code == 1 and "Type the name of the system: trial." in wrong.stderr
    done = nunect("system", "remove", "trial", "--confirm", "trial")
    assert (done.exit_code, done.stderr) == (0, "nunect has forgotten trial; its servers and files are as they were.\n")
    assert list(System.objects.values_list("name", flat=True)) == ["default"]
