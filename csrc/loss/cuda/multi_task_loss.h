// The multi-task loss on the GPU. Semantics: loss/loss.h; everything asynchronous on `stream`.
#pragma once

#include <cstdint>
#include <vector>

#include "loss/loss.h"

namespace mtl {

// Bytes of scratch memory (aligned to 256) that one call needs; it may be freed or used again once
// the call's kernels have run. Per task 100 KiB at most, and 2.5 MiB per image with instances.
int64_t multi_task_loss_workspace(const std::vector<LossTask>& tasks);

// All pointers of the tasks are to device memory. Never synchronises; can be captured in a graph.
// A label or id that a task does not have makes its loss and the total NaN.
void multi_task_loss_cuda(const std::vector<LossTask>& tasks, const LossOutputs& outputs,
                          void* workspace, void* stream);

// gradient[i] *= factor for a dense tensor of `count` elements; `factor` [] on the device. Where it
// is 1 no memory is touched.
void scale_gradient_cuda(void* gradient, DType dtype, int64_t count, const double* factor,
                         void* stream);

// loss/instances.h on the device: `ids` [B,1,H,W]; ids above `instances` are counted in no row.
int64_t instance_centroids_workspace(int64_t batch);
void instance_centroids_cuda(const TensorView& ids, int64_t instances, float* centroids,
                             int64_t* counts, void* workspace, void* stream);

}  // namespace mtl
