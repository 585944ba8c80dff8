// Targets of the L1 kernels at one pixel: values from memory, or the vector to a centroid.
#pragma once

#include "common/cuda/element.cuh"
#include "loss/cuda/task.h"

namespace mtl {

// Whether the mask keeps a pixel and all its values are numbers.
template <class Acc>
__device__ __forceinline__ bool is_valid(const CudaTask& task, int64_t b, int64_t y, int64_t x) {
  if (task.mask.data && !static_cast<const bool*>(task.mask.data)[task.mask.offset(b, y, x)]) {
    return false;
  }
  const int64_t start = task.target.offset(b, y, x);
  for (int64_t c = 0; c < task.target.channels(); ++c) {
    const Acc value = load_value<Acc>(task.target, start + c * task.target.strides[1]);
    if (value != value) return false;
  }
  return true;
}

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

}  // namespace mtl
