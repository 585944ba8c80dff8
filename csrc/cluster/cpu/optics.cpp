// OPTICS on the grid of grid.h. Core distances on all threads, then Prim's walk on one.
//
// Points in one place share their reachability until they are taken, so the frontier holds a place
// once, under its next point. Only the first point taken of a place has anything to offer: the
// others would offer the same. And an offer goes down a tree only where it is smaller than the
// largest reachability left there, so that one of infinite reach does not visit everybody.
//
// Until the end the outputs are ordered as the grid is: what the walk compares lies together, and
// needs no memory of its own.
#include "cluster/optics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "cluster/cpu/core_distance.h"
#include "cluster/cpu/frontier.h"
#include "cluster/cpu/grid.h"
#include "cluster/cpu/places.h"
#include "common/parallel.h"

namespace mtl {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();
constexpr int32_t kNobody = -1;

double round_distance(double distance) {
  return std::rint(distance * 1e15) / 1e15;
}

// A place is a vote of the grid. A slot is a point's position when points are ordered as the votes
// are, those in one place by index, those that are not finite last.
class Walk {
 public:
  Walk(const Points& points, double max_eps, int64_t min_samples, const OpticsOutputs& outputs,
       int threads)
      : count_(points.count), squared_eps_(max_eps * max_eps), by_slot_(outputs) {
    {
      const Places places = group_by_place(points);
      grid_ = build_grid(places.points(), max_eps, threads);
      order_slots(places);
    }
    next_.assign(begins_.begin(), begins_.end() - 1);
    largest_left_.assign(grid_.nodes.size(), kFar);
    std::fill_n(by_slot_.reachability, count_, kFar);
    std::fill_n(by_slot_.predecessors, count_, kNobody);
    std::fill_n(by_slot_.core_distances, count_, kFar);
    find_core_distances(max_eps, min_samples, threads);
  }

  void run() {
    Neighbourhood around(grid_);
    Frontier frontier(next_.size(), [this](int32_t a, int32_t b) { return is_before(a, b); });
    std::vector<bool> taken(count_);
    int64_t first_left = 0;
    for (int64_t turn = 0; turn < count_; ++turn) {
      int32_t place = frontier.pop();
      while (taken[first_left]) ++first_left;
      const int32_t point = place >= 0 ? points_[next_[place]] : static_cast<int32_t>(first_left);
      if (place < 0) place = place_of_[point];
      taken[point] = true;
      by_slot_.order[turn] = point;
      if (place >= 0) take(around, frontier, place, point);
    }
    order_by_point();
  }

 private:
  void order_slots(const Places& places) {
    place_of_.assign(count_, kNobody);
    points_.reserve(count_);
    begins_.reserve(grid_.votes.size() + 1);
    for (size_t v = 0; v < grid_.votes.size(); ++v) {
      const int32_t place = grid_.votes[v].index;
      begins_.push_back(static_cast<int32_t>(points_.size()));
      for (int32_t m = places.begins[place]; m < places.begins[place + 1]; ++m) {
        points_.push_back(places.members[m]);
        place_of_[places.members[m]] = static_cast<int32_t>(v);
      }
    }
    begins_.push_back(static_cast<int32_t>(points_.size()));
    for (int64_t i = 0; i < count_; ++i) {
      if (place_of_[i] == kNobody) points_.push_back(static_cast<int32_t>(i));
    }
  }

  void find_core_distances(double max_eps, int64_t min_samples, int threads) {
    constexpr int64_t kCells = 16;
    parallel_for((grid_.cells() + kCells - 1) / kCells, threads, [&](int64_t part) {
      Neighbourhood around(grid_);
      CoreDistance core_distance(grid_, min_samples, max_eps);
      for (int64_t c = part * kCells; c < std::min(grid_.cells(), (part + 1) * kCells); ++c) {
        around.move_to(c);
        for (int32_t v = grid_.nodes[c].begin; v < grid_.nodes[c].end(); ++v) {
          const double core = round_distance(core_distance(around, grid_.votes[v]));
          std::fill(by_slot_.core_distances + begins_[v], by_slot_.core_distances + begins_[v + 1],
                    core);
        }
      }
    });
  }

