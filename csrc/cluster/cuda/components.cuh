// Core cells within eps of each other joined to components, and border cells assigned to them.
//
// Core cells at most `reach` apart in one row are neighbours. So the core cells that a
// neighbourhood holds on one side of its centre, in one row, are joined among themselves: it is
// enough to join the nearest of them. Of a pair in two rows one is at or left of the other: looking
// left is enough, too.
#pragma once

#include "cluster/cuda/image.cuh"
#include "cluster/cuda/union_find.cuh"

namespace mtl {

// Calls visit(cell) for core cells within eps of this one: of each row and side those that stand
// for all. `right`: on both sides, else at or left of the column.
template <bool kBothSides, class Visit>
__device__ __forceinline__ void for_core_neighbours(const ClusterImage& image, int64_t cell,
                                                    const Visit& visit) {
  const int64_t row = cell / image.width, x = cell - row * image.width, y = row % image.height;
  const int64_t top = max(y - image.reach, int64_t{0});
  const int64_t bottom = min(y + image.reach, image.height - 1);
  for (int64_t other = top; other <= bottom; ++other) {
    const int64_t begin = (row + other - y) * image.width;
    const int64_t width = image.widths[other < y ? y - other : other - y];
    // Of its own row a cell looks at those strictly before it.
    const int64_t from = !kBothSides && other == y ? x - 1 : x;
    const int32_t before = from >= 0 ? image.left[begin + from] : -1;
    if (before >= 0 && before >= x - width) visit(static_cast<int32_t>(begin + before));
    if (!kBothSides) continue;
    const int32_t behind = image.left[begin + min(x + width, image.width - 1)];
    if (behind > x) visit(static_cast<int32_t>(begin + behind));
  }
}

// A thread per cell.
__global__ void __launch_bounds__(kClusterThreads)
    unite_cores(const __grid_constant__ ClusterImage image) {
  const int64_t cell = thread_index();
  if (cell >= image.cells() || parent_of(image.parent, static_cast<int32_t>(cell)) < 0) return;
  for_core_neighbours<false>(
      image, cell, [&](int32_t other) { unite(image.parent, static_cast<int32_t>(cell), other); });
}

// Core cells point to their roots, and roots get m(A). A thread per cell.
__global__ void __launch_bounds__(kClusterThreads)
    flatten(const __grid_constant__ ClusterImage image) {
  const int64_t cell = thread_index();
  if (cell >= image.cells() || parent_of(image.parent, static_cast<int32_t>(cell)) < 0) return;
  const int32_t root = find_root(image.parent, static_cast<int32_t>(cell));
  atomicMin(&image.parent[cell], root);
  atomicMin(&image.counts[root], image.first[cell]);
}

// The squared distance of two cells of one layer.
__device__ __forceinline__ int64_t squared_cells(const ClusterImage& image, int64_t a, int64_t b) {
  const int64_t row_a = a / image.width, row_b = b / image.width;
  const int64_t x = (a - row_a * image.width) - (b - row_b * image.width), y = row_a - row_b;
  return x * x + y * y;
}

// The nearest core cell to the right of a column, within `width`; -1: none.
__device__ __forceinline__ int64_t first_core_behind(const ClusterImage& image, int64_t begin,
                                                     int64_t x, int64_t width) {
  const int64_t last = min(x + width, image.width - 1);
  for (int64_t column = x + 1; column <= last; ++column) {
    if (image.left[begin + column] == column) return begin + column;
  }
  return -1;
}

// Border cells get -2 - the root that border.h gives them. A thread per cell.
__global__ void __launch_bounds__(kClusterThreads)
    join_borders(const __grid_constant__ ClusterImage image) {
  const int64_t cell = thread_index();
  if (cell >= image.cells() || image.border == Border::kNone) return;
  if (image.first[cell] == kNobody || image.left[cell] == cell % image.width) return;
  const bool by_distance = image.border == Border::kNearest;
  int32_t best = -1;
  int64_t least = 0;
  const auto consider = [&](int64_t core) {
    const int32_t root = image.parent[core];
    const int64_t distance = by_distance ? squared_cells(image, cell, core) : 0;
    const bool earlier = best >= 0 && image.counts[root] < image.counts[best];
    if (best < 0 || distance < least || (distance == least && earlier)) {
      best = root;
      least = distance;
    }
  };
  for_core_neighbours<true>(image, cell, [&](int32_t core) {
    // The one that stands for those to the right is the farthest of them.
    const int64_t begin = core / image.width * image.width, x = cell % image.width;
    const bool behind = core - begin > x;
    consider(by_distance && behind ? first_core_behind(image, begin, x, image.width) : core);
  });
  if (best >= 0) image.parent[cell] = -2 - best;
}

}  // namespace mtl
