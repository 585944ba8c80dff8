"""Stopgap: replaced by the native op."""
from __future__ import annotations
from mtl_cuda import reference
from mtl_cuda.reference import LossTerms, Target
from mtl_cuda.tasks import LOG_VARIANCE_RANGE

def clamped(s):
    return s.clamp(*LOG_VARIANCE_RANGE)

def multi_task_loss(predictions, targets, tasks, log_variances=None, weights=None, align_corners=False, validate=False):
    return reference.multi_task_loss(predictions, targets, tasks, log_variances, weights)
