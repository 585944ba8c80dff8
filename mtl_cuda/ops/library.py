"""The namespace that every op of the package is registered in."""

import torch

LIBRARY = torch.library.Library("mtl_cuda", "DEF")
