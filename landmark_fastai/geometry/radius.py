"The radius of the masks over a training: the stairs of the erosion, in epochs and px or as fractions."

REFERENCE_SIZE, REFERENCE_EPOCHS = 512, 350  # what the erosion arguments of `auto_radius` are understood at


def fixed_radius(epoch: int, dilation_iters: int = 65, erosion_freq: int = 50, erosion_iters: int = 10) -> int:
    """Radius (network px) in `epoch`, counted from 0: `erosion_iters` less every `erosion_freq` epochs.

    At least 1, or 0 if `dilation_iters` is 0.
    """
    return max(dilation_iters - erosion_iters * (epoch // erosion_freq), min(1, dilation_iters))


def auto_radius(epoch: int, total: int, size: int, dilation_iters: int = 65, erosion_freq: int = 50,
                erosion_iters: int = 10) -> int:
    """Radius (network px) in `epoch` of `total`: the stairs of `fixed_radius` as fractions of the run and of the image.

    The arguments are understood at 350 epochs and a square of 512 px, where both functions agree; `size` is the side of
    this one.
    """
    radius = fixed_radius(epoch * REFERENCE_EPOCHS // total, dilation_iters, erosion_freq, erosion_iters)
    return max(int(radius * size / REFERENCE_SIZE + 0.5), min(1, dilation_iters))
