"""An example for every operation of the schema; the tests send the requests and hold all of them against it."""

from __future__ import annotations

from typing import Any

from accounts_app.api import asset_examples, backup_examples, job_examples, stage_examples, takeover_examples
from accounts_app.api.problems import body_of

JSON = "application/json"
AT = "2027-01-31T12:00:00Z"
NKEY = "UBEXAMPLE2K4ZB7GQH5VXWPYD3NRJ6SLMCFATIOEUHGWQZKXVBNMY2AB"
SYNC = {"state": "pending", "revision": 41, "problem": ""}
RULE = {"action": "publish", "effect": "allow", "subject": "orders.>", "queue": ""}
_PLAIN = {"allow_responses": False, "responses_max": 0, "responses_expires": "", "connection_types": []}

ROWS: dict[str, dict[str, Any]] = {  # {resource: a row as it is answered}
    "systems": {
        "id": 1,
        "name": "main",
        "environment": "prod",
        "drift_policy": "repair",
        "conf_dir": "/etc/nats",
        "nats_url": "nats://127.0.0.1:4222",
        "public_url": "nats://nats.example.org:4222",
        "tls_ca": "",
        "tls_certificate": "",
        "tls_first": False,
        "login_user": "",
        "stage": "managed",
        "state": "applied",
        "problem": "",
        "revision": 41,
        "checked_at": AT,
    },
    "servers": {
        "id": 1,
        "system": "main",
        "name": "nats-1",
        "state": "in_sync",
        "detail": "",
        "version": "2.15.1",
        "host": "10.0.0.1",
        "server_id": "NDAUUZD5C7WWEKQW3ZOJXVMIWZPB6HXUD3WQQAZBPCLI2FB4DQQZZ2YB",
        "revision": 41,
        "config_digest": "sha256:5bd8a3b7c5d5a1f2b1cf4d1d9f5a7d4c5c1e8b8b9fa0d3f1c8f1f2a3b4c5d6e7",
        "seen_at": AT,
    },
    "accounts": {
        "id": 7,
        "system": "main",
        "name": "ACME",
        "description": "",
        "owner": None,
        "enabled": True,
        "default_role": None,
        "max_connections": 500,
        "max_subscriptions": None,
        "max_payload": None,
        "max_leafnodes": None,
        "jetstream": False,
        "jetstream_control": True,
        "jetstream_max_mem": None,
        "jetstream_max_file": None,
        "jetstream_max_streams": None,
        "jetstream_max_consumers": None,
        "jetstream_max_ack_pending": None,
        "jetstream_mem_max_stream_bytes": None,
        "jetstream_disk_max_stream_bytes": None,
        "jetstream_max_bytes_required": None,
        "jetstream_cluster_traffic": "",
        "created_at": AT,
        "retiring": None,
        "sync": SYNC,
    },
    "roles": {
        "id": 3,
        "system": "main",
        "account": "ACME",
        "name": "worker",
        "description": "",
        **_PLAIN,
        "permissions": [{**RULE, "action": "subscribe", "subject": "jobs.>", "queue": "workers"}],
        "sync": SYNC,
    },
    "users": {
        "id": 12,
        "system": "main",
        "account": "ACME",
        "name": "svc",
        "description": "",
        "owner": None,
        "credential": "nkey",
        "nkey": NKEY,
        "certificate": "",
        "access": "own",
        "role": None,
        "permissions": [RULE],
        **_PLAIN,
        "expires_at": None,
        "enabled": True,
        "created_at": AT,
        "sync": SYNC,
    },
    "permissions": {"id": 30, "system": "main", "account": "ACME", "role": None, "user": "svc", **RULE, "sync": SYNC},
    "exports": {
        "id": 4,
        "system": "main",
        "account": "ACME",
        "kind": "stream",
        "subject": "events.>",
        "public": False,
        "accounts": ["SHOP"],
        "account_token_position": None,
        "response_type": "",
        "response_threshold": "",
        "latency_subject": "",
        "latency_sampling": "",
        "allow_trace": None,
        "sync": SYNC,
    },
    "imports": {
        "id": 5,
        "system": "main",
        "account": "SHOP",
        "from_account": "ACME",
        "kind": "stream",
        "subject": "events.>",
        "to": "",
        "prefix": "acme",
        "share": None,
        "allow_trace": None,
        "sync": SYNC,
    },
    "mappings": {
        "id": 6,
        "system": "main",
        "account": "ACME",
        "source": "orders.v1.*",
        "destinations": [{"subject": "orders.v2.$1", "weight": 90, "cluster": ""}],
        "sync": SYNC,
    },
    "revisions": {
        "id": 41,
        "system": "main",
        "number": 41,
        "created_at": AT,
        "authors": [{"door": "rest", "person": "ada"}],
        "reason": "",
        "changes": [{"text": "user “svc” may now publish “orders.>”", "removes_access": False}],
        "servers": [{"name": "nats-1", "state": "in_sync"}],
        "timings": {"snapshot": 3.1, "reload": 9.8},
        "sha256": "5bd8a3b7c5d5a1f2b1cf4d1d9f5a7d4c5c1e8b8b9fa0d3f1c8f1f2a3b4c5d6e7",
        "config_digest": "",
    },
    "holds": {
        "id": 2,
        "system": "main",
        "account": "ACME",
        "reason": "12 of 20 users would go.",
        "changes": [{"text": "user “svc” is removed", "removes_access": True}],
        "state": "open",
        "created_at": AT,
        "decided_at": None,
        "decided_by": None,
    },
    "drifts": {
        "id": 1,
        "system": "main",
        "where": "file",
        "summary": "accounts.conf was changed by somebody else.",
        "changes": [{"text": "user “svc” may publish everything", "removes_access": False}],
        "state": "open",
        "ignored_until": None,
        "found_at": AT,
        "answered_at": None,
        "answered_by": None,
    },
    "tokens": {
        "id": 9,
        "name": "pipeline",
        "person": "ada",
        "scope": "write",
        "accounts": ["ACME"],
        "expires_at": None,
        "prefix": "nun_5f2b8c1e9a04",
        "created_at": AT,
        "last_used_at": None,
        "revoked_at": None,
    },
    "audit": {
        "id": 77,
        "at": AT,
        "person": "ada",
        "door": "rest",
        "act": "credential rotated",
        "object_type": "natsuser",
        "object_id": "12",
        "object_name": "svc",
        "detail": {"kind": "nkey", "token": "pipeline (nun_5f2b8c1e9a04)"},
        "request_id": "0f8fad5bd9cb469fa16570867728950e",
    },
}

