// argmax_upsampled on the CPU for one instruction set (cmake/simd.cmake compiles this file once per
// set). The logits are interpolated tile by tile in the first-level cache, as for the loss of
// low-resolution predictions (loss/cpu/upsampled), and each result is written once.
#include "argmax/cpu/kernels.h"

#include "argmax/cpu/pixels.h"
#include "upsample/gather.h"
#include "upsample/phases.h"

namespace mtl {
inline namespace MTL_SIMD {
namespace {

template <class Acc, template <class, class> class Columns>
void run(const ArgmaxTask& task, const ArgmaxRows& range, Acc* scratch) {
  const Upsampling grid = {task.logits, task.classes.height(), task.classes.width(),
                           task.align_corners};
  const BilinearAxis rows(task.logits.height(), grid.height, grid.align_corners);
  const int64_t channels = task.logits.channels();
  PredictionRows<Acc> low_rows(grid.prediction, range.image, scratch);
  scratch += 2 * channels * row_stride(task.logits.width());
  ArgmaxPixels<Acc> pixels(task, tile_pixels(channels));
  Columns<Acc, ArgmaxPixels<Acc>> columns(grid, range.image, scratch, pixels);
  for (int64_t y = range.begin; y < range.end;) {
    const CellRow row = cell_row_at(rows, y, range.end);
    columns.cell_row(rows, row, low_rows.row(row.low), low_rows.row(row.high), nullptr, nullptr);
    y = row.end;
  }
}

template <class Acc>
void run(const ArgmaxTask& task, const ArgmaxRows& range, void* scratch) {
  const BilinearAxis columns(task.logits.width(), task.classes.width(), task.align_corners);
  columns.whole_ratio() ? run<Acc, PhaseColumns>(task, range, static_cast<Acc*>(scratch))
                        : run<Acc, GatherColumns>(task, range, static_cast<Acc*>(scratch));
}

void argmax(const ArgmaxTask& task, const ArgmaxRows& range, void* scratch) {
  task.logits.dtype == DType::kFloat64 ? run<double>(task, range, scratch)
                                       : run<float>(task, range, scratch);
}

}  // namespace

extern const ArgmaxKernel kArgmaxKernel;
const ArgmaxKernel kArgmaxKernel = argmax;

}  // namespace MTL_SIMD
}  // namespace mtl
