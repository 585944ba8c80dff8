// A band of target rows against low-resolution predictions: interpolate a tile, compute its losses
// as for predictions of full size, sum its gradient into the predictions that it came from.
//
// Everything is linear in four corners: with P0, P1 the rows of the prediction around a target row,
//   f(x, y)     = sum_i sum_j row_weight_i(y) column_weight_j(x) P_i[x_j]
//   d/dP_i[x_j] = sum_{x, y} row_weight_i(y) column_weight_j(x) d loss/d f(x, y)
// so rows and columns are summed one after the other. Neither f nor its gradient is ever larger
// than a tile. Each band sums on its own, in the order of its pixels; combine.h adds the bands up.
#pragma once

#include "loss/cpu/kernels.h"
#include "upsample/cell_rows.h"

namespace mtl {
inline namespace MTL_SIMD {

// Columns is one way through the columns (phases.h, gather.h): its cell_row() hands the pixels of a
// cell row to Pixels, tile by tile, and adds their gradient to two rows of the band's.
template <class Acc, template <class, class> class Columns, class Pixels>
inline PixelSums upsampled_band(const PixelLoss& loss, const UpsampledBand& band, Acc* memory) {
  const Upsampling grid = {loss.prediction, loss.target.height(), loss.target.width(),
                           loss.align_corners};
  const int64_t channels = loss.prediction.channels();
  const int64_t row_elements = channels * row_stride(loss.prediction.width());
  const int stride = tile_pixels(channels);
  const BilinearAxis rows(loss.prediction.height(), grid.height, grid.align_corners);
  PredictionRows<Acc> low_rows(grid.prediction, band.image, memory);
  memory += 2 * row_elements;
  Pixels pixels(loss, memory, stride);
  Columns<Acc, Pixels> columns(grid, band.image, memory + channels * stride, pixels);
  Acc* gradient = static_cast<Acc*>(band.gradient);
  if (gradient) {
    const int64_t count = (band.low_end - band.low_begin) * row_elements;
    for (int64_t i = 0; i < count; ++i) gradient[i] = Acc(0);
  }
  for (int64_t y = band.begin; y < band.end;) {
    const CellRow row = cell_row_at(rows, y, band.end);
    Acc* low = gradient ? gradient + (row.low - band.low_begin) * row_elements : nullptr;
    Acc* high = gradient ? gradient + (row.high - band.low_begin) * row_elements : nullptr;
    columns.cell_row(rows, row, low_rows.row(row.low), low_rows.row(row.high), low, high);
    y = row.end;
  }
  return pixels.sums();
}

}  // namespace MTL_SIMD
}  // namespace mtl
