"""The command in this process on the test database, and as a program beside the whole product."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
from click.testing import CliRunner
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from tests.whole.product import ROOT, Product


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """Nobody is logged in anywhere, and no shell says otherwise."""
    for name in ("NUNECT_URL", "NUNECT_TOKEN", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def nunect(alone):
    """Run a command in this process: nunect("list", "users") → click's result."""
    from nunect.cli.app import app

    def run(*arguments, **options):
        return CliRunner().invoke(app, list(arguments), prog_name="nunect", **options)

    for signal in (request_started, request_finished):  # they would close the connection that a test rolls back
        signal.disconnect(close_old_connections)
    yield run
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(scope="module")
def product(tmp_path_factory, tables):
    """The whole product, started once for a module."""
    made = Product(tmp_path_factory.mktemp("cli"), python=sys.executable, tables=tables)
    try:
        made.start()
        made.until_ready()
        yield made
    finally:
        made.kill()


@dataclass
class Shell:
    """Somebody at a terminal that is none: no question can be asked there."""

    env: dict[str, str]

    def __call__(self, *arguments, given="", code=0, **more):
        done = subprocess.run(
            [sys.executable, "-m", "nunect.cli", *map(str, arguments)],
            cwd=ROOT,
            env={**self.env, **more},
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        if code is not None:
            assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done


@pytest.fixture(scope="module")
def here(product, tmp_path_factory):
    """At the machine of nunect itself."""
    return Shell({**product.env, "XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("here"))})


@pytest.fixture(scope="module")
def there(product, here, tmp_path_factory):
    """Elsewhere, with an address and a token."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("NUNECT_", "NATS_"))}
    return Shell(
        {
            **kept,
            "XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("there")),
            "NUNECT_URL": f"http://127.0.0.1:{product.ports['NUNECT_PORT']}",
            "NUNECT_TOKEN": here("token", "create", "tests", "--scope", "admin").stdout.strip(),
        }
    )
