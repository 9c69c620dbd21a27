"""Links begin with the address at which people reach nunect."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory

from accounts_app.address import address_of
from accounts_app.door import LOCAL
from nunect.settings import Env

PAGE = "/handover/"


def asked(host="nunect.internal", **more):
    return RequestFactory().get("/api/v1/jobs/", HTTP_HOST=host, **more)


def test_without_a_public_address_a_link_begins_as_the_request_came(settings):
    settings.ALLOWED_HOSTS, settings.PORT = ["*"], 4280
    assert address_of(PAGE, asked()) == "http://nunect.internal/handover/"
    assert address_of(PAGE, asked("localhost", **{LOCAL: True})) == "http://localhost:4280/handover/"
    assert address_of(PAGE) == "http://localhost:4280/handover/"


def test_the_public_address_counts_whoever_asks(settings):
    settings.PUBLIC_URL = "https://nunect.example.com"
    for request in (None, asked(), asked("localhost", **{LOCAL: True})):
        assert address_of(PAGE, request) == "https://nunect.example.com/handover/"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("", ""),
        ("https://nunect.example.com", "https://nunect.example.com"),
        ("https://nunect.example.com/", "https://nunect.example.com"),
        (" http://10.0.0.7:4280 ", "http://10.0.0.7:4280"),
        ("http://[::1]:4280", "http://[::1]:4280"),
    ],
)
def test_an_address_is_taken(monkeypatch, given, taken):
    monkeypatch.setenv("NUNECT_PUBLIC_URL", given)
    assert Env().origin("NUNECT_PUBLIC_URL") == taken


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("nunect.example.com", "must be such as https://"),
        ("ftp://nunect.example.com", "must be such as https://"),
        ("https://nunect.example.com/nunect", "without a path"),
        ("https://nunect.example.com?x=1", "without a path"),
        ("https://nunect.example.com#x", "without a path"),
        ("https://", "must be such as https://"),
        ("https://nunect.example.com:port", "must be such as https://"),
        ("https://[nunect", "must be such as https://"),
        ("https://nunect example.com", "must be such as https://"),
        ("https://ada:hush@nunect.example.com", "no user name and no password"),
    ],
)
def test_what_is_no_address_is_said_in_a_sentence(monkeypatch, given, says):
    monkeypatch.setenv("NUNECT_PUBLIC_URL", given)
    with pytest.raises(ImproperlyConfigured, match=says) as refused:
        Env().origin("NUNECT_PUBLIC_URL")
    assert str(refused.value).startswith("NUNECT_PUBLIC_URL must ") and "hush" not in str(refused.value)
