// The CPU kernels of the loss for one instruction set (cmake/simd.cmake compiles this file once
// per set). One pass over the predictions: read a tile, compute in the first-level cache, write
// its gradient. Sums are float within a tile and double across tiles, in a fixed order.
#include "loss/cpu/kernels.h"

#include "loss/cpu/cross_entropy.h"
#include "loss/cpu/l1.h"
#include "loss/cpu/tile.h"

namespace mtl {
inline namespace MTL_SIMD {
namespace {

bool rows_join(const PixelLoss& loss) {
  return loss.prediction.rows_join() && loss.target.rows_join() &&
         (!loss.mask.data || loss.mask.rows_join()) &&
         (!loss.gradient.data || loss.gradient.rows_join());
}

Block block_at(int64_t pixel, const PixelRange& range, int64_t width, int stride, bool joined) {
  Block block = {range.image, pixel / width, pixel % width, 0};
  int64_t count = range.end - pixel;
  if (!joined && count > width - block.column) count = width - block.column;
  block.count = static_cast<int>(count < stride ? count : stride);
  return block;
}

// Calls tile(block, stride) for the blocks of a range and adds up what it returns.
template <class Tile>
MTL_INLINE PixelSums for_each_block(const PixelLoss& loss, const PixelRange& range,
                                    const Tile& tile) {
  const int64_t width = loss.prediction.width();
  const int stride = tile_pixels(loss.prediction.channels());
  const bool joined = rows_join(loss);
  PixelSums sums = {0.0, 0.0};
  for (int64_t pixel = range.begin; pixel < range.end;) {
    const Block block = block_at(pixel, range, width, stride, joined);
    const PixelSums part = tile(block, stride);
    sums.loss += part.loss;
    sums.log_variance += part.log_variance;
    pixel += block.count;
  }
  if (loss.streamed) stream_fence();
  return sums;
}

template <class Acc>
PixelSums cross_entropy_range(const PixelLoss& loss, const PixelRange& range, void* workspace) {
  return for_each_block(loss, range, [&](const Block& block, int stride) {
    return cross_entropy_tile(loss, block, static_cast<Acc*>(workspace), stride);
  });
}

template <class Acc>
PixelSums l1_range(const PixelLoss& loss, const PixelRange& range, void* workspace, bool offsets) {
  return for_each_block(loss, range, [&](const Block& block, int stride) {
    return l1_tile(loss, block, static_cast<Acc*>(workspace), stride, offsets);
  });
}

bool in_double(const PixelLoss& loss) {
  return loss.prediction.dtype == DType::kFloat64;
}

PixelSums cross_entropy(const PixelLoss& loss, const PixelRange& range, void* workspace) {
  return in_double(loss) ? cross_entropy_range<double>(loss, range, workspace)
                         : cross_entropy_range<float>(loss, range, workspace);
}

PixelSums l1(const PixelLoss& loss, const PixelRange& range, void* workspace) {
  return in_double(loss) ? l1_range<double>(loss, range, workspace, false)
                         : l1_range<float>(loss, range, workspace, false);
}

PixelSums instance_offset(const PixelLoss& loss, const PixelRange& range, void* workspace) {
  return in_double(loss) ? l1_range<double>(loss, range, workspace, true)
                         : l1_range<float>(loss, range, workspace, true);
}

}  // namespace

extern const KernelTable kKernels;
const KernelTable kKernels = {cross_entropy, l1, instance_offset};

}  // namespace MTL_SIMD
}  // namespace mtl
