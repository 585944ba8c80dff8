// DBSCAN on the grid of grid.h, in four passes over its cells: core points; what of each cell is
// core; the union of neighbouring cells; labels.
//
// All core points of a cell belong to one component, so sets are sets of cells. Crowded cells are
// decided as a whole or through the boxes of their trees: neither a million votes in one place nor
// two dense cells just out of each other's reach are compared pair by pair.
//
// Deterministic: each pass reads what the passes before it wrote, and the partition that the
// union-find ends with does not depend on the order of its unions.
#include "cluster/dbscan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "cluster/cpu/grid.h"
#include "cluster/cpu/search.h"
#include "cluster/union_find.h"
#include "common/parallel.h"

namespace mtl {
namespace {

constexpr int32_t kNoCore = std::numeric_limits<int32_t>::max();

class Dbscan {
 public:
  Dbscan(const Points& points, const DbscanSettings& settings, int threads)
      : threads_(threads),
        min_samples_(settings.min_samples),
        border_(settings.border),
        grid_(build_grid(points, settings.eps, threads)),
        is_core_(grid_.votes.size()),
        search_{{grid_, settings.eps * settings.eps}, is_core_},
        smallest_(grid_.cells(), kNoCore),
        number_(grid_.cells(), kNoise),
        sets_(grid_.cells()) {}

  std::vector<int32_t> run(int32_t* labels, bool* core) {
    for_cells([this](Neighbourhood& around, int32_t cell) { find_cores(around, cell); });
    for_cells([this](Neighbourhood&, int32_t cell) { weigh_cores(cell); });
    for_cells([this](Neighbourhood& around, int32_t cell) { unite(around, cell); });
    number_components();
    for_cells([&](Neighbourhood& around, int32_t cell) { write(around, cell, labels, core); });
    return std::move(order_);
  }

 private:
  template <class Body>
  void for_cells(const Body& body) {
    constexpr int64_t kMostCells = 256, kParts = 8;  // of a task; a thread has at least
    const int64_t cells = grid_.cells();
    const int64_t size = std::clamp<int64_t>(cells / (kParts * threads_), 1, kMostCells);
    parallel_for((cells + size - 1) / size, threads_, [&](int64_t part) {
      Neighbourhood around(grid_);
      for (int64_t c = part * size; c < std::min(cells, (part + 1) * size); ++c) {
        body(around, static_cast<int32_t>(c));
      }
    });
  }

  // Pass 1. A cell of min_samples is all core, a neighbourhood of fewer has none; else by leaves.
  void find_cores(Neighbourhood& around, int32_t cell) {
    const Node& root = grid_.nodes[cell];
    if (root.mass >= min_samples_) {
      std::fill_n(is_core_.begin() + root.begin, root.count, 1);
      return;
    }
    around.move_to(cell);
    int64_t mass = 0;
    for (const int32_t other : around) mass += grid_.nodes[other].mass;
    if (mass < min_samples_) return;
    std::vector<const Node*> partly;
    for_each_leaf(grid_.nodes, cell, [&](const Node& leaf) { find_cores(around, leaf, partly); });
  }

  void find_cores(const Neighbourhood& around, const Node& leaf, std::vector<const Node*>& partly) {
    int64_t inside = 0;
    partly.clear();
    for (const int32_t other : around) search_.sift(leaf.box, other, inside, partly);
    int64_t possible = inside;
    for (const Node* node : partly) possible += node->mass;
    if (possible < min_samples_) return;
    for (int32_t i = leaf.begin; i < leaf.end(); ++i) {
      int64_t count = inside;
      for (size_t n = 0; n < partly.size() && count < min_samples_; ++n) {
        count += search_.count(grid_.votes[i], *partly[n]);
      }
      is_core_[i] = count >= min_samples_;
    }
  }

  // Pass 2. From here on the mass of a node is the weight of its core votes.
  void weigh_cores(int32_t cell) {
    const Node& root = grid_.nodes[cell];
    if (root.mass < min_samples_) weigh_node(cell);
    for (int32_t i = root.begin; i < root.end(); ++i) {
      if (is_core_[i]) smallest_[cell] = std::min(smallest_[cell], grid_.votes[i].index);
    }
  }

