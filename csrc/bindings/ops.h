// One function per op family: adds its functions to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace mtl {

void bind_argmax(pybind11::module_& module);
void bind_cluster(pybind11::module_& module);
void bind_loss(pybind11::module_& module);

}  // namespace mtl
