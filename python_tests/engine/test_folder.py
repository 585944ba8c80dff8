from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from engine_runs import kill_at_events, newest_version, save_until_killed, version_of_run

from mtl_cuda.engine.checkpoint import CheckpointError
from mtl_cuda.engine.checkpoint.folder import RunFolder


def test_the_last_two_and_the_best_are_kept(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for version in (1, 2, 3):
        folder.save(version_of_run(version), best=version == 1)
    found = folder.newest()
    assert found is not None
    assert (found.path, found.state["step"]) == (folder.last, 3)
    shutil.copy(folder.previous, folder.last)
    assert newest_version(tmp_path) == 2
    shutil.copy(folder.best, folder.last)
    assert newest_version(tmp_path) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt", "previous.pt", "best.pt"}


def test_nothing_there_is_no_checkpoint(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "nowhere").newest() is None


def test_a_damaged_one_is_told_and_set_aside(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for version in (1, 2):
        folder.save(version_of_run(version), best=False)
    content = bytearray(folder.last.read_bytes())
    content[700] ^= 4
    folder.last.write_bytes(content)
    with pytest.warns(UserWarning, match=r"last\.pt.*damaged.*previous\.pt"):
        assert newest_version(tmp_path) == 1
    folder.save(version_of_run(3), best=False)
    assert newest_version(tmp_path) == 3
    folder.last.unlink()
    assert newest_version(tmp_path) == 1  # the damaged one did not push it out
    assert (tmp_path / "last.damaged").read_bytes() == content


def test_damaged_alone_is_an_error_not_a_new_start(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for version in (1, 2):
        folder.save(version_of_run(version), best=False)
    for path in (folder.last, folder.previous):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"last\.pt.*previous\.pt"):
        folder.newest()
    assert folder.last.exists()


@pytest.mark.parametrize("name", ["metrics.csv", "last.pt"])
def test_a_run_is_replaced_only_where_wanted(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(FileExistsError, match=r"run\.resume.*run\.overwrite"):
        RunFolder(tmp_path).claim(overwrite=False)
    assert (tmp_path / name).exists()
    RunFolder(tmp_path).claim(overwrite=True)
    assert not (tmp_path / "last.pt").exists()


def test_killed_at_every_write_and_system_call(tmp_path: Path) -> None:
    """Saving three times: a kill loses at most the version that was being saved."""
    (events,) = kill_at_events(save_until_killed, [(tmp_path / "whole", 0)])
    assert events > 200
    assert newest_version(tmp_path / "whole") == 3
    jobs = [(tmp_path / str(event), event) for event in range(1, events + 1)]
    assert set(kill_at_events(save_until_killed, jobs)) == {0}
    versions = [newest_version(out) for out, _ in jobs]
    for out, _ in jobs[::10]:
        RunFolder(out).save(version_of_run(9), best=True)  # what was left is not in the way
        assert {path.suffix for path in out.iterdir()} == {".pt"}
    assert versions == sorted(versions)
    assert set(versions) == {0, 1, 2, 3}
