"""REST over the network, on real servers: in force when it says so, once when it was asked once."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request

import nats
import pytest

from tests.whole.product import Product


class Rest:
    """Calls of one token, over HTTP."""

    def __init__(self, product, bare):
        self.base, self.bare = f"http://127.0.0.1:{product.ports['NUNECT_PORT']}/api/v1/", bare

    def __call__(self, method, path, body=None, timeout=60, **headers):
        """(status, JSON, headers)"""
        request = urllib.request.Request(
            self.base + path,
            None if body is None else json.dumps(body).encode(),
            {
                "Authorization": f"Bearer {self.bare}",
                "Content-Type": "application/json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, json.loads(answer.read()), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read()), error.headers


@pytest.fixture(scope="module")
def product(tmp_path_factory, tables):
    made = Product(tmp_path_factory.mktemp("rest"), python=sys.executable, tables=tables)
    try:
        made.start(PROVISIONING_SWEEP_SECONDS="3")
        made.until_ready()
        yield made
    finally:
        made.kill()


@pytest.fixture(scope="module")
def rest(product):
    found = Rest(product, make_token(product))
    assert found("POST", "accounts/", {"name": "ACME"}, Prefer="wait=30")[0] == 201
    return found


def make_token(product):
    made = product.nunect("token", "create", "tests", "--scope", "admin")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def pids(product, *words):
    return [pid for pid, command in product.processes().items() if all(word in command for word in words)]


@contextlib.contextmanager
def no_worker(product):
    stopped = pids(product, "celery", "worker")
    assert stopped
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def may(product, subject, user, password):
    """Whether a client may publish; None when it may not even sign in."""

    async def ask():
        refused = []

        async def on_error(error):
            refused.append(error)

        try:
            client = await nats.connect(
                f"nats://127.0.0.1:{product.ports['NATS_PORT']}",
                user=user,
                password=password,
                allow_reconnect=False,
                error_cb=on_error,
            )
        except Exception:
            return None
        await client.publish(subject, b"")
        await client.flush(5)
        await asyncio.sleep(0.02)
        await client.close()
        return not refused

    return asyncio.run(ask())


USER = {
    "account": "ACME",
    "name": "svc",
    "credential": "password",
    "permissions": [{"action": "publish", "effect": "allow", "subject": "orders.>"}],
}


def test_a_user_that_was_waited_for_can_connect_at_once(product, rest):
    status, row, headers = rest("POST", "users/", USER, Prefer="wait=30")
    assert (status, row["sync"]["state"]) == (201, "applied")
    assert headers["Preference-Applied"] == "wait=30"
    assert row["sync"]["revision"] > 0
    password = row["secret"]["password"]
    assert may(product, "orders.new", "svc", password) is True
    assert may(product, "payroll.all", "svc", password) is False
    narrowed = {"permissions": [{"action": "publish", "subject": "orders.created"}]}
    status, row, _ = rest("PATCH", f"users/{row['id']}/", narrowed, Prefer="wait=30")
    assert (status, row["sync"]["state"]) == (200, "applied")
    assert may(product, "orders.new", "svc", password) is False
    status, gone, _ = rest("DELETE", f"users/{row['id']}/", Prefer="wait=30")
    assert (status, gone["sync"]["state"]) == (200, "applied")
    assert may(product, "orders.created", "svc", password) is None


def test_who_waits_in_vain_is_told_by_a_202(product, rest):
    with no_worker(product):
        began = time.monotonic()
        status, row, _ = rest("POST", "users/", {**USER, "name": "later"}, Prefer="wait=1")
        assert (status, row["sync"]["state"]) == (202, "pending")
        assert 1 <= time.monotonic() - began < 5
        assert "password" in row["secret"]
    deadline = time.monotonic() + 30
    while rest("GET", f"users/{row['id']}/")[1]["sync"]["state"] != "applied":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_replayed_answer_waits_too(product, rest):
    body = {**USER, "name": "twice"}
    with no_worker(product):
        status, first, _ = rest("POST", "users/", body, Idempotency_Key="twice", Prefer="wait=1")
        assert status == 202
    status, second, headers = rest("POST", "users/", body, Idempotency_Key="twice", Prefer="wait=30")
    assert (status, second["sync"]["state"], headers["Idempotent-Replayed"]) == (201, "applied", "true")
    assert second["secret"] == first["secret"]


def test_a_revoked_token_waits_no_longer(product, rest):
    status, made, _ = rest("POST", "tokens/", {"name": "short", "scope": "write"})
    assert status == 201
    waiter, found = Rest(product, made["token"]), []
    with no_worker(product):
        asking = threading.Thread(
            target=lambda: found.append(
                (waiter("POST", "users/", {**USER, "name": "orphan"}, Prefer="wait=50"), time.monotonic())
            )
        )
        asking.start()
        deadline = time.monotonic() + 20
        while not rest("GET", "users/?name=orphan")[1]["results"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        rest("DELETE", f"tokens/{made['id']}/")
        revoked = time.monotonic()
        asking.join(20)
    (status, told, _), ended = found[0]
    assert status == 401
    assert ended - revoked < 2
    assert "was revoked while it waited" in told["detail"]


def test_one_key_around_a_killed_web_process_makes_one_user(product, rest):
    bare = Rest(product, rest.bare)
    for number in range(3):
        body, key = {**USER, "name": f"once{number}"}, f"kill-{number}"
        (web,) = [pid for pid in pids(product, "daphne") if "sh -c" not in product.processes()[pid]]
        killer = threading.Timer((0, 0.015, 0.03)[number], os.kill, (web, signal.SIGKILL))
        killer.start()
        with contextlib.suppress(OSError, ValueError):
            bare("POST", "users/", body, Idempotency_Key=key, timeout=5)
        killer.join()
        deadline, answers = time.monotonic() + 40, []
        while len(answers) < 2:
            assert time.monotonic() < deadline, product.logs()
            try:
                answers.append(bare("POST", "users/", body, Idempotency_Key=key, timeout=5))
            except (OSError, ValueError):
                time.sleep(0.2)
        assert [status for status, *_ in answers] == [201, 201]
        assert answers[0][1]["id"] == answers[1][1]["id"]
        assert answers[0][1]["secret"] == answers[1][1]["secret"]
        assert len(rest("GET", f"users/?name=once{number}")[1]["results"]) == 1


def test_a_held_change_waits_for_a_yes_and_a_no_puts_it_back(product, rest):
    many = [{"name": f"dev{number}", "permissions": ["publish dev.>"]} for number in range(40)]
    status, done, _ = rest("POST", "apply/", {"accounts": [{"name": "FLEET", "users": many}]}, Prefer="wait=30")
    assert (status, done["sync"]["state"], len(done["secrets"])) == (200, "applied", 40)
    fewer = {"accounts": [{"name": "FLEET", "users": many[:10]}]}
    tried = rest("POST", "apply/?dry_run=true", fewer)[1]
    assert tried["rows"]["deleted"] == {"user": 30}
    assert any(change["removes_access"] and "30 users" in change["text"] for change in tried["changes"]), tried[
        "changes"
    ]
    for answer, left in (("no", 40), ("yes", 10)):
        status, done, _ = rest("POST", "apply/", fewer, Prefer="wait=30")
        assert done["sync"]["state"] == "held", done
        assert status == 200
        (hold,) = rest("GET", "holds/?state=open&account=FLEET")[1]["results"]
        status, decided, _ = rest("POST", f"holds/{hold['id']}/{answer}/", Prefer="wait=30")
        assert (status, decided["sync"]["state"]) == (200, "applied"), decided
        assert len(rest("GET", "users/?account=FLEET")[1]["results"]) == left
        again = rest("POST", f"holds/{hold['id']}/{answer}/")
        assert again[0] == 422
        assert "answered this already" in again[1]["detail"]


def test_a_revision_is_read_compared_and_gone_back_to(product, rest):
    newest = rest("GET", "revisions/?ordering=-id&limit=1")[1]["results"][0]
    status, user, _ = rest("POST", "users/", {**USER, "name": "brief"}, Prefer="wait=30")
    revision = rest("GET", "revisions/?ordering=-id&limit=1")[1]["results"][0]
    assert revision["number"] > newest["number"]
    assert revision["authors"][0]["person"] == "admin"
    assert any("brief" in change["text"] for change in revision["changes"])
    diff = rest("GET", f"revisions/{revision['id']}/diff/")[1]["diff"]
    assert '+        user: "brief"' in diff or "brief" in diff
    assert "$2a$" not in diff
    tried = rest("POST", f"revisions/{newest['id']}/revert/?dry_run=true")[1]
    assert any("brief" in change["text"] for change in tried["changes"])
    assert rest("GET", f"users/{user['id']}/")[0] == 200
    status, done, _ = rest("POST", f"revisions/{newest['id']}/revert/", Prefer="wait=30")
    assert (status, done["sync"]["state"]) == (200, "applied")
    assert rest("GET", f"users/{user['id']}/")[0] == 404


def test_the_same_document_again_writes_nothing(product, rest):
    document = {"accounts": [{"name": "SHOP", "users": [{"name": "till", "permissions": ["publish till.>"]}]}]}
    rest("POST", "apply/", document, Prefer="wait=30")
    before = rest("GET", "revisions/?ordering=-id&limit=1")[1]["results"][0]["number"]
    status, done, _ = rest("POST", "apply/", document, Prefer="wait=30")
    assert (status, done["created"], done["updated"], done["deleted"]) == (200, {}, {}, {})
    assert done["secrets"] == {}
    time.sleep(4)  # longer than a sweep
    assert rest("GET", "revisions/?ordering=-id&limit=1")[1]["results"][0]["number"] == before


def test_what_is_exported_is_what_applies(product, rest):
    document = rest("GET", "apply/")[1]
    assert {account["name"] for account in document["accounts"]} >= {"ACME", "SHOP", "FLEET"}
    tried = rest("POST", "apply/?dry_run=true", document)[1]
    assert (tried["changes"], tried["conf"]) == ([], "")
    assert not any(tried["rows"].values())


def test_a_body_of_unknown_length_is_read(product, rest):
    row = rest("POST", "users/", {**USER, "name": "chunked"})[1]
    line = http.client.HTTPConnection("127.0.0.1", product.ports["NUNECT_PORT"], timeout=30)
    headers = {"Authorization": f"Bearer {rest.bare}", "Content-Type": "application/json"}
    line.request(
        "PATCH", f"/api/v1/users/{row['id']}/", iter([b'{"ena', b'bled": false}']), headers, encode_chunked=True
    )
    answer = line.getresponse()
    assert (answer.status, json.loads(answer.read())["enabled"]) == (200, False)
    line.request("POST", "/api/v1/accounts/", iter([b"x" * 1_000_000] * 51), headers, encode_chunked=True)
    assert line.getresponse().status == 413


def test_what_was_refused_stays_refused_when_it_is_applied_again(product, rest):
    document = {"accounts": [{"name": "CERT", "users": [{"name": "cc", "certificate": "CN=cc"}]}]}
    first = rest("POST", "apply/", document, Prefer="wait=30")[1]
    assert first["sync"]["state"] == "failed"
    again = rest("POST", "apply/", document, Prefer="wait=30")[1]
    assert (again["created"], again["updated"]) == ({}, {})
    assert again["sync"]["state"] == "failed"
    assert "verify_and_map" in again["sync"]["problem"]
    user = rest("GET", "users/?account=CERT")[1]["results"][0]
    assert rest("PATCH", f"users/{user['id']}/", {}, Prefer="wait=30")[1]["sync"]["state"] == "failed"


def test_a_body_over_the_limit_is_a_413(product, rest):
    body = {"name": "A", "description": "x" * 50_000_000}
    status, told, _ = rest("POST", "accounts/", body)
    assert (status, told["status"]) == (413, 413)
