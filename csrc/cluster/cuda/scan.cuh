// Sums of all numbers before each, in place: tiles are summed, the sums of tiles scanned by one
// block, then each tile.
#pragma once

#include "cluster/cuda/threads.cuh"
#include "common/cuda/reduce.cuh"

namespace mtl {

constexpr int kScanItems = 8, kScanTile = kScanItems * kClusterThreads;

// The sum of `value` over the threads before this one; `total` of all. All threads call it.
__device__ __forceinline__ uint32_t sum_before(uint32_t value, uint32_t& total) {
  constexpr int kWarps = kClusterThreads / kWarp;
  MTL_SHARED(uint32_t, warps, kWarps);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  uint32_t sum = value;
  for (int delta = 1; delta < kWarp; delta *= 2) {
    const uint32_t other = __shfl_up_sync(kAllLanes, sum, static_cast<unsigned>(delta));
    sum += lane >= delta ? other : 0;
  }
  __syncthreads();  // a sum before this one may still be reading
  if (lane == kWarp - 1) warps[warp] = sum;
  __syncthreads();
  uint32_t before = sum - value;
  total = 0;
  for (int w = 0; w < kWarps; ++w) {
    before += w < warp ? warps[w] : 0;
    total += warps[w];
  }
  return before;
}

__global__ void __launch_bounds__(kClusterThreads)
    sum_tiles(const uint32_t* values, int64_t count, uint32_t* tiles) {
  const int64_t begin = int64_t{blockIdx.x} * kScanTile + threadIdx.x;
  uint32_t sum = 0;
  for (int64_t i = begin; i < begin + kScanTile && i < count; i += kClusterThreads) {
    sum += values[i];
  }
  sum = block_sum<kClusterThreads>(sum);
  if (threadIdx.x == 0) tiles[blockIdx.x] = sum;
}

// One block.
__global__ void __launch_bounds__(kClusterThreads) scan_sums(uint32_t* tiles, int64_t count) {
  uint32_t before = 0;
  for (int64_t begin = 0; begin < count; begin += kClusterThreads) {
    const int64_t i = begin + threadIdx.x;
    uint32_t total;
    const uint32_t sum = before + sum_before(i < count ? tiles[i] : 0, total);
    if (i < count) tiles[i] = sum;
    before += total;
  }
}

__global__ void __launch_bounds__(kClusterThreads)
    scan_tiles(uint32_t* values, int64_t count, const uint32_t* tiles) {
  const int64_t begin = thread_index() * kScanItems;
  uint32_t own[kScanItems], sum = 0;
#pragma unroll
  for (int k = 0; k < kScanItems; ++k) {
    own[k] = begin + k < count ? values[begin + k] : 0;
    sum += own[k];
  }
  uint32_t total, before = tiles[blockIdx.x] + sum_before(sum, total);
#pragma unroll
  for (int k = 0; k < kScanItems; ++k) {
    if (begin + k < count) values[begin + k] = before;
    before += own[k];
  }
}

}  // namespace mtl
