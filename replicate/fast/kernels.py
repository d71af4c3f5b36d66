"""The loops of :mod:`replicate.fast.convolution` as CUDA kernels, launched by CuPy.

One thread or block owns each number that is written, and sums in a fixed order, never
atomically, so runs repeat bit for bit.  Nothing here is copied to the host, which would
wait for the device: what a launch must know, the host knows already.
"""

from typing import Any

import numpy as np

from .compat import cuda

__all__ = [
    "ACTIVATIONS",
    "adam",
    "gradient_of_filters",
    "gradient_of_words",
    "head",
    "kernel_source",
    "mean_absolute_gradient",
    "pool",
]

SOURCE = r"""
extern "C" {
// The sum of what a block's threads have.
__device__ real block_sum(real mine, real* sums) {
  int me = threadIdx.x;
  sums[me] = mine;
  __syncthreads();
  for (int step = blockDim.x / 2; step > 0; step /= 2) {
    if (me < step) sums[me] += sums[me + step];
    __syncthreads();
  }
  return sums[0];
}

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

// Dimension d of an occurrence's gradient: filter rows that met it in a winning window.
__device__ real gradient_at(const real* gz, const int* argmax, const real* filters,
                            int s, int place, int F, int h, int D, int d) {
  real gradient = 0;
  for (int f = 0; f < F; ++f) {
    int k = place - argmax[(long long)s * F + f];
    if (k >= 0 && k < h)
      gradient += gz[(long long)s * F + f] * filters[((long long)f * h + k) * D + d];
  }
  return gradient;
}

// The sentence of an occurrence: the last that begins there or before.
__device__ int sentence_of(long long t, const long long* offsets, int B) {
  int s = 0;
  for (int beyond = B; beyond - s > 1;) {
    int middle = s + (beyond - s) / 2;
    if (offsets[middle] <= t) s = middle; else beyond = middle;
  }
  return s;
}

// A block has one word occurrence.
__global__ void occurrences(const real* gz, const int* argmax, const long long* offsets,
                            const real* filters, int B, int F, int h, int D, real* out) {
  long long t = blockIdx.x;
  int s = sentence_of(t, offsets, B);
  for (int d = threadIdx.x; d < D; d += blockDim.x)
    out[t * D + d] = gradient_at(gz, argmax, filters, s, (int)(t - offsets[s]), F, h, D, d);
}

// A block has one word and as many dimensions as threads; its threads share the search.
__global__ void words(const real* each, const int* tokens, int T, int D, real* out) {
  __shared__ int row[128];
  int me = threadIdx.x, n = blockDim.x;
  int blocks = (D + n - 1) / n;
  int word = blockIdx.x / blocks, d = blockIdx.x % blocks * n + me;
  real total = 0;
  for (int start = 0; start < T; start += n) {
    row[me] = start + me < T ? tokens[start + me] : -1;
    if (!__syncthreads_or(row[me] == word)) continue;
    for (int i = 0; d < D && i < n; ++i)
      if (row[i] == word) total += each[(long long)(start + i) * D + d];
    __syncthreads();
  }
  if (d < D) out[(long long)word * D + d] = total;
}

// A block has one word occurrence.
__global__ void saliency(const real* gz, const int* argmax, const long long* offsets,
                         const real* filters, int B, int F, int h, int D, real* out) {
  __shared__ real sums[128];
  long long t = blockIdx.x;
  int s = sentence_of(t, offsets, B);
  real total = 0;
  for (int d = threadIdx.x; d < D; d += blockDim.x) {
    real gradient = gradient_at(gz, argmax, filters, s, (int)(t - offsets[s]), F, h, D, d);
    total += gradient < 0 ? -gradient : gradient;
  }
  total = block_sum(total, sums);
  if (threadIdx.x == 0) out[t] = total / D;
}

// The features, from the maxima: ReLU, tanh, sigmoid.
__device__ real activated(real z, int activation) {
  if (activation == 0) return z > 0 ? z : 0;
  if (activation == 1) return tanh(z);
  return tanh(z * (real)0.5) * (real)0.5 + (real)0.5;
}

// A block has one sentence; its threads share features, then labels, then features.
__global__ void head(const real* z, const real* mask, const real* weight, const real* bias,
                     const int* labels, int F, int C, int activation, int masked, real scale,
                     real* dropped, real* loss, real* logits, real* gz) {
  __shared__ real sums[128];
  int me = threadIdx.x, n = blockDim.x;
  long long at = (long long)blockIdx.x * F;
  real* own = logits + (long long)blockIdx.x * C;
  for (int f = me; f < F; f += n)
    dropped[at + f] = activated(z[at + f], activation) * (masked ? mask[at + f] : 1);
  for (int c = 0; c < C; ++c) {
    real total = 0;
    for (int f = me; f < F; f += n) total += dropped[at + f] * weight[(long long)c * F + f];
    total = block_sum(total, sums);
    if (me == n - 1) own[c] = total + bias[c];
    __syncthreads();
  }
  if (me == n - 1) {
    real greatest = own[0], total = 0;
    for (int c = 1; c < C; ++c) greatest = own[c] > greatest ? own[c] : greatest;
    for (int c = 0; c < C; ++c) total += exp(own[c] - greatest);
    real log_total = greatest + log(total);
    int label = labels[blockIdx.x];
    loss[blockIdx.x] = (log_total - own[label]) * scale;
    for (int c = 0; c < C; ++c) own[c] = (exp(own[c] - log_total) - (c == label)) * scale;
  }
  __syncthreads();
  for (int f = me; f < F; f += n) {
    real y = activated(z[at + f], activation), g = 0;
    for (int c = 0; c < C; ++c) g += own[c] * weight[(long long)c * F + f];
    if (masked) g *= mask[at + f];
    real slope = activation == 0 ? (real)(y > 0) : activation == 1 ? 1 - y * y : y * (1 - y);
    gz[at + f] = g * slope;
  }
}

// A block has one sum over sentences: of the output layer's weights (C F) and biases (C),
// of the filters' biases (F), and of the losses.
__global__ void head_sums(const real* dropped, const real* loss, const real* logits,
                          const real* gz, int B, int F, int C, real* out) {
  __shared__ real sums[128];
  int me = threadIdx.x, i = blockIdx.x;
  real total = 0;
  for (int s = me; s < B; s += blockDim.x) {
    if (i < C * F) total += logits[(long long)s * C + i / F] * dropped[(long long)s * F + i % F];
    else if (i < C * F + C) total += logits[(long long)s * C + i - C * F];
    else if (i < C * F + C + F) total += gz[(long long)s * F + i - C * F - C];
    else total += loss[s];
  }
  total = block_sum(total, sums);
  if (me == 0) out[i] = total;
}

// A thread has one number of up to four parameters.
__global__ void adam(real* w0, const real* g0, real* m0, real* v0, int n0,
                     real* w1, const real* g1, real* m1, real* v1, int n1,
                     real* w2, const real* g2, real* m2, real* v2, int n2,
                     real* w3, const real* g3, real* m3, real* v3, int n3,
                     real rate, real rest1, real rest2, real eps) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  real *w = w0, *m = m0, *v = v0;
  const real* g = g0;
  int n = n0;
  if (i >= n) { i -= n; w = w1; g = g1; m = m1; v = v1; n = n1; }
  if (i >= n) { i -= n; w = w2; g = g2; m = m2; v = v2; n = n2; }
  if (i >= n) { i -= n; w = w3; g = g3; m = m3; v = v3; n = n3; }
  if (i >= n) return;
  real first = m[i] + rest1 * (g[i] - m[i]), second = v[i] + rest2 * (g[i] * g[i] - v[i]);
  m[i] = first;
  v[i] = second;
  w[i] -= rate * first / (sqrt(second) + eps);
}
}
"""

