"""The admin pages of what nunect does: jobs, what waits for a person, and what happened."""

from provisioning.admin import blueprints, decisions, drift, jobs, stages

__all__ = ["blueprints", "decisions", "drift", "jobs", "stages"]
