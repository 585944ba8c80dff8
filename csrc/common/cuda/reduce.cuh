// Sums over a block in a fixed order: the same bits on every run.
#pragma once

#include "common/cuda/launch.h"

namespace mtl {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  for (int delta = kWarp / 2; delta > 0; delta /= 2) {
    value += __shfl_down_sync(kAllLanes, value, delta);
  }
  return value;  // of the whole warp in lane 0
}

__device__ __forceinline__ unsigned warp_max(unsigned value) {
  for (int delta = kWarp / 2; delta > 0; delta /= 2) {
    const unsigned other = __shfl_down_sync(kAllLanes, value, delta);
    value = other > value ? other : value;
  }
  return value;  // of the whole warp in lane 0
}

// The sum of `value` over the block, in thread 0. All threads of a block of `Threads` call it.
template <int Threads, class T>
__device__ __forceinline__ T block_sum(T value) {
  MTL_SHARED(T, warps, Threads / kWarp);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  value = warp_sum(value);
  __syncthreads();  // a sum before this one may still be reading
  if (lane == 0) warps[warp] = value;
  __syncthreads();
  T total = 0;
  if (threadIdx.x == 0) {
    for (int w = 0; w < Threads / kWarp; ++w) total += warps[w];
  }
  return total;
}

}  // namespace mtl
