// A band of target rows against low-resolution predictions: interpolate a tile, compute its losses
// as for predictions of full size, sum its gradient into the predictions that it came from.
//
// Everything is linear in four corners: with P0, P1 the rows of the prediction around a target row,
//   f(x, y)     = sum_i sum_j row_weight_i(y) column_weight_j(x) P_i[x_j]
//   d/dP_i[x_j] = sum_{x, y} row_weight_i(y) column_weight_j(x) d loss/d f(x, y)
// so rows and columns are summed one after the other. Neither f nor its gradient is ever larger
// than a tile. Each band sums on its own, in the order of its pixels; combine.h adds the bands up.
#pragma once

#include "loss/bilinear.h"
#include "loss/cpu/kernels.h"
#include "loss/cpu/tile.h"
#include "loss/cpu/upsampled/memory.h"

namespace mtl {
inline namespace MTL_SIMD {

// Target rows that lie between the same two rows of the prediction.
struct CellRow {
  int64_t begin, end;  // target rows
  int64_t low, high;   // prediction rows
};

MTL_INLINE CellRow cell_row_at(const BilinearAxis& rows, int64_t y, int64_t end) {
  const BilinearSample first = rows.at(y);
  CellRow row = {y, y + 1, first.low, first.high};
  for (; row.end < end; ++row.end) {
    const BilinearSample next = rows.at(row.end);
    if (next.low != row.low || next.high != row.high) break;
  }
  return row;
}

// Two neighbouring rows of the prediction, the columns beside the first and the last repeated.
template <class Acc>
class PredictionRows {
 public:
  // `memory` [2][C][row_stride].
  PredictionRows(const TensorView& prediction, int64_t image, Acc* memory)
      : prediction_(prediction),
        image_(image),
        stride_(row_stride(prediction.width())),
        memory_(memory) {}

  // Row r as [C][row_stride]; stays valid until the row after the next one is asked for.
  const Acc* row(int64_t r) {
    Acc* row = memory_ + (r & 1) * prediction_.channels() * stride_;
    if (held_[r & 1] != r) read(r, row);
    held_[r & 1] = r;
    return row;
  }

 private:
  void read(int64_t r, Acc* row) {
    const int64_t width = prediction_.width();
    const Block block = {image_, r, 0, static_cast<int>(width)};
    load_tile(prediction_, block, static_cast<int>(stride_), row + kMargin);
    for (int64_t c = 0; c < prediction_.channels(); ++c) {
      Acc* values = row + c * stride_ + kMargin;
      for (int64_t x = -kMargin; x < 0; ++x) values[x] = values[0];
      for (int64_t x = width; x < stride_ - kMargin; ++x) values[x] = values[width - 1];
    }
  }

  const TensorView& prediction_;
  int64_t image_, stride_;
  Acc* memory_;
  int64_t held_[2] = {-1, -1};
};

// Columns(loss, band, memory) is one way through the columns (phases.h, gather.h): its cell_row()
// computes the losses of a cell row and adds its gradient to two rows of the band's.
template <class Acc, class Columns>
inline PixelSums upsampled_band(const PixelLoss& loss, const UpsampledBand& band, Acc* memory) {
  const TensorView& prediction = loss.prediction;
  const BilinearAxis rows(prediction.height(), loss.target.height(), loss.align_corners);
  const int64_t row_elements = prediction.channels() * row_stride(prediction.width());
  PredictionRows<Acc> low_rows(prediction, band.image, memory);
  Columns columns(loss, band.image, memory + 2 * row_elements);
  Acc* gradient = static_cast<Acc*>(band.gradient);
  if (gradient) {
    const int64_t count = (band.low_end - band.low_begin) * row_elements;
    for (int64_t i = 0; i < count; ++i) gradient[i] = Acc(0);
  }
  PixelSums sums = {0.0, 0.0};
  for (int64_t y = band.begin; y < band.end;) {
    const CellRow row = cell_row_at(rows, y, band.end);
    Acc* low = gradient ? gradient + (row.low - band.low_begin) * row_elements : nullptr;
    Acc* high = gradient ? gradient + (row.high - band.low_begin) * row_elements : nullptr;
    const PixelSums part =
        columns.cell_row(rows, row, low_rows.row(row.low), low_rows.row(row.high), low, high);
    sums.loss += part.loss;
    sums.log_variance += part.log_variance;
    y = row.end;
  }
  return sums;
}

}  // namespace MTL_SIMD
}  // namespace mtl
