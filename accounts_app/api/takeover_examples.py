"""Examples of taking servers over."""

from __future__ import annotations

from typing import Any

_FILE, _AT = "/etc/nats/nats-server.conf", "20270131T120000Z"
_SHA = "sha256:5bd8a3b7c5d5a1f2b1cf4d1d9f5a7d4c5c1e8b8b9fa0d3f1c8f1f2a3b4c5d6e7"
_SHA_AFTER = "sha256:3e82c49970e3c4b7a3b1f6f4a3f5b0a0e1d2c3b4a5968778695a4b3c2d1e0f11"
_DIFF = "--- nats-server.conf\n+++ nats-server.conf\n@@ -2 +2 @@\n-accounts { … }\n+include 'accounts.conf'"
_KNOWN = {
    "file": _FILE,
    "others": [],
    "system": "main",
    "at": "2027-01-31T12:00:00Z",
    "state": "taken",
    "undoable": True,
    "journal": f"{_FILE}.before-nunect-{_AT}.json",
    "files": [
        {"path": "/etc/nats/accounts.conf", "before": "", "after": _SHA_AFTER, "copy": ""},
        {"path": _FILE, "before": _SHA, "after": _SHA_AFTER, "copy": f"{_FILE}.before-nunect-{_AT}"},
    ],
    "digest_before": _SHA,
    "digest_after": _SHA_AFTER,
    "problem": "",
}
REQUESTS: dict[str, Any] = {
    "takeover": {"file": _FILE, "system": "main", "confirm": "main", "stamp": "5bd8a3b7c5d5a1f2b1cf4d1d9f5a7d4c"},
    "takeover_undo": {"file": _FILE, "confirm": "main"},
}
ANSWERS: dict[str, Any] = {
    "takeover_list": {
        "results": [_KNOWN],
        "next": None,
        "folders": ["/etc/nats"],
        "offers": [{"file": _FILE, "running": True, "allowed": True, "others": []}],
    },
    "takeover": {
        **_KNOWN,
        "revision": 1,
        "steps": [
            {"text": "Accounts and users have become rows", "took_s": 0.041},
            {"text": "nats-server.conf was written", "took_s": 0.002},
            {"text": "nats-server reports the digest that was judged", "took_s": 0.062},
        ],
        "said": [f"The server runs revision 1: it reports {_SHA_AFTER}."],
        "clients_before": 41,
        "clients_stayed": 41,
        "sync": {"state": "applied", "revision": 1, "problem": ""},
    },
    "takeover_undo": {
        "file": _FILE,
        "system": "main",
        "steps": [{"text": "nats-server.conf is as it was", "took_s": 0.002}],
        "said": [f"{_FILE} is as it was.", f"nats-server runs the former configuration: it reports {_SHA}."],
    },
}
PREVIEWS: dict[str, Any] = {
    "takeover": {
        "changes": [],
        "conf": _DIFF,
        "file": _FILE,
        "system": "main",
        "is_new": True,
        "url": "nats://127.0.0.1:4222",
        "possible": True,
        "in_the_way": [],
        "notes": [
            {
                "text": "The variable `PASS` goes: only what nunect owns used it.",
                "file": _FILE,
                "line": 3,
                "column": 1,
            }
        ],
        "accounts": 2,
        "users": 3,
        "overwritten": ["user `svc` of account `ACME` is removed"],
        "files": [
            {
                "path": _FILE,
                "becomes": "rewritten",
                "words": "Your own lines stay as they are; what nunect owns goes, and its include comes.",
                "diff": _DIFF,
                "cut": False,
            }
        ],
        "proof": {"differences": [], "now": _SHA, "server_runs_it": True, "judged": _SHA_AFTER},
        "forecast": {
            "running": True,
            "restarts": [],
            "clients": 41,
            "disconnected": 0,
            "waits_s": 0.28,
            "opened": False,
        },
        "servers": [
            {
                "file": _FILE,
                "running": True,
                "clients": 41,
                "disconnected": 0,
                "waits_s": 0.28,
                "now": _SHA,
                "server_runs_it": True,
                "judged": _SHA_AFTER,
            }
        ],
        "sentences": ["2 accounts with 3 users become rows.", "A reload does it; nothing needs a restart."],
        "stamp": "5bd8a3b7c5d5a1f2b1cf4d1d9f5a7d4c",
    },
    "takeover_undo": {
        "changes": [{"account": "ACME", "text": "user `svc` of account `ACME` is added", "removes_access": False}],
        "conf": "",
        "system": "main",
        "files": [f"{_FILE} comes back as it was.", "/etc/nats/accounts.conf goes."],
        "in_the_way": [],
        "later_revisions": 2,
    },
}
