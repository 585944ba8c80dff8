// One task of the loss as the kernels see it, and what they find out about it on the way.
#pragma once

#include <cstdint>

#include "common/cuda/launch.h"
#include "loss/instances.h"
#include "loss/loss.h"

namespace mtl {

// Counters and coefficients of a task, in device memory: the host never waits for them. Zeroed
// before the first kernel.
struct TaskState {
  unsigned long long valid;  // pixels that count
  unsigned long long bad;    // labels or ids that the task does not have
  unsigned largest_id;       // of the instances of all images
  double normaliser;         // N
  double log_variance;       // s, clamped
  double weight;             // d total / d loss
  double gradient_scale;     // LossTerm::gradient_scale
  double gradient_factor;    // gradient = gradient_factor * d(pixel loss)/d(prediction)
  double logit_scale;        // alpha: the logits count as alpha * f
};

// The table of instances has this many rows per image.
constexpr int64_t kInstanceRows = kMaxInstanceId + 1;

struct InstanceRow {
  unsigned long long count, x, y;  // sums over the pixels of one instance
};

// Sums of one block: of the pixel losses, and of their derivatives in s = -log(alpha).
struct BlockSums {
  double loss, log_variance;
};

// Passed to kernels by value.
struct CudaTask {
  TaskKind kind;
  Likelihood likelihood;
  TensorView prediction;        // [B,C,h,w]
  TensorView target;            // [B,1,H,W] labels, or [B,C,H,W] values
  TensorView mask;              // [B,1,H,W] bool, or absent
  TensorView gradient;          // as the prediction, or absent
  bool align_corners;           // of the interpolation where the prediction is not H x W
  const double* class_weights;  // [C] on the device, or null: all 1
  int64_t ignore_index;
  double label_smoothing;
  double fixed_weight;
  const void* log_variance;  // s of this task on the device, or null: fixed weight
  bool log_variance_is_double;
  TaskState* state;
  double* label_weights;   // [count_blocks] sums of class weights by block, or null: all 1
  InstanceRow* instances;  // [B][kInstanceRows], or null
  float4* centroids;       // the same rows: (x, its rest, y, its rest), each sum a double's 48 bits
  void* regions;           // of low-resolution predictions' gradients (upsampled/grid.h), or null
  BlockSums* sums;         // [blocks]
  int count_blocks;        // of the counting kernel, and
  int blocks;              // of the main kernel: functions of the shape alone
  bool target_in_runs;     // whether the counting kernel reads target and mask in runs
};

// Tasks that the small kernels take together, one per row of the grid: a launch costs more than
// their work.
constexpr int kGroup = 6;
struct TaskGroup {
  CudaTask task[kGroup];
};
static_assert(sizeof(TaskGroup) <= 4096 - 128, "drivers before 530 pass 4 KiB to a kernel");

constexpr int kThreads = 256;
constexpr int kFinishThreads = 512;
constexpr int kCountRun = 8;         // pixels that a counting thread reads at once
constexpr int kVectorThreads = 128;  // of cross_entropy_vector, which has few but large threads
constexpr int kMaxCountBlocks = 512;
constexpr int kMaxMainBlocks = 4096;

}  // namespace mtl
