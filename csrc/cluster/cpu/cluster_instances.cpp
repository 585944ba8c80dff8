// Per image: pixels by class; per class: votes, clusters, centres, each pixel to its nearest
// centre; then what the instances are made of, their numbers, and the id map. Nothing of size [K, H
// * W].
//
// Deterministic, and independent of the place in the batch: sums are sums of integers. Votes are
// summed in 1/65536 pixel, probabilities in 2^-30.
#include "cluster/cluster_instances.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include "cluster/cpu/density_map.h"
#include "cluster/cpu/nearest_centre.h"
#include "cluster/cpu/pixel_votes.h"
#include "common/parallel.h"

namespace mtl {
namespace {

constexpr int64_t kPart = 16384;  // pixels that one task takes
constexpr double kVoteUnit = 65536, kProbabilityUnit = 1 << 30;

struct Centre {
  int64_t votes = 0, x = 0, y = 0;  // of its cluster, in 1/kVoteUnit

  void add(const Place& vote) {
    ++votes;
    x += std::llround(vote.x * kVoteUnit);
    y += std::llround(vote.y * kVoteUnit);
  }
};

// An instance before it has a number.
struct Draft {
  double x, y;
  int64_t class_id = 0;
  int64_t first_pixel = -1, pixels = 0, near = 0, probability = 0;
};

class Image {
 public:
  Image(const InstanceInputs& inputs, const InstanceSettings& settings, int64_t image, int threads)
      : inputs_(inputs),
        settings_(settings),
        image_(image),
        threads_(threads),
        votes_(inputs.offsets, image),
        bounds_(inputs.offsets.height(), inputs.offsets.width(), settings.margin) {}

  // `ids` are those of this image, zero.
  void run(const GroupOfClass& group_of_class, int32_t* ids, std::vector<Instance>& found) {
    const size_t groups = settings_.class_agnostic ? 1 : settings_.thing_classes.size();
    if (settings_.method == VoteMethod::kDensity)
      density_.emplace(bounds_, settings_.cells_per_pixel);
    const auto pixels = group_pixels(inputs_.semantic, image_, group_of_class, groups);
    for (size_t group = 0; group < groups; ++group) {
      const size_t first_draft = drafts_.size();
      assign(pixels[group], ids);
      if (!settings_.class_agnostic) {
        for (size_t d = first_draft; d < drafts_.size(); ++d) {
          drafts_[d].class_id = settings_.thing_classes[group];
        }
      }
    }
    const int64_t count = inputs_.offsets.pixels();
    if (settings_.class_agnostic) elect_classes(ids);
    measure(ids, count);
    number(ids, count, found);
  }

 private:
  template <class Body>
  void for_parts(int64_t count, const Body& body) const {
    parallel_for((count + kPart - 1) / kPart, threads_, [&](int64_t part) {
      for (int64_t i = part * kPart; i < std::min(count, (part + 1) * kPart); ++i) body(i);
    });
  }

  // Clusters of one group: ids get 1 + the place of the pixel's draft.
  void assign(const std::vector<int32_t>& pixels, int32_t* ids) {
    const int64_t count = static_cast<int64_t>(pixels.size());
    std::vector<int32_t> labels(count, kNoise);
    const int64_t clusters =
        density_ ? cluster_places(pixels, labels) : cluster_votes(pixels, labels);
    if (clusters == 0) return;
    std::vector<Centre> sums(clusters);
    for (int64_t i = 0; i < count; ++i) {
      if (labels[i] >= 0) sums[labels[i]].add(votes_(pixels[i]));
    }
    const auto first = static_cast<int32_t>(drafts_.size());
    std::vector<double> centres;
    for (const Centre& sum : sums) {
      const double unit = kVoteUnit * static_cast<double>(sum.votes);
      const double x = static_cast<double>(sum.x) / unit, y = static_cast<double>(sum.y) / unit;
      centres.insert(centres.end(), {x, y});
      drafts_.push_back({x, y});
    }
    const NearestCentre nearest(centres);
    const double bound = settings_.max_distance * settings_.max_distance;
    for_parts(count, [&](int64_t i) {
      const Place vote = votes_(pixels[i]);
      const int32_t centre = vote.is_finite() ? nearest(vote, bound).centre : -1;
      if (centre >= 0) ids[pixels[i]] = first + centre + 1;
    });
  }

  // Both give labels to those pixels whose votes form a cluster, and return how many there are.
  int64_t cluster_votes(const std::vector<int32_t>& pixels, std::vector<int32_t>& labels) const {
    constexpr double kNowhere = std::numeric_limits<double>::quiet_NaN();
    const int64_t count = static_cast<int64_t>(pixels.size());
    std::vector<double> xy(2 * count);
    for_parts(count, [&](int64_t i) {
      const Place vote = votes_(pixels[i]);
      const bool counts = bounds_.contain(vote);
      xy[2 * i] = counts ? vote.x : kNowhere;
      xy[2 * i + 1] = counts ? vote.y : kNowhere;
    });
    const std::unique_ptr<bool[]> core(new bool[count]);
    const Points points{xy.data(), nullptr, count};
    return dbscan_cpu(points, settings_.dbscan, labels.data(), core.get(), threads_).size();
  }

