// From the bands' sums to the gradient: neighbouring bands share a row of the prediction, and the
// columns beside the first and the last stand for these. Rounds once, to the gradient's type.
#pragma once

#include "common/tile.h"
#include "loss/cpu/kernels.h"
#include "upsample/memory.h"

namespace mtl {
inline namespace MTL_SIMD {

template <class Acc>
inline void write_band(const PixelLoss& loss, const UpsampledBand& band,
                       const UpsampledBand* previous) {
  const int64_t channels = loss.prediction.channels(), width = loss.prediction.width();
  const int64_t stride = row_stride(width), elements = channels * stride;
  Acc* row = static_cast<Acc*>(band.gradient);
  if (previous && previous->low_end > band.low_begin) {
    const Acc* shared = static_cast<const Acc*>(previous->gradient) +
                        (band.low_begin - previous->low_begin) * elements;
    for (int64_t i = 0; i < elements; ++i) row[i] += shared[i];
  }
  for (int64_t r = band.low_begin; r < band.owned_end; ++r, row += elements) {
    for (int64_t c = 0; c < channels; ++c) {
      Acc* values = row + c * stride + kMargin;
      values[0] += values[-1];
      values[width - 1] += values[width];
    }
    const Block block = {band.image, r, 0, static_cast<int>(width)};
    store_tile(row + kMargin, block, static_cast<int>(stride), false, loss.gradient);
  }
}

}  // namespace MTL_SIMD
}  // namespace mtl
