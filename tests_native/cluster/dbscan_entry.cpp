// DBSCAN for ctypes: on the CPU and by the CUDA kernels. python_tests/native/test_simt_dbscan.py
// calls it.
#include <vector>

#include "cluster/cuda/dbscan.h"
#include "simt/entry.h"

namespace {

mtl::DbscanSettings settings_of(double eps, int64_t min_samples, int64_t border) {
  return {eps, min_samples, static_cast<mtl::Border>(border)};
}

}  // namespace

SIMT_ENTRY dbscan_on_cpu(const double* points, int64_t count, double eps, int64_t min_samples,
                         int64_t border, int32_t* labels, bool* core) {
  return simt::entry([&] {
    mtl::dbscan_cpu({points, nullptr, count}, settings_of(eps, min_samples, border), labels, core,
                    1);
  });
}

SIMT_ENTRY dbscan_on_device(const double* points, int64_t count, double eps, int64_t min_samples,
                            int64_t border, int32_t* labels, bool* core) {
  return simt::entry([&] {
    // No kernel may count on what the workspace holds.
    std::vector<char> workspace(mtl::dbscan_workspace(count), '\x5a');
    mtl::dbscan_cuda({points, nullptr, count}, settings_of(eps, min_samples, border), labels, core,
                     workspace.data(), nullptr);
  });
}

SIMT_ENTRY dbscan_bytes(int64_t count, int64_t* bytes) {
  return simt::entry([&] { *bytes = mtl::dbscan_workspace(count); });
}
