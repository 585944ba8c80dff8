// One pass of a stable radix sort of 64-bit keys and 32-bit indices: eight bits. Tiles count their
// digits; scanned digit by digit, the counts say where each tile's keys of a digit go (scan.cuh).
#pragma once

#include "cluster/cuda/scan.cuh"

namespace mtl {

constexpr int kDigits = 256, kSortRounds = 8;
constexpr int kSortTile = kSortRounds * kClusterThreads;
static_assert(kDigits == kClusterThreads, "a thread per digit");

struct Keyed {
  uint64_t* keys;
  int32_t* indices;
};

struct SortPass {
  Keyed from, to;
  uint32_t* counts;  // [kDigits, tiles]
  int64_t count, tiles;
  int shift;
};

__device__ __forceinline__ int digit_of(const SortPass& pass, int64_t i) {
  return static_cast<int>(pass.from.keys[i] >> pass.shift & (kDigits - 1));
}

// Warps take consecutive parts of a tile, in rounds of a key per lane.
__device__ __forceinline__ int64_t first_of_lane() {
  const int64_t warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  return int64_t{blockIdx.x} * kSortTile + warp * (kSortRounds * kWarp) + lane;
}

// A block per tile.
__global__ void __launch_bounds__(kClusterThreads)
    count_digits(const __grid_constant__ SortPass pass) {
  MTL_SHARED(uint32_t, counts, kDigits);
  counts[threadIdx.x] = 0;
  __syncthreads();
  for (int round = 0; round < kSortRounds; ++round) {
    const int64_t i = first_of_lane() + round * kWarp;
    if (i < pass.count) atomicAdd(&counts[digit_of(pass, i)], 1u);
  }
  __syncthreads();
  pass.counts[threadIdx.x * pass.tiles + blockIdx.x] = counts[threadIdx.x];
}

// Calls visit(i, digit, lanes before with the digit, lanes with the digit) round by round; lanes
// past the end have the digit kDigits. Visits of a warp are a round apart.
template <class Visit>
__device__ __forceinline__ void for_rounds(const SortPass& pass, const Visit& visit) {
  const unsigned lanes_before = (1u << threadIdx.x % kWarp) - 1;
  for (int round = 0; round < kSortRounds; ++round) {
    const int64_t i = first_of_lane() + round * kWarp;
    const int digit = i < pass.count ? digit_of(pass, i) : kDigits;
    const unsigned same = __match_any_sync(kAllLanes, digit);
    visit(i, digit, static_cast<uint32_t>(__popc(same & lanes_before)),
          static_cast<uint32_t>(__popc(same)));
    __syncwarp();
  }
}

// A block per tile; `counts` are scanned.
__global__ void __launch_bounds__(kClusterThreads)
    move_keys(const __grid_constant__ SortPass pass) {
  constexpr int kWarps = kClusterThreads / kWarp;
  MTL_SHARED(uint32_t, next, kWarps* kDigits);  // where a warp's next key of a digit goes
  for (int w = 0; w < kWarps; ++w) next[w * kDigits + threadIdx.x] = 0;
  __syncthreads();
  uint32_t* own = next + threadIdx.x / kWarp * kDigits;
  for_rounds(pass, [&](int64_t, int digit, uint32_t before, uint32_t same) {
    if (digit < kDigits && before == 0) own[digit] += same;
  });
  __syncthreads();
  uint32_t begin = pass.counts[threadIdx.x * pass.tiles + blockIdx.x];
  for (int w = 0; w < kWarps; ++w) {
    const uint32_t count = next[w * kDigits + threadIdx.x];
    next[w * kDigits + threadIdx.x] = begin;
    begin += count;
  }
  __syncthreads();
  for_rounds(pass, [&](int64_t i, int digit, uint32_t before, uint32_t same) {
    const uint32_t place = digit < kDigits ? own[digit] + before : 0;
    __syncwarp();  // all have read before one writes
    if (digit == kDigits) return;
    if (before == 0) own[digit] += same;
    pass.to.keys[place] = pass.from.keys[i];
    pass.to.indices[place] = pass.from.indices[i];
  });
}

}  // namespace mtl
