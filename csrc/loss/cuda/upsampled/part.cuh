// What the kernels for low-resolution predictions share: a part of the target (grid.h), the rows of
// it that lie in one cell, and the sums of their gradients.
//
// A thread has one column x of the target and goes down its rows. Within a cell the interpolated
// value is linear in the row: with the prediction interpolated along its two rows,
//   top = sum_j column_weight_j P[low, x_j],  bottom = sum_j column_weight_j P[high, x_j],
//   f(y) = low_weight(y) top + high_weight(y) bottom
// so a thread sums d loss/d top and d loss/d bottom over the rows on its own, and only then the
// threads of a cell are summed, in shared memory: once per class and cell row.
#pragma once

#include "common/cuda/element.cuh"
#include "loss/cuda/upsampled/grid.h"

namespace mtl {

// Blocks that share a multiprocessor: what the registers of the largest kernels leave room for.
template <class T>
constexpr int kMinBlocks = sizeof(T) < 8 ? 4 : 2;

// Target column of a thread.
template <class Acc>
struct Column {
  __device__ __forceinline__ Column(const UpsampledGrid& grid, int64_t x)
      : inside(x < grid.columns.out), x(inside ? x : grid.columns.out - 1) {
    const BilinearSample at = grid.columns.at(this->x);
    low = at.low;
    high = at.high;
    low_weight = static_cast<Acc>(at.low_weight);
    high_weight = static_cast<Acc>(at.high_weight);
  }
  bool inside;
  int64_t x;
  int64_t low, high;
  Acc low_weight, high_weight;
};

// Where the rows of a band take their values from, made once per part.
template <class Acc>
struct BandRows {
  // Every thread of the block calls it.
  __device__ __forceinline__ BandRows(const BilinearAxis& axis, int64_t begin, int64_t end)
      : begin(begin), count(static_cast<int>(end - begin)) {
    MTL_SHARED(int, lows, kMaxBandRows);
    MTL_SHARED(int, highs, kMaxBandRows);
    MTL_SHARED(Acc, low_weights, kMaxBandRows);
    MTL_SHARED(Acc, high_weights, kMaxBandRows);
    low = lows;
    high = highs;
    low_weight = low_weights;
    high_weight = high_weights;
    __syncthreads();  // the part before this one may still be reading
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kColumns) {
      const BilinearSample at = axis.at(begin + i);
      lows[i] = static_cast<int>(at.low);
      highs[i] = static_cast<int>(at.high);
      low_weights[i] = static_cast<Acc>(at.low_weight);
      high_weights[i] = static_cast<Acc>(at.high_weight);
    }
    __syncthreads();
  }
  int64_t begin;
  int count;
  const int *low, *high;
  const Acc *low_weight, *high_weight;
};

// Up to `Rows` rows of a band between the same two rows of the prediction, `first` and on.
template <class Acc, int Rows>
struct CellRows {
  __device__ __forceinline__ CellRows(const BandRows<Acc>& band, int first)
      : begin(band.begin + first), low(band.low[first]), high(band.high[first]), count(0) {
#pragma unroll
    for (int i = 0; i < Rows; ++i) {
      const int row = first + i < band.count ? first + i : first;
      const bool inside =
          count == i && first + i < band.count && band.low[row] == low && band.high[row] == high;
      count += inside;
      low_weight[i] = inside ? band.low_weight[row] : Acc(0);
      high_weight[i] = inside ? band.high_weight[row] : Acc(0);
    }
  }
  int64_t begin;
  int low, high, count;
  Acc low_weight[Rows], high_weight[Rows];
};

// The prediction at a thread's column along the two rows of a cell.
template <class T>
struct Corners {
  using Acc = decltype(to_acc(T()));

  template <int Rows>
  __device__ __forceinline__ Corners(const TensorView& prediction, int64_t image,
                                     const Column<Acc>& column, const CellRows<Acc, Rows>& rows)
      : data(static_cast<const T*>(prediction.data)), step(prediction.strides[1]), column(column) {
    place[0] = prediction.offset(image, rows.low, column.low);
    place[1] = prediction.offset(image, rows.low, column.high);
    place[2] = prediction.offset(image, rows.high, column.low);
    place[3] = prediction.offset(image, rows.high, column.high);
  }
  __device__ __forceinline__ Acc top(int64_t c) const { return mix(place[0], place[1], c); }
  __device__ __forceinline__ Acc bottom(int64_t c) const { return mix(place[2], place[3], c); }
  __device__ __forceinline__ Acc mix(int64_t a, int64_t b, int64_t c) const {
    return column.low_weight * to_acc(data[a + c * step]) +
           column.high_weight * to_acc(data[b + c * step]);
  }
  const T* data;
  int64_t step;
  const Column<Acc>& column;
  int64_t place[4];
};

constexpr int kChunk = 4;  // classes whose sums are made between two barriers
// Runs of 8 threads are summed by neighbouring threads: one place more per run keeps those off each
// other's banks.
constexpr int kPaddedColumns = kColumns + kColumns / 8;

