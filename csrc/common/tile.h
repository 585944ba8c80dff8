// Tiles: blocks of pixels of all channels, copied to the first-level cache as float (or double).
//
// A tile is [C][kStride] of Acc, pixels innermost, so that every step of a kernel is a loop over
// consecutive pixels. Reading and writing tiles is the only place that knows element types and
// strides: each prediction element is read from memory once, each gradient element written once.
#pragma once

#include "common/half.h"
#include "common/stream.h"
#include "common/tensor_view.h"
#include "common/tile_size.h"

namespace mtl {
inline namespace MTL_SIMD {

// Where a block of `count` pixels starts, `step` columns apart; a block ends at the end of a row
// unless the rows join and the step is 1.
struct Block {
  int64_t image, row, column;
  int count;
  int64_t step = 1;
};

template <class T, class Acc>
MTL_INLINE void load_elements(const T* MTL_RESTRICT source, int64_t channel_stride,
                              int64_t pixel_stride, int64_t channels, int count, int stride,
                              Acc* MTL_RESTRICT tile) {
  if (pixel_stride == 1) {
    for (int64_t c = 0; c < channels; ++c) {
#pragma omp simd
      for (int i = 0; i < count; ++i) {
        tile[c * stride + i] = load_as<Acc>(source[c * channel_stride + i]);
      }
    }
  } else if (channels == 1) {
#pragma omp simd
    for (int i = 0; i < count; ++i) tile[i] = load_as<Acc>(source[i * pixel_stride]);
  } else {  // pixel by pixel: channels_last reads in memory order
    for (int i = 0; i < count; ++i) {
      for (int64_t c = 0; c < channels; ++c) {
        tile[c * stride + i] = load_as<Acc>(source[i * pixel_stride + c * channel_stride]);
      }
    }
  }
}

// Reads a block of `view` into `tile`, and zeros up to the next multiple of kVector.
template <class Acc>
inline void load_tile(const TensorView& view, const Block& block, int stride, Acc* tile) {
  const int64_t channels = view.channels();
  const int64_t start = view.offset(block.image, block.row, block.column);
  const int64_t cs = view.strides[1], ps = view.strides[3] * block.step;
  switch (view.dtype) {
    case DType::kFloat32:
      load_elements(static_cast<const float*>(view.data) + start, cs, ps, channels, block.count,
                    stride, tile);
      break;
    case DType::kFloat64:
      load_elements(static_cast<const double*>(view.data) + start, cs, ps, channels, block.count,
                    stride, tile);
      break;
    case DType::kFloat16:
      load_elements(static_cast<const Float16*>(view.data) + start, cs, ps, channels, block.count,
                    stride, tile);
      break;
    default:
      load_elements(static_cast<const BFloat16*>(view.data) + start, cs, ps, channels, block.count,
                    stride, tile);
  }
  for (int64_t c = 0; c < channels; ++c) {
    for (int i = block.count; i % kVector != 0; ++i) tile[c * stride + i] = Acc(0);
  }
}

template <class T, class Acc>
MTL_INLINE void store_run(const Acc* MTL_RESTRICT source, int count, T* MTL_RESTRICT target) {
#pragma omp simd
  for (int i = 0; i < count; ++i) store_to(target + i, source[i]);
}

// `streamed`: past the caches, see stream.h.
template <class T, class Acc>
MTL_INLINE void store_elements(const Acc* MTL_RESTRICT tile, const Block& block, int stride,
                               bool streamed, const TensorView& view) {
  T* target = static_cast<T*>(view.data) + view.offset(block.image, block.row, block.column);
  const int64_t channels = view.channels(), cs = view.strides[1];
  const int64_t ps = view.strides[3] * block.step;
  if (ps != 1) {
    for (int i = 0; i < block.count; ++i) {
      for (int64_t c = 0; c < channels; ++c)
        store_to(target + i * ps + c * cs, tile[c * stride + i]);
    }
  } else if (streamed) {
    for (int64_t c = 0; c < channels; ++c) {
      T run[kMaxTilePixels];
      store_run(tile + c * stride, block.count, run);
      stream_copy(target + c * cs, run, block.count * static_cast<int64_t>(sizeof(T)));
    }
  } else {
    for (int64_t c = 0; c < channels; ++c) {
      store_run(tile + c * stride, block.count, target + c * cs);
    }
  }
}

inline void store_tile(const float* tile, const Block& block, int stride, bool streamed,
                       const TensorView& view) {
  switch (view.dtype) {
    case DType::kFloat32:
      store_elements<float>(tile, block, stride, streamed, view);
      break;
    case DType::kFloat16:
      store_elements<Float16>(tile, block, stride, streamed, view);
      break;
    default:
      store_elements<BFloat16>(tile, block, stride, streamed, view);
  }
}

inline void store_tile(const double* tile, const Block& block, int stride, bool streamed,
                       const TensorView& view) {
  store_elements<double>(tile, block, stride, streamed, view);
}

template <class Label>
MTL_INLINE void decode_labels(const Label* source, int64_t pixel_stride, int count, int64_t ignored,
                              int32_t* MTL_RESTRICT labels) {
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    const int64_t label = static_cast<int64_t>(source[i * pixel_stride]);
    labels[i] = label == ignored ? -1 : static_cast<int32_t>(label);
  }
}

// Reads labels; `ignored` becomes -1, and so does the padding up to a multiple of kVector.
inline void load_labels(const TensorView& view, const Block& block, int64_t ignored,
                        int32_t* labels) {
  const int64_t start = view.offset(block.image, block.row, block.column);
  const int64_t ps = view.strides[3] * block.step;
  switch (view.dtype) {
    case DType::kUInt8:
      decode_labels(static_cast<const uint8_t*>(view.data) + start, ps, block.count, ignored,
                    labels);
      break;
    case DType::kInt16:
      decode_labels(static_cast<const int16_t*>(view.data) + start, ps, block.count, ignored,
                    labels);
      break;
    case DType::kInt32:
      decode_labels(static_cast<const int32_t*>(view.data) + start, ps, block.count, ignored,
                    labels);
      break;
    default:
      decode_labels(static_cast<const int64_t*>(view.data) + start, ps, block.count, ignored,
                    labels);
  }
  for (int i = block.count; i % kVector != 0; ++i) labels[i] = -1;
}

}  // namespace MTL_SIMD
}  // namespace mtl
