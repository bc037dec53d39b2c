"The network: how it is built, its weights, losses, metrics and precision."
