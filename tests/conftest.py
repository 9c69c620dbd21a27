"""What all rooms share: tiers by what a test asks for, and the product as `make up` starts it."""

import os
import shutil
import sys

import pytest

LIVE, WHOLE = {"world", "nats_server", "valkey"}, {"product"}


def pytest_collection_modifyitems(items):
    """A test's tier is what it asks for; nothing is skipped in CI because a part is missing."""
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        if asked & LIVE:
            item.add_marker(pytest.mark.live)
        if asked & WHOLE:
            item.add_marker(pytest.mark.whole)
        if item.get_closest_marker("browser") and not shutil.which("chromium") and not os.environ.get("CI"):
            item.add_marker(pytest.mark.skip(reason="there is no chromium on this machine"))


@pytest.fixture
def product(tmp_path):
    """The product on ports and folders of its own; started by the test, always stopped."""
    from tests.whole.product import Product

    made = Product(tmp_path, python=sys.executable)
    try:
        yield made
    finally:
        made.kill()
