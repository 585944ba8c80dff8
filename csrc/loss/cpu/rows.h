// Helpers of passes over label maps: rows in parallel, and the first bad label.
#pragma once

#include <algorithm>
#include <atomic>
#include <limits>

#include "common/parallel.h"
#include "common/tensor_view.h"
#include "loss/bad_label.h"

namespace mtl {

// Calls row(b, y) for every row of the grid, in parallel by groups of rows.
template <class Row>
void for_each_row(const TensorView& grid, int threads, const Row& row) {
  const int64_t rows = grid.batch() * grid.height();
  const int64_t group = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, grid.width()));
  parallel_for((rows + group - 1) / group, threads, [&](int64_t chunk) {
    const int64_t end = std::min(rows, (chunk + 1) * group);
    for (int64_t r = chunk * group; r < end; ++r) row(r / grid.height(), r % grid.height());
  });
}

template <class Value>
const Value* row_of(const TensorView& view, int64_t b, int64_t y) {
  return static_cast<const Value*>(view.data) + view.offset(b, y, 0);
}

// Calls body(at) with at(x) = row[x * step]; for step 1 in a copy of its own, which vectorises.
template <class Value, class Body>
void with_pixels(const Value* row, int64_t step, const Body& body) {
  if (step == 1) {
    body([row](int64_t x) { return row[x]; });
  } else {
    body([row, step](int64_t x) { return row[x * step]; });
  }
}

inline void raise_to(std::atomic<int64_t>& largest, int64_t candidate) {
  int64_t seen = largest.load(std::memory_order_relaxed);
  while (candidate > seen && !largest.compare_exchange_weak(seen, candidate)) {
  }
}

// The first bad pixel in row-major order, whatever order the rows are looked at in.
class FirstBad {
 public:
  void note(const TensorView& labels, int64_t b, int64_t y, int64_t x) {
    const int64_t candidate = (b * labels.height() + y) * labels.width() + x;
    int64_t seen = place_.load(std::memory_order_relaxed);
    while (candidate < seen && !place_.compare_exchange_weak(seen, candidate)) {
    }
  }

  template <class Label>
  void throw_if_any(const TensorView& labels, size_t task) const {
    const int64_t place = place_;
    if (place == kNone) return;
    const int64_t x = place % labels.width(), y = place / labels.width() % labels.height();
    const int64_t b = place / labels.pixels();
    throw BadLabel(task, static_cast<int64_t>(row_of<Label>(labels, b, y)[x * labels.strides[3]]),
                   b, y, x);
  }

 private:
  static constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  std::atomic<int64_t> place_{kNone};
};

}  // namespace mtl
