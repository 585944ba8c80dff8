from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mtl_cuda.models import MultiTaskDeepLabV3, ResNet, load_pretrained_backbone

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def source() -> State:
    """A checkpoint as torchvision publishes them: resnet18 with its classifier."""
    torch.manual_seed(1)
    state = ResNet("resnet18").state_dict()
    state["bn1.running_mean"].normal_()
    state["fc.weight"], state["fc.bias"] = torch.randn(1000, 512), torch.randn(1000)
    return state


@pytest.fixture(scope="module")
def backbone() -> ResNet:
    return ResNet("resnet18", 8)


@pytest.fixture(autouse=True)
def _reset(backbone: ResNet) -> None:
    for value in backbone.state_dict().values():
        value.fill_(7)


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def assert_loaded(backbone: ResNet, source: State) -> None:
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, source[name]), name


def assert_untouched(backbone: ResNet) -> None:
    assert all((value == 7).all() for value in backbone.state_dict().values())


def test_pth(tmp_path: Path, backbone: ResNet, source: State) -> None:
    load_pretrained_backbone(backbone, saved(tmp_path / "r.pth", source))
    assert_loaded(backbone, source)


def test_safetensors(tmp_path: Path, backbone: ResNet, source: State) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(dict(source), tmp_path / "r.safetensors")
    load_pretrained_backbone(backbone, str(tmp_path / "r.safetensors"))
    assert_loaded(backbone, source)


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_wrapper_and_data_parallel_prefix(
    tmp_path: Path, backbone: ResNet, source: State, key: str
) -> None:
    state = OrderedDict((f"module.{name}", value) for name, value in source.items())
    load_pretrained_backbone(backbone, saved(tmp_path / "r.pth", {"epoch": 3, key: state}))
    assert_loaded(backbone, source)


def test_old_file_without_batch_counters(tmp_path: Path, backbone: ResNet, source: State) -> None:
    state = {k: v for k, v in source.items() if not k.endswith("num_batches_tracked")}
    path = tmp_path / "r.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    load_pretrained_backbone(backbone, path)
    assert torch.equal(backbone.conv1.weight, source["conv1.weight"])
    assert backbone.bn1.num_batches_tracked == 7


def test_model_argument_loads_the_backbone(tmp_path: Path, source: State) -> None:
    path = saved(tmp_path / "r.pth", source)
    model = MultiTaskDeepLabV3("resnet18", 16, {"a": 1}, path, 8, 8)
    assert_loaded(model.backbone, source)


def test_wrong_names_and_shapes_are_named_and_nothing_is_loaded(
    tmp_path: Path, backbone: ResNet, source: State
) -> None:
    state = {k: v for k, v in source.items() if not k.startswith("layer1")}
    state |= {"head.weight": torch.ones(2), "conv1.weight": torch.ones(64, 1, 7, 7)}
    with pytest.raises(ValueError) as error:
        load_pretrained_backbone(backbone, saved(tmp_path / "r.pth", state))
    message = str(error.value)
    assert "r.pth does not fit resnet18" in message
    assert "20 missing: layer1.0." in message
    assert "and 16 more" in message
    assert "1 unexpected: head.weight" in message
    assert "1 of another shape: conv1.weight [64, 1, 7, 7] instead of [64, 3, 7, 7]" in message
    assert_untouched(backbone)


def test_other_architecture(tmp_path: Path, backbone: ResNet) -> None:
    path = saved(tmp_path / "r34.pth", ResNet("resnet34").state_dict())
    with pytest.raises(ValueError, match=r"96 unexpected: layer1\.2"):
        load_pretrained_backbone(backbone, path)
    assert_untouched(backbone)


class _Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_malicious_pickle_is_refused_and_not_executed(
    tmp_path: Path, backbone: ResNet, form: str
) -> None:
    content = {"conv1.weight": _Malicious(tmp_path / "owned")}
    path = tmp_path / "r.pth"
    if form == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ValueError, match=r"r\.pth is not a readable checkpoint"):
        load_pretrained_backbone(backbone, path)
    assert not (tmp_path / "owned").exists()
    assert_untouched(backbone)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"no checkpoint", b"\x80\x02junk", b"PK\x03\x04" + b"0" * 99]
)
def test_damaged_file(tmp_path: Path, backbone: ResNet, suffix: str, content: bytes) -> None:
    path = tmp_path / f"r.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a readable checkpoint"):
        load_pretrained_backbone(backbone, path)


def test_truncated_file(tmp_path: Path, backbone: ResNet, source: State) -> None:
    path = saved(tmp_path / "r.pth", source)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ValueError, match="is not a readable checkpoint"):
        load_pretrained_backbone(backbone, path)
    assert_untouched(backbone)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.ones(3), "holds a Tensor; expected a dict"),
        ({"epoch": 3}, "holds a int under 'epoch'"),
        ({5: torch.ones(1)}, "under 5"),
        ({"weights": {"conv1.weight": torch.ones(1)}}, "holds a dict under 'weights'"),
        ({}, "100 missing: conv1.weight"),
    ],
)
def test_other_content(tmp_path: Path, backbone: ResNet, content: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_pretrained_backbone(backbone, saved(tmp_path / "r.pth", content))
    assert_untouched(backbone)


def test_missing_file(tmp_path: Path, backbone: ResNet) -> None:
    for path in (tmp_path / "none.pth", tmp_path, "https://example.org/resnet18.pth"):
        with pytest.raises(FileNotFoundError, match="local file"):
            load_pretrained_backbone(backbone, path)


def test_narrow_network_is_refused(tmp_path: Path, source: State) -> None:
    path = saved(tmp_path / "r.pth", source)
    with pytest.raises(ValueError, match=r"width=1\.0 only, and this resnet18 has width=0\.5"):
        load_pretrained_backbone(ResNet("resnet18", width=0.5), path)
