"""The method's formulas, written again from the paper's text: slow, plain and obvious.

Nothing here is shared with the library. Every function follows its formula with loops over images,
dense weights and explicit matrices, in whatever precision it is given (float64 in the tests), and
stays differentiable, so that a whole loss gradient can be compared.
"""

import itertools

import torch
import torch.nn.functional as F


def reconstruct(logits, images, cotangent="probabilities"):
    """Σ over b, k of c[b, k] · ∂f[b, k]/∂images, one scalar output at a time.

    f = c = probabilities, or f = logits and c = 1; for the margin f[b] = log(p_t / (1 − p_t)).
    """
    if cotangent == "margin":
        total = torch.zeros_like(images)
        for row in torch.softmax(logits, dim=1):
            p = row.max()
            total = total + torch.autograd.grad((p / (1 - p)).log(), images, create_graph=True)[0]
        return total
    if cotangent == "probabilities":
        outputs = torch.softmax(logits, dim=1)
        weights = outputs
    else:
        outputs = logits
        weights = torch.ones_like(logits)
    total = torch.zeros_like(images)
    for b in range(outputs.shape[0]):
        for k in range(outputs.shape[1]):
            (row,) = torch.autograd.grad(outputs[b, k], images, create_graph=True)
            total = total + weights[b, k] * row
    return total


def soft_quantile(values, q, temperature=0.1):
    """The sorted values averaged, rank i of n weighing softmax(−|i − q(n−1)| / temperature)."""
    ordered = torch.sort(values.flatten()).values
    n = ordered.numel()
    ranks = torch.arange(n, dtype=ordered.dtype)
    weights = torch.softmax(-(ranks - q * (n - 1)).abs() / temperature, dim=0)
    return (weights * ordered).sum()


