// Launches, image by image: votes to a lattice (lattice.cuh), its core cells to components
// (components.cuh), these to clusters with centres (clusters.cuh), pixels to centres
// (instances.cuh).
//
// Nothing waits for the host: the number of clusters stays on the device, and launches cover as
// many as there may be. Deterministic: what is summed by atomics are integers, what is decided by
// them (roots, minima) does not depend on their order, and places taken in any order are sorted.
// Compiled without fused multiply-adds, as on the CPU.
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "cluster/cuda/cluster_instances.h"
#include "cluster/cuda/components.cuh"
#include "cluster/cuda/instances.cuh"
#include "cluster/cuda/lattice.cuh"

namespace mtl {
namespace {

int64_t cell_of(double coordinate, double scale) {
  return static_cast<int64_t>(std::floor(coordinate * scale + 0.5));
}

// Settings, and the size of the lattice; memory and inputs come later.
ClusterImage describe(const InstanceInputs& inputs, const InstanceSettings& settings) {
  if (settings.method != VoteMethod::kDensity) {
    throw std::invalid_argument("method: on a CUDA device only 'density'");
  }
  if (settings.thing_classes.size() > kMaxThingClasses) {
    throw std::invalid_argument("thing_classes: at most 32 on a CUDA device");
  }
  ClusterImage image = {};
  image.offsets = inputs.offsets;
  image.classes = static_cast<int32_t>(settings.thing_classes.size());
  std::copy(settings.thing_classes.begin(), settings.thing_classes.end(), image.thing_classes);
  image.class_agnostic = settings.class_agnostic;
  image.border = settings.dbscan.border;
  image.min_samples = settings.dbscan.min_samples;
  image.min_pixels = settings.min_pixels;
  image.scale = static_cast<double>(settings.cells_per_pixel);
  const double eps = settings.dbscan.eps, eps_cells = eps * image.scale;
  image.squared_eps = eps * eps;
  image.squared_eps_cells = eps_cells * eps_cells;
  image.squared_distance = settings.max_distance * settings.max_distance;
  image.low = -0.5 - settings.margin;
  image.high_x = static_cast<double>(inputs.offsets.width()) - 0.5 + settings.margin;
  image.high_y = static_cast<double>(inputs.offsets.height()) - 0.5 + settings.margin;
  image.low_cell = cell_of(image.low, image.scale);
  image.width = cell_of(image.high_x, image.scale) - image.low_cell + 1;
  image.height = cell_of(image.high_y, image.scale) - image.low_cell + 1;
  image.layers = settings.class_agnostic ? 1 : image.classes;
  if (image.cells() > std::numeric_limits<int32_t>::max() - 2) {
    throw std::invalid_argument("cells_per_pixel: at most 2^31 cells for all thing classes");
  }
  const double rows = static_cast<double>(image.height - 1);
  image.reach = static_cast<int32_t>(std::min(std::floor(eps_cells), rows));
  return image;
}

// Divides the workspace; with `memory` null only the size counts.
class Workspace {
 public:
  Workspace(ClusterImage& image, void* memory) : memory_(static_cast<char*>(memory)) {
    const int64_t cells = image.cells(), rows = kMaxClusters;
    // Zeroed for each image:
    image.counts = take<int32_t>(cells);
    image.rows = take<ClusterRow>(rows);
    image.spans = take<Span>(image.classes);
    image.in_class = take<int32_t>(image.class_agnostic ? rows * image.classes : 0);
    image.found = take<int32_t>(1);
    zeroed_ = used_;
    // Set to kNobody:
    image.first = take<int32_t>(cells);
    // Written before it is read:
    image.parent = take<int32_t>(cells);
    image.left = take<int32_t>(cells);
    image.place = take<int32_t>(image.pixels());
    image.widths = take<int32_t>(image.reach + 1);
    image.keys = take<Sum>(rows);
  }

