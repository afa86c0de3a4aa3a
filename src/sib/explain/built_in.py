"""The table of this package's explanation methods, one entry for each.

It names the module of each function instead of importing it, so that reading the table loads no
torch.
"""

from sib.explain.method import Method

_CAMS, _GRADIENTS = "sib.explain.cams", "sib.explain.gradients"
_GUIDED, _OCCLUSION, _RISE = "sib.explain.guided", "sib.explain.occlusion", "sib.explain.rise"

BUILT_IN = (
    Method("saliency", "saliency", "gradient", f"{_GRADIENTS}:saliency",
           default=True, in_gallery=True, shares_pass=True),
    Method("input_x_gradient", "input × gradient", "gradient", f"{_GRADIENTS}:input_x_gradient",
           default=True, shares_pass=True),
    Method("integrated_gradients", "integrated gradients", "gradient",
           f"{_GRADIENTS}:integrated_gradients", lambda options, size: 3 * options.n_steps,
           default=True),
    Method("smoothgrad", "SmoothGrad", "gradient", f"{_GRADIENTS}:smoothgrad",
           lambda options, size: 3 * options.n_samples, default=True),
    Method("guided_backprop", "guided backprop", "gradient", f"{_GUIDED}:guided_backprop",
           default=True, needs_relu=True),
    Method("gradcam", "Grad-CAM", "cam", f"{_CAMS}:gradcam",
           default=True, in_gallery=True, needs_layer=True, shares_pass=True),
    Method("gradcam_pp", "Grad-CAM++", "cam", f"{_CAMS}:gradcam_pp",
           default=True, needs_layer=True, shares_pass=True),
    Method("layercam", "LayerCAM", "cam", f"{_CAMS}:layercam",
           default=True, needs_layer=True, shares_pass=True),
    Method("vjp", "VJP", "gradient", f"{_GRADIENTS}:vjp",
           default=True, in_gallery=True, shares_pass=True),
    Method("occlusion", "occlusion", "perturbation", f"{_OCCLUSION}:occlusion",
           f"{_OCCLUSION}:passes"),
    Method("rise", "RISE", "perturbation", f"{_RISE}:rise", lambda options, size: options.n_masks),
)  # fmt: skip
