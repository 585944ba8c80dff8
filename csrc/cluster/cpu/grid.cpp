// One pass for the range of the points, one for keys, a radix sort, one to gather votes; then the
// trees, cell by cell. All but the scans over cells run on all threads.
#include "cluster/cpu/grid.h"

#include <cmath>
#include <limits>
#include <mutex>

#include "cluster/cpu/radix_sort.h"
#include "common/parallel.h"

namespace mtl {
namespace {

constexpr int64_t kPart = 32768;  // points, or cells, that one task takes

template <class Body>
void for_parts(int64_t count, int threads, const Body& body) {
  parallel_for((count + kPart - 1) / kPart, threads,
               [&](int64_t part) { body(part * kPart, std::min(count, (part + 1) * kPart)); });
}

bool is_finite(const double* point) {
  return std::isfinite(point[0]) && std::isfinite(point[1]);
}

// Columns (or rows) of cells: intervals of one coordinate. They are evenly spaced, unless that
// would take so many that their numbers lose precision; then each starts at the first coordinate
// that the one before does not hold.
class Axis {
 public:
  Axis(const Points& points, int coordinate, double low, double high, double side)
      : low_(low), side_(side) {
    if ((high - low) / side < kMaxEven) {
      count_ = number_even(high) + 1;
      return;
    }
    std::vector<double> sorted;
    for (int64_t i = 0; i < points.count; ++i) {
      const double* point = points.xy + 2 * i;
      if (is_finite(point)) sorted.push_back(point[coordinate]);
    }
    std::sort(sorted.begin(), sorted.end());
    for (const double value : sorted) {
      if (starts_.empty() || value - starts_.back() > side) starts_.push_back(value);
    }
    count_ = static_cast<uint64_t>(starts_.size());
  }

  uint64_t number(double value) const {
    if (starts_.empty()) return number_even(value);
    return std::upper_bound(starts_.begin(), starts_.end(), value) - starts_.begin() - 1;
  }
  uint64_t count() const { return count_; }

 private:
  // So few that rounding widens an interval by less than the margin in cell_side.
  static constexpr double kMaxEven = 1 << 30;

  uint64_t number_even(double value) const { return static_cast<uint64_t>((value - low_) / side_); }

  double low_, side_;
  std::vector<double> starts_;
  uint64_t count_;
};

double cell_side(double radius) {
  return radius * ((1 - 1e-6) / std::sqrt(2.0));
}

struct Range {
  Box box;
  int64_t finite = 0;
};

Range range_of(const Points& points, int threads) {
  constexpr double kFar = std::numeric_limits<double>::infinity();
  Range range{{kFar, kFar, -kFar, -kFar}, 0};
  std::mutex mutex;
  for_parts(points.count, threads, [&](int64_t begin, int64_t end) {
    Range own{{kFar, kFar, -kFar, -kFar}, 0};
    for (int64_t i = begin; i < end; ++i) {
      const double* point = points.xy + 2 * i;
      if (!is_finite(point)) continue;
      own.box.add(point[0], point[1]);
      ++own.finite;
    }
    std::lock_guard<std::mutex> lock(mutex);
    if (own.finite == 0) return;
    range.box.add(own.box.low_x, own.box.low_y);
    range.box.add(own.box.high_x, own.box.high_y);
    range.finite += own.finite;
  });
  return range;
}

// Sorts the finite points by cell and gathers them; roots of nodes get their votes.
template <class Key>
void fill_cells(Grid& grid, const Points& points, const Range& range, const Axis& columns,
                const Axis& rows, int threads) {
  std::vector<Keyed<Key>> order(points.count);
  for_parts(points.count, threads, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double* point = points.xy + 2 * i;
      order[i].index = is_finite(point) ? static_cast<int32_t>(i) : -1;
      if (order[i].index < 0) continue;
      const uint64_t row = rows.number(point[1]) + kReach;
      order[i].key = static_cast<Key>(row * grid.stride + columns.number(point[0]) + kReach);
    }
  });
  if (range.finite < points.count) {
    order.erase(std::remove_if(order.begin(), order.end(),
                               [](const Keyed<Key>& item) { return item.index < 0; }),
                order.end());
  }
  int bits = 1;
  while (((rows.count() + 2 * kReach) * grid.stride) >> bits) ++bits;
  radix_sort(order, bits, threads);

