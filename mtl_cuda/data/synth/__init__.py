"""Generated street scenes: stereo pairs with exact semantics, instances and depth."""

from mtl_cuda.data.synth.config import SynthConfig
from mtl_cuda.data.synth.generate import SynthScene, generate_scene
from mtl_cuda.data.synth.writer import GENERATOR_VERSION, write_dataset

__all__ = ["GENERATOR_VERSION", "SynthConfig", "SynthScene", "generate_scene", "write_dataset"]
