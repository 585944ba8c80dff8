// How the kernels for low-resolution predictions lay out their memory, in elements of Acc.
#pragma once

#include <cstdint>

#include "common/simd.h"
#include "common/tile_size.h"

namespace mtl {

// A row of the prediction, or of its gradient, is [C][row_stride(w)]: column x at kMargin + x, and
// the columns beside the first and the last one, too.
constexpr int64_t kMargin = kVector;

MTL_INLINE int64_t row_stride(int64_t width) {
  return (width + kVector - 1) / kVector * kVector + 2 * kMargin;
}

// One thread's: two tiles, two rows of the prediction, and what either way through the columns
// (phases.h, gather.h) needs: the six corner sums of a tile's cells, or two more rows and four
// numbers per column of the target.
MTL_INLINE int64_t upsampled_workspace(int64_t channels, int64_t width, int64_t target_width) {
  const int64_t tiles = 2 * channels * tile_pixels(channels);
  const int64_t rows = 2 * channels * row_stride(width);
  const int64_t phases = 6 * channels * tile_pixels(channels);
  const int64_t gather = 2 * channels * row_stride(width) + 4 * (target_width + kVector);
  return tiles + rows + (phases > gather ? phases : gather);
}

}  // namespace mtl
