// From components to clusters: their numbers and their centres.
#pragma once

#include "cluster/cuda/image.cuh"
#include "common/cuda/reduce.cuh"

namespace mtl {

// The root of the component that a pixel's vote belongs to; -1: none.
__device__ __forceinline__ int32_t root_of(const ClusterImage& image, int64_t pixel) {
  const int32_t cell = image.place[pixel];
  if (cell < 0) return -1;
  const int32_t parent = image.parent[cell];
  if (parent >= -1) return parent;
  const int32_t root = -2 - parent;
  return keeps_border(image.border, pixel, image.counts[root]) ? root : -1;
}

// Each cluster is opened by its head, the pixel m(A), in no particular order. A thread per pixel.
__global__ void __launch_bounds__(kClusterThreads)
    open_clusters(const __grid_constant__ ClusterImage image) {
  const int64_t pixel = thread_index();
  if (pixel >= image.pixels()) return;
  const int32_t cell = image.place[pixel];
  if (cell < 0 || image.parent[cell] < 0) return;
  if (image.counts[image.parent[cell]] != pixel) return;
  const int32_t place = atomicAdd(image.found, 1);
  const Sum group = static_cast<Sum>(cell / (image.width * image.height));
  if (place < kMaxClusters) image.keys[place] = group << 32 | static_cast<Sum>(pixel);
}

// Rows in the order of the keys: counted, since keys differ. A thread per cluster.
__global__ void __launch_bounds__(kClusterThreads)
    order_clusters(const __grid_constant__ ClusterImage image) {
  const int64_t i = thread_index();
  const int32_t clusters = clusters_of(image);
  if (i >= clusters) return;
  const Sum key = image.keys[i];
  int32_t rank = 0;
  for (int32_t j = 0; j < clusters; ++j) rank += image.keys[j] < key;
  const int32_t head = static_cast<int32_t>(key & 0xffffffffu);
  ClusterRow& row = image.rows[rank];
  row.group = static_cast<int32_t>(key >> 32);
  row.first_pixel = kNobody;
  image.left[image.parent[image.place[head]]] = rank;
}

// Adds `values` to the sums that sums_of(row) points to; `row` negative: nothing to add. Neighbours
// mostly share their row: then a warp adds once. All lanes take part.
template <int Count, class SumsOf>
__device__ __forceinline__ void add_to_row(int32_t row, const Sum (&values)[Count],
                                           const SumsOf& sums_of) {
  const int32_t first = __shfl_sync(kAllLanes, row, 0);
  if (!__all_sync(kAllLanes, row == first)) {
    if (row < 0) return;
    for (int i = 0; i < Count; ++i) atomicAdd(sums_of(row) + i, values[i]);
  } else if (first >= 0) {
    for (int i = 0; i < Count; ++i) {
      const Sum sum = warp_sum(values[i]);
      if (threadIdx.x % kWarp == 0) atomicAdd(sums_of(first) + i, sum);
    }
  }
}

// A thread per pixel.
__global__ void __launch_bounds__(kClusterThreads)
    sum_votes(const __grid_constant__ ClusterImage image) {
  const int64_t pixel = thread_index();
  const bool exists = pixel < image.pixels() && clusters_of(image) > 0;
  const int32_t root = exists ? root_of(image, pixel) : -1;
  const int32_t row = root >= 0 ? image.left[root] : -1;
  Sum values[3] = {};
  if (row >= 0) {
    const DevicePlace vote = vote_of(image, pixel);
    values[0] = 1;
    values[1] = static_cast<Sum>(llround(vote.x * kVoteUnit));
    values[2] = static_cast<Sum>(llround(vote.y * kVoteUnit));
  }
  add_to_row(row, values, [&](int32_t r) { return &image.rows[r].votes; });
}

// A thread per cluster.
__global__ void __launch_bounds__(kClusterThreads)
    find_centres(const __grid_constant__ ClusterImage image) {
  const int64_t i = thread_index();
  const int32_t clusters = clusters_of(image);
  if (i >= clusters) return;
  ClusterRow& row = image.rows[i];
  const double unit = kVoteUnit * static_cast<double>(row.votes);
  row.x = static_cast<double>(static_cast<int64_t>(row.sum_x)) / unit;
  row.y = static_cast<double>(static_cast<int64_t>(row.sum_y)) / unit;
  if (i == 0 || image.rows[i - 1].group != row.group) {
    image.spans[row.group].begin = static_cast<int32_t>(i);
  }
  if (i + 1 == clusters || image.rows[i + 1].group != row.group) {
    image.spans[row.group].end = static_cast<int32_t>(i + 1);
  }
}

}  // namespace mtl
