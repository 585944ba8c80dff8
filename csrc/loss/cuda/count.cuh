// Before the loss: which pixels count, and where the instances are; all tasks in one launch.
// Integer sums by atomics (exact in any order), sums of class weights by block (a fixed order).
//
// Memory: each target is read once, in runs of eight pixels where the whole batch is one aligned
// run.
#pragma once

#include "common/cuda/reduce.cuh"
#include "loss/cuda/instances.cuh"
#include "loss/cuda/l1_target.cuh"
#include "loss/cuda/run.cuh"
#include "loss/cuda/task.h"

namespace mtl {

__device__ __forceinline__ void add_counts(TaskState* state, unsigned valid, unsigned bad) {
  const unsigned all_valid = block_sum<kThreads>(valid);
  const unsigned all_bad = block_sum<kThreads>(bad);
  if (threadIdx.x != 0) return;
  if (all_valid) atomicAdd(&state->valid, static_cast<unsigned long long>(all_valid));
  if (all_bad) atomicAdd(&state->bad, static_cast<unsigned long long>(all_bad));
}

// Calls run(first) for the runs and pixel(b, y, x) for the pixels that this thread counts.
template <class Run, class Pixel>
__device__ __forceinline__ void for_each_pixel(const CudaTask& task, const Run& run,
                                               const Pixel& pixel) {
  const int64_t height = task.target.height(), width = task.target.width();
  const int64_t rows = task.target.batch() * height;
  if (task.target_in_runs) {
    const int64_t first = int64_t{blockIdx.x} * kThreads + threadIdx.x;
    const int64_t step = int64_t{task.count_blocks} * kThreads;
    const int64_t runs = rows * width / kCountRun;
    for (int64_t i = first; i < runs; i += step) run(i * kCountRun);
    for (int64_t p = runs * kCountRun + first; p < rows * width; p += step) pixel(0, 0, p);
    return;
  }
  for (int64_t r = blockIdx.x; r < rows; r += task.count_blocks) {
    for (int64_t x = threadIdx.x; x < width; x += kThreads) pixel(r / height, r % height, x);
  }
}

// Writes state.valid, state.bad and, with class weights, label_weights.
__device__ __forceinline__ void count_labels(const CudaTask& task) {
  const int64_t classes = task.prediction.channels();
  unsigned valid = 0, bad = 0;
  double weights = 0.0;
  const auto add = [&](int64_t label) {
    const bool known = label >= 0 && label < classes;
    if (label == task.ignore_index) return;
    valid += 1;
    bad += !known;
    if (task.class_weights && known) weights += task.class_weights[label];
  };
  for_each_pixel(
      task,
      [&](int64_t first) {
        load_labels<kCountRun>(task.target, first, [&](int, int64_t label) { add(label); });
      },
      [&](int64_t b, int64_t y, int64_t x) {
        add(load_label(task.target, task.target.offset(b, y, x)));
      });
  add_counts(task.state, valid, bad);
  if (task.label_weights) {
    const double total = block_sum<kThreads>(weights);
    if (threadIdx.x == 0) task.label_weights[blockIdx.x] = total;
  }
}

// Of a run of pixels, those whose value in one channel at `offset` is a number; pixel i at bit i.
template <int Count>
__device__ __forceinline__ unsigned numbers_of(const TensorView& values, int64_t offset) {
  unsigned numbers = 0;
  load_values<Count>(values, offset, [&](int i, float value) {
    numbers |= static_cast<unsigned>(value == value) << i;
  });
  return numbers;
}

// Those that the mask keeps: all without one.
template <int Count>
__device__ __forceinline__ unsigned kept_of(const TensorView& mask, int64_t offset) {
  if (!mask.data) return (1u << Count) - 1;
  unsigned kept = 0;
  load_run<uint8_t, Count>(
      mask, offset, [&](int i, int64_t keep) { kept |= static_cast<unsigned>(keep != 0) << i; });
  return kept;
}

// Writes state.valid.
__device__ __forceinline__ void count_values(const CudaTask& task) {
  unsigned valid = 0;
  for_each_pixel(
      task,
      [&](int64_t first) {
        valid += static_cast<unsigned>(__popc(numbers_of<kCountRun>(task.target, first) &
                                              kept_of<kCountRun>(task.mask, first)));
      },
      [&](int64_t b, int64_t y, int64_t x) { valid += is_valid<float>(task, b, y, x); });
  add_counts(task.state, valid, 0u);
}

// Writes state.valid, state.bad, state.largest_id and the instances' rows (zeroed before).
__device__ __forceinline__ void count_instances(const CudaTask& task) {
  unsigned valid = 0, bad = 0;
  unsigned largest = 0;
  const auto known = [&](int64_t id) {
    const bool is_known = id >= 0 && id <= kMaxInstanceId;
    bad += !is_known;
    valid += is_known && id > 0;
    if (is_known && id > largest) largest = static_cast<unsigned>(id);
    return is_known ? static_cast<int>(id) : 0;
  };
  if (task.target_in_runs) {
    sum_runs(task, known);
  } else {
    sum_rows(task, known);
  }
  add_counts(task.state, valid, bad);
  largest = warp_max(largest);
  if (threadIdx.x % kWarp == 0 && largest > 0) atomicMax(&task.state->largest_id, largest);
}

// Grid: (the most count_blocks of a task, tasks).
__global__ void __launch_bounds__(kThreads, 3)
    count_targets(const __grid_constant__ TaskGroup group) {
  const CudaTask& task = group.task[blockIdx.y];
  if (static_cast<int>(blockIdx.x) >= task.count_blocks) return;
  switch (task.kind) {
    case TaskKind::kCrossEntropy:
      return count_labels(task);
    case TaskKind::kL1:
      return count_values(task);
    default:
      return count_instances(task);
  }
}

}  // namespace mtl
