// Chooses and launches the L1 kernel of a task (l1.cuh lists them).
#pragma once

#include <limits>

#include "loss/cuda/cross_entropy_dispatch.h"
#include "loss/cuda/l1_vector.cuh"
#include "loss/cuda/layout.h"

namespace mtl {
namespace l1 {

// A map of one channel needs no borders between images: then only its end is not a whole pack.
inline CudaTask without_borders(CudaTask task) {
  if (task.kind == TaskKind::kInstanceOffset) return task;
  TensorView* const maps[] = {&task.prediction, &task.target, &task.mask, &task.gradient};
  for (const TensorView* map : maps) {
    if (map->data && !is_one_run(*map)) return task;
  }
  for (TensorView* map : maps) {
    if (map->data) *map = as_one_row(*map);
  }
  return task;
}

// Whether l1_vector can take the task, `count` pixels at a time.
inline bool in_runs(const CudaTask& task, int64_t count) {
  const auto fits = [&](const TensorView& view) {
    return !view.data || is_aligned_run(view, count);
  };
  if (task.kind == TaskKind::kInstanceOffset) {
    constexpr int64_t kMost = std::numeric_limits<int>::max();
    if (task.prediction.pixels() % count != 0 || task.target.height() > kMost ||
        task.target.width() > kMost) {
      return false;
    }
  }
  return fits(task.prediction) && fits(task.target) && fits(task.mask) && fits(task.gradient);
}

inline int launch_kernel(void (*kernel)(CudaTask), const CudaTask& task, int64_t items,
                         void* stream) {
  const dim3 grid = main_grid(items, kThreads, task.prediction.batch());
  launch(kernel, grid, dim3(kThreads), 0, stream, task);
  return static_cast<int>(grid.x * grid.y);
}

template <class T, template <class> class Target>
int launch_general(const CudaTask& task, void* stream) {
  return launch_kernel(
      task.gradient.data ? l1_general<T, Target, true> : l1_general<T, Target, false>, task,
      task.prediction.pixels(), stream);
}

template <class T>
int launch_general(const CudaTask& task, void* stream) {
  return task.kind == TaskKind::kL1 ? launch_general<T, ValueTarget>(task, stream)
                                    : launch_general<T, OffsetTarget>(task, stream);
}

template <class T, template <int> class Targets>
int launch_vector(const CudaTask& task, void* stream) {
  return launch_kernel(
      task.gradient.data ? l1_vector<T, Targets, true> : l1_vector<T, Targets, false>, task,
      task.prediction.pixels() / Pack<T>::kSize, stream);
}

template <class T>
int launch_fastest(const CudaTask& given, void* stream) {
  const CudaTask task = without_borders(given);
  if (!in_runs(task, Pack<T>::kSize)) return launch_general<T>(task, stream);
  return task.kind == TaskKind::kL1 ? launch_vector<T, ValueRun>(task, stream)
                                    : launch_vector<T, OffsetRun>(task, stream);
}

}  // namespace l1

// Returns the number of blocks.
inline int launch_l1(const CudaTask& task, void* stream) {
  switch (task.prediction.dtype) {
    case DType::kFloat32:
      return l1::launch_fastest<float>(task, stream);
    case DType::kFloat64:
      return l1::launch_general<double>(task, stream);
    case DType::kFloat16:
      return l1::launch_fastest<__half>(task, stream);
    default:
      return l1::launch_fastest<__nv_bfloat16>(task, stream);
  }
}

}  // namespace mtl
