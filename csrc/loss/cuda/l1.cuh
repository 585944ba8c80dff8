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

namespace mtl {

// Target of a values task at one pixel: memory.
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

// A centroid, as two floats per coordinate, minus a pixel, in channel c. (Double arithmetic would
// be exact too, but is slow on most devices.)
template <class Acc>
__device__ __forceinline__ Acc offset_to(float4 centroid, Acc x, Acc y, int64_t c) {
  return c == 0 ? (static_cast<Acc>(centroid.x) - x) + static_cast<Acc>(centroid.y)
                : (static_cast<Acc>(centroid.z) - y) + static_cast<Acc>(centroid.w);
}

__device__ __forceinline__ bool is_instance(int64_t id) {
  return id > 0 && id <= kMaxInstanceId;
}

// Target of an instance task at one pixel.
template <class Acc>
struct OffsetTarget {
  __device__ __forceinline__ OffsetTarget(const CudaTask& task, int64_t b, int64_t y, int64_t x)
      : x(static_cast<Acc>(x)), y(static_cast<Acc>(y)) {
    const int64_t id = load_label(task.target, task.target.offset(b, y, x));
    valid = is_instance(id);
    if (valid) centroid = task.centroids[b * kInstanceRows + id];
  }
  __device__ __forceinline__ Acc operator()(int64_t c) const {
    return offset_to(centroid, x, y, c);
  }
  Acc x, y;
  float4 centroid;
  bool valid;
};

template <class Acc>
__device__ __forceinline__ Acc sign_of(Acc value) {
  return value > Acc(0) ? Acc(1) : (value < Acc(0) ? Acc(-1) : Acc(0));
}

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
