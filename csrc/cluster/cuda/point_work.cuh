// What the kernels of DBSCAN work on: points, settings, and the parts of the workspace.
//
// A `place` is where a point is in the order of the tree, its `index` where it is in the input.
// The tree is a complete binary one over leaves of kLeafPoints places each: node n has the children
// 2n and 2n + 1, the root is 1, and leaf l is node leaves + l. Nodes past the last point are empty.
#pragma once

#include <cmath>

#include "cluster/box.h"
#include "cluster/cuda/radix_sort.cuh"
#include "cluster/dbscan.h"

namespace mtl {

constexpr int kLeafPoints = 8;

struct PlacedPoint {
  double x, y;
};

struct PointWork {
  const double* xy;  // [count,2]
  int64_t count;
  double eps, squared_eps;
  int64_t min_samples;
  Border border;
  int32_t leaves;        // a power of two
  uint32_t widest;       // gaps between columns are cut to this many
  int32_t* labels;       // [count], by index
  bool* core;            // [count], by index
  Keyed sorted, spare;   // [count]; at last sorted.indices are those of the places
  uint32_t* columns[2];  // [count], by index: of x and of y
  uint32_t* numbers;     // [count]: gaps, then labels of roots
  PlacedPoint* points;   // [count], by place
  int32_t* parents;      // [count], by index
  Box* boxes;            // [2 * leaves]
  int32_t* mass;         // [2 * leaves]: points of a node
  int32_t* first;        // [2 * leaves]: the smallest index of them
  uint32_t* digits;      // counts of radix_sort.cuh
  uint32_t* tiles;       // sums of scan.cuh
};

__device__ __forceinline__ bool is_finite(double value) {
  return value - value == 0;
}

__device__ __forceinline__ bool is_finite(const PlacedPoint& point) {
  return is_finite(point.x) && is_finite(point.y);
}

}  // namespace mtl
