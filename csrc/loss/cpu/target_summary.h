// What must be known of a target before its loss: how many pixels count, where the instances are.
#pragma once

#include <cstddef>
#include <vector>

#include "loss/loss.h"

namespace mtl {

struct TargetSummary {
  double valid = 0.0;       // number of valid pixels
  double normaliser = 0.0;  // N: `valid`, or the summed class weights of the valid pixels
  // Centroids [B][ids][2] as (x, y) for an instance task; row 0 of an image and the rows of
  // absent ids are not read.
  std::vector<double> centroids;
  int64_t ids = 0;  // rows per image: the largest id + 1
};

// One pass over the target (two for instances). Integer sums: independent of the threads' order.
// Throws BadLabel with the first bad place in row-major order, `index` as its task.
TargetSummary summarise_target(const LossTask& task, size_t index, int threads);

}  // namespace mtl
