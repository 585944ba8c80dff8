// Instances of an id map: coordinate sums, from which centroids follow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/tensor_view.h"

namespace mtl {

// Ids beyond this are refused: tables are indexed by id.
constexpr int64_t kMaxInstanceId = 65535;

// Integer sums over the pixels of one instance: exact, whatever the order.
struct InstanceSums {
  int64_t count = 0, x = 0, y = 0;
};

// Sums [B][rows] by id, rows = the largest id + 1; row 0 of each image stays zero.
struct InstanceTable {
  int64_t rows = 0;
  std::vector<InstanceSums> sums;
};

// `ids` is [B,1,H,W] of uint8 ... int64. Two passes: the range of the ids, then the sums. Throws
// BadLabel with the first id below 0 or above `largest_allowed` in row-major order, and `task`.
InstanceTable sum_instances(const TensorView& ids, int64_t largest_allowed, size_t task,
                            int threads);

// centroids [B,K,2] as (x, y), NaN for ids that an image lacks; counts [B,K]; K = `instances`.
void instance_centroids_cpu(const TensorView& ids, int64_t instances, float* centroids,
                            int64_t* counts, int threads);

}  // namespace mtl