// Which part of the target a block is at.
struct Part {
  __device__ __forceinline__ Part(const UpsampledGrid& grid, int64_t index)
      : index(index),
        column(index % grid.column_blocks * kColumns + threadIdx.x),
        image(index / grid.column_blocks / grid.bands) {
    const int64_t band = index / grid.column_blocks % grid.bands;
    begin = grid.band_begin(band);
    end = grid.band_end(band);
  }
  int64_t index, column, image, begin, end;  // this thread's column; rows begin <= y < end
};

// The gradient of a part: sums over the threads of each cell, added to the part's region.
template <class Acc, bool Wanted>
class Region {
 public:
  // Every thread of the block calls it; clears the region.
  __device__ __forceinline__ Region(const UpsampledGrid& grid, int64_t part, int first_row,
                                    const Column<Acc>& column)
      : grid_(grid), column_(column), first_row_(first_row) {
    data_ = static_cast<Acc*>(grid.regions) + part * grid.region_size();
    for (int64_t i = threadIdx.x; i < grid.region_size(); i += kColumns) data_[i] = Acc(0);
    find_runs();
  }

  // Calls gradient(c, &top, &bottom) for every class: the thread's sums for rows `low` and `high`
  // of the prediction. Every thread of the block calls it.
  template <class Gradient>
  __device__ __forceinline__ void add(int classes, int low, int high, const Gradient& gradient) {
    MTL_SHARED(Acc, sums, kChunk * 4 * kPaddedColumns);
    const int thread = static_cast<int>(threadIdx.x);
    for (int first = 0; first < classes; first += kChunk) {
      const int count = classes - first < kChunk ? classes - first : kChunk;
      for (int c = 0; c < count; ++c) {
        Acc top, bottom;
        gradient(first + c, &top, &bottom);
        if (low == high) {
          top += bottom;
          bottom = Acc(0);
        }
        Acc* sum = sums + c * 4 * kPaddedColumns + padded(thread);
        split(top, sum);
        split(bottom, sum + 2 * kPaddedColumns);
      }
      __syncthreads();
      for (int i = thread; i < 2 * count * runs_; i += kColumns) {
        const int run = i % runs_, side = i / runs_ % 2, c = i / runs_ / 2;
        const int64_t row = low - first_row_ + side;
        add_run(sums + (c * 4 + side * 2) * kPaddedColumns, run,
                data_ + (row * grid_.channels + first + c) * grid_.region_columns);
      }
      __syncthreads();
    }
  }

 private:
  static __device__ __forceinline__ int padded(int thread) { return thread + thread / 8; }

  // What the predictions left and right of the thread's column get of `sum`.
  __device__ __forceinline__ void split(Acc sum, Acc* sides) const {
    const bool one = column_.low == column_.high;
    sides[0] = one ? sum : column_.low_weight * sum;
    sides[kPaddedColumns] = one ? Acc(0) : column_.high_weight * sum;
  }

  // Threads side by side in one cell are a run: run r is those from begin_[r] to begin_[r + 1].
  __device__ __forceinline__ void find_runs() {
    MTL_SHARED(int, lows, kColumns);
    MTL_SHARED(int, begins, kColumns + 1);
    const int thread = static_cast<int>(threadIdx.x);
    begin_ = begins;
    low_ = lows;
    __syncthreads();  // the part before this one may still be reading
    lows[thread] = column_.inside ? static_cast<int>(column_.low) : -1;
    __syncthreads();
    runs_ = 0;
    for (int t = 0; t < kColumns && lows[t] >= 0; ++t) {
      if (t > 0 && lows[t] == lows[t - 1]) continue;
      if (t == thread) begins[runs_] = t;
      ++runs_;
    }
    const bool last = thread + 1 == kColumns || lows[thread + 1] < 0;
    if (last && column_.inside) begins[runs_] = thread + 1;
    __syncthreads();
  }

  __device__ __forceinline__ Acc run_sum(const Acc* sums, int run) const {
    Acc total = 0;
    for (int t = begin_[run]; t < begin_[run + 1]; ++t) total += sums[padded(t)];
    return total;
  }

  // A run's own corner gets what its threads have left of them and the run before right of it. The
  // corner right of it is the next run's, unless that is in another cell.
  __device__ __forceinline__ void add_run(const Acc* sums, int run, Acc* row) const {
    const int cell = low_[begin_[run]];
    Acc left = run_sum(sums, run);
    if (run > 0 && low_[begin_[run - 1]] == cell - 1) {
      left += run_sum(sums + kPaddedColumns, run - 1);
    }
    row[cell - low_[0]] += left;
    if (run + 1 == runs_ || low_[begin_[run + 1]] != cell + 1) {
      row[cell + 1 - low_[0]] += run_sum(sums + kPaddedColumns, run);
    }
  }

  const UpsampledGrid& grid_;
  const Column<Acc>& column_;
  int first_row_;
  Acc* data_;
  const int* begin_;
  const int* low_;
  int runs_;
};

template <class Acc>
class Region<Acc, false> {
 public:
  __device__ __forceinline__ Region(const UpsampledGrid&, int64_t, int, const Column<Acc>&) {}
  template <class Gradient>
  __device__ __forceinline__ void add(int, int, int, const Gradient&) {}
};

}  // namespace mtl
