// Bounding boxes, and bounds of squared distances that rounding does not break.
#pragma once

#include "common/simd.h"

namespace mtl {

MTL_INLINE double smaller_of(double a, double b) {
  return b < a ? b : a;
}
MTL_INLINE double larger_of(double a, double b) {
  return a < b ? b : a;
}

// The squared distance of two points is fl(fl(dx * dx) + fl(dy * dy)) in float64, never with a
// fused multiply-add. Every step is monotone, so the bounds below, made by the same steps, hold for
// the rounded distances of all pairs of points in two boxes: a decision by boxes is the decision
// that the points would have given, ties at exactly eps included.
MTL_INLINE double squared_length(double dx, double dy) {
  return dx * dx + dy * dy;
}

struct Box {
  double low_x, low_y, high_x, high_y;

  MTL_INLINE static Box of_point(double x, double y) { return {x, y, x, y}; }

  MTL_INLINE void add(double x, double y) {
    low_x = smaller_of(low_x, x);
    low_y = smaller_of(low_y, y);
    high_x = larger_of(high_x, x);
    high_y = larger_of(high_y, y);
  }
  MTL_INLINE double extent() const { return (high_x - low_x) + (high_y - low_y); }
  MTL_INLINE bool is_point() const { return low_x == high_x && low_y == high_y; }
};

// No pair of points in the two boxes is nearer.
MTL_INLINE double nearest_squared(const Box& a, const Box& b) {
  const double dx = larger_of(larger_of(a.low_x - b.high_x, b.low_x - a.high_x), 0.0);
  const double dy = larger_of(larger_of(a.low_y - b.high_y, b.low_y - a.high_y), 0.0);
  return squared_length(dx, dy);
}

// No pair of points in the two boxes is farther.
MTL_INLINE double farthest_squared(const Box& a, const Box& b) {
  const double dx = larger_of(a.high_x - b.low_x, b.high_x - a.low_x);
  const double dy = larger_of(a.high_y - b.low_y, b.high_y - a.low_y);
  return squared_length(dx, dy);
}

}  // namespace mtl
