// argmax_upsampled for ctypes.
#include "argmax/cuda/argmax_upsampled.h"
#include "numbers.h"
#include "simt/entry.h"

// Views: logits, classes, probability, entropy.
SIMT_ENTRY argmax_upsampled(const int64_t* views, int64_t align_corners) {
  return simt::entry([&] {
    simt::Numbers numbers(views);
    mtl::ArgmaxTask task;
    for (mtl::TensorView* view : {&task.logits, &task.classes, &task.probability, &task.entropy}) {
      *view = numbers.view();
    }
    task.align_corners = align_corners != 0;
    mtl::argmax_upsampled_cuda(task, nullptr);
  });
}