  int64_t bytes() const { return used_; }

  void clear(const ClusterImage& image, void* stream) const {
    const auto set = [&](void* place, int byte, int64_t bytes) {
      check_cuda(cudaMemsetAsync(place, byte, static_cast<size_t>(bytes),
                                 static_cast<cudaStream_t>(stream)),
                 "clearing the lattice of votes");
    };
    set(memory_, 0, zeroed_);
    set(image.first, 0x7f, image.cells() * static_cast<int64_t>(sizeof(int32_t)));
  }

 private:
  template <class T>
  T* take(int64_t count) {
    constexpr int64_t kAlignment = 256;
    T* place = reinterpret_cast<T*>(memory_ ? memory_ + used_ : nullptr);
    const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return place;
  }

  char* memory_;
  int64_t used_ = 0, zeroed_ = 0;
};

TensorView view_of_image(TensorView batch, int64_t b) {
  if (!batch.data) return batch;
  batch.data = static_cast<char*>(batch.data) + b * batch.strides[0] * element_bytes(batch.dtype);
  batch.sizes[0] = 1;
  return batch;
}

void launch_image(const ClusterImage& image, void* stream) {
  const auto run = [&](void (*kernel)(ClusterImage), int64_t threads) {
    const int64_t blocks = (threads + kClusterThreads - 1) / kClusterThreads;
    launch(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kClusterThreads), 0, stream, image);
  };
  const int64_t pixels = image.pixels(), cells = image.cells();
  const int64_t row_threads = image.height * image.layers * kWarp;
  run(measure_disc, image.reach + 1);
  run(cast_votes, pixels);
  run(sum_rows, row_threads);
  run(find_cores, cells);
  run(link_rows, row_threads);
  run(unite_cores, cells);
  run(flatten, cells);
  run(join_borders, cells);
  run(open_clusters, pixels);
  run(order_clusters, kMaxClusters);
  run(sum_votes, pixels);
  run(find_centres, kMaxClusters);
  run(assign_pixels, pixels);
  run(elect_classes, kMaxClusters);
  run(measure_instances, pixels);
  run(number_instances, kMaxClusters);
  run(write_ids, pixels);
}

}  // namespace

int64_t cluster_instances_workspace(const InstanceInputs& inputs,
                                    const InstanceSettings& settings) {
  ClusterImage image = describe(inputs, settings);
  return Workspace(image, nullptr).bytes();
}

void cluster_instances_cuda(const InstanceInputs& inputs, const InstanceSettings& settings,
                            const CudaInstanceTables& tables, void* workspace, void* stream) {
  ClusterImage image = describe(inputs, settings);
  const Workspace memory(image, workspace);
  const int64_t batch = inputs.offsets.batch(), pixels = image.pixels();
  const auto cleared = [&](void* place, int64_t count) {
    check_cuda(cudaMemsetAsync(place, 0, static_cast<size_t>(count) * sizeof(int32_t),
                               static_cast<cudaStream_t>(stream)),
               "clearing the ids");
  };
  if (batch > 0) cleared(tables.found, batch);
  if (batch * pixels > 0) cleared(tables.ids, batch * pixels);
  if (pixels == 0 || image.classes == 0) return;
  for (int64_t b = 0; b < batch; ++b) {
    image.offsets = view_of_image(inputs.offsets, b);
    image.semantic = view_of_image(inputs.semantic, b);
    image.probabilities = view_of_image(inputs.probabilities, b);
    image.ids = tables.ids + b * pixels;
    image.kept = tables.found + b;
    image.table_classes = tables.classes + b * kMaxClusters;
    image.table_centroids = tables.centroids + 2 * b * kMaxClusters;
    image.table_pixels = tables.pixels + b * kMaxClusters;
    image.table_scores = tables.scores + b * kMaxClusters;
    memory.clear(image, stream);
    launch_image(image, stream);
  }
}

}  // namespace mtl
