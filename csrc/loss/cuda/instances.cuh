// Coordinate sums of instances, and the centroids that follow. Integer atomics: exact in any order.
//
// Neighbours share ids: the lanes of a warp that hold one id are summed first, then added by one of
// them.
#pragma once

#include "common/cuda/reduce.cuh"
#include "loss/cuda/run.cuh"
#include "loss/cuda/task.h"
#include "loss/instances.h"

namespace mtl {

constexpr int kIdBlocks = 4;  // per image; more than 1024 ids take further turns
constexpr int64_t kNoRow = -1;

// Adds what each lane holds, the sums over some pixels of one instance, to the instance's row of
// the table. All lanes of a warp call it; those without an instance say kNoRow.
__device__ __forceinline__ void add_lanes(InstanceRow* table, int64_t row, unsigned count,
                                          unsigned long long x, unsigned long long y) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  unsigned waiting = __ballot_sync(kAllLanes, row != kNoRow);
  while (waiting) {
    const int leader = __ffs(static_cast<int>(waiting)) - 1;
    const int64_t wanted = __shfl_sync(kAllLanes, row, leader);
    const bool mine = row == wanted;
    const unsigned all_count = warp_sum(mine ? count : 0u);
    const unsigned long long all_x = warp_sum(mine ? x : 0ull), all_y = warp_sum(mine ? y : 0ull);
    if (lane == 0) {
      atomicAdd(&table[wanted].count, static_cast<unsigned long long>(all_count));
      atomicAdd(&table[wanted].x, all_x);
      atomicAdd(&table[wanted].y, all_y);
    }
    waiting &= ~__ballot_sync(kAllLanes, mine);
  }
}

// Ids of any strides: a block takes rows of the grid, its threads the pixels of a row. known(id) is
// called once per pixel: it returns the id, or 0 for one that is refused.
template <class Known>
__device__ __forceinline__ void sum_rows(const CudaTask& task, const Known& known) {
  const int64_t height = task.target.height(), width = task.target.width();
  for (int64_t r = blockIdx.x; r < task.target.batch() * height; r += task.count_blocks) {
    const int64_t b = r / height, y = r % height;
    for (int64_t begin = 0; begin < width; begin += kThreads) {  // whole warps stay together
      const int64_t x = begin + threadIdx.x;
      const int id = x < width ? known(load_label(task.target, task.target.offset(b, y, x))) : 0;
      add_lanes(task.instances, id > 0 ? b * kInstanceRows + id : kNoRow, 1u,
                static_cast<unsigned long long>(x), static_cast<unsigned long long>(y));
    }
  }
}

// Ids of a batch that is one aligned run: a thread takes kCountRun of them.
template <class Known>
__device__ __forceinline__ void sum_runs(const CudaTask& task, const Known& known) {
  const int64_t height = task.target.height(), width = task.target.width();
  const int64_t pixels = task.target.batch() * height * width;
  const int64_t step = int64_t{task.count_blocks} * kThreads * kCountRun;
  for (int64_t begin = int64_t{blockIdx.x} * kThreads * kCountRun; begin < pixels; begin += step) {
    const int64_t first = begin + int64_t{threadIdx.x} * kCountRun;
    int id[kCountRun] = {};
    if (first + kCountRun <= pixels) {
      load_labels<kCountRun>(task.target, first, [&](int i, int64_t v) { id[i] = known(v); });
    } else {
#pragma unroll
      for (int i = 0; i < kCountRun; ++i) {
        if (first + i < pixels) id[i] = known(load_label(task.target, first + i));
      }
    }
    int64_t b = first / width / height, y = first / width % height, x = first % width;
    bool alike = x + kCountRun <= width;
#pragma unroll
    for (int i = 1; i < kCountRun; ++i) alike = alike && id[i] == id[0];
    if (__all_sync(kAllLanes, alike)) {
      constexpr int kSteps = kCountRun * (kCountRun - 1) / 2;  // 0 + 1 + ... + (kCountRun - 1)
      add_lanes(task.instances, id[0] > 0 ? b * kInstanceRows + id[0] : kNoRow, kCountRun,
                static_cast<unsigned long long>(x * kCountRun + kSteps),
                static_cast<unsigned long long>(y * kCountRun));
      continue;
    }
#pragma unroll
    for (int i = 0; i < kCountRun; ++i) {
      add_lanes(task.instances, id[i] > 0 ? b * kInstanceRows + id[i] : kNoRow, 1u,
                static_cast<unsigned long long>(x), static_cast<unsigned long long>(y));
      if (++x < width) continue;
      x = 0;
      if (++y < height) continue;
      y = 0;
      ++b;
    }
  }
}

__device__ __forceinline__ float2 split(double value) {
  const float high = static_cast<float>(value);
  return make_float2(high, static_cast<float>(value - static_cast<double>(high)));
}

// centroid = sum / count; the rows of absent ids are left alone, and those beyond the largest id
// are not looked at. Called by block `block` of `blocks`, kIdBlocks per image, strided over.
__device__ __forceinline__ void divide_instances(const CudaTask& task, unsigned block,
                                                 unsigned blocks) {
  const int64_t largest = task.state->largest_id, part = block % kIdBlocks;
  for (int64_t b = block / kIdBlocks; b < task.target.batch(); b += blocks / kIdBlocks) {
    for (int64_t id = part * kThreads + threadIdx.x; id <= largest; id += kIdBlocks * kThreads) {
      const int64_t i = b * kInstanceRows + id;
      const InstanceRow row = task.instances[i];
      if (row.count == 0) continue;
      const double count = static_cast<double>(row.count);
      const float2 x = split(static_cast<double>(row.x) / count);
      const float2 y = split(static_cast<double>(row.y) / count);
      task.centroids[i] = make_float4(x.x, x.y, y.x, y.y);
    }
  }
}

// One thread per id of an image: centroids [B,K,2] as (x, y), NaN for absent ids; counts [B,K].
__global__ void __launch_bounds__(kThreads)
    write_centroids(const InstanceRow* rows, int64_t batch, int64_t instances, float* centroids,
                    int64_t* counts) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= batch * instances) return;
  const InstanceRow row = rows[i / instances * kInstanceRows + i % instances + 1];
  const double count = static_cast<double>(row.count);
  counts[i] = static_cast<int64_t>(row.count);
  centroids[2 * i] = static_cast<float>(static_cast<double>(row.x) / count);
  centroids[2 * i + 1] = static_cast<float>(static_cast<double>(row.y) / count);
}

}  // namespace mtl
