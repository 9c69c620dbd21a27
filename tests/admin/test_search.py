"""What ⌘K answers."""

import pytest
from django.core.cache import cache

from tests import factories


def test_it_finds_rows_and_pages(page, db):
    factories.user(factories.account("ORDERS"), "orders-checkout")
    text = page.get("/admin/search/", {"s": "ORDERS-check", "extended": "1"}).content.decode()
    assert "orders-checkout" in text
    assert "/admin/accounts_app/role/" in page.get("/admin/search/", {"s": "role"}).content.decode()


@pytest.mark.parametrize("page_number", ["abc", "0", "-1", "9" * 30, ""])
def test_no_page_number_is_an_error(page, db, page_number):
    factories.system()
    assert page.get("/admin/search/", {"s": "a", "extended": "1", "page": page_number}).status_code == 200


@pytest.mark.parametrize("term", ["\x00", "a\x00b", "'; --", "%", "x" * 5000, "🚀", ""])
def test_no_question_is_an_error(page, db, term):
    factories.account()
    assert page.get("/admin/search/", {"s": term, "extended": "1"}).status_code == 200


def test_it_needs_no_cache(page, db, monkeypatch):
    def dead(*args, **options):
        raise ConnectionError("the cache is gone")

    monkeypatch.setattr(cache, "get", dead)
    monkeypatch.setattr(cache, "set", dead)
    factories.account("ORDERS")
    assert page.get("/admin/search/", {"s": "ord", "extended": "1"}).status_code == 200


def test_rows_that_one_may_not_see_are_not_found(client, db):
    factories.user(factories.account("ORDERS"), "orders-checkout")
    client.force_login(factories.staff())
    text = client.get("/admin/search/", {"s": "orders", "extended": "1"}).content.decode()
    assert "orders-checkout" not in text
