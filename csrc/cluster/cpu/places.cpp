#include "cluster/cpu/places.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace mtl {

Places group_by_place(const Points& points) {
  struct Item {
    double x, y;
    int32_t index;
  };
  std::vector<Item> items;
  for (int64_t i = 0; i < points.count; ++i) {
    const double x = points.xy[2 * i], y = points.xy[2 * i + 1];
    if (std::isfinite(x) && std::isfinite(y)) items.push_back({x, y, static_cast<int32_t>(i)});
  }
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return std::tie(a.x, a.y, a.index) < std::tie(b.x, b.y, b.index);
  });
  Places places;
  for (size_t i = 0; i < items.size(); ++i) {
    places.members.push_back(items[i].index);
    if (i > 0 && items[i].x == items[i - 1].x && items[i].y == items[i - 1].y) {
      ++places.weights.back();
      continue;
    }
    places.begins.push_back(static_cast<int32_t>(i));
    places.xy.insert(places.xy.end(), {items[i].x, items[i].y});
    places.weights.push_back(1);
  }
  places.begins.push_back(static_cast<int32_t>(items.size()));
  return places;
}

}  // namespace mtl
