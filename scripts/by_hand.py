"""A nats-server that somebody has set up by hand, with clients, for the pictures of a take-over."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

FOLDER = Path(tempfile.gettempdir()) / "nats"  # its path stands in the pictures
PASSWORD = "correct-horse-battery"  # noqa: S105  of a server that lives for a minute
CONF = """\
# The shop's messages. Ask Grace before you change anything.
server_name: shop-1
listen: 127.0.0.1:{port}
http: 127.0.0.1:{http}
max_payload: 2MB            # pictures of products

jetstream {{ store_dir: "{folder}/jetstream" }}

accounts {{
  ORDERS: {{
    jetstream: enabled
    users: [
      {{ user: checkout, password: "{hash}", permissions: {{ publish: "orders.>" }} }}
      {{ user: worker, password: "{hash}", permissions: {{ subscribe: "orders.>" }} }}
    ]
  }}
  REPORTS: {{
    users: [ {{ user: reader, password: "summer-2019" }} ]   # Tom knows it, too
  }}
  SYS: {{ users: [ {{ user: grace, password: "{hash}" }} ] }}
}}
system_account: SYS

# leave clients the time to go elsewhere
lame_duck_duration: "45s"
"""


@contextlib.contextmanager
def by_hand(ports: tuple[int, int]) -> Iterator[dict[str, str]]:
    """The server and its clients, while the block lasts: {name of a page: its path}. ports: of clients, and of HTTP."""
    from accounts_app import credentials
    from provisioning.binary import binary

    if FOLDER.exists():
        raise SystemExit(f"{FOLDER} is in the way: the pictures show a server there")
    FOLDER.mkdir()
    made = credentials.hash_password(PASSWORD, chosen=True)
    main = FOLDER / "nats-server.conf"
    main.write_text(CONF.format(port=ports[0], http=ports[1], folder=FOLDER, hash=made))
    with subprocess.Popen([binary(), "-c", str(main), "-l", str(FOLDER / "log")]) as running:
        try:
            _listens(ports[0])
            clients = [_client(ports[0], user) for user in ("checkout", *["worker"] * 3, "reader")]
            at = "/admin/provisioning/difference/takeover/"
            asked = {"file": str(main), "system": "shop"}
            steps = {step: f"{at}?{urlencode({'step': step, **asked})}" for step in ("choose", "write", "prove", "do")}
            yield {f"takeover-{step}": path for step, path in steps.items()} | {"takeover-done": steps["do"]}
            for client in clients:
                client.close()
        finally:
            running.terminate()
            running.wait(10)
            for path in sorted(FOLDER.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            FOLDER.rmdir()


def _listens(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        time.sleep(0.05)
    raise SystemExit("the server that was set up by hand did not start")


def _client(port: int, user: str) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), 5)
    word = "summer-2019" if user == "reader" else PASSWORD
    options = {"verbose": False, "pedantic": False, "user": user, "pass": word, "name": user}
    line.sendall(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
    answer = line.makefile("rb")
    while not answer.readline().startswith(b"PONG"):
        pass
    return line
