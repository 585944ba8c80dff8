// Large pages for memory that is about to be written for the first time.
#pragma once

#include "common/tensor_view.h"

namespace mtl {

// Asks the system to back a large tensor by huge pages. Fresh memory costs a page fault per 4 KiB,
// which takes longer than computing what is written there; memory that is in use already is not
// touched. A wish: no effect where the system has no such call or declines.
void advise_huge_pages(const TensorView& tensor);

}  // namespace mtl
