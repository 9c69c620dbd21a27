"""Examples of blueprints, jobs and hand-overs, as REST tells them."""

from __future__ import annotations

from typing import Any

AT, LATER = "2027-01-31T12:00:00Z", "2027-01-31T12:00:02Z"
TOKEN = "mJ0m0q3m0gqkT7m1iYc4o2u2vHn2m3x8y9z0aBcDeFg"  # noqa: S105
_JOB: dict[str, Any] = {
    "id": 17,
    "system": "main",
    "kind": "provision",
    "title": "Work queue: ACME",
    "blueprint": "work-queue",
    "blueprint_version": 1,
    "accounts": ["ACME"],
    "author": "ada",
    "door": "rest",
    "state": "waiting",
    "asked": "",
    "step": "enforced",
    "problem": "",
    "problem_step": "",
    "waits_for": "It waits for n3.",
    "created_at": AT,
    "started_at": AT,
    "ended_at": None,
}
_STEP: dict[str, Any] = {
    "number": 1,
    "name": "rows",
    "title": "Write the rows",
    "state": "done",
    "attempts": 1,
    "started_at": AT,
    "ended_at": LATER,
    "waits_for": "",
    "detail": "",
    "result": {},
}
_WAITS = {
    **_STEP,
    "number": 2,
    "name": "enforced",
    "title": "Every server enforces them",
    "state": "waiting",
    "started_at": LATER,
    "ended_at": None,
    "waits_for": "It waits for n3.",
}
_HAND_OVER = {
    "id": 5,
    "users": ["acme-worker"],
    "created_at": AT,
    "ready_at": None,
    "expires_at": "2027-02-03T12:00:00Z",
    "opened_at": None,
    "opened_by": "",
    "opened_from": "",
    "opened_with": "",
    "withdrawn_at": None,
}
_WHOLE = {
    **_JOB,
    "parameters": {"name": "ACME", "queues": ["invoices"]},
    "results": {},
    "steps": [_STEP, _WAITS],
    "hand_overs": [_HAND_OVER],
}
_LINK = {
    "url": f"https://nunect.example.org/handover/#{TOKEN}",
    "token": TOKEN,
    "expires_at": "2027-02-03T12:00:00Z",
}
_BLUEPRINT: dict[str, Any] = {
    "name": "team-of-ours",
    "version": 1,
    "title": "A team of ours",
    "description": "One account with one user",
    "shipped": False,
    "enabled": True,
    "created_by": "ada",
    "created_at": AT,
}
_TEXT = """blueprint: team-of-ours
version: 1
title: A team of ours
description: One account with one user
parameters:
  name: {type: account_name, title: Name}
accounts:
  - name: ${name}
    users:
      - name: ${name}-svc
        credential: nkey
        permissions: ["publish orders.>"]
"""
_ONE = {
    **_BLUEPRINT,
    "text": _TEXT,
    "parameters": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A team of ours",
        "type": "object",
        "properties": {"name": {"title": "Name", "x-type": "account_name", "type": "string", "maxLength": 64}},
        "required": ["name"],
        "additionalProperties": False,
    },
}
_SAVED = {**_ONE, "sync": {"state": "applied", "revision": 41, "problem": ""}}
_STARTED = {"job": _WHOLE}
_WITH_LINK = {**_STARTED, "hand_over": _LINK}
_CHANGE = {"account": "ACME", "text": "account `ACME` is new", "removes_access": False}

ROWS: dict[str, dict[str, Any]] = {"jobs": _JOB}
REQUESTS: dict[str, Any] = {
    "blueprints_create": {"text": _TEXT},
    "blueprints_provision": {"parameters": {"name": "ACME", "queues": ["invoices"]}},
    "accounts_retire": {"confirm": "ACME", "data": "keep", "window_s": 86400},
    "jobs_hand_over": {"lifetime_s": 86400},
    "hand_overs_open": {"token": TOKEN},
}
ANSWERS: dict[str, Any] = {
    "jobs_log": {"results": [{"id": 91, "at": AT, "step": "rows", "text": "The rows are written."}], "next": None},
    **dict.fromkeys(
        ("jobs_get", "jobs_retry", "jobs_resume", "jobs_cancel", "jobs_roll_back", "jobs_withdraw"), _WHOLE
    ),
    "jobs_hand_over": _WITH_LINK,
    "blueprints_list": {"results": [_BLUEPRINT], "next": None},
    "blueprints_create": _SAVED,
    "blueprints_get": _ONE,
    "blueprints_enable": _SAVED,
    "blueprints_disable": {**_SAVED, "enabled": False},
    "blueprints_provision": _WITH_LINK,
    "accounts_retire": _STARTED,
    "hand_overs_open": {
        "users": {
            "acme-worker": {
                "kind": "nkey",
                "secret": "SUA…",
                "connect": {
                    "account": "ACME",
                    "url": "nats://nats.example.org:4222",
                    "context": {"url": "nats://nats.example.org:4222", "nkey": "~/.config/nats/acme-worker.nk"},
                    "files": {"acme-worker.nk": "SUA…\n"},
                    "env": "NATS_URL=nats://nats.example.org:4222\nNATS_NKEY=acme-worker.nk\n",
                    "snippet": "import asyncio\n…",
                    "may": ["may fetch from consumer thumbnails of JOBS", "may hear answers to its requests"],
                    "streams": [{"kind": "stream", "name": "JOBS", "subjects": ["jobs.>"]}],
                    "first": {
                        "does": "Looks at consumer thumbnails of JOBS",
                        "command": "nats --server nats://nats.example.org:4222 --nkey acme-worker.nk "
                        "consumer info JOBS thumbnails",
                    },
                },
            }
        }
    },
}
PREVIEWS: dict[str, Any] = {  # {operation: what it answers to a dry run, beside the usual}
    "blueprints_provision": {
        "changes": [_CHANGE],
        "title": "Work queue: ACME",
        "accounts": [{"name": "ACME", "new": True, "users_total": 2}],
        "notes": [],
    },
}
