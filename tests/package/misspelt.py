"""Names that a user misspells; `make lint` fails if the type checker misses one of them.

Each wrong line has a comment that ignores its error, and mypy reports a comment that ignores none.
Nothing runs this file.
"""

import torch

import sib
from sib.objectives.energy import EnergyLoss
from sib.objectives.right_reasons import RightReasons
from sib.objectives.saliency_guided import SaliencyGuided

model, images, labels = torch.nn.Linear(2, 2), torch.ones(1, 3, 8, 8), torch.zeros(1).long()

task = sib.Task(model, sib.SpatialIB.calibrated(area=0.3), every_n_steps=2)
loss: torch.Tensor = sib.SpatialIBTask(model, fraction=0.5)(images, labels).loss
terms: sib.Terms = sib.SpatialIB()(model(images), images)

sib.SpatialIB.calibrated(aera=0.3)  # type: ignore[call-arg]
sib.SpatialIB(foreground_wieght=1.0)  # type: ignore[call-arg]
EnergyLoss(wieght=1.0)  # type: ignore[call-arg]
RightReasons(wieght=1.0)  # type: ignore[call-arg]
SaliencyGuided(mask_share=0.5)  # type: ignore[call-arg]
sib.Task(model, every_n_step=2)  # type: ignore[call-arg]
sib.SpatialIBTask(model, fracton=0.5)  # type: ignore[call-arg]
sib.CrossEntropyTask(model, valdate=False)  # type: ignore[call-arg]
task(images, labels, foregruond=None)  # type: ignore[call-arg]
print(task(images, labels).los)  # type: ignore[attr-defined]
sib.explain.attribute(model, images, methd="vjp")  # type: ignore[call-arg]
sib.metrics.map_sensitivity(model, images, n_step=4)  # type: ignore[call-arg]
sib.load("runs/a").explain("a.jpg", chunk=4)  # type: ignore[call-arg]
sib.load("runs/a", weight="best")  # type: ignore[call-arg]
sib.spatialIB()  # type: ignore[attr-defined]
