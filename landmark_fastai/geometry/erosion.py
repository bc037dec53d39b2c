"The radius of the masks over a training: the stairs of the erosion, in epochs and px or as fractions."




REFERENCE_SIZE, REFERENCE_EPOCHS = 512, 350  # what the erosion arguments of `auto_radius` are understood at


def fixed_radius(epoch, dilation_iters=65, erosion_freq=50, erosion_iters=10):
    "Radius (px) in `epoch` (from 0): `erosion_iters` less every `erosion_freq` epochs, at least 1 (0 if it starts so)."
    return max(dilation_iters - erosion_iters * (epoch // erosion_freq), min(1, dilation_iters))


def auto_radius(epoch, total, size, dilation_iters=65, erosion_freq=50, erosion_iters=10):
    """Radius (px) in `epoch` of `total`: the stairs of `fixed_radius` as fractions of the run and of the image side.

    The arguments are understood at 350 epochs and 512 px, where both functions agree.
    """
    radius = fixed_radius(epoch * REFERENCE_EPOCHS // total, dilation_iters, erosion_freq, erosion_iters)
    return max(int(radius * size / REFERENCE_SIZE + 0.5), min(1, dilation_iters))