def true_quantile(values, q):
    """Of n numbers: linear interpolation between the order statistics around rank q(n−1)."""
    ordered = torch.sort(values.flatten()).values
    position = q * (ordered.numel() - 1)
    below = int(position)
    above = min(below + 1, ordered.numel() - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def neighbours(length, window_size):
    """A 0/1 matrix: entry (i, k) is 1 where pixel k lies in the window around pixel i."""
    band = torch.zeros(length, length, dtype=torch.float64)
    for centre in range(length):
        for offset in range(-((window_size - 1) // 2), window_size // 2 + 1):
            if 0 <= centre + offset < length:
                band[centre, centre + offset] = 1
    return band


def density(high, window_size, count_include_pad=True):
    """The mean of an (H, W) map over each window; outside the image it is 0."""
    rows = neighbours(high.shape[0], window_size).to(high.dtype)
    columns = neighbours(high.shape[1], window_size).to(high.dtype)
    sums = rows @ high @ columns.T
    if count_include_pad:
        return sums / (window_size * window_size)
    return sums / (rows @ torch.ones_like(high) @ columns.T)


def foreground_mask(
    R,
    window_size=31,
    temperature=0.1,
    slope=10.0,
    kind="density",
    epsilon=1e-8,
    count_include_pad=True,
    area=0.1,
):
    """The mask of each image by itself, stacked to (B, 1, H, W)."""
    masks = []
    for image in R:
        g = image.mean(dim=0).abs()
        if kind == "density":
            low = soft_quantile(g, 0.05, temperature)
            high = soft_quantile(g, 0.95, temperature)
            n = (g - low) / (high - low + epsilon)
            h = torch.sigmoid(slope * (n - soft_quantile(n, 0.8, temperature)))
            d = density(h, window_size, count_include_pad)
            mask = torch.sigmoid(slope * (d - soft_quantile(d, 0.8, temperature)))
        elif kind == "hard":
            g = g.detach()
            low, high = true_quantile(g, 0.05), true_quantile(g, 0.95)
            n = (g - low) / (high - low + epsilon)
            d = density((n > true_quantile(n, 0.8)).to(g.dtype), window_size, count_include_pad)
            mask = (d >= true_quantile(d, 0.8)).to(g.dtype)
        else:
            s = g / (g.max() + 1e-6)
            threshold = s.mean() if kind == "centred" else area_threshold(s.detach(), slope, area)
            mask = torch.sigmoid(slope * (s - threshold))
        masks.append(mask[None])
    return torch.stack(masks)


def area_threshold(s, slope, area):
    """The t with mean(sigmoid(slope · (s − t))) = area, by halving an interval 200 times."""
    below = s.min().item() - 100 / slope
    above = s.max().item() + 100 / slope
    for _ in range(200):
        middle = (below + above) / 2
        if torch.sigmoid(slope * (s - middle)).mean() > area:
            below = middle
        else:
            above = middle
    return (below + above) / 2


def hsic_biased(z1, z2):
    """tr(K H L H) / (B − 1)² with H = I − 11ᵀ/B and linear kernels."""
    size = z1.shape[0]
    K, L = z1 @ z1.T, z2 @ z2.T
    H = torch.eye(size, dtype=z1.dtype) - torch.ones(size, size, dtype=z1.dtype) / size
    return torch.trace(K @ H @ L @ H) / (size - 1) ** 2


def hsic_unbiased(z1, z2):
    """Song et al. 2012, equation 5, with zero-diagonal kernel matrices."""
    size = z1.shape[0]
    off_diagonal = 1 - torch.eye(size, dtype=z1.dtype)
    K, L = (z1 @ z1.T) * off_diagonal, (z2 @ z2.T) * off_diagonal
    one = torch.ones(size, dtype=z1.dtype)
    first = torch.trace(K @ L)
    second = (one @ K @ one) * (one @ L @ one) / ((size - 1) * (size - 2))
    third = 2 / (size - 2) * (one @ K @ L @ one)
    return (first + second - third) / (size * (size - 3))


def hsic_unbiased_by_tuples(z1, z2):
    """The same as a U-statistic: the mean over all ordered 4-tuples of distinct rows."""
    K, L = z1 @ z1.T, z2 @ z2.T
    terms = [
        K[i, j] * L[i, j] + K[i, j] * L[q, r] - 2 * K[i, j] * L[i, q]
        for i, j, q, r in itertools.permutations(range(z1.shape[0]), 4)
    ]
    return torch.stack(terms).mean()


def unit_rows(batch):
    """Each image flattened and divided by its 2-norm."""
    return torch.stack([row.flatten() / (row * row).sum().sqrt() for row in batch])


def dependence(a, b, projection=None, estimator="biased"):
    """HSIC of the unit rows of two batches, optionally projected by one matrix and normed again."""
    a, b = unit_rows(a), unit_rows(b)
    if projection is not None:
        a, b = unit_rows(a @ projection), unit_rows(b @ projection)
    return hsic_biased(a, b) if estimator == "biased" else hsic_unbiased(a, b)


def foreground_alignment(R, images, mask, projection=None, estimator="biased"):
    return dependence(R * mask, images * mask, projection, estimator)


def background_dependence(R, images, mask, estimator="biased"):
    return dependence(R * (1 - mask), images * (1 - mask), None, estimator)


def background_variance(R, mask):
    """The mean over images of Σ (v − mean)² / (n − 1) of the image's R · (1 − M)."""
    variances = []
    for image, image_mask in zip(R, mask, strict=True):
        v = (image * (1 - image_mask)).flatten()
        variances.append(((v - v.sum() / v.numel()) ** 2).sum() / (v.numel() - 1))
    return sum(variances) / len(variances)


def background_magnitude(R, mask):
    total = sum(
        (image.abs() * (1 - image_mask)).sum() for image, image_mask in zip(R, mask, strict=True)
    )
    return total / R.numel()


def cross_entropy(logits, labels):
    losses = [-torch.log_softmax(z, dim=0)[label] for z, label in zip(logits, labels, strict=True)]
    return sum(losses) / len(losses)


def spatial_ib_loss(foreground, background, foreground_weight, background_weight, form="linear"):
    """The S-IB part of the loss: the published description ("linear") or scripts ("exp")."""
    if form == "linear":
        return -foreground_weight * foreground + background_weight * background
    return foreground_weight * torch.exp(-foreground) + background_weight * torch.exp(background)


def small_net(channels, classes=3, head_scale=1.0, dtype=torch.float64):
    """conv-bn-relu twice, pool, linear; the head's weights may be enlarged so that R is large."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(channels, 4, 3, stride=2, padding=1, bias=False),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Conv2d(4, 6, 3, padding=1, bias=False),
        torch.nn.BatchNorm2d(6),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(24, classes),
    ).to(dtype)
    with torch.no_grad():
        net[-1].weight.mul_(head_scale)
    return net


def assert_near(actual, expected, relative):
    """Two tensors differ by at most `relative` of the largest entry expected, which is not zero."""
    actual = torch.as_tensor(actual, dtype=torch.float64)
    expected = torch.as_tensor(expected, dtype=torch.float64)
    assert actual.shape == expected.shape
    assert expected.abs().max() > 0
    assert (actual - expected).abs().max() <= relative * expected.abs().max()


def smooth_net(images, weight, head):
    """A two-layer network of tanh, generic for derivatives of every order."""
    hidden = torch.tanh(images.flatten(1) @ weight.T)
    return F.pad(hidden, (0, 1), value=0.3) @ head
