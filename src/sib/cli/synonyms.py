"""What other training scripts call our options and commands."""

MEANT = {
    "arch": "architecture backbone encoder model model-name net network",
    "batch-size": "batch bs batchsize per-device-train-batch-size train-batch-size",
    "count": "n n-images num num-images",
    "data": "data-dir data-path dataset dataset-dir dataset-path train-dir",
    "device": "accelerator cuda gpu gpus",
    "early-stopping": "patience",
    "ema": "ema-decay model-ema",
    "epochs": "epoch max-epochs n-epochs num-epochs num-train-epochs",
    "every-n-steps": "every-n",
    "freeze": "freeze-backbone freeze-layers linear-probe",
    "format": "fmt onnx pt2 torchscript",
    "image-size": "crop-size image img imgsz img-size input-size resolution size",
    "images": "max-images n n-images num-images",
    "input.annotations": "bbox bboxes boxes",
    "annotations": "bbox bboxes boxes",
    "input.augment": "aug augmentation augmentations augmentation-policy transforms",
    "input.masks": "mask mask-dir masks-dir",
    "masks": "mask mask-dir masks-dir",
    "input.normalization": "mean normalisation normalize std",
    "normalization": "mean normalisation normalize std",
    "input.validation-fraction": "val-fraction val-ratio val-size val-split validation-split",
    "input.test-fraction": "test-ratio test-size",
    "label-smoothing": "smoothing",
    "layer": "cam-layer target-layer",
    "limit": "max-images max-samples n num-images subset",
    "method": "loss loss-fn objective-name",
    "methods": "explainer explanation explanations xai-method",
    "micro-batch": "accum accum-iter accumulate-grad-batches gradient-accumulation-steps",
    "mixup": "mixup-alpha",
    "cutmix": "cutmix-alpha",
    "objective.background-weight": "lambda-bg",
    "objective.foreground-weight": "lambda-fg",
    "optimizer.clip-norm": "clip-grad clip-grad-norm grad-clip gradient-clip-val max-grad-norm",
    "optimizer.kind": "opt optim optimiser optimizer",
    "optimizer.learning-rate": "base-lr learning-rate lr max-lr",
    "optimizer.weight-decay": "l2 wd weight-decay",
    "page": "html report",
    "out": "checkpoint-dir exp-name html log-dir logdir name outdir output output-dir output-path "
    "project run-name save-dir save-path",
    "precision": "amp bf16 dtype fp16 half mixed-precision",
    "resamples": "bootstrap n-boot n-bootstrap",
    "resume": "continue restart resume-from resume-from-checkpoint",
    "save-every-steps": "checkpoint-every save-freq save-interval save-steps",
    "schedule.kind": "lr-schedule lr-scheduler lr-scheduler-type sched scheduler",
    "schedule.warmup-epochs": "warmup",
    "seed": "manual-seed random-seed random-state seed-everything",
    "strength": "bias correlation prob probability ratio",
    "target": "class class-id class-idx target-class",
    "top": "k top-k topk",
    "weights": "checkpoint ckpt ckpt-path finetune finetune-from init-from pretrain pretrained "
    "pretrained-model pretrained-weights",
    "workers": "j jobs n-jobs num-workers n-workers threads",
    "parallel": "j jobs n-jobs num-workers workers",
}
"""The names elsewhere of each option here; the first option that a command has is proposed."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    name: tuple(option for option, names in MEANT.items() if name in names.split())
    for names in MEANT.values()
    for name in names.split()
}
"""Options here by their name elsewhere."""

COMMAND_SYNONYMS = {
    "convert": "export",
    "download": "prepare",
    "draw": "show",
    "fetch": "prepare",
    "fine-tune": "train",
    "finetune": "train",
    "fit": "train",
    "infer": "predict",
    "inference": "predict",
    "list": "recipes",
    "measure": "evaluate",
    "test": "evaluate",
    "validate": "evaluate",
    "verify": "check",
    "view": "show",
    "visualise": "explain",
    "visualize": "explain",
}
