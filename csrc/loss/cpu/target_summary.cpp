#include "loss/cpu/target_summary.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>

#include "common/half.h"
#include "loss/cpu/rows.h"
#include "loss/instances.h"

namespace mtl {
namespace {

// Which labels count, and which of those are no class.
template <class Label>
struct LabelRule {
  LabelRule(int64_t ignore_index, int64_t classes)
      : ignored(static_cast<Label>(ignore_index)),
        can_ignore(static_cast<int64_t>(ignored) == ignore_index),
        classes(classes) {}

  bool counts(Label label) const { return !can_ignore || label != ignored; }
  bool bad(Label label) const {
    return counts(label) & ((label < 0) | (static_cast<int64_t>(label) >= classes));
  }

  Label ignored;
  bool can_ignore;  // false where the type cannot hold ignore_index
  int64_t classes;
};

template <class Label>
TargetSummary summarise_classes(const LossTask& task, size_t index, int threads) {
  const TensorView& labels = task.target;
  const int64_t width = labels.width(), step = labels.strides[3];
  const LabelRule<Label> rule(task.ignore_index, task.prediction.channels());
  const bool weighted = task.class_weights != nullptr;
  std::unique_ptr<std::atomic<int64_t>[]> histogram(new std::atomic<int64_t>[rule.classes]());
  std::atomic<int64_t> valid{0};
  FirstBad first_bad;
  for_each_row(labels, threads, [&](int64_t b, int64_t y) {
    with_pixels(row_of<Label>(labels, b, y), step, [&](const auto& at) {
      int64_t counted = 0, bad = 0;
      for (int64_t x = 0; x < width; ++x) {
        counted += rule.counts(at(x));
        bad += rule.bad(at(x));
      }
      valid.fetch_add(counted, std::memory_order_relaxed);
      if (bad) {
        int64_t x = 0;
        while (!rule.bad(at(x))) ++x;
        first_bad.note(labels, b, y, x);
      } else if (weighted) {
        for (int64_t x = 0; x < width; ++x) {
          if (rule.counts(at(x))) histogram[at(x)].fetch_add(1, std::memory_order_relaxed);
        }
      }
    });
  });
  first_bad.throw_if_any<Label>(labels, index);
  TargetSummary summary;
  summary.valid = static_cast<double>(valid);
  summary.normaliser = weighted ? 0.0 : summary.valid;
  for (int64_t c = 0; weighted && c < rule.classes; ++c) {
    summary.normaliser += task.class_weights[c] * static_cast<double>(histogram[c]);
  }
  return summary;
}

// A pixel is valid where the mask (if any) is true and no channel is NaN: `flags` [W] of a row.
template <class Value>
void flag_valid(const LossTask& task, int64_t b, int64_t y, uint8_t* flags) {
  const TensorView& values = task.target;
  const int64_t width = values.width();
  if (task.mask.data) {
    const bool* mask = row_of<bool>(task.mask, b, y);
    for (int64_t x = 0; x < width; ++x) flags[x] = mask[x * task.mask.strides[3]];
  } else {
    std::fill_n(flags, width, uint8_t{1});
  }
  for (int64_t c = 0; c < values.channels(); ++c) {
    const Value* row = row_of<Value>(values, b, y) + c * values.strides[1];
    with_pixels(row, values.strides[3], [&](const auto& at) {
      for (int64_t x = 0; x < width; ++x) flags[x] &= !is_nan(at(x));
    });
  }
}

template <class Value>
TargetSummary summarise_values(const LossTask& task, int threads) {
  std::atomic<int64_t> valid{0};
  for_each_row(task.target, threads, [&](int64_t b, int64_t y) {
    thread_local std::vector<uint8_t> flags;
    flags.resize(task.target.width());
    flag_valid<Value>(task, b, y, flags.data());
    valid.fetch_add(std::accumulate(flags.begin(), flags.end(), int64_t{0}),
                    std::memory_order_relaxed);
  });
  TargetSummary summary;
  summary.valid = summary.normaliser = static_cast<double>(valid);
  return summary;
}

TargetSummary summarise_instances(const LossTask& task, size_t index, int threads) {
  const InstanceTable table = sum_instances(task.target, kMaxInstanceId, index, threads);
  TargetSummary summary;
  summary.ids = table.rows;
  for (const InstanceSums& sums : table.sums) {
    const double count = static_cast<double>(sums.count);
    summary.valid += count;
    summary.centroids.push_back(static_cast<double>(sums.x) / count);
    summary.centroids.push_back(static_cast<double>(sums.y) / count);
  }
  summary.normaliser = summary.valid;
  return summary;
}

TargetSummary summarise_labels(const LossTask& task, size_t index, int threads) {
  switch (task.target.dtype) {
    case DType::kUInt8:
      return summarise_classes<uint8_t>(task, index, threads);
    case DType::kInt16:
      return summarise_classes<int16_t>(task, index, threads);
    case DType::kInt32:
      return summarise_classes<int32_t>(task, index, threads);
    case DType::kInt64:
      return summarise_classes<int64_t>(task, index, threads);
    default:
      throw std::invalid_argument("target: an integer tensor holds classes");
  }
}

TargetSummary summarise_values(const LossTask& task, int threads) {
  switch (task.target.dtype) {
    case DType::kFloat32:
      return summarise_values<float>(task, threads);
    case DType::kFloat64:
      return summarise_values<double>(task, threads);
    case DType::kFloat16:
      return summarise_values<Float16>(task, threads);
    case DType::kBFloat16:
      return summarise_values<BFloat16>(task, threads);
    default:
      throw std::invalid_argument("target: a floating tensor holds values");
  }
}

}  // namespace

TargetSummary summarise_target(const LossTask& task, size_t index, int threads) {
  switch (task.kind) {
    case TaskKind::kCrossEntropy:
      return summarise_labels(task, index, threads);
    case TaskKind::kInstanceOffset:
      return summarise_instances(task, index, threads);
    default:
      return summarise_values(task, threads);
  }
}

}  // namespace mtl
