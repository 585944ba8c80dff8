// Questions about distances to the votes of a node. Each is answered by boxes where they suffice,
// and goes down to single votes only where eps cuts through a leaf.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "cluster/cpu/grid.h"

namespace mtl {

struct Search {
  const Grid& grid;
  double squared_eps;

  bool are_neighbours(const Vote& a, const Vote& b) const {
    return squared_length(a.x - b.x, a.y - b.y) <= squared_eps;
  }
  bool all_near(const Box& box, const Node& node) const {
    return farthest_squared(box, node.box) <= squared_eps;
  }
  bool none_near(const Box& box, const Node& node) const {
    return nearest_squared(box, node.box) > squared_eps;
  }

  // Adds to `inside` the mass below `node` that is within eps of the whole box, and to `partly` the
  // leaves of which that is open.
  void sift(const Box& box, int32_t node, int64_t& inside, std::vector<const Node*>& partly) const {
    const Node& here = grid.nodes[node];
    if (none_near(box, here)) return;
    if (all_near(box, here)) {
      inside += here.mass;
    } else if (here.is_leaf()) {
      partly.push_back(&here);
    } else {
      sift(box, here.child, inside, partly);
      sift(box, here.child + 1, inside, partly);
    }
  }

  // The weight of a leaf's votes within eps; by masks, since branches here would be guesses.
  int64_t count(const Vote& vote, const Node& leaf) const {
    if (none_near(vote.box(), leaf)) return 0;
    if (all_near(vote.box(), leaf)) return leaf.mass;
    const Vote* const votes = &grid.votes[leaf.begin];
    int32_t count = 0;
    for (int32_t i = 0; i < leaf.count; ++i) {
      count += votes[i].weight & -static_cast<int32_t>(are_neighbours(vote, votes[i]));
    }
    return count;
  }
};

// The same about core votes, once the mass of a node is that of its core votes.
struct CoreSearch : Search {
  const std::vector<uint8_t>& is_core;

  // Whether some core vote of node a is a neighbour of one of node b.
  bool touch(int32_t a, int32_t b) const {
    const Node &one = grid.nodes[a], &two = grid.nodes[b];
    if (one.mass == 0 || two.mass == 0 || none_near(one.box, two)) return false;
    if (all_near(one.box, two)) return true;
    if (one.is_leaf()) return leaf_touches(one, b);
    if (two.is_leaf()) return leaf_touches(two, a);
    if (one.box.extent() > two.box.extent()) return touch(one.child, b) || touch(one.child + 1, b);
    return touch(a, two.child) || touch(a, two.child + 1);
  }

  bool leaf_touches(const Node& leaf, int32_t node) const {
    for (int32_t i = leaf.begin; i < leaf.end(); ++i) {
      if (!is_core[i]) continue;
      if (has_neighbour(grid.votes[i], node)) return true;
      if (leaf.box.is_point()) return false;  // the others are in the same place
    }
    return false;
  }

  // Whether some core vote of the node is a neighbour of `vote`.
  bool has_neighbour(const Vote& vote, int32_t node) const {
    const Node& here = grid.nodes[node];
    if (here.mass == 0 || none_near(vote.box(), here)) return false;
    if (all_near(vote.box(), here)) return true;
    if (!here.is_leaf()) {
      return has_neighbour(vote, here.child) || has_neighbour(vote, here.child + 1);
    }
    for (int32_t i = here.begin; i < here.end(); ++i) {
      if (is_core[i] && are_neighbours(vote, grid.votes[i])) return true;
    }
    return false;
  }

  // The squared distance of the node's nearest core vote; infinite if none is within `bound`.
  double nearest(const Vote& vote, int32_t node, double bound) const {
    constexpr double kNone = std::numeric_limits<double>::infinity();
    const Node& here = grid.nodes[node];
    if (here.mass == 0 || nearest_squared(vote.box(), here.box) > bound) return kNone;
    if (!here.is_leaf()) {
      const double first = nearest(vote, here.child, bound);
      return std::min(first, nearest(vote, here.child + 1, std::min(bound, first)));
    }
    double least = kNone;
    for (int32_t i = here.begin; i < here.end(); ++i) {
      if (!is_core[i]) continue;
      const double x = vote.x - grid.votes[i].x, y = vote.y - grid.votes[i].y;
      least = std::min(least, squared_length(x, y));
    }
    return least <= bound ? least : kNone;
  }
};

}  // namespace mtl
