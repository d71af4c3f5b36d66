"""The loops of :mod:`replicate.fast.convolution` as CUDA kernels, launched by CuPy.

One thread or block owns each number that is written, and sums in a fixed order,
so runs repeat bit for bit.  Only the gradient of words adds atomically, because
the tokens of one word meet there.  Nothing here is copied to the host, which would
wait for the device: what a launch must know, the host knows already.
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
// A block has one sentence and `width` filters, whose windows its threads share.
__global__ void pool(const real* projected, const real* bias, const int* tokens,
                     const long long* offsets, int F, int h, int wide, int width,
                     real* value, int* argmax) {
  __shared__ real bests[128];
  __shared__ int places[128];
  int me = threadIdx.x, group = me / width, groups = blockDim.x / width;
  int blocks = (F + width - 1) / width;
  int s = blockIdx.x / blocks, f = blockIdx.x % blocks * width + me % width;
  long long begin = offsets[s];
  int length = (int)(offsets[s + 1] - begin);
  int first = wide ? 1 - h : 0;
  int last = wide ? length - 1 : (length > h ? length - h : 0);
  int none = last + 1;
  real best = 0;
  int place = none;
  for (int p = first + group; f < F && p <= last; p += groups) {
    real z = bias[f];
    for (int k = 0; k < h; ++k) {
      int t = p + k;
      if (t >= 0 && t < length)
        z += projected[(long long)tokens[begin + t] * h * F + k * F + f];
    }
    if (place == none || z > best) { best = z; place = p; }
  }
  bests[me] = best;
  places[me] = place;
  __syncthreads();
  for (int step = groups / 2; step > 0; step /= 2) {
    int other = me + step * width;
    // Of equal windows the first counts.
    if (group < step && places[other] != none &&
        (bests[other] > bests[me] ||
         (bests[other] == bests[me] && places[other] < places[me]))) {
      bests[me] = bests[other];
      places[me] = places[other];
    }
    __syncthreads();
  }
  if (group == 0 && f < F) {
    value[(long long)s * F + f] = bests[me];
    argmax[(long long)s * F + f] = places[me];
  }
}

// A block has one row of a filter and as many dimensions as threads.
__global__ void filters(const real* gz, const int* argmax, const int* tokens,
                        const long long* offsets, const real* words,
                        int B, int F, int h, int D, real* out) {
  __shared__ real scale[128];
  __shared__ int row[128];
  int me = threadIdx.x, n = blockDim.x;
  int blocks = (D + n - 1) / n;
  int d = blockIdx.x % blocks * n + me;
  int k = blockIdx.x / blocks % h, f = blockIdx.x / blocks / h;
  real total = 0;
  for (int start = 0; start < B; start += n) {
    int s = start + me;
    row[me] = -1;
    if (s < B) {
      scale[me] = gz[(long long)s * F + f];
      long long t = offsets[s] + argmax[(long long)s * F + f] + k;
      if (scale[me] != 0 && t >= offsets[s] && t < offsets[s + 1]) row[me] = tokens[t];
    }
    __syncthreads();
    for (int i = 0; d < D && i < n; ++i)
      if (row[i] >= 0) total += scale[i] * words[(long long)row[i] * D + d];
    __syncthreads();
  }
  if (d < D) out[((long long)f * h + k) * D + d] = total;
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

// A block has one word occurrence.
__global__ void saliency(const real* gz, const int* argmax, const long long* offsets,
                         const real* filters, int B, int F, int h, int D, real* out) {
  __shared__ real sums[128];
  long long t = blockIdx.x;
  int s = 0;  // its sentence: the last that begins at t or before
  for (int beyond = B; beyond - s > 1;) {
    int middle = s + (beyond - s) / 2;
    if (offsets[middle] <= t) s = middle; else beyond = middle;
  }
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


def kernel_source(dtype: Any) -> str:
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


def pool(
    projected: Any, b: Any, tokens: Any, offsets: Any, height: int, wide: bool
) -> tuple[Any, Any]:
    """Maxima and places, CuPy arrays (B, F); see :func:`replicate.fast.convolution.pool`."""
    xp = cuda.cupy
    batch, n_filters = len(offsets) - 1, len(b)
    value = xp.empty((batch, n_filters), dtype=projected.dtype)
    argmax = xp.empty((batch, n_filters), dtype=np.int32)
    # Few filters leave threads free for windows; a warp's 32 read one piece of memory.
    width = min(32, 1 << (n_filters - 1).bit_length())
    sizes = [np.int32(n) for n in (n_filters, height, wide, width)]
    _launch(
        "pool", batch * -(-n_filters // width), 128, projected.dtype,
        xp.ascontiguousarray(projected), b, tokens, offsets, *sizes, value, argmax,
    )  # fmt: skip
    return value, argmax


def gradient_of_filters(
    gz: Any, argmax: Any, tokens: Any, offsets: Any, words: Any, height: int
) -> Any:
    """Gradient (F, 1, h, D) from the gradient at the winning windows."""
    batch, n_filters = gz.shape
    dimensions = words.shape[1]
    out = cuda.cupy.empty((n_filters, 1, height, dimensions), dtype=gz.dtype)
    sizes = [np.int32(n) for n in (batch, n_filters, height, dimensions)]
    _launch(
        "filters", n_filters * height * -(-dimensions // 128), 128, gz.dtype,
        cuda.cupy.ascontiguousarray(gz), argmax, tokens, offsets,
        cuda.cupy.ascontiguousarray(words), *sizes, out,
    )  # fmt: skip
    return out


def gradient_of_words(gz: Any, argmax: Any, tokens: Any, offsets: Any, W: Any, n_words: int) -> Any:
    """Gradient (U, D) of the distinct words; sums meet atomically, so bits may vary."""
    batch, n_filters = gz.shape
    height, dimensions = W.shape[2:]
    out = cuda.cupy.zeros((n_words, dimensions), dtype=gz.dtype)
    sizes = [np.int32(n) for n in (batch, n_filters, height, dimensions)]
    _launch(
        "words", -(-batch * n_filters * dimensions // 128), 128, gz.dtype,
        cuda.cupy.ascontiguousarray(gz), argmax, tokens, offsets,
        cuda.cupy.ascontiguousarray(W), *sizes, out,
    )  # fmt: skip
    return out


def mean_absolute_gradient(gz: Any, argmax: Any, offsets: Any, W: Any, total: int) -> Any:
    """Eq. (6), (T,); see :func:`replicate.fast.convolution.mean_absolute_gradient`."""
    xp = cuda.cupy
    n_filters, _, height, dimensions = W.shape
    out = xp.empty(total, dtype=gz.dtype)
    sizes = [np.int32(n) for n in (len(offsets) - 1, n_filters, height, dimensions)]
    _launch(
        "saliency", total, 128, gz.dtype,
        xp.ascontiguousarray(gz), argmax, offsets, xp.ascontiguousarray(W), *sizes, out,
    )  # fmt: skip
    return out
