"""The generated file is whole at any moment, and only the newest run may write it."""

import os
import stat
import threading

import pytest

from provisioning.errors import Superseded
from provisioning.files import GENERATED, Intent, read_generated, sole_writer, text_hash

OLD, NEW = "a" * 3_000_000, "b" * 3_000_000


def put(folder, fence, text):
    with sole_writer(folder, fence, 1) as writer:
        writer.replace(text, Intent(fence, fence, "", text_hash(text)))


def test_a_reader_sees_the_old_text_or_the_new_one_and_never_a_part(tmp_path):
    put(tmp_path, 1, OLD)
    torn, over = [], threading.Event()

    def read():
        while not over.is_set():
            seen = (tmp_path / GENERATED).read_text()
            if seen not in (OLD, NEW):
                torn.append(len(seen))

    reader = threading.Thread(target=read)
    reader.start()
    for fence in range(2, 30):
        put(tmp_path, fence, NEW if fence % 2 else OLD)
    over.set()
    reader.join()
    assert not torn


def test_an_older_run_is_turned_away_even_when_the_newer_one_died_unrecorded(tmp_path):
    put(tmp_path, 7, NEW)
    with pytest.raises(Superseded):
        put(tmp_path, 6, OLD)
    assert read_generated(tmp_path) == NEW.encode()


def test_the_former_text_comes_back_by_a_rename(tmp_path):
    put(tmp_path, 1, OLD)
    with sole_writer(tmp_path, 2, 1) as writer:
        writer.replace(NEW, Intent(2, 2, "", text_hash(NEW)))
        writer.put_back()
    assert read_generated(tmp_path) == OLD.encode()


def test_only_its_owner_may_read_it(tmp_path):
    os.umask(0o022)
    put(tmp_path, 1, OLD)
    put(tmp_path, 2, NEW)
    for name in (GENERATED, ".accounts.conf.previous", ".nunect.lock"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name


def test_what_a_killed_writer_left_is_cleared_away(tmp_path):
    (tmp_path / ".accounts.conf.dead.tmp").write_text("half of a te")
    put(tmp_path, 1, OLD)
    assert not list(tmp_path.glob(".accounts.conf.*.tmp"))


def test_a_torn_intent_counts_as_none(tmp_path):
    put(tmp_path, 1, OLD)
    (tmp_path / ".nunect.lock").write_text('{"fence": 99, "numb')
    put(tmp_path, 2, NEW)
    assert read_generated(tmp_path) == NEW.encode()
