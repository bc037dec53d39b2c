"The delicate maths in pure functions: pixel rule, masks, erosion, decoding, distances."
