// Bilinear interpolation along one axis, as torch.nn.functional.interpolate defines it.
//
//   source(x) = x (in - 1) / (out - 1)                with align_corners, 0 for out = 1
//             = max(0, (x + 1/2) in / out - 1/2)      without
//   value(x)  = low_weight P[low] + high_weight P[high],  low = floor(source), high = low + 1
#pragma once

#include <cstdint>

#include "common/simd.h"

namespace mtl {

// Where one element takes its two values from. Where a single one decides (beyond the first and
// the last, or exactly on one), low = high and the weights are 1/2 each: then an infinite
// neighbour of weight 0 cannot turn it into NaN.
struct BilinearSample {
  int64_t low, high;
  double low_weight, high_weight;
};

struct BilinearAxis {
  int64_t in, out;
  double scale;
  bool align_corners;

  MTL_INLINE BilinearAxis(int64_t in, int64_t out, bool align_corners)
      : in(in), out(out), align_corners(align_corners) {
    if (align_corners) {
      scale = out > 1 ? static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0.0;
    } else {
      scale = static_cast<double>(in) / static_cast<double>(out);
    }
  }

  MTL_INLINE BilinearSample at(int64_t x) const {
    const double position = static_cast<double>(x);
    double source = align_corners ? scale * position : scale * (position + 0.5) - 0.5;
    if (!(source > 0.0)) source = 0.0;
    const int64_t low = static_cast<int64_t>(source);
    if (low >= in - 1) return {in - 1, in - 1, 0.5, 0.5};
    const double weight = source - static_cast<double>(low);
    if (weight == 0.0) return {low, low, 0.5, 0.5};
    return {low, low + 1, 1.0 - weight, weight};
  }

  // out / in where `out` is made of equal cells of that many elements around each of `in`, else 0.
  MTL_INLINE int64_t whole_ratio() const { return !align_corners && out % in == 0 ? out / in : 0; }
};

}  // namespace mtl
