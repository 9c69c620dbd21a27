"""What happened and what waits: revisions, decisions, blueprints and jobs."""

from provisioning.models.blueprint import Blueprint
from provisioning.models.decision import Drift, Hold
from provisioning.models.difference import Difference
from provisioning.models.job import Claim, HandOver, Job, JobLine, JobStep
from provisioning.models.revision import Revision, RevisionBlock

__all__ = [
    "Blueprint",
    "Claim",
    "Difference",
    "Drift",
    "HandOver",
    "Hold",
    "Job",
    "JobLine",
    "JobStep",
    "Revision",
    "RevisionBlock",
]
