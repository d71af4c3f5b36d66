"""The loops of :mod:`replicate.fast.convolution` as CUDA kernels, launched by CuPy.

One thread owns each number that is written, and sums in a fixed order, so runs
repeat bit for bit.  Only the gradient of words adds atomically, because the
tokens of one word meet there.
"""

from typing import Any

import numpy as np

from .compat import cuda

__all__ = [
    "gradient_of_filters",
    "gradient_of_words",
    "kernel_source",
    "mean_absolute_gradient",
    "pool",
]

SOURCE = r"""
extern "C" {
__global__ void pool(const real* projected, const real* bias, const int* tokens,
                     const long long* offsets, int B, int F, int h, int wide,
                     real* value, int* argmax) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= B * F) return;
  int s = i / F, f = i % F;
  long long begin = offsets[s];
  int length = (int)(offsets[s + 1] - begin);
  int first = wide ? 1 - h : 0;
  int last = wide ? length - 1 : (length > h ? length - h : 0);
  real best = 0;
  int place = first;
  for (int p = first; p <= last; ++p) {
    real z = bias[f];
    for (int k = 0; k < h; ++k) {
      int t = p + k;
      if (t >= 0 && t < length)
        z += projected[(long long)tokens[begin + t] * h * F + k * F + f];
    }
    if (p == first || z > best) { best = z; place = p; }
  }
  value[i] = best;
  argmax[i] = place;
}

__global__ void filters(const real* gz, const int* argmax, const int* tokens,
                        const long long* offsets, const real* words,
                        int B, int F, int h, int D, real* out) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= (long long)F * h * D) return;
  int d = i % D, k = (i / D) % h, f = i / D / h;
  real total = 0;
  for (int s = 0; s < B; ++s) {
    real g = gz[(long long)s * F + f];
    long long t = offsets[s] + argmax[(long long)s * F + f] + k;
    if (g != 0 && t >= offsets[s] && t < offsets[s + 1])
      total += g * words[(long long)tokens[t] * D + d];
  }
  out[i] = total;
}

__global__ void words(const real* gz, const int* argmax, const int* tokens,
                      const long long* offsets, const real* filters,
                      int B, int F, int h, int D, real* out) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= (long long)B * F * D) return;
  int d = i % D, f = (i / D) % F, s = i / D / F;
  real g = gz[(long long)s * F + f];
  if (g == 0) return;
  for (int k = 0; k < h; ++k) {
    long long t = offsets[s] + argmax[(long long)s * F + f] + k;
    if (t >= offsets[s] && t < offsets[s + 1])
      atomicAdd(&out[(long long)tokens[t] * D + d], g * filters[((long long)f * h + k) * D + d]);
  }
}

__global__ void saliency(const real* gz, const int* argmax, const int* sentence,
                         const long long* offsets, const real* filters,
                         int F, int h, int D, real* out) {
  __shared__ real sums[128];
  long long t = blockIdx.x;
  int s = sentence[t];
  long long begin = offsets[s];
  real total = 0;
  for (int d = threadIdx.x; d < D; d += blockDim.x) {
    real gradient = 0;
    for (int f = 0; f < F; ++f) {
      int k = (int)(t - begin) - argmax[(long long)s * F + f];
      if (k >= 0 && k < h)
        gradient += gz[(long long)s * F + f] * filters[((long long)f * h + k) * D + d];
    }
    total += gradient < 0 ? -gradient : gradient;
  }
  sums[threadIdx.x] = total;
  __syncthreads();
  for (int step = blockDim.x / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) sums[threadIdx.x] += sums[threadIdx.x + step];
    __syncthreads();
  }
  if (threadIdx.x == 0) out[t] = sums[0] / D;
}
}
"""

_modules: dict[str, Any] = {}


def kernel_source(dtype):
    """CUDA source of the kernels for a dtype; compiled by NVRTC on first use."""
    name = {"float32": "float", "float64": "double"}.get(np.dtype(dtype).name)
    if name is None:
        raise ValueError(f"no kernels for {np.dtype(dtype)}; use float32 or float64")
    return f"typedef {name} real;\n" + SOURCE


def _launch(name, blocks, threads, dtype, *arguments):
    key = np.dtype(dtype).char
    if key not in _modules:
        _modules[key] = cuda.cupy.RawModule(code=kernel_source(dtype))
    _modules[key].get_function(name)((blocks,), (threads,), arguments)


def _flat(count):
    """Blocks and threads for `count` threads in all."""
    return -(-count // 128), 128


def pool(projected, b, tokens, offsets, height, wide):
    """Maxima and places, CuPy arrays (B, F); see :func:`replicate.fast.convolution.pool`."""
    xp = cuda.cupy
    batch, n_filters = len(offsets) - 1, len(b)
    if int(xp.diff(offsets).min()) < 1:
        raise ValueError("a sentence without words has no maximum")
    value = xp.empty((batch, n_filters), dtype=projected.dtype)
    argmax = xp.empty((batch, n_filters), dtype=np.int32)
    sizes = [np.int32(n) for n in (batch, n_filters, height, wide)]
    _launch(
        "pool", *_flat(batch * n_filters), projected.dtype,
        xp.ascontiguousarray(projected), b, tokens, offsets, *sizes, value, argmax,
    )  # fmt: skip
    return value, argmax


def gradient_of_filters(gz, argmax, tokens, offsets, words, height):
    """Gradient (F, 1, h, D) from the gradient at the winning windows."""
    batch, n_filters = gz.shape
    dimensions = words.shape[1]
    out = cuda.cupy.empty((n_filters, 1, height, dimensions), dtype=gz.dtype)
    sizes = [np.int32(n) for n in (batch, n_filters, height, dimensions)]
    _launch(
        "filters", *_flat(out.size), gz.dtype,
        cuda.cupy.ascontiguousarray(gz), argmax, tokens, offsets,
        cuda.cupy.ascontiguousarray(words), *sizes, out,
    )  # fmt: skip
    return out


def gradient_of_words(gz, argmax, tokens, offsets, W, n_words):
    """Gradient (U, D) of the distinct words; sums meet atomically, so bits may vary."""
    batch, n_filters = gz.shape
    height, dimensions = W.shape[2:]
    out = cuda.cupy.zeros((n_words, dimensions), dtype=gz.dtype)
    sizes = [np.int32(n) for n in (batch, n_filters, height, dimensions)]
    _launch(
        "words", *_flat(batch * n_filters * dimensions), gz.dtype,
        cuda.cupy.ascontiguousarray(gz), argmax, tokens, offsets,
        cuda.cupy.ascontiguousarray(W), *sizes, out,
    )  # fmt: skip
    return out


def mean_absolute_gradient(gz, argmax, offsets, W, total):
    """Eq. (6), (T,); see :func:`replicate.fast.convolution.mean_absolute_gradient`."""
    xp = cuda.cupy
    n_filters, _, height, dimensions = W.shape
    out = xp.empty(total, dtype=gz.dtype)
    lengths = xp.diff(offsets)
    sentence = xp.repeat(xp.arange(len(lengths), dtype=np.int32), lengths.get().tolist())
    sizes = [np.int32(n) for n in (n_filters, height, dimensions)]
    _launch(
        "saliency", total, 128, gz.dtype,
        xp.ascontiguousarray(gz), argmax, sentence, offsets,
        xp.ascontiguousarray(W), *sizes, out,
    )  # fmt: skip
    return out
