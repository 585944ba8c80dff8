"""Disparity maps for many stereo pairs: pairs, options, files, evaluation.

The matcher itself is `mtl_cuda.data.sgm`.
"""
