"""The schema is what clients are generated from: whole, with examples that are true."""

import json

import jsonschema
import pytest
from django.core.management import call_command
from django.test import Client

from accounts_app.api import examples
from nunect import api as addresses
from tests import factories
from tests.api.conftest import Api

METHODS = {"get", "post", "patch", "delete", "put"}


@pytest.fixture(scope="module")
def schema():
    return json.loads(json.dumps(addresses._schema(), default=str))


def operations(schema):
    return {
        found["operationId"]: (method, path, found)
        for path, methods in schema["paths"].items()
        for method, found in methods.items()
        if method in METHODS
    }


def check(value, shape, schema, what=""):
    whole = {**shape, "components": schema["components"]}
    found = list(jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).iter_errors(value))
    assert not found, (what, found[0].message, list(found[0].path))


def test_the_schema_is_openapi_3_1_and_without_a_warning(tmp_path):
    out = tmp_path / "schema.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(out), verbosity=0)
    assert out.read_text().startswith("openapi: 3.1")


def test_the_schema_comes_as_json_or_yaml():
    told = Client().get("/api/v1/schema/")
    assert told.json()["openapi"].startswith("3.1")
    yaml = Client().get("/api/v1/schema/", headers={"Accept": "application/yaml"})
    assert yaml.content.startswith(b"openapi: 3.1")


def test_the_docs_page_loads_nothing_from_elsewhere():
    page = Client().get("/api/v1/docs/")
    text = page.content.decode()
    assert page.status_code == 200
    assert "//" not in text.replace("http://www.w3.org", "").replace("<!--", "")
    assert "<script>" not in text


def test_every_operation_has_examples_that_fit(schema):
    missing = []
    for name, (_method, _path, operation) in operations(schema).items():
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body is not None:
            check(body["example"], body["schema"], schema)
        for code, answer in operation["responses"].items():
            answer = schema["components"]["responses"][answer["$ref"].split("/")[-1]] if "$ref" in answer else answer
            for kind, content in answer.get("content", {}).items():
                if kind == "text/csv":
                    continue
                told = [content["example"]] if "example" in content else []
                told += [each["value"] for each in content.get("examples", {}).values()]
                for example in told:
                    told_by = f"{name} {code}"
                    check(example, content["schema"], schema, told_by)
                if not told:
                    missing.append((name, code))
    assert not missing


def test_examples_are_of_operations_that_exist(schema):
    known = operations(schema).keys()
    assert examples.REQUESTS.keys() <= known
    assert examples.ANSWERS.keys() <= known


@pytest.fixture
def shop(api):
    """Rows that the examples speak of, and nothing that they make."""
    acme, shop = factories.account("ACME", jetstream=True), factories.account("SHOP")
    return {"accounts": acme, "shop": shop}


MAKES = [name for name in examples.REQUESTS if name.endswith("_create") or name in ("apply", "import_conf")]


@pytest.mark.parametrize("name", MAKES)
def test_examples_of_what_is_made_are_accepted(schema, api, shop, name, tmp_path):
    method, path, operation = operations(schema)[name]
    body = examples.REQUESTS[name]
    if name == "accounts_create":
        shop["accounts"].delete()
    if name == "systems_create":
        body = {**body, "conf_dir": str(tmp_path)}
    if name == "permissions_create":
        factories.user(shop["accounts"], "svc")
    if name == "imports_create":
        api.post("exports/", {"account": "ACME", "kind": "stream", "subject": "events.>", "public": True})
    if name == "consumers_create":
        assert api.post("streams/", examples.REQUESTS["streams_create"]).status_code == 201
    tried = api.post(f"{path}?dry_run=true", body)
    assert tried.status_code == 200, tried.data
    answer = api.call(method.upper(), path, body)
    code = str(answer.status_code)
    assert code in ("200", "201"), answer.data
    check(answer.data, operation["responses"][code]["content"]["application/json"]["schema"], schema)
    check(tried.data, schema["components"]["schemas"]["Preview"], schema)


def test_an_address_that_is_none_is_a_problem_too(api):
    answer = api.get("nothing/")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert api.get("users").data["detail"] == "There is no such address. Addresses end with a slash."
    assert Api().get("nothing/").status_code == 401
