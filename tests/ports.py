"""Ports for servers of tests."""

import contextlib
import os
import random
import re
import socket

FIRST, EACH, WORKERS = 10_000, 2_750, 8  # below 32768, where the kernel takes what outgoing connections need
_chance, _given = random.SystemRandom(), set()


def free_ports(count):
    """Ports that nobody listens on, never given twice, and of other processes of this run neither."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    found = []
    while len(found) < count:
        port = FIRST + worker * EACH + _chance.randrange(EACH)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                found.append(port)
    return found


def with_ports(text, ports):
    """The text with other ports, all at once: one that is given may hold the digits of another. ports: {old: new}."""
    return re.sub(rf"\b({'|'.join(ports)})\b", lambda found: str(ports[found[0]]), text)
