"""Schemathesis against the product: whatever is sent, the answer is one that the schema tells of.

With FUZZ_EXAMPLES, as in `make fuzz`, every edge of every parameter is tried too; without it those of a few operations.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.whole.product import Product

HERE = Path(__file__).parent
ASKED = os.environ.get("FUZZ_EXAMPLES", "")
EXAMPLES = ASKED or "1"
EDGES = ("--phases", "coverage", "--include-operation-id-regex", "^(users|apply)_")  # most of what a request can hold
RUNS = [((), 3000)] if ASKED else [(("--phases", "examples,fuzzing,stateful"), 300), (EDGES, 300)]
OPEN = "hand_overs_open"  # who has the link needs no log-in
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,"
    "allow_header_conformance,use_after_free,ensure_resource_availability,ignored_auth"
)


ROWS = {  # so that there is something to find, to change and to follow
    "roles": [{"name": "everywhere", "permissions": ["publish a.>"]}],
    "accounts": [
        {
            "name": "ACME",
            "roles": [{"name": "worker", "permissions": ["subscribe jobs.> workers"]}],
            "users": [{"name": "svc", "permissions": ["publish orders.>"]}, {"name": "w", "role": "worker"}],
            "exports": [{"kind": "stream", "subject": "events.>"}],
            "mappings": [{"source": "v1.*", "destinations": ["v2.$1"]}],
            "jetstream": True,
            "streams": [{"name": "ORDERS", "subjects": ["orders.>"], "consumers": [{"name": "billing"}]}],
            "kv_buckets": [{"name": "config"}],
            "object_buckets": [{"name": "reports"}],
        },
        {"name": "SHOP", "imports": [{"kind": "stream", "account": "ACME", "subject": "events.>"}]},
    ],
}


@pytest.fixture(scope="module")
def product(tmp_path_factory, tables):
    folder = tmp_path_factory.mktemp("fuzz")
    made = Product(folder, python=sys.executable, tables=tables)
    try:
        made.start(NUNECT_API_RATE="1000000", PROVISIONING_SWEEP_SECONDS="5")
        (folder / "rows.json").write_text(json.dumps(ROWS))
        applied = made.nunect("apply", "-f", str(folder / "rows.json"), "--yes")
        assert applied.returncode == 0, applied.stderr
        yield made
    finally:
        made.kill()


@pytest.fixture(scope="module")
def token(product):
    made = product.nunect("token", "create", "fuzz", "--scope", "admin")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def fuzz(product, tmp_path, *more):
    """Run schemathesis; (what it said, how many requests it made)."""
    ran = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            "--config-file",
            str(HERE / "schemathesis.toml"),
            "run",
            f"http://127.0.0.1:{product.ports['NUNECT_PORT']}/api/v1/schema/",
            "--checks",
            CHECKS,
            "--continue-on-failure",
            "--no-shrink",
            "--max-examples",
            EXAMPLES,
            "--workers",
            "1",  # with more, Python 3.11's parser of its own code trips over its threads
            "--generation-database",
            "none",
            *more,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    found = re.search(r"(\d+) generated", ran.stdout)
    assert ran.returncode == 0, (
        ran.stdout.partition(" FAILURES ")[2].partition(" WARNINGS ")[0] or ran.stdout + ran.stderr
    )
    return ran.stdout, int(found[1]) if found else 0


@pytest.mark.parametrize(("more", "least"), RUNS)
def test_whoever_has_a_right_to_everything_gets_no_undocumented_answer(product, token, tmp_path, more, least):
    _said, count = fuzz(
        product,
        tmp_path,
        *more,
        "--header",
        f"Authorization: Bearer {token}",
        "--exclude-operation-id",  # it would end its own token, and everything after would be a 401
        "tokens_delete",
    )
    assert count > least
    assert product.until_ready() is not None
    assert "Traceback" not in product.logs()


def test_whoever_says_nothing_gets_a_401_everywhere(product, tmp_path):
    phases = "examples,coverage" if ASKED else "fuzzing"
    said, count = fuzz(product, tmp_path, "--phases", phases, "--exclude-operation-id", OPEN)
    operations = sum(len(methods) for methods in json.loads(schema_of(product))["paths"].values()) - 1
    assert f"Authentication failed: {operations} operations returned only 401/403 responses" in said
    assert count >= (3000 if ASKED else operations)


def schema_of(product):
    status, body = product.get("/api/v1/schema/?format=json")
    assert status == 200
    return body
