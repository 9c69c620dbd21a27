"""The admin pages of what nunect does: what waits for a person and what happened."""

from provisioning.admin import decisions

__all__ = ["decisions"]
