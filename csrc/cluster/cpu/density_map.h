// Votes counted on a lattice of q cells per pixel: what follows costs by places, not by votes.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "cluster/cpu/pixel_votes.h"
#include "cluster/dbscan.h"

namespace mtl {

// The part of the plane in which votes count: the image and a margin around it.
struct VoteBounds {
  double low, high_x, high_y;

  VoteBounds(int64_t height, int64_t width, double margin)
      : low(-0.5 - margin),
        high_x(static_cast<double>(width) - 0.5 + margin),
        high_y(static_cast<double>(height) - 0.5 + margin) {}

  // False for NaN.
  bool contain(const Place& vote) const {
    return vote.x >= low && vote.x <= high_x && vote.y >= low && vote.y <= high_y;
  }
};

// Places are numbered in the order of their first votes, so that the smallest of several places
// holds the smallest of their votes: DBSCAN numbers places as it would the votes. A vote is moved
// to the nearest lattice point, by sqrt(2) / (2 q) pixels at most. Coordinates are in cells:
// integers, whose squared distances are exact.
class DensityMap {
 public:
  DensityMap(const VoteBounds& bounds, int64_t cells_per_pixel)
      : bounds_(bounds),
        scale_(static_cast<double>(cells_per_pixel)),
        low_(cell(bounds.low)),
        width_(cell(bounds.high_x) - low_ + 1),
        place_at_(width_ * (cell(bounds.high_y) - low_ + 1), -1) {}

  // The place of a vote, made if it is new; -1 for a vote outside of the bounds. `voter` is kept of
  // the first vote of each place.
  int32_t add(const Place& vote, int32_t voter) {
    if (!bounds_.contain(vote)) return -1;
    const int64_t x = cell(vote.x), y = cell(vote.y);
    int32_t& place = place_at_[(y - low_) * width_ + (x - low_)];
    if (place < 0) {
      place = static_cast<int32_t>(weights_.size());
      xy_.push_back(static_cast<double>(x));
      xy_.push_back(static_cast<double>(y));
      weights_.push_back(0);
      first_voter_.push_back(voter);
    }
    ++weights_[place];
    return place;
  }

  Points places() const {
    return {xy_.data(), weights_.data(), static_cast<int64_t>(weights_.size())};
  }
  int32_t first_voter(int32_t place) const { return first_voter_[place]; }

  // Forgets all votes, in the time that they took.
  void clear() {
    for (size_t p = 0; p < weights_.size(); ++p) {
      const auto x = static_cast<int64_t>(xy_[2 * p]), y = static_cast<int64_t>(xy_[2 * p + 1]);
      place_at_[(y - low_) * width_ + (x - low_)] = -1;
    }
    xy_.clear();
    weights_.clear();
    first_voter_.clear();
  }

 private:
  int64_t cell(double coordinate) const {
    return static_cast<int64_t>(std::floor(coordinate * scale_ + 0.5));
  }

  const VoteBounds bounds_;
  const double scale_;
  const int64_t low_, width_;
  std::vector<int32_t> place_at_;
  std::vector<double> xy_;
  std::vector<int32_t> weights_, first_voter_;
};

}  // namespace mtl
