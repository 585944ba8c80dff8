// Launches: points to the order of a Z curve (point_order.cuh, by radix_sort.cuh), a tree of boxes
// over them (point_tree.cuh), core points, components and labels (point_clusters.cuh).
//
// Nothing waits for the host. Deterministic: sorts are stable, and what is decided by atomics (the
// roots of sets, which are their smallest members) does not depend on their order. Compiled without
// fused multiply-adds, as on the CPU.
#include <algorithm>
#include <limits>

#include "cluster/cuda/dbscan.h"
#include "cluster/cuda/point_clusters.cuh"
#include "cluster/cuda/point_order.cuh"

namespace mtl {
namespace {

int64_t parts_of(int64_t count, int64_t size) {
  return (count + size - 1) / size;
}

// Sizes and memory; with `memory` null only the size counts.
class PointSpace {
 public:
  PointSpace(PointWork& work, void* memory) : memory_(static_cast<char*>(memory)) {
    const int64_t count = work.count;
    int64_t leaves = 1;
    while (leaves * kLeafPoints < count) leaves *= 2;
    work.leaves = static_cast<int32_t>(leaves);
    work.points = take<PlacedPoint>(count);
    work.boxes = take<Box>(2 * leaves);
    work.mass = take<int32_t>(2 * leaves);
    work.first = take<int32_t>(2 * leaves);
    for (Keyed* keyed : {&work.sorted, &work.spare}) {
      keyed->keys = take<uint64_t>(count);
      keyed->indices = take<int32_t>(count);
    }
    for (uint32_t*& columns : work.columns) columns = take<uint32_t>(count);
    work.numbers = take<uint32_t>(count);
    work.parents = take<int32_t>(count);
    const int64_t digits = kDigits * parts_of(count, kSortTile);
    work.digits = take<uint32_t>(digits);
    work.tiles = take<uint32_t>(parts_of(std::max(digits, count), kScanTile));
  }

  int64_t bytes() const { return used_; }

 private:
  template <class T>
  T* take(int64_t count) {
    constexpr int64_t kAlignment = 256;
    T* place = reinterpret_cast<T*>(memory_ ? memory_ + used_ : nullptr);
    used_ += parts_of(count * static_cast<int64_t>(sizeof(T)), kAlignment) * kAlignment;
    return place;
  }

  char* memory_;
  int64_t used_ = 0;
};

class Launches {
 public:
  Launches(const PointWork& work, void* stream) : work_(work), stream_(stream) {}

  void order_points() {
    for (int axis = 0; axis < 2; ++axis) {
      run(key_coordinates, work_.count, work_, axis);
      sort();
      run(measure_gaps, work_.count, work_, axis);
      scan(work_.numbers, work_.count);
      run(write_columns, work_.count, work_, axis);
    }
    run(key_cells, work_.count, work_);
    sort();
    run(place_points, work_.count, work_);
  }

  void build_tree(bool only_core) {
    run(build_leaves, work_.leaves, work_, only_core);
    for (int32_t level = work_.leaves / 2; level > 0; level /= 2) {
      run(build_level, level, work_, level);
    }
  }

  void label_points() {
    build_tree(false);
    run(find_core_points, work_.count, work_);
    build_tree(true);
    run(join_compact, work_.count, work_);
    run(unite_points, work_.count, work_);
    run(mark_roots, work_.count, work_);
    scan(work_.numbers, work_.count);
    const bool by_distance = work_.border == Border::kNearest;
    run(by_distance ? write_labels<true> : write_labels<false>, work_.count, work_);
  }

 private:
  // `size` things per block.
  template <class... Parameters>
  void run_blocks(void (*kernel)(Parameters...), int64_t blocks,
                  typename AsIs<Parameters>::type... arguments) {
    launch(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kClusterThreads), 0, stream_,
           arguments...);
  }

  template <class... Parameters>
  void run(void (*kernel)(Parameters...), int64_t threads,
           typename AsIs<Parameters>::type... arguments) {
    run_blocks(kernel, parts_of(threads, kClusterThreads), arguments...);
  }

  void scan(uint32_t* values, int64_t count) {
    const int64_t tiles = parts_of(count, kScanTile);
    run_blocks(sum_tiles, tiles, values, count, work_.tiles);
    run_blocks(scan_sums, 1, work_.tiles, tiles);
    run_blocks(scan_tiles, tiles, values, count, work_.tiles);
  }

  // An even number of passes: the result is where the keys were.
  void sort() {
    SortPass pass = {
        work_.sorted, work_.spare, work_.digits, work_.count, parts_of(work_.count, kSortTile), 0};
    for (; pass.shift < 64; pass.shift += 8) {
      run_blocks(count_digits, pass.tiles, pass);
      scan(pass.counts, kDigits * pass.tiles);
      run_blocks(move_keys, pass.tiles, pass);
      std::swap(pass.from, pass.to);
    }
  }

  const PointWork& work_;
  void* stream_;
};

}  // namespace

int64_t dbscan_workspace(int64_t count) {
  PointWork work = {};
  work.count = count;
  return PointSpace(work, nullptr).bytes();
}

void dbscan_cuda(const Points& points, const DbscanSettings& settings, int32_t* labels, bool* core,
                 void* workspace, void* stream) {
  if (points.count == 0) return;
  PointWork work = {};
  work.xy = points.xy;
  work.count = points.count;
  work.eps = settings.eps;
  work.squared_eps = settings.eps * settings.eps;
  work.min_samples = settings.min_samples;
  work.border = settings.border;
  constexpr int64_t kWidest = 2 * kCellsPerEps;
  const int64_t room = std::numeric_limits<uint32_t>::max() - 1;
  work.widest = static_cast<uint32_t>(std::min(kWidest, room / points.count));
  work.labels = labels;
  work.core = core;
  PointSpace(work, workspace);
  Launches launches(work, stream);
  launches.order_points();
  launches.label_points();
}

}  // namespace mtl
