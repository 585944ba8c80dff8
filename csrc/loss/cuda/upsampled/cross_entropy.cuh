// Cross-entropy of low-resolution logits (formulas: loss/cuda/cross_entropy.cuh; interpolation:
// part.cuh).
//
// Memory: labels once; the logits, which are few, three times per cell row, from the caches; the
// gradient once, as regions (grid.h). The interpolated logits exist one at a time: they are made
// again for the largest, the sums and the gradient. No float atomics.
#pragma once

#include "loss/cuda/cross_entropy.cuh"
#include "loss/cuda/upsampled/part.cuh"

namespace mtl {

// Some rows of one column.
template <class T, int Rows, bool Extra>
struct UpsampledPixels {
  using Acc = decltype(to_acc(T()));

  __device__ __forceinline__ UpsampledPixels(const CudaTask& task, int64_t image,
                                             const Column<Acc>& column,
                                             const CellRows<Acc, Rows>& rows)
      : rows(rows),
        corners(task.prediction, image, column, rows),
        classes(static_cast<int>(task.prediction.channels())) {
#pragma unroll
    for (int i = 0; i < Rows; ++i) {
      label[i] = -1;
      if (column.inside && i < rows.count) {
        label[i] = load_class(task.target, task.target.offset(image, rows.begin + i, column.x),
                              task.ignore_index, classes);
      }
    }
  }

  __device__ __forceinline__ Acc value(Acc top, Acc bottom, int i) const {
    return rows.low_weight[i] * top + rows.high_weight[i] * bottom;
  }

  // Adds the pixels' losses, and keeps what their gradients need.
  __device__ __forceinline__ void evaluate(const CrossEntropyRule<Acc>& rule, Acc* loss,
                                           Acc* slope) {
    {
      const Acc top = corners.top(0), bottom = corners.bottom(0);
#pragma unroll
      for (int i = 0; i < Rows; ++i) largest[i] = value(top, bottom, i);
    }
    for (int c = 1; c < classes; ++c) {
      const Acc top = corners.top(c), bottom = corners.bottom(c);
#pragma unroll
      for (int i = 0; i < Rows; ++i) {
        const Acc f = value(top, bottom, i);
        if (f > largest[i]) largest[i] = f;
      }
    }
    PixelSums<Acc> sums[Rows];
    for (int c = 0; c < classes; ++c) {
      const Acc top = corners.top(c), bottom = corners.bottom(c);
#pragma unroll
      for (int i = 0; i < Rows; ++i) {
        const Acc z = rule.alpha * (value(top, bottom, i) - largest[i]);
        sums[i].template add<Extra>(rule, c, z, c == label[i]);
      }
    }
#pragma unroll
    for (int i = 0; i < Rows; ++i) {
      derivative[i].template set<Extra>(rule, sums[i], label[i], loss, slope);
    }
  }

  // The gradient of class c, summed over the rows.
  __device__ __forceinline__ void gradient(const CrossEntropyRule<Acc>& rule, int c, Acc* top_sum,
                                           Acc* bottom_sum) const {
    const Acc top = corners.top(c), bottom = corners.bottom(c);
    Acc at_top = 0, at_bottom = 0;
#pragma unroll
    for (int i = 0; i < Rows; ++i) {
      const Acc z = rule.alpha * (value(top, bottom, i) - largest[i]);
      const Acc g = derivative[i].template of<Extra>(rule, c, z, c == label[i]);
      at_top += rows.low_weight[i] * g;
      at_bottom += rows.high_weight[i] * g;
    }
    *top_sum = at_top;
    *bottom_sum = at_bottom;
  }

  const CellRows<Acc, Rows>& rows;
  Corners<T> corners;
  int classes;
  int label[Rows];
  Acc largest[Rows];
  PixelGradient<Acc> derivative[Rows];
};

// Grid: blocks of kColumns threads, strided over the parts.
template <class T, int Rows, bool Extra, bool Gradient>
__global__ void __launch_bounds__(kColumns, kMinBlocks<T>)
    cross_entropy_upsampled(CudaTask task, UpsampledGrid grid) {
  using Acc = decltype(to_acc(T()));
  const CrossEntropyRule<Acc> rule(task);
  double loss = 0.0, slope = 0.0;
  for (int64_t index = blockIdx.x; index < grid.parts(); index += gridDim.x) {
    const Part part(grid, index);
    const Column<Acc> column(grid, part.column);
    const BandRows<Acc> band(grid.rows, part.begin, part.end);
    Region<Acc, Gradient> region(grid, index, band.low[0], column);
    for (int first = 0; first < band.count;) {
      const CellRows<Acc, Rows> rows(band, first);
      UpsampledPixels<T, Rows, Extra> pixels(task, part.image, column, rows);
      Acc rows_loss = 0, rows_slope = 0;
      pixels.evaluate(rule, &rows_loss, &rows_slope);
      loss += static_cast<double>(rows_loss);
      slope += static_cast<double>(rows_slope);
      region.add(pixels.classes, rows.low, rows.high,
                 [&](int c, Acc* top, Acc* bottom) { pixels.gradient(rule, c, top, bottom); });
      first += rows.count;
    }
  }
  write_sums<kColumns>(task, loss, slope);
}

}  // namespace mtl
