// Before the loss: which pixels count, and where the instances are. Integer sums by atomics (exact
// in any order), sums of class weights by block (a fixed order).
//
// Memory: each target is read once.
#pragma once

#include "loss/cuda/element.cuh"
#include "loss/cuda/reduce.cuh"
#include "loss/cuda/task.h"
#include "loss/instances.h"

namespace mtl {

// A block takes rows of the grid, its threads the pixels of a row.
struct Row {
  int64_t image, y;
};

__device__ __forceinline__ Row row_at(const TensorView& grid, int64_t row) {
  return {row / grid.height(), row % grid.height()};
}

__device__ __forceinline__ void add_counts(TaskState* state, unsigned valid, unsigned bad) {
  const unsigned all_valid = block_sum<kThreads>(valid);
  const unsigned all_bad = block_sum<kThreads>(bad);
  if (threadIdx.x != 0) return;
  if (all_valid) atomicAdd(&state->valid, static_cast<unsigned long long>(all_valid));
  if (all_bad) atomicAdd(&state->bad, static_cast<unsigned long long>(all_bad));
}

// Grid: task.count_blocks. Writes state.valid, state.bad and, with class weights, label_weights.
__global__ void __launch_bounds__(kThreads, 4) count_labels(CudaTask task) {
  const int64_t classes = task.prediction.channels(), width = task.target.width();
  const int64_t rows = task.target.batch() * task.target.height();
  unsigned valid = 0, bad = 0;
  double weights = 0.0;
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    const Row row = row_at(task.target, r);
    for (int64_t x = threadIdx.x; x < width; x += kThreads) {
      const int64_t label = load_label(task.target, task.target.offset(row.image, row.y, x));
      if (label == task.ignore_index) continue;
      const bool known = label >= 0 && label < classes;
      valid += 1;
      bad += !known;
      if (task.class_weights && known) weights += task.class_weights[label];
    }
  }
  add_counts(task.state, valid, bad);
  if (task.label_weights) {
    const double total = block_sum<kThreads>(weights);
    if (threadIdx.x == 0) task.label_weights[blockIdx.x] = total;
  }
}

template <class Acc>
__device__ __forceinline__ bool is_valid(const CudaTask& task, int64_t image, int64_t y,
                                         int64_t x) {
  if (task.mask.data && !static_cast<const bool*>(task.mask.data)[task.mask.offset(image, y, x)]) {
    return false;
  }
  const int64_t start = task.target.offset(image, y, x);
  for (int64_t c = 0; c < task.target.channels(); ++c) {
    const Acc value = load_value<Acc>(task.target, start + c * task.target.strides[1]);
    if (value != value) return false;
  }
  return true;
}

// Grid: task.count_blocks. Writes state.valid.
__global__ void __launch_bounds__(kThreads) count_values(CudaTask task) {
  const int64_t width = task.target.width();
  const int64_t rows = task.target.batch() * task.target.height();
  unsigned valid = 0;
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    const Row row = row_at(task.target, r);
    for (int64_t x = threadIdx.x; x < width; x += kThreads) {
      valid += is_valid<float>(task, row.image, row.y, x);
    }
  }
  add_counts(task.state, valid, 0u);
}

// Neighbours share ids: the lanes of one id are summed first, then added by one of them.
__device__ __forceinline__ void add_lanes(InstanceRow* rows, int id, unsigned x, unsigned y) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  unsigned waiting = __ballot_sync(kAllLanes, id > 0);
  while (waiting) {
    const int leader = __ffs(static_cast<int>(waiting)) - 1;
    const int wanted = __shfl_sync(kAllLanes, id, leader);
    const unsigned peers = __ballot_sync(kAllLanes, id == wanted);
    // At most 32 coordinates below 2^31: the sum needs 64 bits.
    const unsigned long long sum_x =
        warp_sum(id == wanted ? static_cast<unsigned long long>(x) : 0ull);
    if (lane == 0) {
      const unsigned long long count = static_cast<unsigned long long>(__popc(peers));
      atomicAdd(&rows[wanted].count, count);
      atomicAdd(&rows[wanted].x, sum_x);
      atomicAdd(&rows[wanted].y, count * y);
    }
    waiting &= ~peers;
  }
}

// Grid: task.count_blocks. Writes state.valid, state.bad, state.largest_id and the instances' rows
// (zeroed before).
__global__ void __launch_bounds__(kThreads) sum_instances_kernel(CudaTask task) {
  const int64_t width = task.target.width();
  const int64_t rows = task.target.batch() * task.target.height();
  unsigned valid = 0, bad = 0, largest = 0;
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    const Row row = row_at(task.target, r);
    InstanceRow* instances = task.instances + row.image * (kMaxInstanceId + 1);
    for (int64_t begin = 0; begin < width; begin += kThreads) {  // whole warps stay together
      const int64_t x = begin + threadIdx.x;
      int64_t id = 0;
      if (x < width) id = load_label(task.target, task.target.offset(row.image, row.y, x));
      const bool known = id >= 0 && id <= kMaxInstanceId;
      bad += !known;
      valid += known && id > 0;
      if (known && id > largest) largest = static_cast<unsigned>(id);
      add_lanes(instances, known ? static_cast<int>(id) : 0, static_cast<unsigned>(x),
                static_cast<unsigned>(row.y));
    }
  }
  add_counts(task.state, valid, bad);
  largest = warp_max(largest);
  if (threadIdx.x % kWarp == 0 && largest > 0) atomicMax(&task.state->largest_id, largest);
}

__device__ __forceinline__ float2 split(double value) {
  const float high = static_cast<float>(value);
  return make_float2(high, static_cast<float>(value - static_cast<double>(high)));
}

// Grid: (blocks of ids, images), both strided over. centroid = sum / count; the rows of absent ids
// are left alone, and those beyond the largest id are not looked at.
__global__ void __launch_bounds__(kThreads) divide_instances(CudaTask task) {
  const int64_t largest = task.state->largest_id;
  for (int64_t b = blockIdx.y; b < task.target.batch(); b += gridDim.y) {
    for (int64_t id = int64_t{blockIdx.x} * kThreads + threadIdx.x; id <= largest;
         id += int64_t{gridDim.x} * kThreads) {
      const int64_t i = b * (kMaxInstanceId + 1) + id;
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
  const InstanceRow row = rows[i / instances * (kMaxInstanceId + 1) + i % instances + 1];
  const double count = static_cast<double>(row.count);
  counts[i] = static_cast<int64_t>(row.count);
  centroids[2 * i] = static_cast<float>(static_cast<double>(row.x) / count);
  centroids[2 * i + 1] = static_cast<float>(static_cast<double>(row.y) / count);
}

}  // namespace mtl
