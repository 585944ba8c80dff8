// L1 of low-resolution predictions (formulas: loss/cuda/l1.cuh; interpolation: part.cuh).
//
// Memory: targets once (ids) or twice (values: all channels, to see which pixels are valid); the
// predictions, which are few, once per cell row, from the caches; the gradient once, as regions
// (grid.h). No float atomics.
#pragma once

#include "loss/cuda/cross_entropy.cuh"
#include "loss/cuda/l1_target.cuh"
#include "loss/cuda/upsampled/part.cuh"

namespace mtl {

// Grid: blocks of kColumns threads, strided over the parts.
template <class T, template <class> class Target, int Rows, bool Gradient>
__global__ void __launch_bounds__(kColumns, kMinBlocks<T>)
    l1_upsampled(CudaTask task, UpsampledGrid grid) {
  using Acc = decltype(to_acc(T()));
  const Acc factor = static_cast<Acc>(task.state->gradient_factor);
  const int channels = static_cast<int>(task.prediction.channels());
  double loss = 0.0;
  for (int64_t index = blockIdx.x; index < grid.parts(); index += gridDim.x) {
    const Part part(grid, index);
    const Column<Acc> column(grid, part.column);
    const BandRows<Acc> band(grid.rows, part.begin, part.end);
    Region<Acc, Gradient> region(grid, index, band.low[0], column);
    for (int first = 0; first < band.count;) {
      const CellRows<Acc, Rows> rows(band, first);
      const Corners<T> corners(task.prediction, part.image, column, rows);
      // The sums of channel c over the rows, and their losses.
      const auto evaluate = [&](int c, Acc* top_sum, Acc* bottom_sum) {
        const Acc top = corners.top(c), bottom = corners.bottom(c);
        Acc at_top = 0, at_bottom = 0, distances = 0;
#pragma unroll
        for (int i = 0; i < Rows; ++i) {
          if (!column.inside || i >= rows.count) continue;
          const Target<Acc> target(task, part.image, rows.begin + i, column.x);
          if (!target.valid) continue;
          const Acc d = rows.low_weight[i] * top + rows.high_weight[i] * bottom - target(c);
          distances += d < Acc(0) ? -d : d;
          at_top += rows.low_weight[i] * (factor * sign_of(d));
          at_bottom += rows.high_weight[i] * (factor * sign_of(d));
        }
        loss += static_cast<double>(distances);
        *top_sum = at_top;
        *bottom_sum = at_bottom;
      };
      if constexpr (Gradient) {
        region.add(channels, rows.low, rows.high, evaluate);
      } else {
        Acc unused[2];
        for (int c = 0; c < channels; ++c) evaluate(c, unused, unused + 1);
      }
      first += rows.count;
    }
  }
  write_sums<kColumns>(task, loss, 0.0);
}

}  // namespace mtl
