// The tree over points in the order of point_order.cuh, and the walk through it, which needs no
// stack. It is built twice: over all points, then over the core points among them.
#pragma once

#include "cluster/cuda/point_work.cuh"

namespace mtl {

constexpr int32_t kNoPoint = 0x7fffffff;

// A thread per leaf.
__global__ void __launch_bounds__(kClusterThreads)
    build_leaves(const __grid_constant__ PointWork work, bool only_core) {
  const int64_t leaf = thread_index();
  if (leaf >= work.leaves) return;
  const double far = INFINITY;
  Box box = {far, far, -far, -far};
  int32_t mass = 0, first = kNoPoint;
  const int64_t begin = leaf * kLeafPoints, end = min(begin + kLeafPoints, work.count);
  for (int64_t j = begin; j < end; ++j) {
    const PlacedPoint point = work.points[j];
    const int32_t index = work.sorted.indices[j];
    if (!is_finite(point) || (only_core && !work.core[index])) continue;
    box.add(point.x, point.y);
    ++mass;
    first = min(first, index);
  }
  const int64_t node = work.leaves + leaf;
  work.boxes[node] = box;
  work.mass[node] = mass;
  work.first[node] = first;
}

// A thread per node of a level: nodes `level` ... 2 * level - 1.
__global__ void __launch_bounds__(kClusterThreads)
    build_level(const __grid_constant__ PointWork work, int32_t level) {
  const int64_t at = thread_index();
  if (at >= level) return;
  const int64_t node = level + at, child = 2 * node;
  const Box& a = work.boxes[child];
  const Box& b = work.boxes[child + 1];
  work.boxes[node] = {smaller_of(a.low_x, b.low_x), smaller_of(a.low_y, b.low_y),
                      larger_of(a.high_x, b.high_x), larger_of(a.high_y, b.high_y)};
  work.mass[node] = work.mass[child] + work.mass[child + 1];
  work.first[node] = min(work.first[child], work.first[child + 1]);
}

// Whether all points of the box are neighbours of each other.
__device__ __forceinline__ bool is_compact(const PointWork& work, const Box& box) {
  return farthest_squared(box, box) <= work.squared_eps;
}

// The node behind all below `node`, in the order of the walk; 1 at the end.
__device__ __forceinline__ int32_t behind(int32_t node) {
  const int32_t next = node + 1;
  return next >> (__ffs(next) - 1);
}

// Walks from the root. open(node) says whether to look below the node; below a leaf that is
// visit(place) for each of its points, while open says so. `last`: the walk ends behind this place.
template <class Open, class Visit>
__device__ __forceinline__ void walk(const PointWork& work, int64_t last, const Open& open,
                                     const Visit& visit) {
  const int32_t last_leaf = work.leaves + static_cast<int32_t>(last / kLeafPoints);
  int32_t node = 1;
  do {
    const bool below = work.mass[node] > 0 && open(node);
    if (below && node < work.leaves) {
      node *= 2;
      continue;
    }
    if (below) {
      const int64_t begin = int64_t{node - work.leaves} * kLeafPoints;
      const int64_t end = min(begin + kLeafPoints, last + 1);
      for (int64_t j = begin; j < end; ++j) visit(j);
    }
    if (node == last_leaf) return;
    node = behind(node);
  } while (node != 1);
}

}  // namespace mtl
