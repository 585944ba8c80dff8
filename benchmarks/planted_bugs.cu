// One kernel for each tool of compute-sanitizer with the defect that the tool exists for. A tool
// that does not report its kernel cannot be relied on where it reports nothing.
//
//     nvcc -o planted_bugs planted_bugs.cu && compute-sanitizer --tool racecheck planted_bugs
//     racecheck
#include <cstdio>
#include <cstring>

constexpr int kThreads = 64;

// Each kernel: values [kThreads], one block.
__global__ void one_index_too_far(int* values) {
  values[threadIdx.x + 1] = 1;
}

__global__ void missing_barrier(int* values) {
  __shared__ int shared[kThreads];
  shared[threadIdx.x] = static_cast<int>(threadIdx.x);
  values[threadIdx.x] = shared[kThreads - 1 - threadIdx.x];  // written by the other warp
}

__global__ void never_written(int* values) {
  values[threadIdx.x] += 1;
}

__global__ void barrier_for_some(int* values) {
  if (threadIdx.x < 16) __syncthreads();
  values[threadIdx.x] = 1;
}

int main(int count, char** arguments) {
  const char* tool = count == 2 ? arguments[1] : "";
  void (*kernel)(int*) = nullptr;
  if (!std::strcmp(tool, "memcheck")) kernel = one_index_too_far;
  if (!std::strcmp(tool, "racecheck")) kernel = missing_barrier;
  if (!std::strcmp(tool, "initcheck")) kernel = never_written;
  if (!std::strcmp(tool, "synccheck")) kernel = barrier_for_some;
  if (!kernel) {
    std::fprintf(stderr, "usage: planted_bugs memcheck|racecheck|initcheck|synccheck\n");
    return 2;
  }
  int* values = nullptr;
  if (cudaMalloc(&values, kThreads * sizeof(int)) != cudaSuccess) return 3;
  kernel<<<1, kThreads>>>(values);
  const cudaError_t error = cudaDeviceSynchronize();
  std::printf("%s: %s\n", tool, cudaGetErrorString(error));
  cudaFree(values);
  return 0;
}
