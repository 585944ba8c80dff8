// Distance from a vote to its min_samples-th neighbour.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "cluster/cpu/grid.h"

namespace mtl {

// Keeps the nearest votes that it met, no more than are needed to weigh min_samples.
class CoreDistance {
 public:
  CoreDistance(const Grid& grid, int64_t min_samples, double max_eps)
      : grid_(grid), min_samples_(min_samples), max_eps_(max_eps) {}

  // Infinite if it exceeds max_eps. `around` are the cells around the vote's.
  double operator()(const Neighbourhood& around, const Vote& vote) {
    nearest_.clear();
    weight_ = 0;
    // A little beyond max_eps, whose square may round down: the root below decides.
    bound_ = max_eps_ * max_eps_ * (1 + 1e-9);
    for (const int32_t cell : around) visit(vote, cell);
    const double distance = weight_ >= min_samples_ ? std::sqrt(bound_) : kNone;
    return distance <= max_eps_ ? distance : kNone;
  }

 private:
  static constexpr double kNone = std::numeric_limits<double>::infinity();

  struct Met {
    double squared;
    int32_t weight;
    bool operator<(const Met& other) const { return squared < other.squared; }
  };

  void visit(const Vote& vote, int32_t node) {
    const Node& here = grid_.nodes[node];
    if (nearest_squared(vote.box(), here.box) > bound_) return;
    if (!here.is_leaf()) {
      const Node* children = &grid_.nodes[here.child];
      const bool second = nearest_squared(vote.box(), children[1].box) <
                          nearest_squared(vote.box(), children[0].box);
      visit(vote, here.child + second);
      visit(vote, here.child + !second);
      return;
    }
    for (int32_t i = here.begin; i < here.end(); ++i) meet(vote, grid_.votes[i]);
  }

  void meet(const Vote& vote, const Vote& other) {
    const double squared = squared_length(vote.x - other.x, vote.y - other.y);
    if (squared > bound_) return;
    nearest_.push_back({squared, other.weight});
    std::push_heap(nearest_.begin(), nearest_.end());
    weight_ += other.weight;
    while (weight_ - nearest_.front().weight >= min_samples_) {
      weight_ -= nearest_.front().weight;
      std::pop_heap(nearest_.begin(), nearest_.end());
      nearest_.pop_back();
    }
    if (weight_ >= min_samples_) bound_ = nearest_.front().squared;
  }

  const Grid& grid_;
  const int64_t min_samples_;
  const double max_eps_;
  std::vector<Met> nearest_;  // a heap, the farthest in front
  int64_t weight_ = 0;        // of nearest_
  double bound_ = 0;          // squared; what is farther does not matter
};

}  // namespace mtl
