"Pictures, curves, figures and HTML pages. No torch, no fastai."
