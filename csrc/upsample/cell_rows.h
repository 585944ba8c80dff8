// Rows of an interpolated prediction: which of them lie between the same two rows of the
// prediction, and these two rows as Acc.
#pragma once

#include "common/tile.h"
#include "upsample/bilinear.h"
#include "upsample/memory.h"

namespace mtl {
inline namespace MTL_SIMD {

// A prediction [B,C,h,w] and the grid that it is interpolated to.
struct Upsampling {
  TensorView prediction;
  int64_t height, width;
  bool align_corners;
};

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

}  // namespace MTL_SIMD
}  // namespace mtl
