// Chooses and launches the kernels for low-resolution predictions of type T. One .cu file per type
// includes this, so that they build in parallel.
#pragma once

#include "loss/cuda/cross_entropy_dispatch.h"
#include "loss/cuda/upsampled/combine.cuh"
#include "loss/cuda/upsampled/cross_entropy.cuh"
#include "loss/cuda/upsampled/dispatch.h"
#include "loss/cuda/upsampled/l1.cuh"

namespace mtl {
namespace upsampled {

using Kernel = void (*)(CudaTask, UpsampledGrid);

template <class T, int Rows, bool Extra>
Kernel cross_entropy_kernel(bool gradient) {
  return gradient ? cross_entropy_upsampled<T, Rows, Extra, true>
                  : cross_entropy_upsampled<T, Rows, Extra, false>;
}

// Rows that a thread takes together share the prediction's two rows, so they come no more than the
// ratio at a time; and no more than there are registers for.
template <class T>
Kernel cross_entropy_kernel(const CudaTask& task) {
  const bool gradient = task.gradient.data != nullptr;
  if (task.label_smoothing > 0.0 || task.likelihood == Likelihood::kScaledSoftmax) {
    return cross_entropy_kernel<T, 4, true>(gradient);
  }
  if constexpr (sizeof(T) < 8) {
    if (task.target.height() >= 6 * task.prediction.height()) {
      return cross_entropy_kernel<T, 8, false>(gradient);
    }
  }
  return cross_entropy_kernel<T, 4, false>(gradient);
}

template <class T, template <class> class Target>
Kernel l1_kernel(const CudaTask& task) {
  return task.gradient.data ? l1_upsampled<T, Target, 4, true> : l1_upsampled<T, Target, 4, false>;
}

template <class T>
Kernel kernel_for(const CudaTask& task) {
  switch (task.kind) {
    case TaskKind::kCrossEntropy:
      return cross_entropy_kernel<T>(task);
    case TaskKind::kL1:
      return l1_kernel<T, ValueTarget>(task);
    default:
      return l1_kernel<T, OffsetTarget>(task);
  }
}

template <class T>
int launch_all(const CudaTask& task, void* stream) {
  UpsampledGrid grid = upsampled_grid(task.prediction, task.target, task.align_corners);
  grid.regions = task.regions;
  const int64_t blocks = std::min<int64_t>(grid.parts(), kMaxMainBlocks);
  if (blocks > 0) {
    launch(kernel_for<T>(task), dim3(static_cast<unsigned>(blocks)), dim3(kColumns), 0, stream,
           task, grid);
  }
  if (task.gradient.data) {
    launch(combine_regions<T>,
           main_grid(task.prediction.pixels(), kThreads, task.prediction.batch()), dim3(kThreads),
           0, stream, task, grid);
  }
  return static_cast<int>(blocks);
}

}  // namespace upsampled
}  // namespace mtl
