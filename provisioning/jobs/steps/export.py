"""What the account was is kept with the job, so that it can be made again."""

from __future__ import annotations

import json
from typing import Any

from provisioning.jobs.protocol import Done, Step, Wait
from provisioning.models import Job, JobStep


class Export(Step):
    """Its document of before the freeze in the job's results: public nkeys are in it, password hashes are not."""

    name, title, timeout_s = "export", "Keep what it was", 3600.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        document = json.loads(job.steps.get(name="freeze").undo)["document"]
        return Done("Its document is kept.", {"document": _without_hashes(document)})


def _without_hashes(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "accounts": [_account(each) for each in document["accounts"]]}


def _account(told: dict[str, Any]) -> dict[str, Any]:
    return {**told, "users": [_user(each) for each in told["users"]]} if "users" in told else told


def _user(told: dict[str, Any]) -> dict[str, Any]:
    """A user of a password says that it has one: whoever makes it again gets a new one."""
    if "password_hash" not in told:
        return told
    return {name: value for name, value in told.items() if name != "password_hash"} | {"credential": "password"}
