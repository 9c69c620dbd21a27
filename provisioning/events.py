"""What other rooms may want to hear of: sent after the commit, and lost without harm."""

from django.dispatch import Signal

job_changed = Signal()  # sent with job_id and system_id: a job or one of its steps is in another state
revision_recorded = Signal()  # sent with system_id: a run has written down what the servers hold
