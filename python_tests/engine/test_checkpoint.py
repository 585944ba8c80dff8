from __future__ import annotations

import hashlib
import io
import os
import pickle
import random
import re
import resource
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_runs import clean_processes, save_with_little_room

from mtl_cuda.engine.checkpoint import FORMAT, CheckpointError, load_checkpoint, save_checkpoint

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


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "size.pt", {"weight": torch.zeros(100_000), "more": torch.zeros(9)})
    size = (tmp_path / "size.pt").stat().st_size
    (tmp_path / "size.pt").unlink()
    path = tmp_path / "last.pt"
    save_checkpoint(path, STATE)
    before = path.read_bytes()
    rooms = [0, 1, 100, 700, 1000, *range(4096, size, size // 14), size - 2000, size - 49, size - 1]
    context = clean_processes()
    results = context.Queue()
    process = context.Process(target=save_with_little_room, args=(path, [*rooms, size], results))
    process.start()
    for _ in rooms:
        message, content, files = results.get(timeout=30)
        assert re.search(r"last\.pt.*could not be written.* \d+ bytes.*File too large", message)
        assert (content, files) == (before, ["last.pt"])
    message, content, files = results.get(timeout=30)
    process.join()
    assert len(rooms) >= 20
    assert (message, len(content), files) == ("written", size, ["last.pt"])


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
    state = {"format": FORMAT, "model": _Malicious(sentinel)}
    content = io.BytesIO()
    if writer == "torch":
        torch.save(state, content)
    else:
        pickle.dump(state, content, protocol=2)
    path.write_bytes(sealed(content.getvalue()))
    with pytest.raises(CheckpointError, match=r"evil\.pt"):
        load_checkpoint(path)
    assert not sentinel.exists()


def sealed(content: bytes) -> bytes:
    """What the file format says, written down once more."""
    digest = hashlib.sha256(content).digest()
    return content + b"MTLSEAL1" + len(content).to_bytes(8, "little") + digest


def archive(data: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of torch.save with the given pickle and a storage of six floats."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        file.writestr("archive/data.pkl", data)
        file.writestr("archive/byteorder", "little")
        file.writestr("archive/data/0", bytes(24))
        file.writestr("archive/version", "3\n")
    return content.getvalue()


def pickled(call: bytes) -> bytes:
    """{"format": FORMAT, "a": call}"""
    return b"\x80\x02}(X\x06\x00\x00\x00formatK" + bytes([FORMAT]) + b"U\x01a" + call + b"u."


def test_the_hand_made_archive_is_a_checkpoint(tmp_path: Path) -> None:
    """So that those below are refused for what they claim alone."""
    path = tmp_path / "last.pt"
    path.write_bytes(sealed(archive(pickled(b"K\x07"))))
    assert load_checkpoint(path) == {"a": 7}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (archive(pickled(b"K\x07"), zipfile.ZIP_DEFLATED), "compressed"),
        (archive(pickled(b"c__builtin__\nbytearray\nJ\x00\x00\x00\x10\x85R")), "bytearray"),
        (archive(pickled(b"ctorch\nTensor\nJ\x00\x00\x00\x10\x85R")), r"torch\.Tensor"),
        (archive(pickled(b"cbuiltins\neval\nX\x01\x00\x00\x001\x85R")), "eval"),
        (archive(pickled(b"U\x08builtinsU\x04eval\x93")), "STACK_GLOBAL"),
        (archive(b"\x80\x02}"), "not a readable"),
        (b"PK\x05\x06" + bytes(18), "parts of a checkpoint"),
    ],
    ids=["compressed", "bytearray", "tensor", "eval", "stack", "cut-off", "empty"],
)
def test_claims_are_checked_before_loading(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(sealed(content))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=rf"last\.pt.*{reason}"):
        load_checkpoint(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # of 256 MiB


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, STATE)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"last\.pt.*could not be loaded again"):
        save_checkpoint(path, {"model": torch.nn.Linear(1, 1)})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_torch_reads_the_file_too(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "last.pt", STATE)
    loaded = torch.load(tmp_path / "last.pt", weights_only=True)
    assert loaded.keys() == {"format", *STATE}


def test_old_versions_of_torch_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path / "last.pt", STATE)
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    with pytest.raises(ImportError, match=r"2\.10 or newer.*2\.9\.1"):
        load_checkpoint(tmp_path / "last.pt")


def test_no_corruption_is_silent(tmp_path: Path) -> None:
    """Every byte with one bit flipped, every truncation, and others: more than 4000."""
    path = tmp_path / "last.pt"
    save_checkpoint(path, STATE)
    whole = path.read_bytes()
    draw = random.Random(0)
    corrupted = [
        whole[:at] + bytes([whole[at] ^ (1 << draw.randrange(8))]) + whole[at + 1 :]
        for at in range(len(whole))
    ]
    corrupted += [whole[:length] for length in range(len(whole))]
    for _ in range(200):
        start, end = sorted(draw.sample(range(len(whole)), 2))
        corrupted += [
            whole[:start] + whole[end:],
            whole[:end] + whole[start:],
            whole + whole[start:end],
            whole[:start] + draw.randbytes(end - start) + whole[end:],
        ]
    assert len(corrupted) > 4000
    for index, content in enumerate(corrupted):
        path = tmp_path / f"{index}-last.pt"  # new: some systems flush what is written over
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"last\.pt"):
            load_checkpoint(path)


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
    file = io.BytesIO()
    torch.save(content, file)
    path.write_bytes(sealed(file.getvalue()))
    with pytest.raises(CheckpointError, match=r"other\.pt"):
        load_checkpoint(path)
