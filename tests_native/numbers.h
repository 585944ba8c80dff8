// What Python hands to entry functions: tensors and addresses as rows of int64_t (the class Array
// of python_tests/native/simt_loss.py writes them).
#pragma once

#include <cstdint>

#include "common/tensor_view.h"

namespace simt {

// Reads the numbers of one call one after another.
class Numbers {
 public:
  explicit Numbers(const int64_t* next) : next_(next) {}
  int64_t integer() { return *next_++; }
  template <class T>
  T* pointer() {
    return reinterpret_cast<T*>(*next_++);
  }
  mtl::TensorView view() {
    mtl::TensorView view;
    view.data = pointer<void>();
    view.dtype = static_cast<mtl::DType>(integer());
    for (int64_t& size : view.sizes) size = integer();
    for (int64_t& stride : view.strides) stride = integer();
    return view;
  }

 private:
  const int64_t* next_;
};

}  // namespace simt
