#include "common/huge_pages.h"

#include <cstdlib>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace mtl {
namespace {

[[maybe_unused]] constexpr uintptr_t kHugePage = uintptr_t{1} << 21;

}  // namespace

void advise_huge_pages(const TensorView& tensor) {
#if defined(MADV_HUGEPAGE)
  if (!tensor.data) return;
  int64_t elements = 1;  // from the first to the last
  for (int d = 0; d < 4; ++d) {
    if (tensor.sizes[d] == 0) return;
    elements += (tensor.sizes[d] - 1) * std::llabs(tensor.strides[d]);
  }
  const uintptr_t begin = reinterpret_cast<uintptr_t>(tensor.data);
  const uintptr_t end = begin + static_cast<uintptr_t>(elements * element_bytes(tensor.dtype));
  const uintptr_t first = (begin + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t last = end / kHugePage * kHugePage;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
  (void)tensor;
#endif
}

}  // namespace mtl
