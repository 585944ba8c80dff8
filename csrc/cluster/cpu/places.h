// Points grouped by place: many votes lie on exactly the same coordinates.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/dbscan.h"

namespace mtl {

// Place p holds the finite points members[begins[p]] ... members[begins[p + 1] - 1], ascending.
struct Places {
  std::vector<double> xy;  // [places,2]
  std::vector<int32_t> weights, begins, members;

  Points points() const {
    return {xy.data(), weights.data(), static_cast<int64_t>(weights.size())};
  }
};

Places group_by_place(const Points& points);

}  // namespace mtl
