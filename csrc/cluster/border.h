// Which cluster a border point belongs to: a point that is no core point but has one within eps.
//
// m(A) is the smallest index of a core point of component A; clusters are numbered by rank of m(A).
// Backends and paths find candidates in their own ways and share what is decided here.
#pragma once

#include <cstdint>

#include "common/simd.h"

namespace mtl {

enum class Border : int32_t {
  kDbscan = 0,   // the smallest m(A) among components with a core point within eps
  kOptics = 1,   // the same, but noise if the point's index is below that m(A)
  kNearest = 2,  // the component of the nearest core point; of several, the smallest m(A)
  kNone = 3,     // border points are noise
};

constexpr int32_t kNoise = -1;

// Whether a border point that found the component with this m(A) belongs to it.
MTL_INLINE bool keeps_border(Border border, int64_t index, int64_t smallest) {
  return border != Border::kOptics || index > smallest;
}

}  // namespace mtl
