// Launches of argmax_upsampled: one kernel, by type, number of classes and what is wanted.
#include <algorithm>

#include "argmax/cuda/argmax_upsampled.cuh"
#include "argmax/cuda/argmax_upsampled.h"

namespace mtl {
namespace {

constexpr int64_t kMaxBlocks = int64_t{1} << 30;  // more take further turns

int64_t divide_up(int64_t count, int64_t size) {
  return (count + size - 1) / size;
}

CudaArgmax describe(const ArgmaxTask& task) {
  CudaArgmax argmax = {task,
                       {task.logits.height(), task.classes.height(), task.align_corners},
                       {task.logits.width(), task.classes.width(), task.align_corners},
                       0,
                       0,
                       divide_up(task.classes.width(), kArgmaxColumns)};
  // With R rows for each of the logits, a new pair of these starts at R/2, and every R on.
  const int64_t start = argmax.rows.whole_ratio() / 2 % kArgmaxRows;
  argmax.lead = start ? kArgmaxRows - start : 0;
  argmax.row_blocks = divide_up(task.classes.height() + argmax.lead, kArgmaxRows);
  return argmax;
}

template <class T, int MaxClasses>
void launch_for(const CudaArgmax& argmax, dim3 grid, void* stream) {
  if (argmax.task.probability.data || argmax.task.entropy.data) {
    launch(argmax_upsampled_kernel<T, MaxClasses, true>, grid, dim3(kArgmaxColumns), 0, stream,
           argmax);
  } else {
    launch(argmax_upsampled_kernel<T, MaxClasses, false>, grid, dim3(kArgmaxColumns), 0, stream,
           argmax);
  }
}

template <class T>
void launch_for(const CudaArgmax& argmax, dim3 grid, void* stream) {
  const int64_t classes = argmax.task.logits.channels();
  if (classes <= 20) return launch_for<T, 20>(argmax, grid, stream);
  if (classes <= 32) return launch_for<T, 32>(argmax, grid, stream);
  launch_for<T, 0>(argmax, grid, stream);
}

}  // namespace

void argmax_upsampled_cuda(const ArgmaxTask& task, void* stream) {
  if (task.classes.batch() * task.classes.pixels() == 0) return;
  const CudaArgmax argmax = describe(task);
  const int64_t blocks = argmax.column_blocks * argmax.row_blocks * task.classes.batch();
  const dim3 grid(static_cast<unsigned>(std::min(blocks, kMaxBlocks)));
  switch (task.logits.dtype) {
    case DType::kFloat32:
      return launch_for<float>(argmax, grid, stream);
    case DType::kFloat64:
      return launch_for<double, 0>(argmax, grid, stream);
    case DType::kFloat16:
      return launch_for<__half>(argmax, grid, stream);
    default:
      return launch_for<__nv_bfloat16>(argmax, grid, stream);
  }
}

}  // namespace mtl
