// Votes sorted into square cells, of which only the occupied ones exist.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/cpu/tree.h"
#include "cluster/dbscan.h"

namespace mtl {

// Cells are a little smaller than radius/sqrt(2): votes of one cell are always within `radius` of
// each other, and votes within `radius` of each other are at most kReach cells apart in x and in y.
constexpr int kReach = 2;
constexpr int kRows = 2 * kReach + 1, kNeighbours = kRows * kRows;

struct Grid {
  std::vector<Vote> votes;     // the finite points, cell by cell
  std::vector<uint64_t> keys;  // of each cell, ascending: row * stride + column
  std::vector<Node> nodes;     // the tree of cell c has its root at nodes[c]
  uint64_t stride = 0;         // keys of neighbouring rows differ by this

  int64_t cells() const { return static_cast<int64_t>(keys.size()); }
};

// `radius` may be infinite: then there is one cell.
Grid build_grid(const Points& points, double radius, int threads);

// Finds the occupied cells around a cell. Cheapest for cells in ascending order: each row of the
// neighbourhood remembers where it was.
class Neighbourhood {
 public:
  explicit Neighbourhood(const Grid& grid) : grid_(grid) {}

  // Fills cells()[0 ... count()) with the cells at most kReach from `cell`, itself among them.
  void move_to(int64_t cell);

  const int32_t* begin() const { return cells_; }
  const int32_t* end() const { return cells_ + count_; }

 private:
  const Grid& grid_;
  int64_t last_ = -1;
  int64_t row_begin_[kRows] = {};
  int32_t cells_[kNeighbours];
  int count_ = 0;
};

}  // namespace mtl
