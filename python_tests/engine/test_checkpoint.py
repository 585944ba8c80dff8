from __future__ import annotations

import multiprocessing
import os
import pickle
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from mtl_cuda.engine.checkpoint import CheckpointError, load_checkpoint, save_checkpoint

STATE = {
    "model": {"weight": torch.arange(6.0).view(2, 3)},
    "step": 7,
    "config": {"size": (128, 256), "name": "x", "minutes": None, "list": [1, 2.5]},
}


def test_round_trip(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "last.pt", STATE)
    loaded = load_checkpoint(tmp_path / "last.pt")
    assert torch.equal(loaded.pop("model")["weight"], STATE["model"]["weight"])  # type: ignore[index]
    assert loaded == {key: value for key, value in STATE.items() if key != "model"}
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def _save_with_little_room(path: Path, room: int, results: Any) -> None:
    """Save a checkpoint of 400 kB where files end at `room` bytes, as on a full disk."""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        save_checkpoint(path, {"model": {"weight": torch.zeros(100_000)}})
        results.put("written")
    except OSError as error:
        results.put(str(error))


@pytest.mark.parametrize("room", [0, 1000, 70_000, 399_000])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, room: int) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, STATE)
    before = path.read_bytes()
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=_save_with_little_room, args=(path, room, results))
    process.start()
    message = results.get(timeout=30)
    process.join()
    assert str(path) in message
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"nowhere.*last\.pt"):
        save_checkpoint(tmp_path / "nowhere" / "last.pt", STATE)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"last\.pt"):
        load_checkpoint(tmp_path / "last.pt")


class _Malicious:
    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.sentinel),))


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_code_in_a_file_is_not_run(tmp_path: Path, writer: str) -> None:
    path, sentinel = tmp_path / "evil.pt", tmp_path / "executed"
    state = {"format": 1, "model": _Malicious(sentinel)}
    if writer == "torch":
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state, protocol=2))
    with pytest.raises(CheckpointError, match=r"evil\.pt"):
        load_checkpoint(path)
    assert not sentinel.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"no checkpoint at all", b"PK\x03\x04" + bytes(100)],
    ids=["empty", "text", "zip"],
)
def test_damaged_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        load_checkpoint(path)


def test_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, STATE)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [{"weight": torch.zeros(2)}, {"format": 99}, torch.zeros(2)])
def test_other_checkpoints_are_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"other\.pt"):
        load_checkpoint(path)
