// The clustering of instances for ctypes: on the CPU and by the CUDA kernels, from the same
// numbers. python_tests/native/test_simt_cluster.py writes them.
#include <cstdlib>
#include <vector>

#include "cluster/cuda/cluster_instances.h"
#include "simt/entry.h"

namespace {

mtl::TensorView read_view(const int64_t*& next) {
  mtl::TensorView view;
  view.data = reinterpret_cast<void*>(*next++);
  view.dtype = static_cast<mtl::DType>(*next++);
  for (int64_t& size : view.sizes) size = *next++;
  for (int64_t& stride : view.strides) stride = *next++;
  return view;
}

mtl::InstanceInputs read_inputs(const int64_t* views) {
  mtl::InstanceInputs inputs;
  inputs.offsets = read_view(views);
  inputs.semantic = read_view(views);
  inputs.probabilities = read_view(views);
  return inputs;
}

// integers: method, min_samples, border, cells_per_pixel, min_pixels, class_agnostic, number of
// classes, classes. reals: eps, margin, max_distance.
mtl::InstanceSettings read_settings(const int64_t* integers, const double* reals) {
  mtl::InstanceSettings settings;
  settings.method = static_cast<mtl::VoteMethod>(integers[0]);
  settings.dbscan = {reals[0], integers[1], static_cast<mtl::Border>(integers[2])};
  settings.cells_per_pixel = integers[3];
  settings.min_pixels = integers[4];
  settings.class_agnostic = integers[5] != 0;
  settings.thing_classes.assign(integers + 7, integers + 7 + integers[6]);
  settings.margin = reals[1];
  settings.max_distance = reals[2];
  return settings;
}

}  // namespace

// Tables have room for kMaxClusters rows per image.
SIMT_ENTRY cluster_on_cpu(const int64_t* views, const int64_t* integers, const double* reals,
                          int32_t* ids, int32_t* found, int64_t* classes, float* centroids,
                          int64_t* pixels, float* scores) {
  return simt::entry([&] {
    for (const mtl::Instance& instance :
         mtl::cluster_instances_cpu(read_inputs(views), read_settings(integers, reals), ids, 1)) {
      const int64_t row = instance.image * mtl::kMaxClusters + found[instance.image]++;
      classes[row] = instance.class_id;
      centroids[2 * row] = static_cast<float>(instance.x);
      centroids[2 * row + 1] = static_cast<float>(instance.y);
      pixels[row] = instance.pixels;
      scores[row] = static_cast<float>(instance.score);
    }
  });
}

SIMT_ENTRY cluster_on_device(const int64_t* views, const int64_t* integers, const double* reals,
                             int32_t* ids, int32_t* found, int64_t* classes, float* centroids,
                             int64_t* pixels, float* scores) {
  return simt::entry([&] {
    const mtl::InstanceInputs inputs = read_inputs(views);
    const mtl::InstanceSettings settings = read_settings(integers, reals);
    // No kernel may count on what the workspace holds.
    std::vector<char> workspace(mtl::cluster_instances_workspace(inputs, settings), '\x5a');
    mtl::cluster_instances_cuda(inputs, settings, {ids, found, classes, centroids, pixels, scores},
                                workspace.data(), nullptr);
  });
}
