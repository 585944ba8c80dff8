#include "loss/cpu/upsampled/plan.h"

#include <algorithm>

#include "upsample/bilinear.h"
#include "upsample/memory.h"

namespace mtl {

UpsampledPlan::UpsampledPlan(const LossTask& task, int64_t pixels) {
  if (!is_upsampled(task)) return;
  for (int64_t b = 0; b < task.prediction.batch(); ++b) add_bands(task, b, pixels);
  if (task.gradient.data) allocate(task);
}

// A band starts where the lower row of the prediction changes, so that it shares no more than one
// row with the band before, and no row with any other.
void UpsampledPlan::add_bands(const LossTask& task, int64_t image, int64_t pixels) {
  const BilinearAxis rows(task.prediction.height(), task.target.height(), task.align_corners);
  UpsampledBand band = {image, 0, 0, 0, 0, 0, nullptr};
  for (int64_t y = 1; y <= rows.out; ++y) {
    const bool last = y == rows.out;
    const BilinearSample above = rows.at(y - 1);
    const int64_t low = last ? rows.in : rows.at(y).low;
    if (!last && ((y - band.begin) * task.target.width() < pixels || low == above.low)) continue;
    band.end = y;
    band.owned_end = low;
    band.low_end = std::max(above.high + 1, low);
    bands_.push_back(band);
    band.begin = y;
    band.low_begin = low;
  }
  // Against a target without rows: nothing but zeros to write.
  if (rows.out == 0) bands_.push_back({image, 0, 0, 0, rows.in, rows.in, nullptr});
}

void UpsampledPlan::allocate(const LossTask& task) {
  const int64_t scalar = task.prediction.dtype == DType::kFloat64 ? 8 : 4;
  const int64_t row_bytes =
      task.prediction.channels() * row_stride(task.prediction.width()) * scalar;
  int64_t bytes = 0;
  for (const UpsampledBand& band : bands_) bytes += (band.low_end - band.low_begin) * row_bytes;
  sums_.reset(new std::byte[static_cast<size_t>(bytes)]);
  std::byte* place = sums_.get();
  for (UpsampledBand& band : bands_) {
    band.gradient = place;
    place += (band.low_end - band.low_begin) * row_bytes;
  }
}

}  // namespace mtl
