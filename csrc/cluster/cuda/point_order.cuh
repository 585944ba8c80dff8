// The order of points in the tree: along a Z-order curve over columns and rows of cells.
//
// Cells have side eps / kCellsPerEps. A gap between consecutive coordinates that is wider than some
// eps is cut: so numbers fit in 32 bits wherever the points are, and outliers take no precision
// from the others. The order bears on the time only: boxes decide.
#pragma once

#include "cluster/cuda/point_work.cuh"

namespace mtl {

constexpr int kCellsPerEps = 16;
constexpr uint32_t kNowhere = 0xffffffffu;  // the column of what is not finite

// Bits that order as the numbers do. Below ~0 for all finite numbers.
__device__ __forceinline__ uint64_t ordered_bits(double value) {
  const uint64_t bits = static_cast<uint64_t>(__double_as_longlong(value));
  return bits >> 63 ? ~bits : bits | uint64_t{1} << 63;
}

// Keys of one coordinate. A thread per point.
__global__ void __launch_bounds__(kClusterThreads)
    key_coordinates(const __grid_constant__ PointWork work, int axis) {
  const int64_t i = thread_index();
  if (i >= work.count) return;
  const PlacedPoint point = {work.xy[2 * i], work.xy[2 * i + 1]};
  const double value = axis == 0 ? point.x : point.y;
  work.sorted.keys[i] = is_finite(point) ? ordered_bits(value) : ~uint64_t{0};
  work.sorted.indices[i] = static_cast<int32_t>(i);
}

// Columns from each coordinate to the next. A thread per point in the order of the coordinate.
__global__ void __launch_bounds__(kClusterThreads)
    measure_gaps(const __grid_constant__ PointWork work, int axis) {
  const int64_t j = thread_index();
  if (j >= work.count) return;
  uint32_t gap = 0;
  if (j + 1 < work.count && work.sorted.keys[j + 1] != ~uint64_t{0}) {
    const double side = work.eps / kCellsPerEps;
    const double here = work.xy[2 * int64_t{work.sorted.indices[j]} + axis];
    const double next = work.xy[2 * int64_t{work.sorted.indices[j + 1]} + axis];
    const double cells = here == next ? 0 : floor(next / side) - floor(here / side);
    gap = cells < work.widest ? static_cast<uint32_t>(cells) : work.widest;  // NaN: the widest
  }
  work.numbers[j] = gap;
}

// From the summed gaps. A thread per point in the order of the coordinate.
__global__ void __launch_bounds__(kClusterThreads)
    write_columns(const __grid_constant__ PointWork work, int axis) {
  const int64_t j = thread_index();
  if (j >= work.count) return;
  const bool finite = work.sorted.keys[j] != ~uint64_t{0};
  work.columns[axis][work.sorted.indices[j]] = finite ? work.numbers[j] : kNowhere;
}

// Puts a zero between any two bits.
__device__ __forceinline__ uint64_t spread_bits(uint32_t value) {
  uint64_t bits = value;
  bits = (bits | bits << 16) & 0x0000ffff0000ffffu;
  bits = (bits | bits << 8) & 0x00ff00ff00ff00ffu;
  bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0fu;
  bits = (bits | bits << 2) & 0x3333333333333333u;
  return (bits | bits << 1) & 0x5555555555555555u;
}

// Keys of the curve. A thread per point.
__global__ void __launch_bounds__(kClusterThreads)
    key_cells(const __grid_constant__ PointWork work) {
  const int64_t i = thread_index();
  if (i >= work.count) return;
  work.sorted.keys[i] = spread_bits(work.columns[0][i]) | spread_bits(work.columns[1][i]) << 1;
  work.sorted.indices[i] = static_cast<int32_t>(i);
}

// A thread per place.
__global__ void __launch_bounds__(kClusterThreads)
    place_points(const __grid_constant__ PointWork work) {
  const int64_t j = thread_index();
  if (j >= work.count) return;
  const int64_t index = work.sorted.indices[j];
  work.points[j] = {work.xy[2 * index], work.xy[2 * index + 1]};
}

}  // namespace mtl
