"""Chainer made importable, the fused convolution and the fused optimiser: nothing of the experiment."""
