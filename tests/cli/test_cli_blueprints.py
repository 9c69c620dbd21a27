"""Blueprints at the command line: what a table takes."""

import pytest

from tests import factories

pytestmark = pytest.mark.django_db


def test_the_columns_of_a_table_are_told(nunect):
    factories.system()
    told = nunect("blueprints", "iot-fleet").output
    (devices,) = (line for line in told.splitlines() if line.startswith("devices"))
    assert "A CSV with a header line and these columns, by --set-file devices=FILE." in devices, told
    below = told.splitlines()[told.splitlines().index(devices) + 1 :][:3]
    assert [line.split()[0] for line in below] == ["name", "nkey", "description"]
    assert ["(needed)" in line for line in below] == [True, False, False]
    assert "Of a key pair that the device has made itself." in below[1]


@pytest.mark.parametrize("asked", [("blueprints", "work-que"), ("provision", "work-que", "--set", "name=A")])
def test_a_blueprint_that_is_not_there_is_one_sentence(nunect, asked):
    factories.system()
    told = nunect(*asked)
    assert (told.exit_code, told.output) == (
        1,
        "nunect: There is no blueprint “work-que”; did you mean work-queue?\n",
    )
