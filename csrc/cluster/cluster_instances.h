// Instances of images whose pixels vote for the centre of the object that they show.
//
// Pixel (row r, column c) votes for (c, r) + its offset. Per image and thing class the votes are
// clustered by DBSCAN; the centre of a cluster is the mean of its votes; then each pixel of the
// class goes to the centre that is nearest to its vote (Kendall, Gal, Cipolla, CVPR 2018,
// section 4.2).
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/dbscan.h"
#include "common/tensor_view.h"

namespace mtl {

enum class VoteMethod : int32_t {
  kDensity = 0,  // votes rounded to 1/cells_per_pixel, and counted per place
  kGrid = 1,     // votes as they are
};

struct InstanceInputs {
  TensorView offsets;        // [B,2,H,W] float32 or float64, (x, y) in pixels
  TensorView semantic;       // [B,1,H,W] of uint8 ... int64
  TensorView probabilities;  // [B,C,H,W] float32 in [0, 1]; may be absent: 1 everywhere
};

struct InstanceSettings {
  VoteMethod method = VoteMethod::kDensity;
  DbscanSettings dbscan;        // eps in pixels
  int64_t cells_per_pixel = 1;  // of kDensity
  double margin = 0;            // votes farther outside the image than this are noise
  double max_distance = 0;      // pixels whose vote is farther from any centre belong to nothing
  int64_t min_pixels = 1;       // smaller instances are dropped
  bool class_agnostic = false;  // all thing classes together; instances get the majority's
  std::vector<int64_t> thing_classes;  // each below 65536
};

// `score` is the mean probability of the instance's class over its pixels times the share of its
// pixels whose votes are within eps of its centre.
struct Instance {
  int64_t image, first_pixel, class_id, pixels;
  double x, y, score;
};

// Writes ids [B,H,W] contiguous: 0, or 1 + place of the instance among those of its image. Returns
// them by image, and within one by first pixel. Per pixel of a thing class it takes 12 bytes beside
// those of dbscan_cpu, per image (kDensity) 4 bytes for each of its cells.
std::vector<Instance> cluster_instances_cpu(const InstanceInputs& inputs,
                                            const InstanceSettings& settings, int32_t* ids,
                                            int threads);

}  // namespace mtl
