// Launches of the loss: one that counts and one that prepares for all tasks, one that computes per
// task, one that finishes for all. The grid is a function of shapes alone, so that the order of
// every sum is, too.
#include <algorithm>

#include "loss/cuda/coefficients.cuh"
#include "loss/cuda/count.cuh"
#include "loss/cuda/cross_entropy_dispatch.h"
#include "loss/cuda/l1_launch.cuh"
#include "loss/cuda/multi_task_loss.h"
#include "loss/cuda/scale.cuh"
#include "loss/cuda/upsampled/dispatch.h"
#include "loss/cuda/workspace.h"

namespace mtl {
namespace {

unsigned blocks_for(int64_t items) {
  return static_cast<unsigned>((items + kThreads - 1) / kThreads);
}

// Calls work(group, number of its tasks, place of the first among `tasks`).
template <class Work>
void for_each_group(const std::vector<CudaTask>& tasks, const Work& work) {
  for (size_t first = 0; first < tasks.size(); first += kGroup) {
    const size_t count = std::min<size_t>(kGroup, tasks.size() - first);
    TaskGroup group = {};
    std::copy_n(tasks.begin() + static_cast<std::ptrdiff_t>(first), count, group.task);
    work(group, static_cast<int>(count), static_cast<int>(first));
  }
}

void count_and_prepare(const TaskGroup& group, int count, void* stream) {
  int blocks = 1, id_blocks = 0;
  for (int t = 0; t < count; ++t) {
    const CudaTask& task = group.task[t];
    blocks = std::max(blocks, task.count_blocks);
    if (!task.instances) continue;
    const int64_t images = std::min<int64_t>(task.target.batch(), kMaxCountBlocks);
    id_blocks = std::max(id_blocks, kIdBlocks * static_cast<int>(images));
  }
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(count));
  launch(count_targets, grid, dim3(kThreads), 0, stream, group);
  launch(prepare_tasks, dim3(static_cast<unsigned>(1 + id_blocks), grid.y), dim3(kThreads), 0,
         stream, group);
}

// Runs the main kernel; `task.blocks` becomes the number of its blocks.
void compute_task(CudaTask& task, void* stream) {
  if (task.prediction.batch() * task.prediction.pixels() == 0) return;
  task.blocks = is_upsampled(task)                     ? launch_upsampled(task, stream)
                : task.kind == TaskKind::kCrossEntropy ? launch_cross_entropy(task, stream)
                                                       : launch_l1(task, stream);
}

template <class T>
void launch_scale(void* gradient, int64_t count, const double* factor, void* stream) {
  constexpr int64_t kSize = 16 / static_cast<int64_t>(sizeof(T));
  const bool in_packs = sizeof(T) < 8 && reinterpret_cast<uintptr_t>(gradient) % 16 == 0;
  const int64_t packs = in_packs ? count / kSize : 0;
  const int64_t turns = std::max(packs, count - packs * kSize);
  const int64_t blocks = std::min<int64_t>((turns + kThreads - 1) / kThreads, kMaxMainBlocks);
  launch(scale_gradient<T>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, stream,
         static_cast<T*>(gradient), count, packs, factor);
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
  for_each_group(memory.tasks(), [&](const TaskGroup& group, int count, int) {
    count_and_prepare(group, count, stream);
  });
  for (CudaTask& task : memory.tasks()) compute_task(task, stream);
  const auto finish = outputs.in_double ? finish_tasks<double> : finish_tasks<float>;
  for_each_group(memory.tasks(), [&](const TaskGroup& group, int count, int first) {
    launch(finish, dim3(1), dim3(kFinishThreads), 0, stream, group, count, first, outputs,
           memory.sum());
  });
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
  task.kind = TaskKind::kInstanceOffset;
  task.target = ids;
  task.state = static_cast<TaskState*>(workspace);
  task.instances = reinterpret_cast<InstanceRow*>(task.state + 1);
  task.count_blocks = kMaxCountBlocks;
  task.target_in_runs = counts_in_runs(task);
  TaskGroup group = {};
  group.task[0] = task;
  launch(count_targets, dim3(kMaxCountBlocks), dim3(kThreads), 0, stream, group);
  launch(write_centroids, dim3(blocks_for(count)), dim3(kThreads), 0, stream, task.instances,
         ids.batch(), instances, centroids, counts);
}

}  // namespace mtl
