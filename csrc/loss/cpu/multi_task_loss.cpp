// The multi-task loss on the CPU: summarise the targets, run the kernels over fixed ranges of
// pixels, add the ranges up in order. The ranges do not depend on the number of threads, so
// neither does any bit of the result.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <numeric>
#include <vector>

#include "common/cpu_features.h"
#include "common/huge_pages.h"
#include "common/parallel.h"
#include "common/scratch.h"
#include "common/tile_size.h"
#include "loss/cpu/kernels.h"
#include "loss/cpu/target_summary.h"
#include "loss/cpu/upsampled/plan.h"
#include "loss/likelihood.h"
#include "loss/loss.h"
#include "upsample/memory.h"

namespace mtl {

namespace baseline {
extern const KernelTable kKernels;
}
namespace avx2 {
extern const KernelTable kKernels;
}
namespace avx512 {
extern const KernelTable kKernels;
}

namespace {

constexpr int64_t kRangePixels = 16384;
constexpr int64_t kBandPixels = 32768;  // of upsampled predictions: bands share rows, so fewer
// Gradients of more elements than this do not fit into caches until they are read again.
constexpr int64_t kStreamElements = int64_t{1} << 22;

const KernelTable& kernel_table() {
  switch (simd_path()) {
#if defined(MTL_SIMD_AVX512)
    case SimdPath::kAvx512:
      return avx512::kKernels;
#endif
#if defined(MTL_SIMD_AVX2)
    case SimdPath::kAvx2:
      return avx2::kKernels;
#endif
    default:
      return baseline::kKernels;
  }
}

PixelLossKernel kernel_for(TaskKind kind) {
  const KernelTable& table = kernel_table();
  return kind == TaskKind::kCrossEntropy ? table.cross_entropy
         : kind == TaskKind::kL1         ? table.l1
                                         : table.instance_offset;
}

UpsampledKernel upsampled_kernel_for(TaskKind kind) {
  const KernelTable& table = kernel_table();
  return kind == TaskKind::kCrossEntropy ? table.upsampled_cross_entropy
         : kind == TaskKind::kL1         ? table.upsampled_l1
                                         : table.upsampled_instance_offset;
}

double log_variance_of(const LossTask& task) {
  return read_log_variance(task.log_variance, task.log_variance_is_double);
}

// One task's results.
struct LossTerm {
  double loss = 0.0, weight = 0.0, term = 0.0, valid = 0.0;
  double log_variance_gradient = 0.0, gradient_scale = 1.0;
};

PixelLoss prepare(const LossTask& task, const TargetSummary& summary, LossTerm& term) {
  const double s = clamp_log_variance(log_variance_of(task));
  term.valid = summary.valid;
  term.weight = loss_weight(task.likelihood, s, task.fixed_weight);
  term.gradient_scale =
      stored_gradient_scale(task.prediction, task.target, term.weight, summary.normaliser);
  PixelLoss loss;
  loss.prediction = task.prediction;
  loss.target = task.target;
  loss.mask = task.mask;
  loss.gradient = task.gradient;
  loss.align_corners = task.align_corners;
  const TensorView& p = task.prediction;
  loss.streamed = p.batch() * p.channels() * p.pixels() > kStreamElements;
  loss.class_weights = task.class_weights;
  loss.class_weight_sum =
      loss.class_weights
          ? std::accumulate(loss.class_weights, loss.class_weights + p.channels(), 0.0)
          : static_cast<double>(p.channels());
  loss.ignore_index = task.ignore_index;
  loss.label_smoothing = task.label_smoothing;
  loss.scaled = task.likelihood == Likelihood::kScaledSoftmax;
  loss.logit_scale = logit_scale(task.likelihood, s);
  loss.gradient_factor = summary.normaliser > 0.0 ? term.gradient_scale / summary.normaliser : 0.0;
  loss.centroids = summary.centroids.data();
  loss.ids = summary.ids;
  return loss;
}

void finish(const LossTask& task, double normaliser, const PixelSums& sums, LossTerm& term) {
  if (!(normaliser > 0.0)) return;  // nothing valid: no loss, no s/2, no gradient
  const double given = log_variance_of(task), s = clamp_log_variance(given);
  term.loss = sums.loss / normaliser;
  term.term = term.weight * term.loss + regulariser(task.likelihood, s);
  // Outside the clamp the total does not depend on s.
  if (!(given >= kMinLogVariance && given <= kMaxLogVariance)) return;
  term.log_variance_gradient =
      log_variance_gradient(task.likelihood, s, term.loss, sums.log_variance / normaliser);
}

template <class Scalar>
void write_results(const std::vector<LossTerm>& terms, const LossOutputs& outputs) {
  double total = 0.0;
  for (size_t t = 0; t < terms.size(); ++t) {
    total += terms[t].term;
    static_cast<Scalar*>(outputs.losses)[t] = static_cast<Scalar>(terms[t].loss);
    outputs.weights[t] = terms[t].weight;
    outputs.valid[t] = static_cast<int64_t>(terms[t].valid);
    outputs.log_variance_gradient[t] = terms[t].log_variance_gradient;
    outputs.gradient_scales[t] = terms[t].gradient_scale;
  }
  *static_cast<Scalar*>(outputs.total) = static_cast<Scalar>(total);
}

// What one thread does at a time: a range of pixels, or a band where predictions are upsampled.
struct Work {
  size_t task;
  PixelRange range;
  const UpsampledBand* band;
};

std::vector<Work> plan(const std::vector<LossTask>& tasks,
                       const std::vector<UpsampledPlan>& upsampled) {
  std::vector<Work> works;
  for (size_t t = 0; t < tasks.size(); ++t) {
    for (const UpsampledBand& band : upsampled[t].bands()) works.push_back({t, {}, &band});
    if (is_upsampled(tasks[t])) continue;
    const TensorView& prediction = tasks[t].prediction;
    for (int64_t b = 0; b < prediction.batch(); ++b) {
      for (int64_t p = 0; p < prediction.pixels(); p += kRangePixels) {
        works.push_back({t, {b, p, std::min(p + kRangePixels, prediction.pixels())}, nullptr});
      }
    }
  }
  return works;
}

PixelSums run(const LossTask& task, const PixelLoss& loss, const Work& work) {
  const int64_t channels = task.prediction.channels();
  if (work.band) {
    Scratch memory(8 * upsampled_workspace(channels, task.prediction.width(), task.target.width()));
    return upsampled_kernel_for(task.kind)(loss, *work.band, memory.data());
  }
  Scratch memory(8 * 2 * channels * tile_pixels(channels));
  return kernel_for(task.kind)(loss, work.range, memory.data());
}

void write_bands(const PixelLoss& loss, const UpsampledPlan& plan, int threads) {
  if (!loss.gradient.data) return;
  parallel_for(static_cast<int64_t>(plan.bands().size()), threads, [&](int64_t index) {
    const size_t i = static_cast<size_t>(index);
    kernel_table().write_band(loss, plan.bands()[i], plan.previous(i));
  });
}

}  // namespace

void multi_task_loss_cpu(const std::vector<LossTask>& tasks, const LossOutputs& outputs,
                         int threads) {
  std::vector<LossTerm> terms(tasks.size());
  std::vector<TargetSummary> summaries;
  std::vector<PixelLoss> losses;
  for (size_t t = 0; t < tasks.size(); ++t) {
    summaries.push_back(summarise_target(tasks[t], t, threads));
    losses.push_back(prepare(tasks[t], summaries.back(), terms[t]));
  }
  std::vector<UpsampledPlan> upsampled;
  for (const LossTask& task : tasks) {
    advise_huge_pages(task.gradient);
    upsampled.emplace_back(task, kBandPixels);
  }
  const std::vector<Work> works = plan(tasks, upsampled);
  std::vector<PixelSums> parts(works.size());
  parallel_for(static_cast<int64_t>(works.size()), threads, [&](int64_t index) {
    const Work& work = works[index];
    parts[index] = run(tasks[work.task], losses[work.task], work);
  });
  for (size_t t = 0; t < tasks.size(); ++t) write_bands(losses[t], upsampled[t], threads);
  std::vector<PixelSums> sums(tasks.size(), PixelSums{0.0, 0.0});
  for (size_t index = 0; index < works.size(); ++index) {
    sums[works[index].task].loss += parts[index].loss;
    sums[works[index].task].log_variance += parts[index].log_variance;
  }
  for (size_t t = 0; t < tasks.size(); ++t) {
    finish(tasks[t], summaries[t].normaliser, sums[t], terms[t]);
  }
  if (outputs.in_double) {
    write_results<double>(terms, outputs);
  } else {
    write_results<float>(terms, outputs);
  }
}

}  // namespace mtl
