// DBSCAN of points on a CUDA device: labels and core points as of dbscan_cpu, bit by bit.
#pragma once

#include "cluster/dbscan.h"

namespace mtl {

// Bytes on the device: at most 85 per point, and a few thousand.
int64_t dbscan_workspace(int64_t count);

// Asynchronous on `stream`; at most 200 launches. Points, labels and core lie on the device; points
// have no weights.
void dbscan_cuda(const Points& points, const DbscanSettings& settings, int32_t* labels, bool* core,
                 void* workspace, void* stream);

}  // namespace mtl
