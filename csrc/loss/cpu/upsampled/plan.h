// Which bands a task with low-resolution predictions is made of, and the memory of their sums.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "loss/cpu/kernels.h"
#include "loss/loss.h"

namespace mtl {

class UpsampledPlan {
 public:
  // Bands of about `pixels` pixels: a function of the shapes alone.
  UpsampledPlan(const LossTask& task, int64_t pixels);

  const std::vector<UpsampledBand>& bands() const { return bands_; }

  // The band above in the same image, or null.
  const UpsampledBand* previous(size_t index) const {
    return bands_[index].low_begin == 0 ? nullptr : &bands_[index - 1];
  }

 private:
  void add_bands(const LossTask& task, int64_t image, int64_t pixels);
  void allocate(const LossTask& task);

  std::vector<UpsampledBand> bands_;
  std::unique_ptr<std::byte[]> sums_;
};

}  // namespace mtl
