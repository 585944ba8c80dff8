// The most likely class of each pixel from logits of another resolution (argmax_upsampled.h), any
// strides and any number of classes.
//
// With z_c = f_c - max f and S = sum_c exp z_c:
//   probability = 1 / S        entropy = log S - (sum_c z_c exp z_c) / S
// A thread goes down a column of the results. Rows between the same two rows of the logits share
// two values per class, interpolated along the columns: up to 32 classes they wait in registers,
// more are made again for each row and pass. Memory: each logit a few times, from the caches; each
// result once. No sums between threads, so the results do not depend on the launch.
#pragma once

#include <cmath>

#include "argmax/argmax_upsampled.h"
#include "common/cuda/element.cuh"
#include "upsample/bilinear.h"

namespace mtl {

constexpr int kArgmaxColumns = 128;  // of a block: a column per thread
constexpr int kArgmaxRows = 8;       // of a block

// Passed to the kernel by value.
struct CudaArgmax {
  ArgmaxTask task;
  BilinearAxis rows, columns;
  // Blocks take rows kArgmaxRows g - lead and on, so that they start where a new pair of rows of
  // the logits does, if the ratio allows.
  int64_t lead, row_blocks, column_blocks;
};

// Where a row of the results lies between two rows of the logits.
template <class Acc>
struct RowPlace {
  int64_t low, high;
  Acc low_weight, high_weight;
};

// The logits of one column between two rows.
template <class T>
struct Corners {
  using Acc = decltype(to_acc(T()));
  const T *low, *high;                // the two rows, first class, first column
  int64_t left, right, class_stride;  // in elements
  Acc left_weight, right_weight;

  __device__ __forceinline__ Acc mixed(const T* row, int c) const {
    const T* f = row + c * class_stride;
    return left_weight * to_acc(f[left]) + right_weight * to_acc(f[right]);
  }
};

// Calls body(c) for every class; unrolled where at most MaxClasses are held in registers.
template <int MaxClasses, class Body>
__device__ __forceinline__ void for_each_class(int classes, const Body& body) {
  if constexpr (MaxClasses == 0) {
    for (int c = 0; c < classes; ++c) body(c);
  } else {
#pragma unroll
    for (int c = 0; c < MaxClasses; ++c) {
      if (c < classes) body(c);
    }
  }
}

// The logits of a column in registers, interpolated along the columns.
template <class T, int MaxClasses>
struct ColumnLogits {
  using Acc = typename Corners<T>::Acc;
  Acc low[MaxClasses], high[MaxClasses];

  __device__ __forceinline__ void read(const Corners<T>& corners, int classes) {
    for_each_class<MaxClasses>(classes, [&](int c) {
      low[c] = corners.mixed(corners.low, c);
      high[c] = corners.mixed(corners.high, c);
    });
  }
  __device__ __forceinline__ Acc at(const RowPlace<Acc>& row, int c) const {
    return row.low_weight * low[c] + row.high_weight * high[c];
  }
};

// The same, left in memory.
template <class T>
struct ColumnLogits<T, 0> {
  using Acc = typename Corners<T>::Acc;
  Corners<T> corners;