REQUESTS: dict[str, Any] = {  # {operation: a body}
    "systems_create": {
        "name": "edge",
        "nats_url": "tls://edge.example.org:4222",
        "conf_dir": "/etc/nats-edge",
        "login_user": "ops",
        "login_secret": "correct-horse-battery",
    },
    "systems_update": {"environment": "prod"},
    "accounts_create": {"name": "ACME"},
    "accounts_update": {"max_connections": 500},
    "roles_create": {
        "account": "ACME",
        "name": "worker",
        "permissions": [{"action": "subscribe", "effect": "allow", "subject": "jobs.>", "queue": "workers"}],
    },
    "roles_update": {"allow_responses": True},
    "users_create": {
        "account": "ACME",
        "name": "svc",
        "credential": "nkey",
        "role": None,
        "permissions": [{"action": "publish", "effect": "allow", "subject": "orders.>"}],
    },
    "users_update": {"permissions": [{"action": "publish", "effect": "allow", "subject": "orders.created"}]},
    "users_rotate": {},
    "permissions_create": {"user": "svc", "action": "publish", "effect": "allow", "subject": "orders.>"},
    "permissions_update": {"effect": "deny"},
    "exports_create": {"account": "ACME", "kind": "stream", "subject": "events.>", "accounts": ["SHOP"]},
    "exports_update": {"public": True},
    "imports_create": {
        "account": "SHOP",
        "from_account": "ACME",
        "kind": "stream",
        "subject": "events.>",
        "prefix": "acme",
    },
    "imports_update": {"prefix": "acme"},
    "mappings_create": {
        "account": "ACME",
        "source": "orders.v1.*",
        "destinations": [{"subject": "orders.v2.$1", "weight": 90}],
    },
    "mappings_update": {"destinations": [{"subject": "orders.v2.$1", "weight": 100}]},
    "tokens_create": {"name": "pipeline", "scope": "write", "accounts": ["ACME"]},
    "apply": {
        "accounts": [
            {
                "name": "ACME",
                "users": [{"name": "svc", "permissions": ["allow publish orders.>", "subscribe jobs.> workers"]}],
            }
        ]
    },
    "import_conf": {"conf": 'accounts { ACME { users: [ { user: svc, password: "a-long-password" } ] } }'},
}

