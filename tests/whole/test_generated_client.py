"""A client that was generated from the schema, and nothing that was written for nunect."""

import asyncio
import importlib
import subprocess
import sys
from pathlib import Path

import nats

PROGRAM = "shop_client"


def generate(product, folder):
    """Let a generator read the schema over HTTP; what it made, imported."""
    status, schema = product.get("/api/v1/schema/")
    assert status == 200
    (folder / "schema.json").write_text(schema)
    made = subprocess.run(
        [
            str(Path(sys.executable).parent / "openapi-python-client"),
            "generate",
            "--path",
            "schema.json",
            "--output-path",
            PROGRAM,
            "--meta",
            "none",
            "--fail-on-warning",
            "--config",
            str(folder / "config.yaml"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert made.returncode == 0, made.stdout + made.stderr


async def publish(url, user, password, subject):
    refused = []

    async def on_error(error):
        refused.append(error)

    client = await nats.connect(url, user=user, password=password, allow_reconnect=False, error_cb=on_error)
    await client.publish(subject, b"")
    await client.flush(5)
    await asyncio.sleep(0.05)
    await client.close()
    return not refused


def test_it_makes_a_user_waits_for_the_servers_and_connects(product, tmp_path, monkeypatch):
    product.start()
    (tmp_path / "config.yaml").write_text("post_hooks: []\n")
    generate(product, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    bare = product.nunect("token", "create", "shop", "--scope", "write").stdout.strip()

    def use(name):
        return importlib.import_module(f"{PROGRAM}.{name}")

    models = use("models")
    base = f"http://127.0.0.1:{product.ports['NUNECT_PORT']}"
    client = use("client").AuthenticatedClient(base_url=base, token=bare, timeout=40)
    with client:
        account = use("api.accounts.accounts_create").sync(
            client=client, body=models.AccountRequest(name="SHOP"), prefer="wait=30"
        )
        assert account.sync.state == "applied"
        body = models.UserRequest.from_dict(
            {
                "account": "SHOP",
                "name": "till",
                "credential": "password",
                "permissions": [{"action": "publish", "subject": "till.>"}],
            }
        )
        seen = use("api.users.users_create").sync(client=client, body=body, dry_run=True)
        assert isinstance(seen, models.Preview)
        user = use("api.users.users_create").sync(client=client, body=body, prefer="wait=30")
        assert isinstance(user, models.UserWithSecret)
        assert user.sync.state == "applied"
        page = use("api.users.users_list").sync(client=client, account="SHOP", limit=10)
        assert [row.name for row in page.results] == ["till"]
        refused = use("api.users.users_create").sync(client=client, body=body)
        assert isinstance(refused, models.Problem)
        assert [(each.field, each.detail) for each in refused.errors] == [
            ("name", "A user of this name exists already in this system.")
        ]
    url = f"nats://127.0.0.1:{product.ports['NATS_PORT']}"
    assert asyncio.run(publish(url, "till", user.secret.password, "till.opened")) is True
    assert asyncio.run(publish(url, "till", user.secret.password, "payroll.all")) is False
