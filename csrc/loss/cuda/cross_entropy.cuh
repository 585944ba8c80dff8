// What the cross-entropy kernels share: the numbers of one pixel.
//
// With z = alpha f (alpha = 1 but for the scaled softmax), p = softmax(z), class weights w and
// smoothing e, the target distribution is q_c = (1-e) w_y [c = y] + e/C w_c, its mass W = sum q:
//   loss        = W log(sum exp z) - sum_c q_c z_c
//   d loss/df_c = alpha (W p_c - q_c)
//   d loss/ds   = sum_c q_c z_c - W sum_c p_c z_c             (alpha = e^-s, d alpha/ds = -alpha)
// All z are taken relative to the pixel's largest, which changes none of the three. The kernels
// differ in where the logits wait meanwhile:
//   cross_entropy_vector    registers; NCHW, up to 32 classes, 16 bytes of pixels per thread
//   cross_entropy_staged    shared memory; channels_last, up to 32 classes, a pixel per thread
//   cross_entropy_general   memory, read three times; any strides, any number of classes
// The first two read each logit once and write each gradient once. No float atomics: a block
// writes its sum to a place of its own, and the grid depends on the shape alone.
#pragma once

#include <cmath>

#include "common/cuda/element.cuh"
#include "common/cuda/reduce.cuh"
#include "loss/cuda/task.h"

namespace mtl {

// Coefficients of the task, read once per thread.
template <class Acc>
struct CrossEntropyRule {
  __device__ __forceinline__ explicit CrossEntropyRule(const CudaTask& task)
      : class_weights(task.class_weights),
        alpha(static_cast<Acc>(task.state->logit_scale)),
        factor(static_cast<Acc>(task.state->gradient_factor * task.state->logit_scale)),
        kept(static_cast<Acc>(1.0 - task.label_smoothing)),
        smoothing(static_cast<Acc>(task.label_smoothing /
                                   static_cast<double>(task.prediction.channels()))),
        scaled(task.likelihood == Likelihood::kScaledSoftmax) {}

  __device__ __forceinline__ Acc class_weight(int c) const {
    return class_weights ? static_cast<Acc>(class_weights[c]) : Acc(1);
  }

  const double* class_weights;
  Acc alpha, factor, kept, smoothing;
  bool scaled;
};

// Sums over the classes of one pixel; z relative to the largest.
template <class Acc>
struct PixelSums {
  Acc exponentials = 0;  // sum exp z
  Acc label_z = 0;       // z_y
  Acc smooth_z = 0;      // e/C sum w_c z_c
  Acc smooth_mass = 0;   // e/C sum w_c
  Acc mean_z = 0;        // sum exp(z) z

  // `Extra`: whether smoothing or the derivative in s is wanted.
  template <bool Extra>
  __device__ __forceinline__ void add(const CrossEntropyRule<Acc>& rule, int c, Acc z,
                                      bool is_label) {
    const Acc e = std::exp(z);
    exponentials += e;
    if (is_label) label_z = z;
    if (Extra) {
      const Acc share = rule.smoothing * rule.class_weight(c);
      if (share > Acc(0)) smooth_z += share * z;
      smooth_mass += share;
      if (rule.scaled) mean_z += e * z;
    }
  }
};

// What follows from the sums: the pixel's loss, and the gradient of class c from exp(z_c).
template <class Acc>
struct PixelGradient {
  template <bool Extra>
  __device__ __forceinline__ void set(const CrossEntropyRule<Acc>& rule, const PixelSums<Acc>& sums,
                                      int label, Acc* loss, Acc* slope) {
    const bool valid = label >= 0;
    const Acc weight = valid ? rule.kept * rule.class_weight(label) : Acc(0);
    const Acc mass = weight + sums.smooth_mass;
    if (valid) {
      const Acc target_z = weight * sums.label_z + sums.smooth_z;
      *loss += mass * std::log(sums.exponentials) - target_z;
      if (Extra && rule.scaled) *slope += target_z - mass * sums.mean_z / sums.exponentials;
    }
    share = rule.factor * mass / sums.exponentials;
    at_label = rule.factor * weight;
    inside = valid;
  }

  // gradient_factor * alpha (W p_c - q_c); meaningless unless `inside`.
  template <bool Extra>
  __device__ __forceinline__ Acc formula(const CrossEntropyRule<Acc>& rule, int c, Acc z,
                                         bool is_label) const {
    Acc g = std::exp(z) * share;
    if (Extra) g -= rule.factor * rule.smoothing * rule.class_weight(c);
    return is_label ? g - at_label : g;
  }

  // The gradient: zero where the pixel does not count, whatever the logits are.
  template <bool Extra>
  __device__ __forceinline__ Acc of(const CrossEntropyRule<Acc>& rule, int c, Acc z,
                                    bool is_label) const {
    return inside ? formula<Extra>(rule, c, z, is_label) : Acc(0);
  }

  Acc share, at_label;
  bool inside;
};

// Block sums of the thread's losses, to the block's place. Every thread of the block calls it.
template <int Threads>
__device__ __forceinline__ void write_sums(const CudaTask& task, double loss, double slope) {
  loss = block_sum<Threads>(loss);
  slope = block_sum<Threads>(slope);
  if (threadIdx.x == 0) task.sums[blockIdx.y * gridDim.x + blockIdx.x] = {loss, slope};
}

}  // namespace mtl