  __device__ __forceinline__ void read(const Corners<T>& given, int) { corners = given; }
  __device__ __forceinline__ Acc at(const RowPlace<Acc>& row, int c) const {
    return row.low_weight * corners.mixed(corners.low, c) +
           row.high_weight * corners.mixed(corners.high, c);
  }
};

__device__ __forceinline__ void store_class(const TensorView& view, int64_t offset, int value) {
  if (view.dtype == DType::kUInt8) {
    static_cast<uint8_t*>(view.data)[offset] = static_cast<uint8_t>(value);
  } else {
    static_cast<int64_t*>(view.data)[offset] = value;
  }
}

// One pixel of image b.
template <int MaxClasses, bool Softmax, class Logits, class Acc>
__device__ __forceinline__ void write_pixel(const ArgmaxTask& task, const Logits& logits,
                                            const RowPlace<Acc>& row, int64_t b, int64_t y,
                                            int64_t x) {
  const int classes = static_cast<int>(task.logits.channels());
  Acc largest = -static_cast<Acc>(INFINITY);
  int best = 0;
  bool nan = false;
  for_each_class<MaxClasses>(classes, [&](int c) {
    const Acc f = logits.at(row, c);
    nan |= f != f;
    if (f > largest) {
      largest = f;
      best = c;
    }
  });
  store_class(task.classes, task.classes.offset(b, y, x), nan ? -1 : best);
  if constexpr (Softmax) {
    Acc sum = 0, weighted = 0;
    for_each_class<MaxClasses>(classes, [&](int c) {
      const Acc z = logits.at(row, c) - largest;
      const Acc bounded = z < Acc(-1000) ? Acc(-1000) : z;  // 0 times infinity would be NaN
      const Acc e = std::exp(bounded);
      sum += e;
      weighted += e * bounded;
    });
    if (task.probability.data) {
      static_cast<Acc*>(task.probability.data)[task.probability.offset(b, y, x)] = Acc(1) / sum;
    }
    if (task.entropy.data) {
      static_cast<Acc*>(task.entropy.data)[task.entropy.offset(b, y, x)] =
          std::log(sum) - weighted / sum;
    }
  }
}

// Grid: blocks of columns, rows and images in turn, strided over.
template <class T, int MaxClasses, bool Softmax>
__global__ void __launch_bounds__(kArgmaxColumns) argmax_upsampled_kernel(CudaArgmax argmax) {
  using Acc = typename Corners<T>::Acc;
  MTL_SHARED(RowPlace<Acc>, places, kArgmaxRows);
  const ArgmaxTask& task = argmax.task;
  const TensorView& logits = task.logits;
  const int64_t per_image = argmax.column_blocks * argmax.row_blocks;
  for (int64_t i = blockIdx.x; i < per_image * logits.batch(); i += gridDim.x) {
    const int64_t b = i / per_image, first = i % per_image / argmax.column_blocks * kArgmaxRows;
    const int64_t begin = first < argmax.lead ? 0 : first - argmax.lead;
    const int64_t past = first - argmax.lead + kArgmaxRows;
    const int count = static_cast<int>((past < argmax.rows.out ? past : argmax.rows.out) - begin);
    __syncthreads();  // nobody reads the rows of the round before any more
    if (static_cast<int>(threadIdx.x) < count) {
      const BilinearSample at = argmax.rows.at(begin + threadIdx.x);
      places[threadIdx.x] = {at.low, at.high, static_cast<Acc>(at.low_weight),
                             static_cast<Acc>(at.high_weight)};
    }
    __syncthreads();
    const int64_t x = i % argmax.column_blocks * kArgmaxColumns + threadIdx.x;
    if (x >= argmax.columns.out) continue;
    const BilinearSample column = argmax.columns.at(x);
    Corners<T> corners;
    corners.left = column.low * logits.strides[3];
    corners.right = column.high * logits.strides[3];
    corners.class_stride = logits.strides[1];
    corners.left_weight = static_cast<Acc>(column.low_weight);
    corners.right_weight = static_cast<Acc>(column.high_weight);
    ColumnLogits<T, MaxClasses> held;
    for (int r = 0; r < count; ++r) {
      const RowPlace<Acc> row = places[r];
      if (r == 0 || row.low != places[r - 1].low || row.high != places[r - 1].high) {
        corners.low = static_cast<const T*>(logits.data) + logits.offset(b, row.low, 0);
        corners.high = static_cast<const T*>(logits.data) + logits.offset(b, row.high, 0);
        held.read(corners, static_cast<int>(logits.channels()));
      }
      write_pixel<MaxClasses, Softmax>(task, held, row, b, begin + r, x);
    }
  }
}

}  // namespace mtl
