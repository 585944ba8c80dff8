// DBSCAN of points in the plane.
//
// A neighbour is at distance <= eps, a point is its own neighbour, and a core point has at least
// min_samples of them. Components are core points joined by neighbourhood; border.h says who else
// belongs to them, and how they are numbered.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/border.h"

namespace mtl {

// count < 2^30 points [count,2] as (x, y); weights [count] >= 1 says how many points lie in that
// place (null: one each). Points that are not finite are noise.
struct Points {
  const double* xy = nullptr;
  const int32_t* weights = nullptr;
  int64_t count = 0;
};

struct DbscanSettings {
  double eps = 0;  // 1e-150 ... 1e150
  int64_t min_samples = 1;
  Border border = Border::kDbscan;
};

// Writes labels [count] (-1: noise) and core [count]; returns m(A) of each cluster, ascending. The
// same bits for any number of threads. Memory: at most 100 bytes per point beside the arguments.
std::vector<int32_t> dbscan_cpu(const Points& points, const DbscanSettings& settings,
                                int32_t* labels, bool* core, int threads);

}  // namespace mtl
