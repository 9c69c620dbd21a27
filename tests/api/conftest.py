"""A client that speaks JSON with a bearer token, and rows to speak about."""

import json

import pytest
from django.test import Client

from accounts_app import services
from tests import factories

API = "/api/v1/"


class Api:
    """Calls below /api/v1/. An answer's body is in `.data` of what comes back."""

    def __init__(self, bare=""):
        self.client, self.bare = Client(raise_request_exception=False), bare

    def call(self, method, path, body=None, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.bare:
            named["Authorization"] = f"Bearer {self.bare}"
        text = body if isinstance(body, str | bytes) else "" if body is None else json.dumps(body)
        address = path if path.startswith(("/", "http")) else API + path
        answer = self.client.generic(method, address, text, content_type="application/json", headers=named)
        kind = answer.headers.get("Content-Type", "")
        answer.data = json.loads(answer.content) if "json" in kind and answer.content else None
        return answer

    def get(self, path, **headers):
        return self.call("GET", path, **headers)

    def post(self, path, body=None, **headers):
        return self.call("POST", path, body, **headers)

    def patch(self, path, body, **headers):
        return self.call("PATCH", path, body, **headers)

    def delete(self, path, **headers):
        return self.call("DELETE", path, **headers)


def token_of(person, scope="admin", **more):
    """A bare token of a person."""
    count = person.nunect_tokens.count()
    name = f"{scope} of tests" + (f" {count}" if count else "")
    return services.make_token(person, name, scope=scope, **more)[1]


@pytest.fixture
def ada(db):
    factories.system()
    return factories.admin()


@pytest.fixture
def api(ada):
    """Somebody who may do everything, with a token."""
    return Api(token_of(ada))


@pytest.fixture
def acme(ada):
    return factories.account("ACME")


def errors(answer):
    """{field: sentence} of a problem."""
    assert answer.headers["Content-Type"] == "application/problem+json", (answer.status_code, answer.content[:500])
    assert answer.data["status"] == answer.status_code
    return {each["field"]: each["detail"] for each in answer.data["errors"]}
