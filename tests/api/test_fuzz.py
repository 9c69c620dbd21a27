"""Schemathesis against the product: whatever is sent, the answer is one that the schema tells of.

`make fuzz` does the same for longer (FUZZ_EXAMPLES).
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "3")
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
        },
        {"name": "SHOP", "imports": [{"kind": "stream", "account": "ACME", "subject": "events.>"}]},
    ],
}


@pytest.fixture
def running(product, tmp_path):
    product.start(NUNECT_API_RATE="1000000", PROVISIONING_SWEEP_SECONDS="5")
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    made = product.nunect("apply", "-f", str(tmp_path / "rows.json"), "--yes")
    assert made.returncode == 0, made.stderr
    return product


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


def test_whoever_has_a_right_to_everything_gets_no_undocumented_answer(running, tmp_path):
    _said, count = fuzz(
        running,
        tmp_path,
        "--header",
        f"Authorization: Bearer {token(running)}",
        "--exclude-operation-id",  # it would end its own token, and everything after would be a 401
        "tokens_delete",
    )
    assert count > 3000
    assert running.until_ready() is not None
    assert "Traceback" not in running.logs()


def test_whoever_says_nothing_gets_a_401_everywhere(running, tmp_path):
    said, count = fuzz(running, tmp_path, "--phases", "examples,coverage")
    assert count > 3000
    operations = sum(len(methods) for methods in json.loads(schema_of(running))["paths"].values())
    assert f"Authentication failed: {operations} operations returned only 401/403 responses" in said


def schema_of(product):
    status, body = product.get("/api/v1/schema/?format=json")
    assert status == 200
    return body
