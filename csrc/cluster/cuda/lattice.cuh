// From pixels to the lattice: votes counted per cell, and which cells are core.
//
// A cell counts the votes within eps by one difference of sums along each of 2 * reach + 1 rows.
#pragma once

#include "cluster/cuda/image.cuh"
#include "common/cuda/reduce.cuh"

namespace mtl {

// How far a neighbourhood reaches in each row: the most cells w with w^2 + dy^2 <= eps^2.
__global__ void __launch_bounds__(kClusterThreads)
    measure_disc(const __grid_constant__ ClusterImage image) {
  const int64_t dy = thread_index();
  if (dy > image.reach) return;
  const double rest = image.squared_eps_cells - static_cast<double>(dy * dy);
  int64_t width = static_cast<int64_t>(sqrt(min(max(rest, 0.0), 1e18)));
  while (width > 0 && static_cast<double>(width * width + dy * dy) > image.squared_eps_cells) {
    --width;
  }
  while (static_cast<double>((width + 1) * (width + 1) + dy * dy) <= image.squared_eps_cells &&
         width < image.width) {
    ++width;
  }
  image.widths[dy] = static_cast<int32_t>(min(width, image.width));
}

__global__ void __launch_bounds__(kClusterThreads)
    cast_votes(const __grid_constant__ ClusterImage image) {
  const int64_t pixel = thread_index();
  if (pixel >= image.pixels()) return;
  image.place[pixel] = -1;
  const int group = group_of(image, class_place_of(image, pixel));
  if (group < 0) return;
  const DevicePlace vote = vote_of(image, pixel);
  const bool inside = vote.x >= image.low && vote.x <= image.high_x && vote.y >= image.low &&
                      vote.y <= image.high_y;  // false for NaN
  if (!inside) return;
  const int64_t x = static_cast<int64_t>(floor(vote.x * image.scale + 0.5)) - image.low_cell;
  const int64_t y = static_cast<int64_t>(floor(vote.y * image.scale + 0.5)) - image.low_cell;
  const int64_t cell = (group * image.height + y) * image.width + x;
  atomicAdd(&image.counts[cell], 1);
  atomicMin(&image.first[cell], static_cast<int32_t>(pixel));
  image.place[pixel] = static_cast<int32_t>(cell);
}

// The row of this warp, among those of all layers, and where it starts.
struct WarpRow {
  int64_t begin;
  bool exists;
};

__device__ __forceinline__ WarpRow warp_row(const ClusterImage& image) {
  const int64_t row = thread_index() / kWarp;
  return {row * image.width, row < image.height * image.layers};
}

// counts become their sums from the start of the row. A warp per row.
__global__ void __launch_bounds__(kClusterThreads)
    sum_rows(const __grid_constant__ ClusterImage image) {
  const WarpRow row = warp_row(image);
  if (!row.exists) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  int32_t before = 0;
  for (int64_t x = lane; x - lane < image.width; x += kWarp) {
    int32_t sum = x < image.width ? image.counts[row.begin + x] : 0;
    for (int delta = 1; delta < kWarp; delta *= 2) {
      const int32_t other = __shfl_up_sync(kAllLanes, sum, static_cast<unsigned>(delta));
      sum += lane >= delta ? other : 0;
    }
    sum += before;
    if (x < image.width) image.counts[row.begin + x] = sum;
    before = __shfl_sync(kAllLanes, sum, kWarp - 1);
  }
}

// Votes of columns x - width ... x + width of a row, from the sums along it.
__device__ __forceinline__ int32_t votes_between(const ClusterImage& image, int64_t row_begin,
                                                 int64_t x, int64_t width) {
  const int64_t last = min(x + width, image.width - 1), before = x - width - 1;
  const int32_t* sums = image.counts + row_begin;
  return sums[last] - (before >= 0 ? sums[before] : 0);
}

// Core cells become roots. A thread per cell.
__global__ void __launch_bounds__(kClusterThreads)
    find_cores(const __grid_constant__ ClusterImage image) {
  const int64_t cell = thread_index();
  if (cell >= image.cells()) return;
  const int64_t row = cell / image.width, x = cell - row * image.width, y = row % image.height;
  image.parent[cell] = -1;
  if (image.first[cell] == kNobody) return;
  int64_t votes = 0;
  const int64_t top = max(y - image.reach, int64_t{0});
  const int64_t bottom = min(y + image.reach, image.height - 1);
  for (int64_t other = top; other <= bottom && votes < image.min_samples; ++other) {
    const int64_t dy = other < y ? y - other : other - y;
    votes += votes_between(image, (row + other - y) * image.width, x, image.widths[dy]);
  }
  if (votes >= image.min_samples) image.parent[cell] = static_cast<int32_t>(cell);
}

// Writes `left`, and makes room for m(A) in `counts`. A warp per row.
__global__ void __launch_bounds__(kClusterThreads)
    link_rows(const __grid_constant__ ClusterImage image) {
  const WarpRow row = warp_row(image);
  if (!row.exists) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  int32_t before = -1;
  for (int64_t x = lane; x - lane < image.width; x += kWarp) {
    const bool is_core = x < image.width && image.parent[row.begin + x] >= 0;
    int32_t nearest = is_core ? static_cast<int32_t>(x) : -1;
    for (int delta = 1; delta < kWarp; delta *= 2) {
      const int32_t other = __shfl_up_sync(kAllLanes, nearest, static_cast<unsigned>(delta));
      nearest = lane >= delta ? max(nearest, other) : nearest;
    }
    nearest = max(nearest, before);
    if (x < image.width) {
      image.left[row.begin + x] = nearest;
      image.counts[row.begin + x] = kNobody;
    }
    before = __shfl_sync(kAllLanes, nearest, kWarp - 1);
  }
}

}  // namespace mtl
