#include "cluster/cpu/places.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace mtl {

Places group_by_place(const Points& points) {
  const double* const xy = points.xy;
  Places places;
  places.members.reserve(points.count);
  for (int64_t i = 0; i < points.count; ++i) {
    if (!std::isfinite(xy[2 * i]) || !std::isfinite(xy[2 * i + 1])) continue;
    places.members.push_back(static_cast<int32_t>(i));
  }
  std::sort(places.members.begin(), places.members.end(), [xy](int64_t a, int64_t b) {
    return std::tie(xy[2 * a], xy[2 * a + 1], a) < std::tie(xy[2 * b], xy[2 * b + 1], b);
  });
  const double* last = nullptr;
  for (size_t m = 0; m < places.members.size(); ++m) {
    const double* const point = xy + 2 * int64_t{places.members[m]};
    if (last && point[0] == last[0] && point[1] == last[1]) {
      ++places.weights.back();
      continue;
    }
    places.begins.push_back(static_cast<int32_t>(m));
    places.xy.insert(places.xy.end(), {point[0], point[1]});
    places.weights.push_back(1);
    last = point;
  }
  places.begins.push_back(static_cast<int32_t>(places.members.size()));
  return places;
}

}  // namespace mtl
