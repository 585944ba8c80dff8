"""Everything a training run can be told, section by section, as dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mtl_cuda.metrics.scene import TASKS


@dataclass
class DataConfig:
    """Which scenes, and how they become batches.

    Attributes:
        root: folder of the data set.
        name: how the folder is laid out. Generated scenes have the layout of Cityscapes.
        train_split: folder of the scenes to learn from.
        val_split: folder of the scenes to evaluate on.
        size: height and width to which scenes are resized when loaded; null leaves them. Needed
            where images differ in size.
        depth: target of the depth task: "metric" is inverse depth in 1/m, which needs camera files;
            "disparity" is in pixels. (Cityscapes layout only.)
        disparity: folder of the disparities ("disparity_gt" is exact in generated trees).
        val_disparity: folder of those that predictions are compared with, in every split but that
            of training; null is `disparity`. So a network may learn from what stereo matching
            found and be measured against the truth.
        crop_size: height and width of training crops; null takes whole scenes (of `size`).
        scale_range: smallest and largest random scale of training scenes.
        flip_probability: of mirroring a training scene left and right.
        jitter: brightness, contrast and saturation vary by up to this fraction in training.
        batch_size: scenes per training step, of all processes together, which must be able to
            share them equally.
        eval_batch_size: scenes per step of evaluation.
        workers: processes that load scenes, at most one per core; 0 loads in the main process.
        timeout: seconds to wait for a worker's batch before the run ends with an error; 0 waits
            for ever.
        skip_bad: damaged training samples that may be left out, with a warning each; one more ends
            the run.
    """

    root: str
    name: Literal["cityscapes", "camvid"] = "cityscapes"
    train_split: str = "train"
    val_split: str = "val"
    size: tuple[int, int] | None = None
    depth: Literal["metric", "disparity"] = "metric"
    disparity: str = "disparity"
    val_disparity: str | None = None
    crop_size: tuple[int, int] | None = None
    scale_range: tuple[float, float] = (0.5, 2.0)
    flip_probability: float = 0.5
    jitter: float = 0.2
    batch_size: int = 8
    eval_batch_size: int = 4
    workers: int = 2
    timeout: float = 60.0
    skip_bad: int = 0


@dataclass
class ModelConfig:
    """The network: see `mtl_cuda.models.MultiTaskDeepLabV3`.

    Attributes:
        backbone: resnet18, resnet34, resnet50 or resnet101.
        output_stride: 8, 16 or 32: image pixels per pixel of the predictions.
        pretrained_backbone: local file with published ResNet weights; null starts from scratch.
        aspp_channels: channels of the shared representation.
        decoder_channels: channels inside every task's decoder.
        width: multiplies the backbone's channels.
        dropout: probability of zeroing a value of the shared representation in training.
        output_scale: by task, the factor between the last layer's output and the prediction; tasks
            left out have 1. With the typical size of a target (offsets: tens of pixels; inverse
            depth: hundredths of 1/m) the last layer works on numbers around 1, and one learning
            rate suits all tasks.
        batch_norm: "train" learns from the statistics of each batch. "frozen_backbone" leaves the
            backbone's statistics, weights and biases as they were loaded, which suits pretrained
            weights and small batches; "frozen" those of all layers. "sync" takes the statistics of
            all processes' batches together (GPUs only; a single process is as with "train").
        checkpointing: keep only what goes into each block of the backbone and compute the rest
            again in the backward pass: less memory for about a third more time, the same numbers.
            Not together with `run.compile`.
    """

    backbone: str = "resnet101"
    output_stride: int = 8
    pretrained_backbone: str | None = None
    aspp_channels: int = 256
    decoder_channels: int = 256
    width: float = 1.0
    dropout: float = 0.1
    output_scale: dict[str, float] = field(default_factory=dict)
    batch_norm: Literal["train", "frozen_backbone", "frozen", "sync"] = "train"
    checkpointing: bool = False


@dataclass
class LossConfig:
    """The tasks and how their losses are weighed: see `mtl_cuda.MultiTaskLoss`.

    Attributes:
        tasks: any of semantic, instance and depth.
        weighting: "uncertainty" learns a noise scale per task; numbers by task are fixed weights.
            Other schemes: "equal", "revised_uncertainty" (Liebel and Koerner), "uw_so" (from the
            inverse losses), "dwa" (dynamic weight average), "rlw" (random), "gls" (geometric
            mean), "gradnorm"; see `mtl_cuda.weighting`.
        weighting_options: of the scheme: "temperature" of uw_so (1) and dwa (2), "alpha" of
            gradnorm (1.5), "seed" of rlw (from run.seed).
        initial_log_variance: where every learned log sigma^2 starts: a number, numbers by task
            (of all that are trained, perhaps of others too), or "first_batch": at the optimum for
            the first batch's losses. Raw losses differ by orders of magnitude (offsets tens,
            inverse depths hundredths), and starting at one common number lets the largest task
            drown the others for the first hundreds of steps.
        likelihoods: by task, "softmax" or "scaled_softmax" (semantic), "gaussian" or "laplace"
            (instance, depth); tasks left out have the first of the two.
        class_weights: one number per class for the cross-entropy; null weighs all alike.
        label_smoothing: of the cross-entropy, in 0..1.
    """

    tasks: tuple[str, ...] = TASKS
    weighting: dict[str, float] | str = "uncertainty"
    weighting_options: dict[str, float] = field(default_factory=dict)
    initial_log_variance: float | dict[str, float] | Literal["first_batch"] = "first_batch"
    likelihoods: dict[str, str] = field(default_factory=dict)
    class_weights: list[float] | None = None
    label_smoothing: float = 0.0


@dataclass
class OptimConfig:
    """The optimizer, the "poly" schedule, and what a step does with its gradients.

    Attributes:
        optimizer: "sgd" with Nesterov momentum, or "adamw". Both decay convolution kernels only;
            see `mtl_cuda.engine.optim`.
        learning_rate: of the first step; step k of N has learning_rate * (1 - k/N)^power.
        power: of the schedule.
        warmup_steps: over so many first steps the learning rate grows evenly from nearly 0 to that
            of the schedule: step k has (k + 1) / warmup_steps of it.
        momentum: of Nesterov's method, 0 is plain gradient descent; of adamw the first beta (the
            second is 0.999).
        weight_decay: for convolution kernels only.
        log_variance_lr: multiplies the learning rate of the log-variances (and of what another
            weighting learns). Near its optimum a log-variance follows its loss with a time
            constant of about 2 (1 - momentum) / (learning_rate * log_variance_lr) steps (sgd).
        clip_norm: gradients longer than this are shortened to it; null leaves them.
        accumulate: batches per step, one after the other, whose gradients are averaged: a step
            sees data.batch_size * accumulate scenes in the memory of data.batch_size. Each loss is
            normalised by the valid pixels of its own batch, every batch counts alike, and batch
            normalisation sees one batch at a time.
        ema_decay: also keep the moving average of the weights, with this much of it left after
            each step (less in the first ones); 0.9999 suits long runs. Evaluation, best.pt and
            predictions then use the average. Null keeps none.
    """

    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 2.5e-3
    power: float = 0.9
    warmup_steps: int = 0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    log_variance_lr: float = 1.0
    clip_norm: float | None = None
    accumulate: int = 1
    ema_decay: float | None = None


@dataclass
class RunConfig:
    """How long, where to, and how often to look.

    Attributes:
        out: folder for checkpoints, metrics.csv, config.yaml and the report.
        overwrite: replace the run that the folder already holds.
        resume: "auto" goes on from the newest checkpoint in `out` that is whole, or starts a new
            run where there is none; a file goes on from that one; null always starts a new run.
            `--resume` is short for `--run.resume`.
        steps: training steps, those before a resume included.
        minutes: stop after about this long, the time before a resume included: the number of steps
            is set from the time the first ones take (at most `steps`), and the schedule ends with
            it. Null runs all `steps`.
        seed: of the weights, the order of scenes and their augmentation.
        device: "auto" takes CUDA where there is a GPU; or cpu, cuda, cuda:1, ... Several processes
            (`torchrun`) take a GPU each.
        rank_timeout: seconds for which one of several processes waits for another before it gives
            up.
        channels_last: keep images and weights in memory with the channels together, which
            convolutions on the CPU and in half precision prefer; results change by rounding only.
        precision: of the network's forward pass in training: float32; bfloat16, which needs
            nothing else; float16, for GPUs without bfloat16, with a factor on the loss that adapts
            itself. Weights, loss and evaluation stay in float32.
        compile: let `torch.compile` make the network faster; its first steps take minutes.
        max_bad_steps: steps of the run that may be left out, with a warning, because their loss is
            not finite; the next one stops the run and names the samples.
        log_every: steps per row of metrics.csv; a row holds means over them.
        eval_every: steps between evaluations, each followed by a checkpoint; null evaluates at the
            end only.
        save_every: steps between further checkpoints; null writes none by steps.
        save_minutes: a checkpoint is also written when the last one is older than this; null
            writes none by time.
        deterministic: compute with algorithms that repeat their bits alone, which may be slower: a
            resumed run then ends with exactly the weights of one that was never stopped.
        baseline_scenes: training scenes from which the constant prediction is made that results
            are compared with.
        panels: validation scenes shown in the report and in TensorBoard.
        tensorboard: write event files into `out`/tensorboard; "auto" does where TensorBoard is
            installed.
    """

    out: str = "runs/train"
    overwrite: bool = False
    resume: str | None = None
    steps: int = 10_000
    minutes: float | None = None
    seed: int = 0
    device: str = "auto"
    rank_timeout: float = 600.0
    channels_last: bool = True
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    compile: bool = False
    max_bad_steps: int = 0
    log_every: int = 20
    eval_every: int | None = 1000
    save_every: int | None = None
    save_minutes: float | None = 10.0
    deterministic: bool = False
    baseline_scenes: int = 100
    panels: int = 4
    tensorboard: bool | Literal["auto"] = "auto"
