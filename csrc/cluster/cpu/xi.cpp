// Clusters as valleys of the reachability plot: figure 19 of Ankerst, Breunig, Kriegel, Sander
// (SIGMOD 1999), with the correction by predecessors of Schubert and Gertz (LWDA 2018, algorithm
// 2).
//
// A point is steep downward if the plot falls by a share of xi or more right after it, steep upward
// if it rises so. A steep area starts and ends with steep points, and has at most min_samples
// others in a row between them, none of which goes the other way. A cluster lies between a downward
// area and a later upward one of matching heights, with nothing higher in between.
//
// Facts that the paper leaves open follow scikit-learn: the plot ends with an infinite value; a
// point is steep downward if r(p) * (1 - xi) >= r(p + 1); smaller clusters come first.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cluster/optics.h"

namespace mtl {
namespace {

// Positions in the plot, both included.
struct Span {
  int64_t begin, end;
};

struct DownArea {
  Span span;
  double highest_since;
};

class Plot {
 public:
  Plot(const OpticsOutputs& graph, int64_t count, const XiSettings& settings)
      : graph_(graph),
        count_(count),
        settings_(settings),
        keep_(1 - settings.xi),
        reach_(count + 1, std::numeric_limits<double>::infinity()),
        position_(count) {
    for (int64_t i = 0; i < count; ++i) {
      reach_[i] = graph.reachability[graph.order[i]];
      position_[graph.order[i]] = i;
    }
  }

  std::vector<Span> clusters() {
    std::vector<Span> found;
    double highest = 0;
    int64_t next = 0;  // the first position behind the last area
    for (int64_t i = 0; i < count_; ++i) {
      if (i < next || !(steep_down(i) || steep_up(i))) continue;
      highest = std::max(highest, *std::max_element(&reach_[next], &reach_[i] + 1));
      forget_too_low(highest);
      const Span area{i, steep_down(i) ? end_of_area<true>(i) : end_of_area<false>(i)};
      next = area.end + 1;
      highest = reach_[next];
      if (steep_down(i)) {
        down_areas_.push_back({area, 0.0});
      } else {
        close_clusters(area, found);
      }
    }
    return found;
  }

 private:
  // Of two infinite neighbours the ratio is NaN: neither up nor down.
  double ratio(int64_t i) const { return reach_[i] / reach_[i + 1]; }
  bool steep_up(int64_t i) const { return ratio(i) <= keep_; }
  bool steep_down(int64_t i) const { return ratio(i) >= 1 / keep_; }

  template <bool kDown>
  int64_t end_of_area(int64_t begin) const {
    int64_t end = begin, others = 0;
    for (int64_t i = begin; i < count_; ++i) {
      if (kDown ? steep_down(i) : steep_up(i)) {
        others = 0;
        end = i;
      } else if (kDown ? ratio(i) < 1 : ratio(i) > 1) {
        break;
      } else if (++others > settings_.min_samples) {
        break;
      }
    }
    return end;
  }

  // Drops the downward areas that something as high as their start has followed.
  void forget_too_low(double highest) {
    if (std::isinf(highest)) down_areas_.clear();
    const auto low = [&](const DownArea& area) {
      return !(highest <= reach_[area.span.begin] * keep_);
    };
    down_areas_.erase(std::remove_if(down_areas_.begin(), down_areas_.end(), low),
                      down_areas_.end());
    for (DownArea& area : down_areas_) area.highest_since = std::max(area.highest_since, highest);
  }

  // The clusters that end with this upward area, smallest first.
  void close_clusters(const Span& up, std::vector<Span>& found) const {
    for (auto down = down_areas_.rbegin(); down != down_areas_.rend(); ++down) {
      Span cluster;
      if (match(*down, up, cluster)) found.push_back(cluster);
    }
  }

  // Definition 11 of the paper.
  bool match(const DownArea& down, const Span& up, Span& cluster) const {
    const double left = reach_[down.span.begin], right = reach_[up.end + 1];
    if (right * keep_ < down.highest_since) return false;
    cluster = {down.span.begin, up.end};
    if (left * keep_ >= right) {
      while (cluster.begin < down.span.end && reach_[cluster.begin + 1] > right) ++cluster.begin;
    } else if (right * keep_ >= left) {
      while (cluster.end > up.begin && reach_[cluster.end - 1] > left) --cluster.end;
    }
    if (settings_.predecessor_correction && !correct_end(cluster)) return false;
    return cluster.end - cluster.begin + 1 >= settings_.min_cluster_size &&
           cluster.begin <= down.span.end && cluster.end >= up.begin;
  }

  // Drops points at the end that were reached from outside the cluster.
  bool correct_end(Span& cluster) const {
    for (; cluster.begin < cluster.end; --cluster.end) {
      if (reach_[cluster.begin] > reach_[cluster.end]) return true;
      const int64_t predecessor = graph_.predecessors[graph_.order[cluster.end]];
      if (predecessor < 0) continue;
      const int64_t from = position_[predecessor];
      if (from >= cluster.begin && from < cluster.end) return true;
    }
    return false;
  }

  const OpticsOutputs& graph_;
  const int64_t count_;
  const XiSettings settings_;
  const double keep_;
  std::vector<double> reach_;  // by position, and an infinite one behind the last
  std::vector<int64_t> position_;
  std::vector<DownArea> down_areas_;
};

}  // namespace

void optics_xi(const OpticsOutputs& graph, int64_t count, const XiSettings& settings,
               int64_t* labels) {
  std::fill_n(labels, count, -1);
  int64_t number = 0;
  for (const Span& cluster : Plot(graph, count, settings).clusters()) {
    const int64_t *begin = graph.order + cluster.begin, *end = graph.order + cluster.end + 1;
    if (std::any_of(begin, end, [&](int64_t point) { return labels[point] != -1; })) continue;
    std::for_each(begin, end, [&](int64_t point) { labels[point] = number; });
    ++number;
  }
}

}  // namespace mtl
