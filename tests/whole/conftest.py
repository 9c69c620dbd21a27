"""One product for the tests of a file that leave it as they found it, or at least able to start again."""

import contextlib
import sys

import pytest

from tests.whole.product import Product


@pytest.fixture(scope="module")
def _one(tmp_path_factory, tables):
    made = Product(tmp_path_factory.mktemp("one"), python=sys.executable, tables=tables)
    yield made
    made.kill()


@pytest.fixture
def running(_one, request):
    """The product of this file, ready: started with what the file names in SETTINGS, and again when it ended."""
    if not _is_ready(_one):
        _one.kill()
        _one.start(**getattr(request.module, "SETTINGS", {}))
    return _one


@pytest.fixture
def stopped(_one, request):
    """The product of this file, which ran before and does not now; its main conf is put back afterwards."""
    if not _one.state.exists():
        _one.start(**getattr(request.module, "SETTINGS", {}))
    if _one.runs():
        assert _one.stop() == 0
    main = _one.config / "nats-server.conf"
    former = main.read_bytes()
    yield _one
    if main.read_bytes() != former:
        _one.kill()
        main.write_bytes(former)


def _is_ready(product):
    with contextlib.suppress(OSError):
        return product.runs() and product.ready()[0] == 200
    return False