  int64_t cell_of(int32_t place) const {
    const auto roots = grid_.nodes.begin();  // by cell, and so by their votes
    const auto starts_later = [](int32_t vote, const Node& root) { return vote < root.begin; };
    return std::upper_bound(roots, roots + grid_.cells(), place, starts_later) - roots - 1;
  }

  bool is_before(int32_t a, int32_t b) const {
    const double one = by_slot_.reachability[next_[a]], two = by_slot_.reachability[next_[b]];
    return one < two || (one == two && points_[next_[a]] < points_[next_[b]]);
  }

  template <class Heap>
  void take(Neighbourhood& around, Heap& frontier, int32_t place, int32_t point) {
    const int32_t slot = next_[place]++;
    const bool is_last = next_[place] == begins_[place + 1];
    if (!is_last) {
      by_slot_.reachability[slot + 1] = by_slot_.reachability[slot];
      by_slot_.predecessors[slot + 1] = by_slot_.predecessors[slot];
    }
    const double core = by_slot_.core_distances[slot];
    if (slot == begins_[place] && core < kFar) {
      around.move_to(cell_of(place));
      const Offer mine{grid_.votes[place], point, core};
      for (const int32_t cell : around) offer(frontier, mine, cell);
    }
    if (!is_last && by_slot_.reachability[slot + 1] < kFar) frontier.raise(place);
  }

  struct Offer {
    const Vote& from;
    int32_t point;
    double core;
  };

  template <class Heap>
  void offer(Heap& frontier, const Offer& mine, int32_t node) {
    const Node& here = grid_.nodes[node];
    const double nearest = nearest_squared(mine.from.box(), here.box);
    if (nearest > squared_eps_) return;
    if (round_distance(std::max(std::sqrt(nearest), mine.core)) >= largest_left_[node]) return;
    if (!here.is_leaf()) {
      offer(frontier, mine, here.child);
      offer(frontier, mine, here.child + 1);
      largest_left_[node] = std::max(largest_left_[here.child], largest_left_[here.child + 1]);
      return;
    }
    double largest = 0;
    for (int32_t v = here.begin; v < here.end(); ++v) {
      const int32_t slot = next_[v];
      if (slot == begins_[v + 1]) continue;
      double& reach = by_slot_.reachability[slot];
      const double x = mine.from.x - grid_.votes[v].x, y = mine.from.y - grid_.votes[v].y;
      const double squared = squared_length(x, y);
      if (squared <= squared_eps_) {
        const double offered = round_distance(std::max(std::sqrt(squared), mine.core));
        if (offered < reach) {
          reach = offered;
          by_slot_.predecessors[slot] = mine.point;
          frontier.raise(v);
        }
      }
      largest = std::max(largest, reach);
    }
    largest_left_[node] = largest;
  }

  // Moves what slots have to their points, in place, along the cycles of the permutation.
  void order_by_point() {
    for (int64_t start = 0; start < count_; ++start) {
      double reach = by_slot_.reachability[start], core = by_slot_.core_distances[start];
      int64_t predecessor = by_slot_.predecessors[start];
      for (int64_t slot = start; points_[slot] != kNobody;) {
        const int32_t point = std::exchange(points_[slot], kNobody);
        std::swap(reach, by_slot_.reachability[point]);
        std::swap(core, by_slot_.core_distances[point]);
        std::swap(predecessor, by_slot_.predecessors[point]);
        slot = point;
      }
    }
  }

  const int64_t count_;
  const double squared_eps_;
  const OpticsOutputs by_slot_;  // but for the order
  Grid grid_;
  std::vector<int32_t> points_;       // of each slot
  std::vector<int32_t> begins_;       // [places + 1]: slots
  std::vector<int32_t> next_;         // of each place, the first slot left
  std::vector<int32_t> place_of_;     // of each point; kNobody: not finite
  std::vector<double> largest_left_;  // per node, at least the largest reachability left below it
};

}  // namespace

void optics_cpu(const Points& points, double max_eps, int64_t min_samples,
                const OpticsOutputs& outputs, int threads) {
  Walk(points, max_eps, min_samples, outputs, threads).run();
}

}  // namespace mtl
