// The nearest of some centres, found through one tree over them.
#pragma once

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "cluster/cpu/grid.h"
#include "cluster/cpu/pixel_votes.h"

namespace mtl {

class NearestCentre {
 public:
  // Centres [K,2] as (x, y), K > 0.
  explicit NearestCentre(const std::vector<double>& centres)
      : grid_(build_grid({centres.data(), nullptr, static_cast<int64_t>(centres.size() / 2)},
                         std::numeric_limits<double>::infinity(), 1)) {}

  struct Found {
    double squared;
    int32_t centre;  // negative: none
    bool operator<(const Found& other) const {
      return squared < other.squared || (squared == other.squared && centre < other.centre);
    }
  };

  // The nearest centre, of several the first, if its squared distance is at most `bound`.
  Found operator()(const Place& vote, double bound) const {
    Found best{bound, std::numeric_limits<int32_t>::max()};
    visit({vote.x, vote.y, 0, 0}, 0, best);
    if (best.centre == std::numeric_limits<int32_t>::max()) best.centre = -1;
    return best;
  }

 private:
  void visit(const Vote& vote, int32_t node, Found& best) const {
    const Node& here = grid_.nodes[node];
    if (here.is_leaf()) {
      for (int32_t i = here.begin; i < here.end(); ++i) {
        const Vote& centre = grid_.votes[i];
        best = std::min(best,
                        Found{squared_length(vote.x - centre.x, vote.y - centre.y), centre.index});
      }
      return;
    }
    int32_t first = here.child, second = here.child + 1;
    double to_first = nearest_squared(vote.box(), grid_.nodes[first].box);
    double to_second = nearest_squared(vote.box(), grid_.nodes[second].box);
    if (to_second < to_first) {
      std::swap(first, second);
      std::swap(to_first, to_second);
    }
    if (to_first <= best.squared) visit(vote, first, best);
    if (to_second <= best.squared) visit(vote, second, best);
  }

  const Grid grid_;
};

}  // namespace mtl
