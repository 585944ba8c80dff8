// Votes of a grid cell in a balanced tree of bounding boxes, so that a crowded cell is never
// searched point by point from outside.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cluster/box.h"

namespace mtl {

struct Vote {
  double x, y;
  int32_t index, weight;

  Box box() const { return Box::of_point(x, y); }
};

// `mass` is the weight of the node's votes; once core points are known, that of its core votes.
struct Node {
  Box box;
  int32_t begin, count;  // its votes
  int32_t child;         // its children are here and one further; negative: a leaf
  int32_t mass;

  int32_t end() const { return begin + count; }
  bool is_leaf() const { return child < 0; }
};

constexpr int32_t kLeafVotes = 32;

// How many nodes a tree over this many votes may have below its root.
inline int64_t nodes_below_root(int64_t votes) {
  int64_t leaves = 1;
  while (votes > leaves * kLeafVotes) leaves *= 2;
  return 2 * (leaves - 1);
}

// Completes `node`, whose votes are given: halves them along the longer side of their box until few
// are left or all lie in one place. `next` is where new nodes go.
inline void build_tree(std::vector<Node>& nodes, int32_t node, int32_t& next, Vote* votes) {
  Node& here = nodes[node];
  here.box = votes[here.begin].box();
  here.mass = 0;
  for (int32_t i = here.begin; i < here.end(); ++i) {
    here.box.add(votes[i].x, votes[i].y);
    here.mass += votes[i].weight;
  }
  here.child = -1;
  if (here.count <= kLeafVotes || here.box.is_point()) return;
  const int32_t half = here.count / 2;
  Vote* const begin = votes + here.begin;
  if (here.box.high_x - here.box.low_x > here.box.high_y - here.box.low_y) {
    std::nth_element(begin, begin + half, begin + here.count,
                     [](const Vote& a, const Vote& b) { return a.x < b.x; });
  } else {
    std::nth_element(begin, begin + half, begin + here.count,
                     [](const Vote& a, const Vote& b) { return a.y < b.y; });
  }
  here.child = next;
  next += 2;
  nodes[here.child].begin = here.begin;
  nodes[here.child].count = half;
  nodes[here.child + 1].begin = here.begin + half;
  nodes[here.child + 1].count = here.count - half;
  build_tree(nodes, here.child, next, votes);
  build_tree(nodes, here.child + 1, next, votes);
}

// Calls visit(leaf) for each leaf of a tree, in the order of their votes.
template <class Visit>
void for_each_leaf(const std::vector<Node>& nodes, int32_t node, const Visit& visit) {
  if (nodes[node].is_leaf()) {
    visit(nodes[node]);
    return;
  }
  for_each_leaf(nodes, nodes[node].child, visit);
  for_each_leaf(nodes, nodes[node].child + 1, visit);
}

}  // namespace mtl
