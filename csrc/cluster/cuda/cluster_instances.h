// Instances of images on a CUDA device: the method kDensity of cluster/cluster_instances.h, with
// the same results as on the CPU.
#pragma once

#include "cluster/cluster_instances.h"

namespace mtl {

constexpr int kMaxThingClasses = 32;
// Clusters of one image, small ones included. An image with more gets no ids.
constexpr int64_t kMaxClusters = 16384;

// Memory on the device; tables have kMaxClusters rows per image.
struct CudaInstanceTables {
  int32_t* ids;      // [B,H,W]
  int32_t* found;    // [B]: rows used, or minus the number of clusters where they are too many
  int64_t* classes;  // [B,rows]
  float* centroids;  // [B,rows,2]
  int64_t* pixels;   // [B,rows]
  float* scores;     // [B,rows]
};

// Bytes: 4 per pixel, 16 per cell of the lattice and thing class, and about 2 MB; images share
// them.
int64_t cluster_instances_workspace(const InstanceInputs& inputs, const InstanceSettings& settings);

// Asynchronous on `stream`; 17 launches an image. Offsets and probabilities may also be float16 and
// bfloat16. Throws std::invalid_argument for kGrid and for too many classes.
void cluster_instances_cuda(const InstanceInputs& inputs, const InstanceSettings& settings,
                            const CudaInstanceTables& tables, void* workspace, void* stream);

}  // namespace mtl
