// From the parts' regions to the gradient: an element of the prediction gets what every part that
// touches it has for it, in the order of the parts, rounded once to the gradient's type.
//
// Memory: regions once, gradients once.
#pragma once

#include "common/cuda/element.cuh"
#include "loss/cuda/upsampled/grid.h"

namespace mtl {

// The pieces of one axis that touch an element of the prediction: those whose cells, from the
// first one's low to the last one's low + 1, hold it.
struct Touching {
  // Begin(i), end(i): the target rows or columns of piece i of `count`, about `size` each.
  template <class Begin, class End>
  __device__ __forceinline__ Touching(const BilinearAxis& axis, int64_t element, int64_t count,
                                      int64_t size, const Begin& begin_of, const End& end_of) {
    // Where the target's pixels of the cell before the element begin, give or take one.
    const double start = axis.scale > 0.0 ? static_cast<double>(element - 1) / axis.scale : 0.0;
    begin = static_cast<int64_t>(start) / size - 1;
    if (begin >= count) begin = count - 1;
    if (begin < 0) begin = 0;
    while (begin > 0 && axis.at(end_of(begin - 1) - 1).low + 1 >= element) --begin;
    while (begin < count && axis.at(end_of(begin) - 1).low + 1 < element) ++begin;
    end = begin;
    while (end < count && axis.at(begin_of(end)).low <= element) ++end;
  }
  int64_t begin, end;
};

constexpr int kCombined = 8;  // channels between two looks at where the parts begin

// Grid: (blocks of elements of one channel, images), both strided over.
template <class T>
__global__ void __launch_bounds__(kThreads, 3) combine_regions(CudaTask task, UpsampledGrid grid) {
  using Acc = decltype(to_acc(T()));
  const int64_t width = grid.columns.in, pixels = grid.rows.in * width;
  const Acc* regions = static_cast<const Acc*>(grid.regions);
  for (int64_t b = blockIdx.y; b < grid.batch; b += gridDim.y) {
    for (int64_t p = int64_t{blockIdx.x} * kThreads + threadIdx.x; p < pixels;
         p += int64_t{gridDim.x} * kThreads) {
      const int64_t y = p / width, x = p % width;
      const Touching bands(
          grid.rows, y, grid.bands, grid.band_rows, [&](int64_t i) { return grid.band_begin(i); },
          [&](int64_t i) { return grid.band_end(i); });
      const Touching blocks(
          grid.columns, x, grid.column_blocks, kColumns, [&](int64_t j) { return j * kColumns; },
          [&](int64_t j) { return grid.column_end(j); });
      T* gradient = static_cast<T*>(task.gradient.data) + task.gradient.offset(b, y, x);
      for (int64_t first = 0; first < grid.channels; first += kCombined) {
        Acc sums[kCombined] = {};
        for (int64_t i = bands.begin; i < bands.end; ++i) {
          const int64_t row = y - grid.rows.at(grid.band_begin(i)).low;
          for (int64_t j = blocks.begin; j < blocks.end; ++j) {
            const int64_t column = x - grid.columns.at(j * kColumns).low;
            const int64_t part = (b * grid.bands + i) * grid.column_blocks + j;
            const Acc* region = regions + part * grid.region_size() + column +
                                (row * grid.channels + first) * grid.region_columns;
#pragma unroll
            for (int c = 0; c < kCombined; ++c) {
              if (first + c < grid.channels) sums[c] += region[c * grid.region_columns];
            }
          }
        }
#pragma unroll
        for (int c = 0; c < kCombined; ++c) {
          if (first + c < grid.channels) {
            store(gradient + (first + c) * task.gradient.strides[1], sums[c]);
          }
        }
      }
    }
  }
}

}  // namespace mtl
