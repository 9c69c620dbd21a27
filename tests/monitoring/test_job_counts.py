"""What every page of the admin counts of jobs is found by an index, however many jobs have ended."""

import pytest
from django.db import connection

from monitoring.dashboard import FOR_A_PERSON
from provisioning.models import Job
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_scan():
    """PostgreSQL reads a small table whole, index or not."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")


def by_an_index(jobs):
    """PostgreSQL may take the index of the system alone, where there are few rows."""
    plan = jobs.explain()
    return "job_state" in plan or (connection.vendor == "postgresql" and "Index Scan" in plan)


def test_the_badge_of_jobs_reads_an_index():
    assert by_an_index(Job.objects.filter(FOR_A_PERSON).order_by())


def test_failed_and_active_jobs_of_a_system_are_found_by_an_index():
    jobs = Job.objects.filter(system=factories.system()).order_by()
    assert by_an_index(jobs.filter(state=Job.State.FAILED))
    assert by_an_index(jobs.filter(state__in=(*Job.ACTIVE, Job.State.FAILED)))
