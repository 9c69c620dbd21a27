"""Which steps a job of each kind goes through, in order."""

from __future__ import annotations

from provisioning.jobs.protocol import Step
from provisioning.jobs.steps.assets import Assets
from provisioning.jobs.steps.credentials import Credentials
from provisioning.jobs.steps.enforced import Enforced
from provisioning.jobs.steps.export import Export
from provisioning.jobs.steps.freeze import Freeze
from provisioning.jobs.steps.gone import Gone
from provisioning.jobs.steps.ready import Ready
from provisioning.jobs.steps.removal import Removal
from provisioning.jobs.steps.rotate import Rotate
from provisioning.jobs.steps.rows import Rows
from provisioning.jobs.steps.window import Window
from provisioning.models import Job

PATHS: dict[Job.Kind, tuple[Step, ...]] = {
    Job.Kind.PROVISION: (Rows(), Enforced(), Assets(), Credentials(), Ready()),
    Job.Kind.RETIRE: (Freeze(), Enforced(), Export(), Window(), Removal(), Gone()),
    Job.Kind.HAND_OVER: (Rotate(), Enforced(), Credentials(), Ready()),
}
STEPS: dict[str, Step] = {step.name: step for path in PATHS.values() for step in path}
