// A label or an id that the task does not have, and where it stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace mtl {

struct BadLabel : std::invalid_argument {
  BadLabel(size_t task, int64_t value, int64_t image, int64_t row, int64_t column)
      : std::invalid_argument("bad label"),
        task(task),
        value(value),
        image(image),
        row(row),
        column(column) {}
  size_t task;  // its place among the tasks of the call
  int64_t value, image, row, column;
};

}  // namespace mtl
