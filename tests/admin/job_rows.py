"""A small blueprint, jobs in any state, and where their pages are."""

from __future__ import annotations

import re

from django.urls import reverse
from django.utils import timezone

from provisioning.blueprints.catalogue import save_blueprint
from provisioning.models import Blueprint, Job, JobLine, JobStep
from tests import factories

CATALOGUE = "/admin/provisioning/blueprint/catalogue/"
FORM = "/admin/provisioning/blueprint/provision/small-team/"
JOBS = "/admin/provisioning/job/"
LINK = re.compile(r"/handover/#([A-Za-z0-9_-]{43})")
TEXT = """
blueprint: small-team
version: 1
title: A small team
description: An account with a worker for each service.
parameters:
  name: {type: account_name, title: Account, help: How it is called.}
  services: {type: list, of: token, title: Services, min: 1}
  size: {type: choice, choices: {small: Small, large: Large}, default: small}
  keep: {type: duration, title: Kept for, default: 7d}
  devices:
    type: table
    title: Devices
    required: false
    columns:
      name: {type: token, title: Name}
  all: {type: flag, title: Everything, default: true}
values:
  connections: {case: "${size}", of: {small: 10, large: 100}}
accounts:
  - name: ${name}
    max_connections: ${connections}
    users:
      - for_each: ${services}
        as: service
        name: ${name}-${service}
        permissions: ["allow publish ${service}.>"]
      - for_each: ${devices}
        as: device
        name: ${device.name}
        permissions: ["allow publish devices.${device.name}.>"]
"""
GIVEN = {"p-name": "ACME", "p-services": "orders\nbilling", "p-size": "small", "p-keep": "7d", "p-all": "on"}


def make_blueprint():
    """The blueprint of TEXT, by somebody who may do everything."""
    factories.system()
    save_blueprint(TEXT, factories.admin())
    return Blueprint.objects.get()


def make_job(state="running", *, kind="provision", accounts=("ACME",), **fields):
    """A job of two steps, the first of which is done."""
    job = Job.objects.create(
        system=factories.system(),
        kind=kind,
        title=f"A small team: {', '.join(accounts)}",
        accounts=list(accounts),
        state=state,
        started_at=timezone.now(),
        **{"author_name": "ada", "door": "admin", **fields},
    )
    states = {"failed": "failed", "done": "done"}
    for number, (name, title, now) in enumerate(
        (("rows", "Write the rows", "done"), ("enforced", "Every server runs it", states.get(state, "waiting"))), 1
    ):
        JobStep.objects.create(
            job=job, number=number, name=name, title=title, state=now, started_at=timezone.now(), attempts=number
        )
    JobLine.objects.create(job=job, step="rows", text="1 account, 2 users.")
    return job


def page_of(job):
    return reverse("admin:provisioning_job_change", args=[job.pk])


def act(job, name):
    return reverse("admin:provisioning_job_act", args=[job.pk, name])


def text(answer):
    return answer.content.decode()
