// How tensors come from Python.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

#include "common/tensor_view.h"

namespace pybind11::detail {

// A tensor from Python: (address, dtype code, sizes, strides), or None for none. Sizes and strides
// are tuples of numbers, of [B,C,H,W] or of [B,H,W], a map of one channel. Read without a vector in
// between: a call of the loss has a dozen of them.
template <>
struct type_caster<mtl::TensorView> {
  PYBIND11_TYPE_CASTER(mtl::TensorView, const_name("tuple[int, int, tuple, tuple] | None"));

  bool load(handle source, bool) {
    if (source.is_none()) return true;
    if (!PyTuple_Check(source.ptr()) || PyTuple_GET_SIZE(source.ptr()) != 4) return false;
    const auto item = [&](int place) { return PyTuple_GET_ITEM(source.ptr(), place); };
    value.data = PyLong_AsVoidPtr(item(0));
    value.dtype = static_cast<mtl::DType>(PyLong_AsLong(item(1)));
    value.sizes[1] = 1;
    return converted() && read(item(2), value.sizes) && read(item(3), value.strides);
  }

 private:
  static bool read(PyObject* numbers, int64_t (&places)[4]) {
    if (!PyTuple_Check(numbers)) return false;
    const Py_ssize_t count = PyTuple_GET_SIZE(numbers);
    if (count != 3 && count != 4) return false;
    for (Py_ssize_t i = 0; i < count; ++i) {
      const Py_ssize_t place = count == 3 && i > 0 ? i + 1 : i;
      places[place] = PyLong_AsLongLong(PyTuple_GET_ITEM(numbers, i));
    }
    return converted();
  }
  static bool converted() {
    if (!PyErr_Occurred()) return true;
    PyErr_Clear();
    return false;
  }
};

}  // namespace pybind11::detail
