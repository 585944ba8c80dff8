// Which cross-entropy kernel runs.
#pragma once

#include <algorithm>

#include "loss/cuda/task.h"

namespace mtl {

// Blocks of `threads` for `items` per image (one per thread and turn), kMaxMainBlocks at most.
inline dim3 main_grid(int64_t items, int threads, int64_t batch) {
  const int64_t y = std::min<int64_t>(batch, kMaxMainBlocks);
  const int64_t wanted = (items + threads - 1) / threads;
  const int64_t x = std::max<int64_t>(1, std::min<int64_t>(wanted, kMaxMainBlocks / y));
  return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y));
}

// Launches the fastest kernel that reads this task's layout; returns its number of blocks.
int launch_cross_entropy(const CudaTask& task, void* stream);

}  // namespace mtl
