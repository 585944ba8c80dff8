// The CPU kernels of the loss for one instruction set (cmake/simd.cmake compiles this file once
// per set). One pass over the predictions: read a tile, compute in the first-level cache, write
// its gradient. Sums are float within a tile and double across tiles, in a fixed order.
#include "loss/cpu/kernels.h"

#include "common/tile.h"
#include "loss/cpu/cross_entropy.h"
#include "loss/cpu/l1.h"
#include "loss/cpu/upsampled/band.h"
#include "loss/cpu/upsampled/combine.h"
#include "upsample/gather.h"
#include "upsample/phases.h"

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

template <class Acc, class Pixels>
PixelSums range_sums(const PixelLoss& loss, const PixelRange& range, Acc* tile) {
  const int64_t width = loss.prediction.width();
  const int stride = tile_pixels(loss.prediction.channels());
  const bool joined = rows_join(loss);
  Pixels pixels(loss, tile + loss.prediction.channels() * stride, stride);
  for (int64_t pixel = range.begin; pixel < range.end;) {
    const Block block = block_at(pixel, range, width, stride, joined);
    load_tile(loss.prediction, block, stride, tile);
    pixels.place(block, 0);
    pixels.evaluate((block.count + kVector - 1) / kVector * kVector, tile);
    if (loss.gradient.data) store_tile(tile, block, stride, loss.streamed, loss.gradient);
    pixel += block.count;
  }
  if (loss.streamed) stream_fence();
  return pixels.sums();
}

template <class Acc, class Pixels>
PixelSums band_sums(const PixelLoss& loss, const UpsampledBand& band, Acc* memory) {
  const BilinearAxis columns(loss.prediction.width(), loss.target.width(), loss.align_corners);
  return columns.whole_ratio() ? upsampled_band<Acc, PhaseColumns, Pixels>(loss, band, memory)
                               : upsampled_band<Acc, GatherColumns, Pixels>(loss, band, memory);
}

bool in_double(const PixelLoss& loss) {
  return loss.prediction.dtype == DType::kFloat64;
}

// Pixels<Acc> are the pixels of one kind of task.
template <template <class> class Pixels>
PixelSums full(const PixelLoss& loss, const PixelRange& range, void* workspace) {
  return in_double(loss)
             ? range_sums<double, Pixels<double>>(loss, range, static_cast<double*>(workspace))
             : range_sums<float, Pixels<float>>(loss, range, static_cast<float*>(workspace));
}

template <template <class> class Pixels>
PixelSums upsampled(const PixelLoss& loss, const UpsampledBand& band, void* workspace) {
  return in_double(loss)
             ? band_sums<double, Pixels<double>>(loss, band, static_cast<double*>(workspace))
             : band_sums<float, Pixels<float>>(loss, band, static_cast<float*>(workspace));
}

void write_any_band(const PixelLoss& loss, const UpsampledBand& band,
                    const UpsampledBand* previous) {
  in_double(loss) ? write_band<double>(loss, band, previous)
                  : write_band<float>(loss, band, previous);
}

template <class Acc>
using ValuePixels = L1Pixels<Acc, false>;
template <class Acc>
using OffsetPixels = L1Pixels<Acc, true>;

}  // namespace

extern const KernelTable kKernels;
const KernelTable kKernels = {full<CrossEntropyPixels>,
                              full<ValuePixels>,
                              full<OffsetPixels>,
                              upsampled<CrossEntropyPixels>,
                              upsampled<ValuePixels>,
                              upsampled<OffsetPixels>,
                              write_any_band};

}  // namespace MTL_SIMD
}  // namespace mtl
