// How kernels of this folder are launched: blocks of kClusterThreads, one thread per thing.
#pragma once

#include <cstdint>

#include "common/cuda/launch.h"

namespace mtl {

constexpr int kClusterThreads = 256;

__device__ __forceinline__ int64_t thread_index() {
  return int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}

}  // namespace mtl
