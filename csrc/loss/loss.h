// The multi-task loss: what goes in and what comes out, for every backend.
//
// Per task i a raw loss L_i = (sum over valid pixels of the pixel loss) / N_i, and
//   total = sum_i term_i,   term_i = weight(s_i) * L_i + s_i / 2   (likelihood.h),
// where N_i counts the valid pixels of the whole batch (with class weights: sums the weights of
// their labels). A task with N_i = 0 adds nothing, neither to the total nor to a gradient.
#pragma once

#include <cstdint>
#include <vector>

#include "common/tensor_view.h"

namespace mtl {

enum class TaskKind : int32_t { kCrossEntropy = 0, kL1 = 1, kInstanceOffset = 2 };

enum class Likelihood : int32_t {
  kFixed = 0,
  kSoftmax = 1,
  kScaledSoftmax = 2,
  kGaussian = 3,
  kLaplace = 4,
};

// Pointers are to the memory of the backend that runs.
struct LossTask {
  TaskKind kind;
  Likelihood likelihood;
  TensorView prediction;  // [B,C,h,w] float32, float16, bfloat16 or float64; interpolated to HxW
  TensorView target;      // classes or ids [B,1,H,W] of uint8 ... int64; values [B,C,H,W] floating
  TensorView mask;        // [B,1,H,W] bool, or absent
  TensorView gradient;    // [B,C,h,w] of the prediction's type, or absent: not wanted
  const double* class_weights = nullptr;  // [C], or null: all 1
  int64_t ignore_index = 255;
  double label_smoothing = 0.0;
  const void* log_variance = nullptr;   // s of the task, clamped on use; null where fixed
  bool log_variance_is_double = false;  // else float
  double fixed_weight = 1.0;            // the weight, where the likelihood is kFixed
  bool align_corners = false;           // of the interpolation of the prediction (bilinear.h)
};

// Whether the predictions of a task (of either backend) are to be interpolated.
template <class Task>
bool is_upsampled(const Task& task) {
  return task.prediction.height() != task.target.height() ||
         task.prediction.width() != task.target.width();
}

// Where the results go: memory of the backend that runs, T = number of tasks.
struct LossOutputs {
  void* total;   // [] float, or double if `in_double`
  void* losses;  // [T] of the same type: L
  bool in_double;
  double* weights;                // [T] d total / d L
  int64_t* valid;                 // [T] number of valid pixels
  double* log_variance_gradient;  // [T] d total / d s
  // [T] The stored gradient is gradient_scale * dL/d(prediction). It is the weight, so that a
  // backward pass from the total with gradient 1 has nothing left to do; 1 where the weight is 0;
  // and for float16 the weight times a power of two near N, so that small gradients survive the
  // rounding.
  double* gradient_scales;
};

// CPU. All tasks together; writes the gradients that are asked for. Bitwise the same for every
// number of threads. Throws BadLabel before anything is written.
void multi_task_loss_cpu(const std::vector<LossTask>& tasks, const LossOutputs& outputs,
                         int threads);

}  // namespace mtl