_GONE = {"id": 7, "sync": SYNC}
_DECIDED = {"id": 2, "state": "approved", "sync": SYNC}
_COUNTS = {"created": {"account": 1, "user": 1, "permission": 2}, "updated": {}, "deleted": {}}
PREVIEW = {
    "changes": [{"account": "ACME", "text": "user “svc” may now publish “orders.>”", "removes_access": False}],
    "conf": '+        permissions: {publish: {allow: ["orders.>"]}}',
    "faults": [],
    "warnings": [],
    "rows": None,
}
PREVIEWS: dict[str, Any] = {  # {operation: what it answers to a dry run, beside the usual}
    "drifts_adopt": {
        "rows": _COUNTS,
        "adoption": {
            "lost": ['user "svc" of account "ACME": permissions of its own instead of a role\'s.'],
            "kept": ['user "former" of account "ACME": only the rows know it.'],
            "then": [],
        },
    }
}
ANSWERS: dict[str, Any] = {  # {operation: an answer that is no row of its resource}
    "users_create": {**ROWS["users"], "secret": {"seed": "SUA…"}},
    "users_rotate": {**ROWS["users"], "secret": {"seed": "SUA…"}},
    "tokens_create": {**ROWS["tokens"], "sync": {**SYNC, "state": "applied"}, "token": "nun_5f2b8c1e9a04_…"},
    "accounts_conf": {"conf": "ACME: {users: []}", "problem": ""},
    "accounts_retry": _GONE,
    "systems_retry": _GONE,
    "users_connect": {
        "url": "nats://nats.example.org:4222",
        "context": {"description": "ACME/svc", "url": "nats://nats.example.org:4222", "nkey": "~/.config/nats/svc.nk"},
        "snippet": "import asyncio\n…",
        "env": "NATS_URL=nats://nats.example.org:4222\nNATS_NKEY=svc.nk\n",
    },
    "apply": {**_COUNTS, "secrets": {"svc": {"seed": "SUA…"}}, "sync": SYNC},
    "export": {"system": "main", "accounts": [{"name": "ACME", "users": [{"name": "svc", "credential": "nkey"}]}]},
    "import_conf": {
        "refused": False,
        "dry_run": False,
        "accounts": 1,
        "users": 1,
        "changes": _COUNTS,
        "variables": [],
        "notes": [{"line": 1, "text": "ACME is taken over."}],
        "sync": SYNC,
    },
    "revisions_diff": {"diff": "@ accounts.ACME\n-orders.created\n+orders.>", "complete": True},
    "revisions_revert": {**_DECIDED, "state": "reverted"},
    "holds_yes": _DECIDED,
    "holds_no": {**_DECIDED, "state": "refused"},
    "drifts_repair": _DECIDED,
    "drifts_revert": _DECIDED,
    "drifts_adopt": {**_DECIDED, "state": "adopting", "rows": _COUNTS},
    "drifts_ignore": {**_DECIDED, "state": "ignored"},
    "me": {"person": "ada", "scope": "write", "accounts": ["ACME"], "version": "0.1.0"},
    "health": {"ready": True, "parts": {"database": {"state": "ok", "vendor": "sqlite"}}},
    "live_events": {
        "results": [
            {
                "at": "2027-01-31T12:00:00.120Z",
                "id": "NDAUUZD5:41:e",
                "kind": "auth_error",
                "text": "`svc` was refused at nats-1: the password is wrong.",
                "level": "error",
                "server": "nats-1",
                "account": "ACME",
                "account_pk": 7,
                "user": "svc",
                "user_pk": 12,
                "owner": "ada",
                "app": "orders-api",
                "address": "10.0.0.17",
                "cid": 41,
                "reason": "Authentication Failure",
                "revision": 41,
                "detail": {},
                "preceded_by": {
                    "number": 41,
                    "at": "2027-01-31T11:58:02.004Z",
                    "text": "user `svc` of account `ACME` has a new password.",
                },
            }
        ],
        "next": None,
    },
    "doctor": {
        "ok": False,
        "findings": [
            {
                "level": "error",
                "what": "Redis",
                "detail": "It doesn't answer: ConnectionError.",
                "remedy": "Start it, or check REDIS_URL.",
            }
        ],
    },
}
_SEEN = {"at": AT, "age_s": 0.41, "live": True, "seq": 1041}
_RATES = {"in_msgs_rate": 812.5, "out_msgs_rate": 3250.0, "in_bytes_rate": 104000.0, "out_bytes_rate": 416000.0}
_JETSTREAM = {"js_storage": 10485760, "js_max_storage": 1073741824, "js_memory": 0, "js_max_memory": None}
SERVER_ID = "NDAUUZD5C7WWEKQW3ZOJXVMIWZPB6HXUD3WQQAZBPCLI2FB4DQQZZ2YB"
CONNECTION = {
    "server": "nats-1",
    "server_id": SERVER_ID,
    "cid": 41,
    "account": "ACME",
    "user": "svc",
    "user_pk": 12,
    "owner": "ada",
    "app": "orders-api",
    "address": "10.0.0.17",
    "kind": "nats",
    "lang": "go",
    "version": "1.48.0",
    "started_at": AT,
    "idle_s": 0.2,
    "rtt_ms": 1,
    "subscriptions": 4,
    "pending_bytes": 0,
    "in_msgs": 120034,
    "out_msgs": 480136,
    **_RATES,
    "revision": 41,
    "own": False,
}
LIVE: dict[str, dict[str, Any]] = {  # {table: a row of what is seen}
    "servers": {
        "server": "nats-1",
        "id": SERVER_ID,
        "cluster": "",
        "version": "2.15.1",
        "host": "10.0.0.1",
        "state": "in_sync",
        "detail": "",
        "revision": 41,
        "intended": 41,
        "digest": "sha256:5bd8a3b7c5d5a1f2b1cf4d1d9f5a7d4c5c1e8b8b9fa0d3f1c8f1f2a3b4c5d6e7",
        "started_at": AT,
        "seen_at": AT,
        "cpu": 12.5,
        "cores": 2,
        "rss": 21000192,
        "connections": 41,
        "total_connections": 118,
        "subscriptions": 160,
        **_RATES,
        "slow_consumers": 0,
        **_JETSTREAM,
    },
    "accounts": {
        "account": "ACME",
        "account_pk": 7,
        "owner": "ada",
        "connections": 12,
        "max_connections": 500,
        "leafnodes": 0,
        "subscriptions": 48,
        "max_subscriptions": None,
        "in_msgs": 120034,
        "out_msgs": 480136,
        **_RATES,
        "slow_consumers": 0,
        "streams": 1,
        "max_streams": 10,
        "consumers": 1,
        "max_consumers": None,
        **_JETSTREAM,
        "revision": 41,
    },
    "connections": CONNECTION,
    "failures": {
        "user": "svc",
        "user_pk": 12,
        "account": "ACME",
        "owner": "ada",
        "address": "10.0.0.17",
        "app": "orders-api",
        "server": "nats-1",
        "reason": "Authentication Failure",
        "why": "The password is not the one that `svc` has.",
        "remedy": "Give the client the present password, or make a new one.",
        "code": "wrong_password",
        "count": 3,
        "first_at": AT,
        "last_at": AT,
    },
    "streams": {
        "account": "ACME",
        "account_pk": 7,
        "stream": "ORDERS",
        "subjects": ["orders.>"],
        "storage": "file",
        "retention": "limits",
        "replicas": 1,
        "leader": "nats-1",
        "state": "ok",
        "messages": 120034,
        "bytes": 10485760,
        "max_bytes": None,
        "max_messages": None,
        "consumers": 1,
        "first_at": AT,
        "last_at": AT,
        "in_msgs_rate": 12.5,
        "server": "nats-1",
    },
    "consumers": {
        "account": "ACME",
        "account_pk": 7,
        "stream": "ORDERS",
        "consumer": "billing",
        "durable": True,
        "pull": True,
        "filter": ["orders.paid"],
        "pending": 14,
        "ack_pending": 2,
        "max_ack_pending": 1000,
        "redelivered": 0,
        "waiting": 1,
        "delivered": 118020,
        "delivered_rate": 12.0,
        "acked_at": AT,
        "paused": False,
        "server": "nats-1",
    },
}
ANSWERS |= {f"live_{table}": {**_SEEN, "count": 1, "total": 1, "results": [row]} for table, row in LIVE.items()}
_DETAIL = {**CONNECTION, "subscriptions_list": ["orders.>", "_INBOX.svc.>"]}
ANSWERS |= {
    "live_connection": _DETAIL,
    "live_kick": {"closed": True, "connection": _DETAIL},
    "live_topic": {
        "type": "snapshot",
        "topic": "tables",
        "system": "main",
        "epoch": "9f2c",
        "seq": 1041,
        "at": AT,
        "data": {"servers": {"count": 1, "seq": 1040}, "connections": {"count": 41, "seq": 1040}},
        "live": True,
        "age_s": 0.2,
    },
    "live_series": {
        "entity": "account:ACME",
        "span": "10m",
        "step_s": 1,
        "metrics": ["connections", "in_msgs_rate"],
        "points": [[1801396799, 12, 810.25], [1801396800, 12, 812.5]],
        "marks": [
            {"number": 41, "at": AT, "who": "ada", "text": "user `svc` may no longer publish `invoice.>`"},
        ],
    },
}
REQUESTS["live_kick"] = {"server_id": SERVER_ID, "cid": 41}
ROWS |= asset_examples.ROWS | job_examples.ROWS
REQUESTS["drifts_ignore"] = {"until": "2027-02-01T06:00:00Z"}
REQUESTS |= asset_examples.REQUESTS | job_examples.REQUESTS | stage_examples.REQUESTS | takeover_examples.REQUESTS
ANSWERS |= backup_examples.ANSWERS | job_examples.ANSWERS | stage_examples.ANSWERS | takeover_examples.ANSWERS
PREVIEWS |= job_examples.PREVIEWS | stage_examples.PREVIEWS | takeover_examples.PREVIEWS
_HISTORY = [
    {
        "at": AT,
        "who": "ada",
        "door": "REST",
        "act": "changed",
        "of": "",
        "reason": "token pipeline (nun_5f2b8c1e9a04)",
        "steps": [{"name": "description", "before": "nothing", "after": "The shop"}],
    }
]
_REASONS = {
    400: ("", "The body is no JSON: line 1, column 2: Expecting property name enclosed in double quotes."),
    401: ("", "This token is not known, or has expired, or was revoked."),
    403: ("", "You have no right to change users."),
    404: ("", "It was never there, was deleted, or you may not see it."),
    406: ("", "Could not satisfy the request Accept header."),
    409: ("system", "There are several systems: say which one by “system”: main, shop."),
    410: ("", "These credentials were picked up already. If it wasn't you, ask for new ones at once."),
    412: ("", "The row is not what If-Match says: read it again."),
    413: ("", "The body is larger than the 50,000,000 bytes that this server takes."),
    415: ("", "Unsupported media type “text/plain” in request."),
    422: ("permissions[0].subject", "“orders.>.new” has > before its last token."),
    429: ("", "Request was throttled. Expected available in 12 seconds."),
    503: ("", "The database doesn't answer now: try again."),
}