#: Names of activations, as the kernels number them.
ACTIVATIONS = ("relu", "tanh", "sigmoid")

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
    """Gradient (U, D) of the distinct words: of each occurrence, then summed in their order."""
    xp = cuda.cupy
    batch, n_filters = gz.shape
    height, dimensions = W.shape[2:]
    each = xp.empty((len(tokens), dimensions), dtype=gz.dtype)
    sizes = [np.int32(n) for n in (batch, n_filters, height, dimensions)]
    _launch(
        "occurrences", len(tokens), 128, gz.dtype,
        xp.ascontiguousarray(gz), argmax, offsets, xp.ascontiguousarray(W), *sizes, each,
    )  # fmt: skip
    out = xp.empty((n_words, dimensions), dtype=gz.dtype)
    _launch(
        "words", n_words * -(-dimensions // 128), 128, gz.dtype,
        each, tokens, np.int32(len(tokens)), np.int32(dimensions), out,
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


def head(
    z: Any, mask: Any, weight: Any, bias: Any, labels: Any, activation: str, scale: float
) -> tuple[Any, Any, Any, Any, Any]:
    """Output layer, loss and the gradients of both (eq. 4), in two launches.

    Args:
        z: (B, F), the maxima before the activation.
        mask: (B, F) of dropout, or None.
        weight, bias: (C, F) and (C,), the output layer.
        labels: (B,) int32, the true ones.
        activation (str): ``"relu"``, ``"tanh"`` or ``"sigmoid"``.
        scale (float): of each sentence's loss.

    Returns:
        tuple: the loss (), the gradients of `weight` and of `bias`, the sums (F,) over
        sentences of the gradient at `z`, and that gradient (B, F).
    """
    xp, dtype = cuda.cupy, z.dtype
    (batch, n_filters), n_labels = z.shape, len(bias)
    dropped, gz = (xp.empty(z.shape, dtype=dtype) for _ in range(2))
    loss, logits = xp.empty(batch, dtype=dtype), xp.empty((batch, n_labels), dtype=dtype)
    sizes = [np.int32(n) for n in (n_filters, n_labels)]
    _launch(
        "head", batch, 128, dtype,
        z, z if mask is None else mask, weight, bias, labels, *sizes,
        np.int32(ACTIVATIONS.index(activation)), np.int32(mask is not None), dtype.type(scale),
        dropped, loss, logits, gz,
    )  # fmt: skip
    ends = np.cumsum([n_labels * n_filters, n_labels, n_filters, 1]).tolist()
    sums = xp.empty(ends[-1], dtype=dtype)
    _launch(
        "head_sums", ends[-1], 128, dtype,
        dropped, loss, logits, gz, np.int32(batch), *sizes, sums,
    )  # fmt: skip
    of_weight, of_bias = sums[: ends[0]].reshape(weight.shape), sums[ends[0] : ends[1]]
    return sums[ends[2] :].reshape(()), of_weight, of_bias, sums[ends[1] : ends[2]], gz


def adam(parameters: list[tuple], rate: Any, rest1: Any, rest2: Any, eps: Any) -> None:
    """Adam's step of some parameters, four a launch; see :mod:`replicate.fast.optimizers`.

    Args:
        parameters: arrays of one dtype for each: weight, gradient and the states m and v.
        rate, rest1, rest2, eps: step size, 1 - beta1, 1 - beta2 and epsilon, of that dtype.
    """
    for start in range(0, len(parameters), 4):
        some = parameters[start : start + 4]
        arguments: list[Any] = []
        for arrays in some:
            arguments += [*arrays, np.int32(arrays[0].size)]
        # A kernel takes four, whose sizes may be zero.
        arguments += [*some[0], np.int32(0)] * (4 - len(some))
        total = sum(arrays[0].size for arrays in some)
        _launch(
            "adam", -(-total // 128), 128, some[0][0].dtype, *arguments, rate, rest1, rest2, eps
        )
