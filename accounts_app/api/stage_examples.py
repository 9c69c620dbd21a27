"""Examples of what is asked about a whole system: what it runs, and who writes there."""

from __future__ import annotations

from typing import Any

_CONFIRMED = {"confirm": "main"}
_DIGEST = "sha256:3e82c49970e3c4b7a3b1f6f4a3f5b0a0e1d2c3b4a5968778695a4b3c2d1e0f11"
_DIFFERENCE = {
    "system": "main",
    "stage": "observed",
    "is_none": False,
    "summary": "nunect would change 1 thing.",
    "where": "/etc/nats/nats-server.conf",
    "words": [{"text": "user `svc` of account `ACME` may no longer publish `orders.>`", "removes_access": True}],
    "own": [],
    "ours": _DIGEST,
    "theirs": "sha256:180588eae1b0a5e7d0c3b2a1908f7e6d5c4b3a29181716151413121110fedcba",
    "unknown": "",
    "servers": [
        {
            "name": "nats-1",
            "digest": _DIGEST,
            "runs_it": True,
            "refusal": "",
            "where": "/etc/nats/nats-server.conf",
        }
    ],
    "unasked": "",
    "checked_at": "2027-01-31T12:00:00Z",
}


def _turned(stage: str, state: str, problem: str = "") -> dict[str, Any]:
    return {"id": 1, "stage": stage, "sync": {"state": state, "revision": 41, "problem": problem}}


_COUNTS = {"created": {"SubjectPermission": 1}, "updated": {}, "deleted": {}}
REQUESTS: dict[str, Any] = {
    "systems_difference_adopt": {"stamp": _DIGEST},
    "systems_manage": _CONFIRMED,
    "systems_release": {**_CONFIRMED, "files": "one", "own": "stay"},
    "systems_release_undo": _CONFIRMED,
    "systems_remove": _CONFIRMED,
}
ANSWERS: dict[str, Any] = {
    "systems_difference_adopt": {
        **_turned("observed", "held", "nunect only observes this system: nothing is written."),
        "rows": _COUNTS,
    },
    "systems_difference": _DIFFERENCE,
    "systems_observe": _turned("observed", "held", "nunect only observes this system: nothing is written."),
    "systems_manage": _turned("managed", "pending"),
    "systems_release": {
        **_turned("released", "applied"),
        "main": "/etc/nats/nats-server.conf",
        "kept": ["/etc/nats/nats-server.conf.before-release", "/etc/nats/accounts.conf.before-release"],
        "digest": _DIGEST,
        "proof": "nats-1 reported the digest of the one file before and after; no reload was needed.",
    },
    "systems_release_undo": {
        **_turned("observed", "applied"),
        "said": "The former files are back, and nunect observes “main”.",
    },
}
ANSWERS["systems_remove"] = {"id": 1, "name": "main"}
_STEP = {"name": "port", "state": "ok", "seconds": 0.002, "text": "4222", "lines": "", "needs": ""}
ANSWERS["systems_connection"] = {
    "ok": True,
    "servers": [{"url": "nats://127.0.0.1:4222", "ok": True, "steps": [_STEP]}],
}
_TRY = {"nats_url": "tls://edge.example.org:4222", "login_user": "ops", "login_secret": "correct-horse-battery"}
REQUESTS["systems_connection_try"] = REQUESTS["systems_connection_try_new"] = _TRY
ANSWERS["systems_connection_try"] = ANSWERS["systems_connection_try_new"] = ANSWERS["systems_connection"]
PREVIEWS: dict[str, Any] = {
    "systems_manage": {"difference": _DIFFERENCE},
    "systems_difference_adopt": {"rows": _COUNTS, "adoption": {"lost": [], "kept": [], "then": [], "stamp": _DIGEST}},
}
