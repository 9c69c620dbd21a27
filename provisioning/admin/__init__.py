"""The admin pages of what nunect does: jobs, what waits for a person, and what happened."""

from provisioning.admin import blueprints, decisions, jobs, stages

__all__ = ["blueprints", "decisions", "jobs", "stages"]
