// OPTICS on the grid of grid.h. Core distances on all threads, then Prim's walk on one.
//
// Points in one place share their reachability until they are taken, so the heap holds a place
// once, under its next point. Only the first point taken of a place has anything to offer: the
// others would offer the same. And an offer goes down a tree only where it is smaller than the
// largest reachability left there, so that one of infinite reach does not visit everybody.
#include "cluster/optics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <queue>
#include <tuple>
#include <vector>

#include "cluster/cpu/core_distance.h"
#include "cluster/cpu/grid.h"
#include "cluster/cpu/places.h"
#include "common/parallel.h"

namespace mtl {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

double round_distance(double distance) {
  return std::rint(distance * 1e15) / 1e15;
}

// A place with points left, under what it had to offer when it was entered.
struct Candidate {
  double reach;
  int32_t point, vote;
  bool operator>(const Candidate& other) const {
    return std::tie(reach, point) > std::tie(other.reach, other.point);
  }
};

// Indices of places are those of Grid::votes.
class Walk {
 public:
  Walk(const Points& points, double max_eps, int64_t min_samples, const OpticsOutputs& outputs,
       int threads)
      : count_(points.count),
        squared_eps_(max_eps * max_eps),
        outputs_(outputs),
        places_(group_by_place(points)),
        grid_(build_grid(places_.points(), max_eps, threads)),
        cell_(grid_.votes.size()),
        core_(grid_.votes.size()),
        reach_(grid_.votes.size(), kFar),
        predecessor_(grid_.votes.size(), -1),
        next_(grid_.votes.size()),
        end_(grid_.votes.size()),
        asked_(grid_.votes.size()),
        largest_left_(grid_.nodes.size(), kFar),
        vote_of_(points.count, -1) {
    for (size_t v = 0; v < grid_.votes.size(); ++v) {
      const int32_t place = grid_.votes[v].index;
      next_[v] = places_.begins[place];
      end_[v] = places_.begins[place + 1];
      for (int32_t m = next_[v]; m < end_[v]; ++m) {
        vote_of_[places_.members[m]] = static_cast<int32_t>(v);
      }
    }
    find_core_distances(max_eps, min_samples, threads);
  }

  void run() {
    Neighbourhood around(grid_);
    std::vector<bool> taken(count_);
    int64_t first_left = 0;
    for (int64_t turn = 0; turn < count_; ++turn) {
      int32_t vote = pop();
      while (taken[first_left]) ++first_left;
      const int64_t point = vote >= 0 ? places_.members[next_[vote]] : first_left;
      vote = vote_of_[point];
      taken[point] = true;
      outputs_.order[turn] = point;
      outputs_.core_distances[point] = vote < 0 ? kFar : core_[vote];
      outputs_.reachability[point] = vote < 0 ? kFar : reach_[vote];
      outputs_.predecessors[point] = vote < 0 ? -1 : predecessor_[vote];
      if (vote >= 0) take(around, vote, static_cast<int32_t>(point));
    }
  }

 private:
  void find_core_distances(double max_eps, int64_t min_samples, int threads) {
    constexpr int64_t kCells = 16;
    parallel_for((grid_.cells() + kCells - 1) / kCells, threads, [&](int64_t part) {
      Neighbourhood around(grid_);
      CoreDistance core_distance(grid_, min_samples, max_eps);
      for (int64_t c = part * kCells; c < std::min(grid_.cells(), (part + 1) * kCells); ++c) {
        around.move_to(c);
        for (int32_t v = grid_.nodes[c].begin; v < grid_.nodes[c].end(); ++v) {
          cell_[v] = static_cast<int32_t>(c);
          core_[v] = round_distance(core_distance(around, grid_.votes[v]));
        }
      }
    });
  }

  // The place of smallest (reachability, next point); negative: nobody left was offered anything.
  int32_t pop() {
    while (!heap_.empty()) {
      const Candidate top = heap_.top();
      heap_.pop();
      const bool valid = next_[top.vote] < end_[top.vote] && top.reach == reach_[top.vote] &&
                         top.point == places_.members[next_[top.vote]];
      if (valid) return top.vote;
    }
    return -1;
  }

  void take(Neighbourhood& around, int32_t vote, int32_t point) {
    ++next_[vote];
    if (core_[vote] < kFar && !asked_[vote]) {
      asked_[vote] = true;
      around.move_to(cell_[vote]);
      for (const int32_t cell : around) offer(grid_.votes[vote], point, core_[vote], cell);
    }
    if (reach_[vote] < kFar) enter(vote);
  }

  void enter(int32_t vote) {
    if (next_[vote] == end_[vote]) return;
    heap_.push({reach_[vote], places_.members[next_[vote]], vote});
  }

  void offer(const Vote& from, int32_t point, double core, int32_t node) {
    const Node& here = grid_.nodes[node];
    const double nearest = nearest_squared(from.box(), here.box);
    if (nearest > squared_eps_) return;
    if (round_distance(std::max(std::sqrt(nearest), core)) >= largest_left_[node]) return;
    if (!here.is_leaf()) {
      offer(from, point, core, here.child);
      offer(from, point, core, here.child + 1);
      largest_left_[node] = std::max(largest_left_[here.child], largest_left_[here.child + 1]);
      return;
    }
    double largest = 0;
    for (int32_t v = here.begin; v < here.end(); ++v) {
      if (next_[v] == end_[v]) continue;
      const double squared = squared_length(from.x - grid_.votes[v].x, from.y - grid_.votes[v].y);
      if (squared <= squared_eps_) {
        const double reach = round_distance(std::max(std::sqrt(squared), core));
        if (reach < reach_[v]) {
          reach_[v] = reach;
          predecessor_[v] = point;
          enter(v);
        }
      }
      largest = std::max(largest, reach_[v]);
    }
    largest_left_[node] = largest;
  }

  const int64_t count_;
  const double squared_eps_;
  const OpticsOutputs outputs_;
  const Places places_;
  const Grid grid_;
  std::vector<int32_t> cell_;
  std::vector<double> core_;
  std::vector<double> reach_;
  std::vector<int64_t> predecessor_;
  std::vector<int32_t> next_, end_;   // in Places::members: the points left
  std::vector<uint8_t> asked_;        // whether it has made its offer
  std::vector<double> largest_left_;  // per node, at least the largest reachability left below it
  std::vector<int32_t> vote_of_;      // per point; negative: not finite
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<Candidate>> heap_;
};

}  // namespace

void optics_cpu(const Points& points, double max_eps, int64_t min_samples,
                const OpticsOutputs& outputs, int threads) {
  Walk(points, max_eps, min_samples, outputs, threads).run();
}

}  // namespace mtl
