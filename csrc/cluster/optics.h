// OPTICS of points in the plane (Ankerst, Breunig, Kriegel, Sander, SIGMOD 1999).
//
// The core distance of a point is the distance to its min_samples-th neighbour, itself counted;
// infinite beyond max_eps. Points are taken in the order of (reachability, index); each core point
// taken offers max(its core distance, distance) to those within max_eps that are not yet taken, and
// becomes the predecessor of whom that serves. Distances are rounded to 15 decimals, as by
// rint(d * 1e15) / 1e15: scikit-learn's ties.
#pragma once

#include <cstdint>

#include "cluster/dbscan.h"

namespace mtl {

// All [N], by point except `order`: the points in the order in which they were taken.
struct OpticsOutputs {
  int64_t* order;
  double* reachability;
  double* core_distances;
  int64_t* predecessors;  // -1: none
};

// `points` without weights; max_eps may be infinite. Points that are not finite are out of reach.
void optics_cpu(const Points& points, double max_eps, int64_t min_samples,
                const OpticsOutputs& outputs, int threads);

struct XiSettings {
  int64_t min_samples;
  int64_t min_cluster_size;
  double xi;
  bool predecessor_correction;
};

// Labels [N] of the clusters between steep areas of the reachability plot; -1: in none.
void optics_xi(const OpticsOutputs& graph, int64_t count, const XiSettings& settings,
               int64_t* labels);

}  // namespace mtl
