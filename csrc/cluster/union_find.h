// Disjoint sets that any number of threads join at once; the root of a set is its smallest member.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace mtl {

// Parents are never larger than their children, so the forest has no cycle at any moment, and the
// result depends on the pairs that were joined, not on their order.
class UnionFind {
 public:
  explicit UnionFind(int64_t size) : parent_(new std::atomic<int32_t>[size]) {
    for (int64_t i = 0; i < size; ++i) {
      parent_[i].store(static_cast<int32_t>(i), std::memory_order_relaxed);
    }
  }

  // Halves the path on its way: a parent is only ever replaced by an ancestor of it.
  int32_t find(int32_t i) {
    for (;;) {
      int32_t parent = parent_[i].load(std::memory_order_relaxed);
      const int32_t grandparent = parent_[parent].load(std::memory_order_relaxed);
      if (parent == grandparent) return parent;
      parent_[i].compare_exchange_weak(parent, grandparent, std::memory_order_relaxed);
      i = grandparent;
    }
  }

  // The larger root becomes a child of the smaller; if it is no root any more, try again.
  void unite(int32_t a, int32_t b) {
    for (;;) {
      a = find(a);
      b = find(b);
      if (a == b) return;
      if (a < b) std::swap(a, b);
      int32_t root = a;
      if (parent_[a].compare_exchange_strong(root, b, std::memory_order_relaxed)) return;
    }
  }

 private:
  std::unique_ptr<std::atomic<int32_t>[]> parent_;
};

}  // namespace mtl
