"""The numbers of docs/scaling.md: calculated from the network's real sizes, nothing is measured."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from mtl_cuda.models import MultiTaskDeepLabV3

HEADS = {"semantic": 19, "instance": 2, "depth": 1}
CROP = (512, 512)
GPUS = (8, 64, 512)
PER_GPU = (2, 8)  # images
RATES = {"125 TFLOP/s": 125e12, "300 TFLOP/s": 300e12}  # that a GPU really reaches
SCENE = 3.0e6  # bytes of files: image, labels, instances, disparity


def sizes(backbone: str) -> tuple[int, int, float, float]:
    """Learned numbers, bytes of buffers, FLOP of forward and of both passes for one image."""
    with torch.device("meta"):
        network = MultiTaskDeepLabV3(backbone=backbone, output_stride=8, heads=HEADS)
        images = torch.empty(2, 3, *CROP)
    flop = []
    for backward in (False, True):
        with FlopCounterMode(display=False) as counter:
            outputs = network(images)
            if backward:
                torch.stack([output.sum() for output in outputs.values()]).sum().backward()
        flop.append(counter.get_total_flops() / len(images))
    learned = sum(p.numel() for p in network.parameters()) + len(HEADS)  # log-variances
    buffers = sum(b.numel() * b.element_size() for b in network.buffers())
    return learned, buffers, flop[0], flop[1]


def main() -> None:
    """Print both tables."""
    print("| backbone | learned | gradients | buffers | forward | forward + backward |")
    print("|---|---|---|---|---|---|")
    for backbone in ("resnet18", "resnet50", "resnet101"):
        learned, buffers, forward, both = sizes(backbone)
        print(
            f"| {backbone} | {learned:,} | {4 * learned / 1e6:.1f} MB | {buffers / 1e3:.0f} kB "
            f"| {forward / 1e12:.3f} TFLOP | {both / 1e12:.3f} TFLOP |"
        )
    print(
        "\n| GPUs | images per GPU | a GPU reaches | step | sent per GPU and step "
        "| network per node | images/s | files read |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for gpus in GPUS:
        ring = 2 * (gpus - 1) / gpus * 4 * learned
        for images in PER_GPU:
            for name, rate in RATES.items():
                step = images * both / rate
                backward = images * (both - forward) / rate
                needed = "-" if gpus == 8 else f"{8 * ring / backward / 1e9:.0f} Gbit/s"
                speed = gpus * images / step
                print(
                    f"| {gpus} | {images} | {name} | {1e3 * step:.1f} ms | {ring / 1e6:.0f} MB "
                    f"| {needed} | {speed:,.0f} | {speed * SCENE / 1e6:,.0f} MB/s |"
                )


if __name__ == "__main__":
    main()
