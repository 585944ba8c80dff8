// L1 over values, and over the vectors to instance centroids, any strides.
//
//   loss             = sum_c |prediction_c - target_c|
//   d loss/d pred_c  = sign(prediction_c - target_c), 0 where they are equal or one is NaN
// over valid pixels; for offsets the target is centroid - pixel, made here from the ids. A pixel
// per thread. Memory: predictions, targets and ids once, gradients once. No float atomics.
#pragma once

#include "loss/cuda/count.cuh"
#include "loss/cuda/cross_entropy.cuh"

namespace mtl {

// Target of a values task: memory.
template <class Acc>
struct ValueTarget {
  __device__ __forceinline__ ValueTarget(const CudaTask& task, int64_t b, int64_t y, int64_t x)
      : task(task), start(task.target.offset(b, y, x)), valid(is_valid<Acc>(task, b, y, x)) {}
  __device__ __forceinline__ Acc operator()(int64_t c) const {
    return load_value<Acc>(task.target, start + c * task.target.strides[1]);
  }
  const CudaTask& task;
  int64_t start;
  bool valid;
};

// Target of an instance task: the centroid, as two floats per coordinate, minus the pixel. (Double
// arithmetic would be exact too, but is slow on most devices.)
template <class Acc>
struct OffsetTarget {
  __device__ __forceinline__ OffsetTarget(const CudaTask& task, int64_t b, int64_t y, int64_t x)
      : x(static_cast<Acc>(x)), y(static_cast<Acc>(y)) {
    const int64_t id = load_label(task.target, task.target.offset(b, y, x));
    valid = id > 0 && id <= kMaxInstanceId;
    if (valid) centroid = task.centroids[b * (kMaxInstanceId + 1) + id];
  }
  __device__ __forceinline__ Acc operator()(int64_t c) const {
    return c == 0 ? (static_cast<Acc>(centroid.x) - x) + static_cast<Acc>(centroid.y)
                  : (static_cast<Acc>(centroid.z) - y) + static_cast<Acc>(centroid.w);
  }
  Acc x, y;
  float4 centroid;
  bool valid;
};

// Grid: (blocks of pixels, images), both strided over.
template <class T, template <class> class Target, bool Gradient>
__global__ void __launch_bounds__(kThreads, 4) l1_loss(CudaTask task) {
  using Acc = decltype(to_acc(T()));
  const Acc factor = static_cast<Acc>(task.state->gradient_factor);
  const int64_t pixels = task.prediction.pixels(), width = task.prediction.width();
  double loss = 0.0;
  for (int64_t b = blockIdx.y; b < task.prediction.batch(); b += gridDim.y) {
    for (int64_t p = int64_t{blockIdx.x} * kThreads + threadIdx.x; p < pixels;
         p += int64_t{gridDim.x} * kThreads) {
      const int64_t y = p / width, x = p % width;
      const Target<Acc> target(task, b, y, x);
      const T* f = static_cast<const T*>(task.prediction.data) + task.prediction.offset(b, y, x);
      for (int64_t c = 0; c < task.prediction.channels(); ++c) {
        Acc sign = 0;
        if (target.valid) {
          const Acc d = to_acc(f[c * task.prediction.strides[1]]) - target(c);
          loss += static_cast<double>(d < Acc(0) ? -d : d);
          sign = d > Acc(0) ? Acc(1) : (d < Acc(0) ? Acc(-1) : Acc(0));
        }
        if (Gradient) {
          store(static_cast<T*>(task.gradient.data) + task.gradient.offset(b, y, x) +
                    c * task.gradient.strides[1],
                factor * sign);
        }
      }
    }
  }
  write_sums<kThreads>(task, loss, 0.0);
}

}  // namespace mtl
