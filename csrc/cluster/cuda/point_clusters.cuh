// From the tree to labels: which points are core, which of them are one component, and where
// border points go.
//
// Nodes are decided as a whole where their boxes allow it. Core points of a compact node (all its
// points are neighbours) are one component from the start, so that one of them stands for all.
#pragma once

#include "cluster/cuda/point_tree.cuh"
#include "cluster/cuda/union_find.cuh"

namespace mtl {

__device__ __forceinline__ double squared_distance(const PlacedPoint& a, const PlacedPoint& b) {
  return squared_length(a.x - b.x, a.y - b.y);
}

__device__ __forceinline__ Box box_of(const PlacedPoint& point) {
  return Box::of_point(point.x, point.y);
}

// A thread per place; the tree holds all points.
__global__ void __launch_bounds__(kClusterThreads)
    find_core_points(const __grid_constant__ PointWork work) {
  const int64_t own = thread_index();
  if (own >= work.count) return;
  const PlacedPoint point = work.points[own];
  const Box box = box_of(point);
  int64_t count = 0;
  if (is_finite(point)) {
    walk(
        work, work.count - 1,
        [&](int32_t node) {
          if (count >= work.min_samples) return false;
          const Box& other = work.boxes[node];
          if (nearest_squared(box, other) > work.squared_eps) return false;
          if (farthest_squared(box, other) > work.squared_eps) return true;
          count += work.mass[node];
          return false;
        },
        [&](int64_t j) { count += squared_distance(point, work.points[j]) <= work.squared_eps; });
  }
  work.core[work.sorted.indices[own]] = count >= work.min_samples;
}

// Core points get the first of the largest compact node around them as parent, others themselves. A
// thread per place; from here on the tree holds core points.
__global__ void __launch_bounds__(kClusterThreads)
    join_compact(const __grid_constant__ PointWork work) {
  const int64_t own = thread_index();
  if (own >= work.count) return;
  int32_t parent = work.sorted.indices[own];
  const int32_t index = parent;
  if (work.core[index]) {
    int32_t node = work.leaves + static_cast<int32_t>(own / kLeafPoints);
    for (; node > 0 && is_compact(work, work.boxes[node]); node /= 2) parent = work.first[node];
  }
  work.parents[index] = parent;
}

// Each core point looks at those before it in the order of the tree. A thread per place.
__global__ void __launch_bounds__(kClusterThreads)
    unite_points(const __grid_constant__ PointWork work) {
  const int64_t own = thread_index();
  if (own >= work.count) return;
  const int32_t index = work.sorted.indices[own];
  if (!work.core[index]) return;
  const PlacedPoint point = work.points[own];
  const Box box = box_of(point);
  int32_t root = find_root(work.parents, index);
  const auto is_joined = [&](int32_t other) { return parent_of(work.parents, other) == root; };
  walk(
      work, own,
      [&](int32_t node) {
        const Box& other = work.boxes[node];
        if (nearest_squared(box, other) > work.squared_eps) return false;
        if (!is_compact(work, other)) return true;
        const int32_t first = work.first[node];
        if (is_joined(first)) return false;
        if (farthest_squared(box, other) > work.squared_eps) return true;
        root = unite(work.parents, root, first);
        return false;
      },
      [&](int64_t j) {
        const int32_t other = work.sorted.indices[j];
        if (!work.core[other] || is_joined(other)) return;
        if (squared_distance(point, work.points[j]) > work.squared_eps) return;
        root = unite(work.parents, root, other);
      });
}

// Parents become roots: m(A). `numbers` become 1 at roots. A thread per point.
__global__ void __launch_bounds__(kClusterThreads)
    mark_roots(const __grid_constant__ PointWork work) {
  const int64_t i = thread_index();
  if (i >= work.count) return;
  const int32_t index = static_cast<int32_t>(i);
  const int32_t root = find_root(work.parents, index);
  atomicMin(&work.parents[i], root);
  work.numbers[i] = work.core[i] && root == index;
}

// The root that the border rule gives a point that is not core; kNoPoint: none.
template <bool kByDistance>
__device__ __forceinline__ int32_t border_root(const PointWork& work, const PlacedPoint& point) {
  const Box box = box_of(point);
  int32_t best = kNoPoint;
  double bound = work.squared_eps;
  walk(
      work, work.count - 1,
      [&](int32_t node) {
        const Box& other = work.boxes[node];
        const double distance = nearest_squared(box, other);
        if (distance > bound) return false;
        if (!is_compact(work, other)) return true;
        const int32_t root = work.parents[work.first[node]];
        const bool may_be_nearer = kByDistance && distance < bound;
        if (root >= best && !may_be_nearer) return false;
        if (kByDistance || farthest_squared(box, other) > work.squared_eps) return true;
        best = root;
        return false;
      },
      [&](int64_t j) {
        const int32_t other = work.sorted.indices[j];
        if (!work.core[other]) return;
        const double distance = squared_distance(point, work.points[j]);
        if (distance > bound) return;
        const int32_t root = work.parents[other];
        best = kByDistance && distance < bound ? root : min(best, root);
        if (kByDistance) bound = distance;
      });
  return best;
}

// `numbers` are summed: those of roots are labels. A thread per place.
template <bool kByDistance>
__global__ void __launch_bounds__(kClusterThreads)
    write_labels(const __grid_constant__ PointWork work) {
  const int64_t own = thread_index();
  if (own >= work.count) return;
  const int32_t index = work.sorted.indices[own];
  const PlacedPoint point = work.points[own];
  int32_t root = kNoPoint;
  if (work.core[index]) {
    root = work.parents[index];
  } else if (work.border != Border::kNone && is_finite(point)) {
    root = border_root<kByDistance>(work, point);
    if (root != kNoPoint && !keeps_border(work.border, index, root)) root = kNoPoint;
  }
  work.labels[index] = root == kNoPoint ? kNoise : static_cast<int32_t>(work.numbers[root]);
}

}  // namespace mtl
