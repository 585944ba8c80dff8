// Joins sets and clusters points on several threads; run under ThreadSanitizer by
// python_tests/native/test_cluster_threads.py. Exit status 1: results depend on the threads.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "cluster/dbscan.h"
#include "cluster/optics.h"
#include "cluster/union_find.h"
#include "common/parallel.h"

namespace {

struct Random {
  uint64_t state = 88172645463325252u;
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
  }
  double uniform() { return static_cast<double>(next() >> 11) / 9007199254740992.0; }
};

// Chains, stars and random pairs, all joined at once; roots must be the smallest members.
bool joins_as_one_thread() {
  constexpr int32_t kCount = 20000;
  Random random;
  std::vector<std::pair<int32_t, int32_t>> pairs;
  for (int32_t i = 0; i + 7 < kCount / 2; ++i) pairs.push_back({i + 7, i});
  for (int32_t i = kCount / 2; i < kCount; i += 3) pairs.push_back({kCount / 2 + 1, i});
  for (int i = 0; i < 3000; ++i) {
    pairs.push_back({static_cast<int32_t>(random.next() % kCount),
                     static_cast<int32_t>(random.next() % kCount)});
  }
  std::vector<std::vector<int32_t>> roots;
  for (const int threads : {1, 4}) {
    mtl::UnionFind sets(kCount);
    mtl::parallel_for(static_cast<int64_t>(pairs.size()), threads,
                      [&](int64_t i) { sets.unite(pairs[i].first, pairs[i].second); });
    roots.emplace_back();
    for (int32_t i = 0; i < kCount; ++i) {
      roots.back().push_back(sets.find(i));
      if (roots.back().back() > i) return false;
    }
  }
  return roots[0] == roots[1];
}

bool clusters_as_one_thread() {
  constexpr int64_t kCount = 60000;
  Random random;
  std::vector<double> xy;
  for (int64_t i = 0; i < 2 * kCount; ++i) {
    const double blob = static_cast<double>(random.next() % 30);
    xy.push_back(i % 5 == 0 ? 200 * random.uniform() : 7 * blob + random.uniform());
  }
  xy[11] = std::nan("");
  const mtl::Points points{xy.data(), nullptr, kCount};
  std::vector<std::vector<int32_t>> labels;
  for (const int threads : {1, 2, 4}) {
    labels.emplace_back(kCount);
    const std::unique_ptr<bool[]> core(new bool[kCount]);
    mtl::dbscan_cpu(points, {1.0, 6, mtl::Border::kDbscan}, labels.back().data(), core.get(),
                    threads);
  }
  return labels[0] == labels[1] && labels[0] == labels[2];
}

bool orders_as_one_thread() {
  constexpr int64_t kCount = 3000;
  Random random;
  std::vector<double> xy;
  for (int64_t i = 0; i < 2 * kCount; ++i) xy.push_back(60 * random.uniform());
  std::vector<std::vector<int64_t>> orders;
  for (const int threads : {1, 4}) {
    orders.emplace_back(kCount);
    std::vector<double> reachability(kCount), core(kCount);
    std::vector<int64_t> predecessors(kCount);
    mtl::optics_cpu({xy.data(), nullptr, kCount}, 5.0, 4,
                    {orders.back().data(), reachability.data(), core.data(), predecessors.data()},
                    threads);
  }
  return orders[0] == orders[1];
}

}  // namespace

int main() {
  if (!joins_as_one_thread()) return std::puts("union-find"), 1;
  if (!clusters_as_one_thread()) return std::puts("dbscan"), 1;
  if (!orders_as_one_thread()) return std::puts("optics"), 1;
  std::puts("the same on any number of threads");
  return 0;
}