  grid.votes.resize(order.size());
  for_parts(grid.votes.size(), threads, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int32_t index = order[i].index;
      grid.votes[i] = {points.xy[2 * int64_t{index}], points.xy[2 * int64_t{index} + 1], index,
                       points.weights ? points.weights[index] : 1};
    }
  });
  int64_t cells = 0, below_roots = 0;
  for (size_t i = 0; i < order.size(); ++i) cells += i == 0 || order[i].key != order[i - 1].key;
  grid.keys.reserve(cells);
  std::vector<int32_t> begins;
  begins.reserve(cells + 1);
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && order[i].key == order[i - 1].key) continue;
    grid.keys.push_back(order[i].key);
    begins.push_back(static_cast<int32_t>(i));
  }
  begins.push_back(static_cast<int32_t>(order.size()));
  std::vector<Keyed<Key>>().swap(order);  // the nodes may take its memory
  for (int64_t c = 0; c < cells; ++c) below_roots += nodes_below_root(begins[c + 1] - begins[c]);
  grid.nodes.resize(cells + below_roots);
  int32_t next = static_cast<int32_t>(cells);
  for (int64_t c = 0; c < cells; ++c) {
    Node& root = grid.nodes[c];
    root.begin = begins[c];
    root.count = begins[c + 1] - begins[c];
    root.child = next;
    next += static_cast<int32_t>(nodes_below_root(root.count));
  }
}

}  // namespace

Grid build_grid(const Points& points, double radius, int threads) {
  Grid grid;
  const Range range = range_of(points, threads);
  if (range.finite == 0) return grid;
  const double side = cell_side(radius);
  const Axis columns(points, 0, range.box.low_x, range.box.high_x, side);
  const Axis rows(points, 1, range.box.low_y, range.box.high_y, side);
  grid.stride = columns.count() + 2 * kReach;
  const double keys = static_cast<double>(rows.count() + 2 * kReach) * grid.stride;
  if (keys < std::numeric_limits<uint32_t>::max()) {
    fill_cells<uint32_t>(grid, points, range, columns, rows, threads);
  } else {
    fill_cells<uint64_t>(grid, points, range, columns, rows, threads);
  }
  constexpr int64_t kCells = 64;
  const int64_t cells = grid.cells();
  parallel_for((cells + kCells - 1) / kCells, threads, [&](int64_t part) {
    for (int64_t c = part * kCells; c < std::min(cells, (part + 1) * kCells); ++c) {
      int32_t next = grid.nodes[c].child;
      build_tree(grid.nodes, static_cast<int32_t>(c), next, grid.votes.data());
    }
  });
  return grid;
}

void Neighbourhood::move_to(int64_t cell) {
  const std::vector<uint64_t>& keys = grid_.keys;
  const int64_t cells = grid_.cells();
  const bool in_order = last_ >= 0 && cell >= last_;
  last_ = cell;
  count_ = 0;
  // Keys start at row and column kReach, so nothing here is negative or reaches the next row.
  uint64_t first = keys[cell] - kReach * grid_.stride - kReach;
  for (int row = 0; row < kRows; ++row, first += grid_.stride) {
    int64_t& at = row_begin_[row];
    if (!in_order) at = std::lower_bound(keys.begin(), keys.end(), first) - keys.begin();
    while (at < cells && keys[at] < first) ++at;
    for (int64_t c = at; c < cells && keys[c] <= first + 2 * kReach; ++c) {
      cells_[count_++] = static_cast<int32_t>(c);
    }
  }
}

}  // namespace mtl
