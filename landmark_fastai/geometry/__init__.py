"The delicate maths in pure functions: the half-pixel rule, masks, erosion, decoding, distances."
