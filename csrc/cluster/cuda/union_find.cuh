// Disjoint sets that all threads join at once; the root of a set is its smallest member. Parents
// are never larger than their children, so the forest has no cycle at any moment, and the result
// does not depend on the order of the unions.
#pragma once

#include <cstdint>

#include "common/cuda/launch.h"

namespace mtl {

// Parents change while they are read; an atomic sees them where plain loads may see a cache.
__device__ __forceinline__ int32_t parent_of(int32_t* parents, int32_t member) {
  return atomicAdd(&parents[member], 0);
}

__device__ __forceinline__ int32_t find_root(int32_t* parents, int32_t member) {
  int32_t parent = parent_of(parents, member);
  while (parent != member) {
    const int32_t grandparent = parent_of(parents, parent);
    if (grandparent != parent) atomicMin(&parents[member], grandparent);  // halves the path
    member = parent;
    parent = grandparent;
  }
  return member;
}

// The larger root becomes a child of the smaller; if it is no root any more, once more. Returns a
// root of both, which may have got a parent since.
__device__ __forceinline__ int32_t unite(int32_t* parents, int32_t a, int32_t b) {
  for (;;) {
    a = find_root(parents, a);
    b = find_root(parents, b);
    if (a == b) return a;
    const int32_t larger = max(a, b), smaller = min(a, b);
    if (atomicCAS(&parents[larger], larger, smaller) == larger) return smaller;
  }
}

}  // namespace mtl
