// Launches of the loss: count, prepare, compute, finish; a kernel or two each per task. The grid is
// a function of shapes alone, so that the order of every sum is, too.
#include <algorithm>

#include "loss/cuda/coefficients.cuh"
#include "loss/cuda/count.cuh"
#include "loss/cuda/cross_entropy_dispatch.h"
#include "loss/cuda/l1.cuh"
#include "loss/cuda/multi_task_loss.h"
#include "loss/cuda/scale.cuh"
#include "loss/cuda/workspace.h"

namespace mtl {
namespace {

constexpr int64_t kInstanceRows = kMaxInstanceId + 1;
constexpr int64_t kUsualIds = 1024;  // per image; more take further turns

unsigned blocks_for(int64_t items) {
  return static_cast<unsigned>((items + kThreads - 1) / kThreads);
}

void count_task(const CudaTask& task, void* stream) {
  const dim3 grid(static_cast<unsigned>(task.count_blocks)), block(kThreads);
  switch (task.kind) {
    case TaskKind::kCrossEntropy:
      launch(count_labels, grid, block, 0, stream, task);
      break;
    case TaskKind::kL1:
      launch(count_values, grid, block, 0, stream, task);
      break;
    default:
      launch(sum_instances_kernel, grid, block, 0, stream, task);
      launch(divide_instances, main_grid(kUsualIds, kThreads, task.target.batch()), block, 0,
             stream, task);
  }
  launch(prepare_task, dim3(1), block, 0, stream, task);
}

template <class T, template <class> class Target>
void launch_l1(const CudaTask& task, dim3 grid, void* stream) {
  if (task.gradient.data) {
    launch(l1_loss<T, Target, true>, grid, dim3(kThreads), 0, stream, task);
  } else {
    launch(l1_loss<T, Target, false>, grid, dim3(kThreads), 0, stream, task);
  }
}

template <class T>
void launch_l1(const CudaTask& task, dim3 grid, void* stream) {
  if (task.kind == TaskKind::kL1) {
    launch_l1<T, ValueTarget>(task, grid, stream);
  } else {
    launch_l1<T, OffsetTarget>(task, grid, stream);
  }
}

// Runs the main kernel; `task.blocks` becomes the number of its blocks.
void compute_task(CudaTask& task, void* stream) {
  if (task.prediction.batch() * task.prediction.pixels() == 0) return;
  if (task.kind == TaskKind::kCrossEntropy) {
    task.blocks = launch_cross_entropy(task, stream);
    return;
  }
  const dim3 grid = main_grid(task.prediction.pixels(), kThreads, task.prediction.batch());
  task.blocks = static_cast<int>(grid.x * grid.y);
  switch (task.prediction.dtype) {
    case DType::kFloat32:
      return launch_l1<float>(task, grid, stream);
    case DType::kFloat64:
      return launch_l1<double>(task, grid, stream);
    case DType::kFloat16:
      return launch_l1<__half>(task, grid, stream);
    default:
      return launch_l1<__nv_bfloat16>(task, grid, stream);
  }
}

template <class Scalar>
void finish(std::vector<CudaTask>& tasks, const LossOutputs& outputs, double* sum, void* stream) {
  for (size_t t = 0; t < tasks.size(); ++t) {
    launch(finish_task<Scalar>, dim3(1), dim3(kThreads), 0, stream, tasks[t], static_cast<int>(t),
           outputs, sum);
  }
}

template <class T>
void launch_scale(void* gradient, int64_t count, const double* factor, void* stream) {
  const int64_t blocks = std::min<int64_t>((count + kThreads - 1) / kThreads, kMaxMainBlocks);
  launch(scale_gradient<T>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, stream,
         static_cast<T*>(gradient), count, factor);
}

}  // namespace

int64_t multi_task_loss_workspace(const std::vector<LossTask>& tasks) {
  return LossWorkspace(tasks, nullptr).bytes();
}

void multi_task_loss_cuda(const std::vector<LossTask>& tasks, const LossOutputs& outputs,
                          void* workspace, void* stream) {
  LossWorkspace memory(tasks, workspace);
  check_cuda(cudaMemsetAsync(workspace, 0, static_cast<size_t>(memory.zeroed_bytes()),
                             static_cast<cudaStream_t>(stream)),
             "clearing the counters of the loss");
  for (CudaTask& task : memory.tasks()) {
    count_task(task, stream);
    compute_task(task, stream);
  }
  if (outputs.in_double) {
    finish<double>(memory.tasks(), outputs, memory.sum(), stream);
  } else {
    finish<float>(memory.tasks(), outputs, memory.sum(), stream);
  }
}

void scale_gradient_cuda(void* gradient, DType dtype, int64_t count, const double* factor,
                         void* stream) {
  if (count == 0) return;
  switch (dtype) {
    case DType::kFloat32:
      return launch_scale<float>(gradient, count, factor, stream);
    case DType::kFloat64:
      return launch_scale<double>(gradient, count, factor, stream);
    case DType::kFloat16:
      return launch_scale<__half>(gradient, count, factor, stream);
    default:
      return launch_scale<__nv_bfloat16>(gradient, count, factor, stream);
  }
}

int64_t instance_centroids_workspace(int64_t batch) {
  return static_cast<int64_t>(sizeof(TaskState) + batch * kInstanceRows * sizeof(InstanceRow));
}

void instance_centroids_cuda(const TensorView& ids, int64_t instances, float* centroids,
                             int64_t* counts, void* workspace, void* stream) {
  const int64_t count = ids.batch() * instances;
  if (count == 0) return;
  check_cuda(
      cudaMemsetAsync(workspace, 0, static_cast<size_t>(instance_centroids_workspace(ids.batch())),
                      static_cast<cudaStream_t>(stream)),
      "clearing the table of instances");
  CudaTask task = {};
  task.target = ids;
  task.state = static_cast<TaskState*>(workspace);
  task.instances = reinterpret_cast<InstanceRow*>(task.state + 1);
  task.count_blocks = kMaxCountBlocks;
  launch(sum_instances_kernel, dim3(kMaxCountBlocks), dim3(kThreads), 0, stream, task);
  launch(write_centroids, dim3(blocks_for(count)), dim3(kThreads), 0, stream, task.instances,
         ids.batch(), instances, centroids, counts);
}

}  // namespace mtl
