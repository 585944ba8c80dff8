// From clusters to instances: each pixel to the nearest centre, tables, final ids.
#pragma once

#include "cluster/cuda/clusters.cuh"

namespace mtl {

// ids become 1 + the row of the nearest centre. A thread per pixel.
__global__ void __launch_bounds__(kClusterThreads)
    assign_pixels(const __grid_constant__ ClusterImage image) {
  const int64_t pixel = thread_index();
  if (pixel >= image.pixels()) return;
  const int class_place = class_place_of(image, pixel);
  int32_t best = -1;
  if (class_place >= 0 && clusters_of(image) > 0) {
    const DevicePlace vote = vote_of(image, pixel);
    const Span span = image.spans[group_of(image, class_place)];
    double least = image.squared_distance;
    for (int32_t r = span.begin; r < span.end && is_finite(vote); ++r) {
      const double squared = squared_distance(vote, image.rows[r]);
      if (squared < least || (best < 0 && squared <= least)) {
        best = r;
        least = squared;
      }
    }
  }
  image.ids[pixel] = best + 1;
  if (best >= 0 && image.class_agnostic) {
    atomicAdd(&image.in_class[int64_t{best} * image.classes + class_place], 1);
  }
}

// Each row's class: its group's, or that of most of its pixels, of several the first.
__global__ void __launch_bounds__(kClusterThreads)
    elect_classes(const __grid_constant__ ClusterImage image) {
  const int64_t i = thread_index();
  if (i >= clusters_of(image)) return;
  int32_t place = image.rows[i].group;
  for (int32_t c = 0; image.class_agnostic && c < image.classes; ++c) {
    const int32_t* pixels = image.in_class + i * image.classes;
    if (pixels[c] > pixels[place]) place = c;
  }
  image.rows[i].class_place = place;
}

// In units of 1/kProbabilityUnit; NaN counts as 0.
__device__ __forceinline__ Sum probability_of(const ClusterImage& image, int64_t pixel,
                                              int64_t class_id) {
  const TensorView& view = image.probabilities;
  if (!view.data) return static_cast<Sum>(kProbabilityUnit);
  const int64_t row = pixel / view.width(), column = pixel - row * view.width();
  const int64_t at = view.offset(0, row, column) + class_id * view.strides[1];
  const double value = static_cast<double>(load_value<float>(view, at));
  return static_cast<Sum>(llround((value > 0 ? min(value, 1.0) : 0.0) * kProbabilityUnit));
}

// A thread per pixel.
__global__ void __launch_bounds__(kClusterThreads)
    measure_instances(const __grid_constant__ ClusterImage image) {
  const int64_t pixel = thread_index();
  const int32_t row = pixel < image.pixels() ? image.ids[pixel] - 1 : -1;
  Sum values[3] = {};
  if (row >= 0) {
    const ClusterRow& own = image.rows[row];
    values[0] = 1;
    values[1] = squared_distance(vote_of(image, pixel), own) <= image.squared_eps;
    values[2] = probability_of(image, pixel, image.thing_classes[own.class_place]);
  }
  add_to_row(row, values, [&](int32_t r) { return &image.rows[r].pixels; });
  // The first lane of those with the same row has the first of their pixels.
  const unsigned same = __match_any_sync(kAllLanes, row);
  const bool leads = __ffs(static_cast<int>(same)) - 1 == static_cast<int>(threadIdx.x) % kWarp;
  if (row >= 0 && leads) {
    atomicMin(&image.rows[row].first_pixel, static_cast<int32_t>(pixel));
  }
}

__device__ __forceinline__ bool is_kept(const ClusterImage& image, const ClusterRow& row) {
  return static_cast<int64_t>(row.pixels) >= image.min_pixels;
}

// Ids by first pixel, and the tables. A thread per cluster.
__global__ void __launch_bounds__(kClusterThreads)
    number_instances(const __grid_constant__ ClusterImage image) {
  const int64_t i = thread_index();
  if (i == 0 && *image.found > kMaxClusters) *image.kept = -*image.found;
  const int32_t clusters = clusters_of(image);
  if (i >= clusters) return;
  ClusterRow& row = image.rows[i];
  row.id = 0;
  if (!is_kept(image, row)) return;
  int32_t before = 0;
  for (int32_t j = 0; j < clusters; ++j) {
    const ClusterRow& other = image.rows[j];
    before += is_kept(image, other) && other.first_pixel < row.first_pixel;
  }
  row.id = before + 1;
  atomicAdd(image.kept, 1);
  const double pixels = static_cast<double>(row.pixels);
  const double score = static_cast<double>(row.probability) / kProbabilityUnit / pixels *
                       (static_cast<double>(row.near) / pixels);
  image.table_classes[before] = image.thing_classes[row.class_place];
  image.table_centroids[2 * before] = static_cast<float>(row.x);
  image.table_centroids[2 * before + 1] = static_cast<float>(row.y);
  image.table_pixels[before] = static_cast<int64_t>(row.pixels);
  image.table_scores[before] = static_cast<float>(score);
}

// A thread per pixel.
__global__ void __launch_bounds__(kClusterThreads)
    write_ids(const __grid_constant__ ClusterImage image) {
  const int64_t pixel = thread_index();
  if (pixel >= image.pixels()) return;
  const int32_t row = image.ids[pixel] - 1;
  if (row >= 0) image.ids[pixel] = image.rows[row].id;
}

}  // namespace mtl