  int32_t weigh_node(int32_t node) {
    Node& here = grid_.nodes[node];
    if (!here.is_leaf()) return here.mass = weigh_node(here.child) + weigh_node(here.child + 1);
    here.mass = 0;
    for (int32_t i = here.begin; i < here.end(); ++i) {
      if (is_core_[i]) here.mass += grid_.votes[i].weight;
    }
    return here.mass;
  }

  // Pass 3. Each pair of neighbouring cells once.
  void unite(Neighbourhood& around, int32_t cell) {
    if (grid_.nodes[cell].mass == 0) return;
    around.move_to(cell);
    for (const int32_t other : around) {
      if (other >= cell) break;
      if (sets_.find(cell) == sets_.find(other)) continue;
      if (search_.touch(cell, other)) sets_.unite(cell, other);
    }
  }

  // Between passes: smallest_ of a root becomes m(A), and number_ of a root its label.
  void number_components() {
    std::vector<int32_t> roots;
    for (int32_t cell = 0; cell < grid_.cells(); ++cell) {
      if (smallest_[cell] == kNoCore) continue;
      const int32_t root = sets_.find(cell);
      if (root == cell) roots.push_back(root);
      smallest_[root] = std::min(smallest_[root], smallest_[cell]);
    }
    const auto by_smallest = [this](int32_t a, int32_t b) { return smallest_[a] < smallest_[b]; };
    std::sort(roots.begin(), roots.end(), by_smallest);
    for (const int32_t root : roots) {
      number_[root] = static_cast<int32_t>(order_.size());
      order_.push_back(smallest_[root]);
    }
  }

  // Pass 4.
  void write(Neighbourhood& around, int32_t cell, int32_t* labels, bool* core) {
    const Node& root = grid_.nodes[cell];
    const int32_t own = root.mass > 0 ? number_[sets_.find(cell)] : kNoise;
    bool moved = false;
    for (int32_t i = root.begin; i < root.end(); ++i) {
      const Vote& vote = grid_.votes[i];
      core[vote.index] = is_core_[i];
      labels[vote.index] = own;
      if (is_core_[i]) continue;
      if (!moved) around.move_to(cell);
      moved = true;
      labels[vote.index] = border_label(around, vote);
    }
  }

  // Labels ascend with m(A): the smallest label is that of the smallest m(A).
  int32_t border_label(const Neighbourhood& around, const Vote& vote) {
    if (border_ == Border::kNone) return kNoise;
    const bool by_distance = border_ == Border::kNearest;
    int32_t best = kNoCore;
    double bound = search_.squared_eps;
    for (const int32_t cell : around) {
      if (grid_.nodes[cell].mass == 0) continue;
      const int32_t number = number_[sets_.find(cell)];
      if (by_distance) {
        const double distance = search_.nearest(vote, cell, bound);
        if (distance < bound || (distance == bound && number < best)) best = number;
        bound = std::min(bound, distance);
      } else if (number < best && search_.has_neighbour(vote, cell)) {
        best = number;
      }
    }
    const bool found = best != kNoCore && keeps_border(border_, vote.index, order_[best]);
    return found ? best : kNoise;
  }

  const int threads_;
  const int64_t min_samples_;
  const Border border_;
  Grid grid_;
  std::vector<uint8_t> is_core_;  // of each vote, in the order of the grid
  const CoreSearch search_;
  std::vector<int32_t> smallest_;  // of each cell, the smallest index of its core points
  std::vector<int32_t> number_;    // of each root, the label of its component
  std::vector<int32_t> order_;     // of each label, m(A)
  UnionFind sets_;
};

}  // namespace

std::vector<int32_t> dbscan_cpu(const Points& points, const DbscanSettings& settings,
                                int32_t* labels, bool* core, int threads) {
  std::fill_n(labels, points.count, kNoise);
  std::fill_n(core, points.count, false);
  return Dbscan(points, settings, threads).run(labels, core);
}

}  // namespace mtl