  int64_t cluster_places(const std::vector<int32_t>& pixels, std::vector<int32_t>& labels) {
    const int64_t count = static_cast<int64_t>(pixels.size());
    std::vector<int32_t> place(count);
    for (int64_t i = 0; i < count; ++i) {
      place[i] = density_->add(votes_(pixels[i]), static_cast<int32_t>(i));
    }
    const Points places = density_->places();
    DbscanSettings settings = settings_.dbscan;
    settings.eps *= static_cast<double>(settings_.cells_per_pixel);
    // A place has votes on both sides of its cluster's first, so that rule is applied to votes.
    if (settings.border == Border::kOptics) settings.border = Border::kDbscan;
    std::vector<int32_t> of_place(places.count);
    const std::unique_ptr<bool[]> core(new bool[places.count]);
    const std::vector<int32_t> smallest =
        dbscan_cpu(places, settings, of_place.data(), core.get(), threads_);
    for (int64_t i = 0; i < count; ++i) {
      const int32_t label = place[i] < 0 ? kNoise : of_place[place[i]];
      if (label < 0) continue;
      const int32_t first = density_->first_voter(smallest[label]);
      if (core[place[i]] || keeps_border(settings_.dbscan.border, i, first)) labels[i] = label;
    }
    density_->clear();
    return smallest.size();
  }

  // Each draft gets the class of most of its pixels, of several the first in thing_classes.
  void elect_classes(const int32_t* ids) {
    const std::vector<int64_t>& classes = settings_.thing_classes;
    GroupOfClass place(65536, -1);
    for (size_t c = 0; c < classes.size(); ++c) place[classes[c]] = static_cast<int16_t>(c);
    const auto pixels = group_pixels(inputs_.semantic, image_, place, classes.size());
    std::vector<int64_t> most(drafts_.size());
    for (size_t c = 0; c < classes.size(); ++c) {
      std::vector<int64_t> votes(drafts_.size());
      for (const int32_t pixel : pixels[c]) {
        if (ids[pixel] > 0) ++votes[ids[pixel] - 1];
      }
      for (size_t d = 0; d < drafts_.size(); ++d) {
        if (votes[d] <= most[d]) continue;
        most[d] = votes[d];
        drafts_[d].class_id = classes[c];
      }
    }
  }

  void measure(const int32_t* ids, int64_t count) {
    const double squared_eps = settings_.dbscan.eps * settings_.dbscan.eps;
    for (int64_t pixel = 0; pixel < count; ++pixel) {
      if (ids[pixel] == 0) continue;
      Draft& draft = drafts_[ids[pixel] - 1];
      const Place vote = votes_(pixel);
      if (draft.pixels++ == 0) draft.first_pixel = pixel;
      draft.near += squared_length(vote.x - draft.x, vote.y - draft.y) <= squared_eps;
      draft.probability += probability(pixel, draft.class_id);
    }
  }

  // In units of 1/kProbabilityUnit.
  int64_t probability(int64_t pixel, int64_t class_id) const {
    const TensorView& view = inputs_.probabilities;
    if (!view.data) return static_cast<int64_t>(kProbabilityUnit);
    const int64_t row = pixel / view.width(), column = pixel - row * view.width();
    const int64_t at = view.offset(image_, row, column) + class_id * view.strides[1];
    const double value = static_cast<const float*>(view.data)[at];
    // NaN counts as 0.
    return std::llround((value > 0 ? std::min(value, 1.0) : 0.0) * kProbabilityUnit);
  }

  // Drops small drafts, numbers the others by first pixel, and renumbers the ids.
  void number(int32_t* ids, int64_t count, std::vector<Instance>& found) const {
    std::vector<int32_t> kept;
    for (size_t d = 0; d < drafts_.size(); ++d) {
      if (drafts_[d].pixels >= settings_.min_pixels) kept.push_back(static_cast<int32_t>(d));
    }
    std::sort(kept.begin(), kept.end(), [this](int32_t a, int32_t b) {
      return drafts_[a].first_pixel < drafts_[b].first_pixel;
    });
    std::vector<int32_t> id_of(drafts_.size() + 1);
    for (size_t k = 0; k < kept.size(); ++k) {
      const Draft& draft = drafts_[kept[k]];
      id_of[kept[k] + 1] = static_cast<int32_t>(k + 1);
      const double pixels = static_cast<double>(draft.pixels);
      const double score = static_cast<double>(draft.probability) / kProbabilityUnit / pixels *
                           (static_cast<double>(draft.near) / pixels);
      found.push_back(
          {image_, draft.first_pixel, draft.class_id, draft.pixels, draft.x, draft.y, score});
    }
    for_parts(count, [&](int64_t pixel) { ids[pixel] = id_of[ids[pixel]]; });
  }

  const InstanceInputs& inputs_;
  const InstanceSettings& settings_;
  const int64_t image_;
  const int threads_;
  const PixelVotes votes_;
  const VoteBounds bounds_;
  std::optional<DensityMap> density_;
  std::vector<Draft> drafts_;
};

}  // namespace

std::vector<Instance> cluster_instances_cpu(const InstanceInputs& inputs,
                                            const InstanceSettings& settings, int32_t* ids,
                                            int threads) {
  const int64_t pixels = inputs.offsets.pixels();
  std::fill_n(ids, inputs.offsets.batch() * pixels, 0);
  GroupOfClass group_of_class(65536, -1);
  for (size_t c = 0; c < settings.thing_classes.size(); ++c) {
    const size_t group = settings.class_agnostic ? 0 : c;
    group_of_class[settings.thing_classes[c]] = static_cast<int16_t>(group);
  }
  std::vector<Instance> found;
  for (int64_t b = 0; b < inputs.offsets.batch(); ++b) {
    Image(inputs, settings, b, threads).run(group_of_class, ids + b * pixels, found);
  }
  return found;
}

}  // namespace mtl
