// How low-resolution predictions are divided among blocks, and where blocks leave their gradients.
//
// A part is a band of target rows times kColumns target columns of one image. Its gradient is a
// region of the prediction's grid: the cells that its pixels lie in and their corners. Parts next
// to each other share the corners between them, so each has a region of its own; combine.cuh adds
// them up in a fixed order. Regions together take little more memory than the gradient.
#pragma once

#include <algorithm>

#include "loss/cuda/task.h"
#include "upsample/bilinear.h"

namespace mtl {

constexpr int kColumns = 128;  // one per thread
constexpr int kMaxBandRows = 64, kMinBandRows = 16;
constexpr int64_t kEnoughParts = 1024;  // to keep a large device busy

// Passed to kernels by value; a function of the shapes alone.
struct UpsampledGrid {
  BilinearAxis rows, columns;
  int64_t batch, channels;
  int64_t band_rows, first_band;  // rows of a band, and of the first
  int64_t bands, column_blocks;
  int64_t region_rows, region_columns;  // of the largest region
  void* regions;  // [image][band][column block][region row][C][region column] of Acc, or null

  MTL_INLINE int64_t parts() const { return batch * bands * column_blocks; }
  MTL_INLINE int64_t region_size() const { return region_rows * channels * region_columns; }

  MTL_INLINE int64_t band_begin(int64_t band) const {
    return band == 0 ? 0 : first_band + (band - 1) * band_rows;
  }
  MTL_INLINE int64_t band_end(int64_t band) const {
    const int64_t end = first_band + band * band_rows;
    return end < rows.out ? end : rows.out;
  }
  MTL_INLINE int64_t column_end(int64_t block) const {
    const int64_t end = (block + 1) * kColumns;
    return end < columns.out ? end : columns.out;
  }
};

inline UpsampledGrid upsampled_grid(const TensorView& prediction, const TensorView& target,
                                    bool align_corners) {
  UpsampledGrid grid = {BilinearAxis(prediction.height(), target.height(), align_corners),
                        BilinearAxis(prediction.width(), target.width(), align_corners),
                        prediction.batch(),
                        prediction.channels(),
                        kMaxBandRows,
                        0,
                        0,
                        (target.width() + kColumns - 1) / kColumns,
                        0,
                        0,
                        nullptr};
  const int64_t strips = grid.batch * grid.column_blocks;
  while (grid.band_rows > kMinBandRows &&
         strips * (grid.rows.out / grid.band_rows) < kEnoughParts) {
    grid.band_rows /= 2;
  }
  // Bands begin where a cell does, so that as few cells as possible lie in two of them.
  int64_t cell = 0;
  while (cell < grid.rows.out && grid.rows.at(cell).low == 0) ++cell;
  grid.first_band = cell % grid.band_rows == 0 ? grid.band_rows : cell % grid.band_rows;
  while (grid.band_begin(grid.bands) < grid.rows.out) ++grid.bands;
  for (int64_t i = 0; i < grid.bands; ++i) {
    const int64_t first = grid.rows.at(grid.band_begin(i)).low;
    const int64_t last = grid.rows.at(grid.band_end(i) - 1).low;
    grid.region_rows = std::max(grid.region_rows, last - first + 2);
  }
  for (int64_t j = 0; j < grid.column_blocks; ++j) {
    const int64_t first = grid.columns.at(j * kColumns).low;
    const int64_t last = grid.columns.at(grid.column_end(j) - 1).low;
    grid.region_columns = std::max(grid.region_columns, last - first + 2);
  }
  return grid;
}

}  // namespace mtl
