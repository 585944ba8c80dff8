// What the kernels of one image work on: inputs, settings, and the parts of the workspace.
//
// The lattice has q cells per pixel and one layer per group (a thing class, or all of them).
// Indices of cells, row by row and layer by layer, fit in 31 bits.
#pragma once

#include "cluster/cuda/cluster_instances.h"
#include "cluster/cuda/threads.cuh"
#include "common/cuda/element.cuh"

namespace mtl {

constexpr double kVoteUnit = 65536, kProbabilityUnit = 1 << 30;

using Sum = unsigned long long;  // of signed numbers as well: sums wrap around

struct ClusterRow {
  Sum votes, sum_x, sum_y;  // in 1/kVoteUnit
  Sum pixels, near, probability;
  double x, y;
  int32_t group;
  int32_t class_place;  // in thing_classes
  int32_t first_pixel;
  int32_t id;  // 0: dropped
};

struct Span {
  int32_t begin, end;
};

struct ClusterImage {
  TensorView offsets, semantic, probabilities;  // of one image
  int32_t thing_classes[kMaxThingClasses];
  int32_t classes;
  bool class_agnostic;
  Border border;
  int64_t min_samples, min_pixels;
  double squared_eps, squared_eps_cells, squared_distance;
  double low, high_x, high_y;  // where votes count
  double scale;                // cells per pixel
  int64_t low_cell, width, height, layers;
  int32_t reach;  // rows of cells that a neighbourhood spans above and below

  int32_t* widths;    // [reach + 1]: cells that a neighbourhood spans to each side in a row
  int32_t* place;     // [pixels]: the cell that a pixel votes for; -1: none
  int32_t* counts;    // [cells]: votes; then their sums along rows; then m(A), at roots
  int32_t* first;     // [cells]: the first pixel that votes for it; kNobody: none
  int32_t* parent;    // [cells]: of core cells, see components.cuh; else -1, or -2 - a root
  int32_t* left;      // [cells]: column of the core cell at or before; then, at roots, the cluster
  Sum* keys;          // [kMaxClusters]: group and m(A), in the order of their discovery
  ClusterRow* rows;   // [kMaxClusters], by group and m(A)
  Span* spans;        // [classes]: rows of each group
  int32_t* in_class;  // [kMaxClusters, classes]: pixels, where classes are elected
  int32_t* found;     // clusters; may exceed kMaxClusters

  int32_t* ids;
  int32_t* kept;
  int64_t* table_classes;
  float* table_centroids;
  int64_t* table_pixels;
  float* table_scores;

  __host__ __device__ int64_t pixels() const { return offsets.pixels(); }
  __host__ __device__ int64_t cells() const { return width * height * layers; }
};

constexpr int32_t kNobody = 0x7f7f7f7f;  // more than any pixel; a memset of 0x7f

// Clusters to work on: none where they are too many.
__device__ __forceinline__ int32_t clusters_of(const ClusterImage& image) {
  return *image.found <= kMaxClusters ? *image.found : 0;
}

struct DevicePlace {
  double x, y;
};

__device__ __forceinline__ DevicePlace vote_of(const ClusterImage& image, int64_t pixel) {
  const int64_t width = image.offsets.width(), row = pixel / width, column = pixel - row * width;
  const int64_t at = image.offsets.offset(0, row, column);
  return {
      static_cast<double>(column) + load_value<double>(image.offsets, at),
      static_cast<double>(row) + load_value<double>(image.offsets, at + image.offsets.strides[1])};
}

__device__ __forceinline__ bool is_finite(const DevicePlace& vote) {
  return vote.x - vote.x == 0 && vote.y - vote.y == 0;
}

// The place of the pixel's class in thing_classes; -1: no thing.
__device__ __forceinline__ int class_place_of(const ClusterImage& image, int64_t pixel) {
  const int64_t width = image.semantic.width(), row = pixel / width, column = pixel - row * width;
  const int64_t label = load_label(image.semantic, image.semantic.offset(0, row, column));
  int place = -1;
  for (int c = 0; c < image.classes; ++c) place = label == image.thing_classes[c] ? c : place;
  return place;
}

__device__ __forceinline__ int group_of(const ClusterImage& image, int class_place) {
  return image.class_agnostic && class_place >= 0 ? 0 : class_place;
}

__device__ __forceinline__ double squared_distance(const DevicePlace& vote, const ClusterRow& row) {
  const double x = vote.x - row.x, y = vote.y - row.y;
  return x * x + y * y;
}

}  // namespace mtl
