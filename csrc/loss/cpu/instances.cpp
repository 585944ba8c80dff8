#include "loss/instances.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "loss/cpu/rows.h"

namespace mtl {
namespace {

// Rows of one image that are summed together, in a table of their own.
constexpr int64_t kBandPixels = 65536;

void add_run(InstanceSums& sums, int64_t begin, int64_t end, int64_t row) {
  const int64_t length = end - begin;
  sums.count += length;
  sums.x += length * (begin + end - 1) / 2;
  sums.y += length * row;
}

template <class Id>
int64_t largest_id(const TensorView& ids, int64_t allowed, size_t task, int threads) {
  const int64_t width = ids.width(), step = ids.strides[3];
  std::atomic<int64_t> largest{0};
  FirstBad first_bad;
  for_each_row(ids, threads, [&](int64_t b, int64_t y) {
    with_pixels(row_of<Id>(ids, b, y), step, [&](const auto& at) {
      Id low = 0, high = 0;
      for (int64_t x = 0; x < width; ++x) {
        const Id id = at(x);
        low = id < low ? id : low;
        high = id > high ? id : high;
      }
      if (low < 0 || static_cast<int64_t>(high) > allowed) {
        int64_t x = 0;
        while (at(x) >= 0 && static_cast<int64_t>(at(x)) <= allowed) ++x;
        first_bad.note(ids, b, y, x);
      }
      raise_to(largest, high);
    });
  });
  first_bad.throw_if_any<Id>(ids, task);
  return largest;
}

// Neighbours share ids: one addition per run of equal ids in a row.
template <class Id>
void sum_row(const TensorView& ids, int64_t b, int64_t y, InstanceSums* sums) {
  const int64_t width = ids.width();
  with_pixels(row_of<Id>(ids, b, y), ids.strides[3], [&](const auto& at) {
    for (int64_t x = 0; x < width;) {
      const Id id = at(x);
      const int64_t begin = x;
      while (x < width && at(x) == id) ++x;
      if (id != 0) add_run(sums[id], begin, x, y);
    }
  });
}

template <class Id>
InstanceTable sum_ids(const TensorView& ids, int64_t allowed, size_t task, int threads) {
  InstanceTable table;
  table.rows = largest_id<Id>(ids, allowed, task, threads) + 1;
  table.sums.resize(ids.batch() * table.rows);
  const int64_t height = ids.height();
  const int64_t band = std::max<int64_t>(1, kBandPixels / std::max<int64_t>(1, ids.width()));
  const int64_t bands = (height + band - 1) / band;
  std::mutex mutex;
  parallel_for(ids.batch() * bands, threads, [&](int64_t index) {
    const int64_t b = index / bands, begin = index % bands * band;
    std::vector<InstanceSums> sums(table.rows);
    for (int64_t y = begin; y < std::min(height, begin + band); ++y) {
      sum_row<Id>(ids, b, y, sums.data());
    }
    std::lock_guard<std::mutex> lock(mutex);
    for (int64_t id = 1; id < table.rows; ++id) {
      InstanceSums& whole = table.sums[b * table.rows + id];
      whole.count += sums[id].count;
      whole.x += sums[id].x;
      whole.y += sums[id].y;
    }
  });
  return table;
}

}  // namespace

InstanceTable sum_instances(const TensorView& ids, int64_t largest_allowed, size_t task,
                            int threads) {
  switch (ids.dtype) {
    case DType::kUInt8:
      return sum_ids<uint8_t>(ids, largest_allowed, task, threads);
    case DType::kInt16:
      return sum_ids<int16_t>(ids, largest_allowed, task, threads);
    case DType::kInt32:
      return sum_ids<int32_t>(ids, largest_allowed, task, threads);
    case DType::kInt64:
      return sum_ids<int64_t>(ids, largest_allowed, task, threads);
    default:
      throw std::invalid_argument("ids: an integer tensor holds instance ids");
  }
}

void instance_centroids_cpu(const TensorView& ids, int64_t instances, float* centroids,
                            int64_t* counts, int threads) {
  const InstanceTable table = sum_instances(ids, instances, 0, threads);
  for (int64_t b = 0; b < ids.batch(); ++b) {
    for (int64_t k = 0; k < instances; ++k) {
      const InstanceSums sums =
          k + 1 < table.rows ? table.sums[b * table.rows + k + 1] : InstanceSums{};
      const int64_t place = b * instances + k;
      counts[place] = sums.count;
      // 0/0 is the NaN of an absent instance.
      centroids[2 * place] =
          static_cast<float>(static_cast<double>(sums.x) / static_cast<double>(sums.count));
      centroids[2 * place + 1] =
          static_cast<float>(static_cast<double>(sums.y) / static_cast<double>(sums.count));
    }
  }
}

}  // namespace mtl
