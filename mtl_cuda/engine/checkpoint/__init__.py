"""Checkpoints: sealed files, the folder they are in, what they hold, and going on from them."""

from mtl_cuda.engine.checkpoint.sealed import (
    FORMAT,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)

__all__ = ["FORMAT", "CheckpointError", "load_checkpoint", "save_checkpoint"]
