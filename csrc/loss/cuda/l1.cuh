// L1 over values, and over the vectors to instance centroids.
//
//   loss             = sum_c |prediction_c - target_c|
//   d loss/d pred_c  = sign(prediction_c - target_c), 0 where they are equal or one is NaN
// over valid pixels; for offsets the target is centroid - pixel, made here from the ids. Two
// kernels:
//   l1_vector    NCHW in aligned runs; 16 bytes of pixels per thread (l1_vector.cuh)
//   l1_general   any strides, float64 included; a pixel per thread
// Memory: predictions, targets and ids once, gradients once. No float atomics.
#pragma once

#include "loss/cuda/count.cuh"
#include "loss/cuda/cross_entropy.cuh"
#include "loss/cuda/l1_target.cuh"

namespace mtl {

// The loss of pixel p of image b; writes its gradient, `factor` times the derivative.
template <class T, template <class> class Target, bool Gradient, class Acc>
__device__ __forceinline__ double l1_pixel(const CudaTask& task, Acc factor, int64_t b, int64_t p) {
  const int64_t y = p / task.prediction.width(), x = p % task.prediction.width();
  const Target<Acc> target(task, b, y, x);
  const T* f = static_cast<const T*>(task.prediction.data) + task.prediction.offset(b, y, x);
  double loss = 0.0;
  for (int64_t c = 0; c < task.prediction.channels(); ++c) {
    Acc slope = 0;
    if (target.valid) {
      const Acc d = to_acc(f[c * task.prediction.strides[1]]) - target(c);
      loss += static_cast<double>(d < Acc(0) ? -d : d);
      slope = factor * sign_of(d);
    }
    if (Gradient) {
      store(static_cast<T*>(task.gradient.data) + task.gradient.offset(b, y, x) +
                c * task.gradient.strides[1],
            slope);
    }
  }
  return loss;
}

// Grid: (blocks of pixels, images), both strided over.
template <class T, template <class> class Target, bool Gradient>
__global__ void __launch_bounds__(kThreads, 4) l1_general(CudaTask task) {
  using Acc = decltype(to_acc(T()));
  const Acc factor = static_cast<Acc>(task.state->gradient_factor);
  const int64_t pixels = task.prediction.pixels();
  double loss = 0.0;
  for (int64_t b = blockIdx.y; b < task.prediction.batch(); b += gridDim.y) {
    for (int64_t p = int64_t{blockIdx.x} * kThreads + threadIdx.x; p < pixels;
         p += int64_t{gridDim.x} * kThreads) {
      loss += l1_pixel<T, Target, Gradient>(task, factor, b, p);
    }
  }
  write_sums<kThreads>(task, loss, 0.0);
}

}  // namespace mtl
