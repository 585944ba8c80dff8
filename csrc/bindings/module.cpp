// The Python module mtl_cuda._native: how this library was built, and its ops.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/ops.h"
#include "common/cpu_features.h"
#if defined(MTL_HAS_CUDA)
#include "common/cuda/device.h"
#endif

namespace py = pybind11;

namespace {

py::dict build_info() {
  py::dict info;
  info["compiler"] = MTL_COMPILER;
  info["build_type"] = MTL_BUILD_TYPE;
  info["cuda"] = MTL_CUDA_VERSION;
  info["cuda_architectures"] = MTL_CUDA_ARCHITECTURES;
  info["simd"] = mtl::simd_path_name(mtl::simd_path());
  return info;
}

py::dict cuda_info() {
  py::dict info;
  py::list devices;
#if defined(MTL_HAS_CUDA)
  mtl::CudaReport report;
  {
    py::gil_scoped_release release;
    report = mtl::cuda_report();
  }
  info["fault"] = report.fault;
  info["driver"] = report.driver;
  for (const mtl::CudaDevice& device : report.devices) {
    py::dict entry;
    entry["name"] = device.name;
    entry["capability"] = py::make_tuple(device.major, device.minor);
    entry["fault"] = device.fault;
    devices.append(entry);
  }
#else
  info["fault"] = "built without CUDA";
  info["driver"] = 0;
#endif
  info["devices"] = devices;
  return info;
}

}  // namespace

PYBIND11_MODULE(_native, module) {
  module.doc() = "Native kernels of mtl_cuda. Use mtl_cuda.functional instead.";
  module.def("build_info", &build_info, "How this library was built and which SIMD path it runs.");
  module.def(
      "cuda_info", &cuda_info,
      "Driver and devices, each with the outcome of a test kernel ('fault', empty if good).");
  mtl::bind_argmax(module);
  mtl::bind_cluster(module);
  mtl::bind_loss(module);
}
