"""Pictures of label maps and predictions, for people to look at."""

from mtl_cuda.visualise.colours import (
    colour_classes,
    colour_instances,
    colour_inverse_depth,
    colour_offsets,
    draw_instances,
    inverse_depth_limits,
    offset_scale,
)
from mtl_cuda.visualise.overlay import overlay
from mtl_cuda.visualise.panel import panel

__all__ = [
    "colour_classes",
    "colour_instances",
    "colour_inverse_depth",
    "colour_offsets",
    "draw_instances",
    "inverse_depth_limits",
    "offset_scale",
    "overlay",
    "panel",
]
