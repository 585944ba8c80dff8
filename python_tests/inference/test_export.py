"""A trained network in other formats predicts what it predicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import mtl_cuda
from mtl_cuda.engine.checkpoint import CheckpointError
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.train import Trainer
from mtl_cuda.inference.export import FORMATS
from mtl_cuda.inference.restore import Restored, restore

CPU = torch.device("cpu")
SIZE = (32, 64)


@pytest.fixture
def checkpoint(tiny: Callable[..., TrainConfig]) -> Path:
    """Of a short run with averaged weights."""
    config = tiny(steps=2)
    config.optim.ema_decay = 0.9
    trainer = Trainer(config)
    trainer.fit()
    return trainer.folder.last


def expected(restored: Restored, images: torch.Tensor) -> dict[str, torch.Tensor]:
    with torch.inference_mode():
        return restored.network(images)


def test_exported_weights_predict_the_same_bits(checkpoint: Path, tmp_path: Path) -> None:
    restored = restore(checkpoint, CPU)
    weights, description = FORMATS["safetensors"](restored, tmp_path / "out", SIZE)
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    result = mtl_cuda.load_model(checkpoint, "cpu").predict(image)
    for path in (weights, description, tmp_path / "out"):
        again = mtl_cuda.load_model(path, "cpu")
        assert again.info == restored.info
        assert again.tasks == restored.tasks
        other = again.predict(image)
        for name in ("classes", "probability", "offsets", "inverse_depth"):
            np.testing.assert_array_equal(getattr(other, name), getattr(result, name))


def test_damaged_and_missing_weights(checkpoint: Path, tmp_path: Path) -> None:
    weights, description = FORMATS["safetensors"](restore(checkpoint, CPU), tmp_path, SIZE)
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: damaged"):
        mtl_cuda.load_model(weights, "cpu")
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        mtl_cuda.load_model(description, "cpu")
    description.write_text(json.dumps({"format": 1}))
    with pytest.raises(CheckpointError, match=r"model\.json: no description"):
        mtl_cuda.load_model(tmp_path, "cpu")
    description.unlink()
    with pytest.raises(FileNotFoundError, match="mtl-cuda export"):
        mtl_cuda.load_model(tmp_path, "cpu")


def test_torch_program(checkpoint: Path, tmp_path: Path) -> None:
    restored = restore(checkpoint, CPU)
    (path,) = FORMATS["torch"](restored, tmp_path, SIZE)
    program = torch.export.load(path).module()
    images = torch.randn(5, 3, *SIZE)
    predictions = program(images)
    for task, values in expected(restored, images).items():
        torch.testing.assert_close(predictions[task], values, atol=1e-4, rtol=1e-4)
    assert [file.name for file in tmp_path.glob("model*")] == ["model.pt2"]


def test_onnx_graph(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="ONNX needs mtl_cuda[export]")
    runtime = pytest.importorskip("onnxruntime", reason="the check needs onnxruntime")
    restored = restore(checkpoint, CPU)
    (path,) = FORMATS["onnx"](restored, tmp_path, SIZE)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == list(restored.tasks)
    for batch in (1, 3):
        images = torch.randn(batch, 3, *SIZE)
        given = session.run(None, {"images": images.numpy()})
        for values, own in zip(expected(restored, images).values(), given, strict=True):
            torch.testing.assert_close(torch.from_numpy(own), values, atol=1e-4, rtol=1e-4)


def test_predict_takes_files_arrays_and_lists(checkpoint: Path, tmp_path: Path) -> None:
    model = mtl_cuda.load_model(checkpoint, "cpu")
    image = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
    one = model.predict(image)
    assert one.classes is not None
    assert one.classes.shape == (40, 50)
    assert one.depth_unit == "1/m"
    assert one.panel().dtype == np.uint8
    several = model.predict([image, image[:20], image], batch=2)
    assert [result.image.shape[0] for result in several] == [40, 20, 40]
    np.testing.assert_array_equal(several[2].classes, one.classes)
    assert model.predict(image, size="image", window=(24, 24), flip=True).classes is not None
    for wrong in (image.astype(np.float32), image[..., 0], image[:0]):
        with pytest.raises(ValueError, match=r"image 0: expected uint8 \[H, W, 3\]"):
            model.predict(wrong)
    with pytest.raises(TypeError, match="image 1: expected a numpy array or a path, got Tensor"):
        model.predict([image, torch.zeros(3)])  # type: ignore[list-item]
    with pytest.raises(FileNotFoundError):
        model.predict(tmp_path / "gone.png")
