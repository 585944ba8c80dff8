// Which cross-entropy kernel runs.
#pragma once

#include <algorithm>

#include "loss/cuda/task.h"

namespace mtl {

// Blocks of `threads` for `items` per image (one per thread and turn), kMaxMainBlocks at most.
inline dim3 main_grid(int64_t items, int threads, int64_t batch) {
  const int64_t y = std::max<int64_t>(1, std::min<int64_t>(batch, kMaxMainBlocks));
  const int64_t wanted = (items + threads - 1) / threads;
  const int64_t x = std::max<int64_t>(1, std::min<int64_t>(wanted, kMaxMainBlocks / y));
  return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y));
}

// Launch the fastest kernel that reads this task's layout; return its number of blocks. Each in a
// file of its own (cross_entropy_launch.cuh).
int launch_cross_entropy_float(const CudaTask& task, void* stream);
int launch_cross_entropy_double(const CudaTask& task, void* stream);
int launch_cross_entropy_half(const CudaTask& task, void* stream);
int launch_cross_entropy_bfloat16(const CudaTask& task, void* stream);

inline int launch_cross_entropy(const CudaTask& task, void* stream) {
  switch (task.prediction.dtype) {
    case DType::kFloat32:
      return launch_cross_entropy_float(task, stream);
    case DType::kFloat64:
      return launch_cross_entropy_double(task, stream);
    case DType::kFloat16:
      return launch_cross_entropy_half(task, stream);
    default:
      return launch_cross_entropy_bfloat16(task, stream);
  }
}

}  // namespace mtl