def problem(code: int) -> dict[str, Any]:
    """A problem of this status as it is answered."""
    return body_of(code, [_REASONS[code]])


def answer_of(operation: str) -> Any:
    """What an operation answers when it is done."""
    resource, _, act = operation.rpartition("_")
    if operation in ANSWERS:
        return ANSWERS[operation]
    if act == "history":
        return _HISTORY
    if act == "list":
        address = f"https://nunect.example.org/api/v1/{resource.replace('_', '-')}/?limit=1&cursor=WyJpZCIsIDdd"
        return {"results": [ROWS[resource]], "next": address}
    return _GONE if act == "delete" else ROWS[resource]


def put_into(operation: dict[str, Any]) -> None:
    """Write its examples into an operation of the schema."""
    name = operation["operationId"]
    if "requestBody" in operation:
        operation["requestBody"]["content"][JSON]["example"] = REQUESTS[name]
    done = answer_of(name)
    for code in ("200", "201", "202"):
        content = operation["responses"].get(code, {}).get("content", {}).get(JSON)
        if content is not None:
            preview = code == "200" and "Preview" in str(content["schema"])
            content["examples"] = {} if preview and "201" in operation["responses"] else {"done": {"value": done}}
            if preview:
                content["examples"]["dry_run"] = {"value": PREVIEW | PREVIEWS.get(name, {})}
