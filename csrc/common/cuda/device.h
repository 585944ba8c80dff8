// What the CUDA runtime says of this machine, and whether this build's kernels run on it.
#pragma once

#include <string>
#include <vector>

namespace mtl {

struct CudaDevice {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  std::string fault;         // empty: a kernel of this build ran; else why it did not
};

struct CudaReport {
  std::string fault;  // empty, or why no device can be used
  int driver = 0;     // CUDA version of the driver, 1000 * major + 10 * minor; 0: no driver
  std::vector<CudaDevice> devices;
};

CudaReport cuda_report();

}  // namespace mtl
