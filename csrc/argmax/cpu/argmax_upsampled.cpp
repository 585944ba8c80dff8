// argmax_upsampled on the CPU: ranges of rows in parallel, each on its own; the results do not
// depend on the number of threads.
#include "argmax/argmax_upsampled.h"

#include <algorithm>

#include "argmax/cpu/kernels.h"
#include "common/cpu_features.h"
#include "common/huge_pages.h"
#include "common/parallel.h"
#include "common/scratch.h"
#include "upsample/memory.h"

namespace mtl {

namespace baseline {
extern const ArgmaxKernel kArgmaxKernel;
}
namespace avx2 {
extern const ArgmaxKernel kArgmaxKernel;
}
namespace avx512 {
extern const ArgmaxKernel kArgmaxKernel;
}

namespace {

constexpr int64_t kRangePixels = 16384;

ArgmaxKernel kernel() {
  switch (simd_path()) {
#if defined(MTL_SIMD_AVX512)
    case SimdPath::kAvx512:
      return avx512::kArgmaxKernel;
#endif
#if defined(MTL_SIMD_AVX2)
    case SimdPath::kAvx2:
      return avx2::kArgmaxKernel;
#endif
    default:
      return baseline::kArgmaxKernel;
  }
}

}  // namespace

void argmax_upsampled_cpu(const ArgmaxTask& task, int threads) {
  const int64_t height = task.classes.height(), width = task.classes.width();
  if (task.classes.batch() * height * width == 0) return;
  const int64_t rows = std::max<int64_t>(1, kRangePixels / width);
  const int64_t ranges = (height + rows - 1) / rows;
  const int64_t elements = upsampled_workspace(task.logits.channels(), task.logits.width(), width);
  const int64_t scalar = task.logits.dtype == DType::kFloat64 ? 8 : 4;
  parallel_for(task.classes.batch() * ranges, threads, [&](int64_t index) {
    const int64_t begin = index % ranges * rows;
    Scratch scratch(elements * scalar);
    kernel()(task, {index / ranges, begin, std::min(height, begin + rows)}, scratch.data());
  });
}

}  // namespace mtl
