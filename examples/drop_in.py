"""The fused loss in somebody's own network: a drop-in of six lines (marked).

python examples/drop_in.py
"""

import torch
from torch import nn

import mtl_cuda  # 1

torch.manual_seed(0)
network = nn.Conv2d(3, 19 + 2 + 1, kernel_size=3, padding=1, stride=4)

criterion = mtl_cuda.MultiTaskLoss(  # 2
    {
        "semantic": mtl_cuda.CrossEntropyTask(num_classes=19, ignore_index=255),  # 3
        "instance": mtl_cuda.InstanceOffsetTask(),  # 4
        "depth": mtl_cuda.L1Task(channels=1),  # 5
    }
)
optimizer = torch.optim.SGD(
    [
        {"params": network.parameters(), "weight_decay": 1e-4},
        {"params": criterion.parameters(), "weight_decay": 0.0},
    ],
    lr=0.01,
)

images = torch.rand(2, 3, 128, 256)
targets = {
    "semantic": torch.randint(0, 19, (2, 128, 256), dtype=torch.uint8),
    "instance": torch.randint(0, 5, (2, 128, 256), dtype=torch.int32),
    "depth": torch.rand(2, 128, 256),
}
for step in range(5):
    semantic, instance, depth = network(images).split([19, 2, 1], dim=1)  # at 1/4 resolution
    out = criterion({"semantic": semantic, "instance": instance, "depth": depth}, targets)  # 6
    optimizer.zero_grad()
    out.total.backward()
    optimizer.step()
    losses = {name: round(loss.item(), 3) for name, loss in out.losses.items()}
    sigmas = {name: round(sigma.item(), 3) for name, sigma in out.sigmas.items()}
    print(f"step {step}: total {out.total.item():.3f}, losses {losses}, sigmas {sigmas}")
