"""The experiment: its stages in the order of section 4, and what follows from them.

A stage reads files and writes files through :class:`~replicate.run.Run`; it is
done when its files hold what they held when they were written.  A stage that
is not done is done again, from its last snapshot.
"""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .claims import Verdict, judge
from .config import ARMS, Config
from .corpus import Corpus, read_corpus
from .environment import inherited, versions
from .fast.compat import chainer
from .fast.device import chainer_device
from .instability import sentence_instability
from .io.errors import InputError, shorten
from .io.files import sha256
from .model import initial_model, trained_model
from .run import Options, Run, content_of, continued, matrix_of, same_data
from .saliency import Recorder
from .selection import arm_sentences, median_halves, unscored_arms
from .split import split_corpus, subset_sizes
from .statistics import seed_statistics
from .training import EpochWeights, make_optimizer, train
from .vectors import coverage, embedding_matrix

__all__ = [
    "check_converged",
    "conclude",
    "prepare",
    "read_data",
    "run_arm",
    "run_first_phase",
    "run_seed",
    "verdicts_of",
]

#: Arms that need nothing of the first phase: they may run beside it.
UNSCORED = ("T1andT2", "T1andT2ran")

#: Called with an epoch and the accuracy on T3 after it.
OnEpoch = Callable[[int, float], None]


# --- the stages ------------------------------------------------------------------------


def run_seed(
    run: Run, seed: int, on_epoch: Callable[[str, int, float], None] | None = None
) -> None:
    """All stages of a seed, one after another, in this process (section 4).

    Args:
        run: prepared.
        seed: of the run.
        on_epoch: called with arm, epoch and accuracy.
    """
    for arm in ARMS:
        if not run.finished(seed, arm):
            run_stage(run, seed, arm, on_epoch and (lambda *seen, arm=arm: on_epoch(arm, *seen)))
    run.save_accuracies(seed)


def run_stage(run: Run, seed: int, arm: str, on_epoch: OnEpoch | None = None) -> None:
    """One training run and what follows from it: the first phase, or a model of the second."""
    if arm == "T1":
        run_first_phase(run, seed, on_epoch)
    else:
        run_arm(run, seed, arm, on_epoch)


@np.errstate(over="ignore", invalid="ignore")  # check_converged reports it
def run_first_phase(run: Run, seed: int, on_epoch: OnEpoch | None = None) -> None:
    """Train and record T1, score T2, and write the training sets of all arms (4.3).

    Args:
        run: prepared.
        seed: of the run.
        on_epoch: called after every epoch.
    """
    config, corpus = run.config, run.corpus
    # 4.2: the split.
    subset = split_corpus(corpus.labels, seed, config.split)
    t1, t2, t3 = (np.flatnonzero(subset == k) for k in (1, 2, 3))
    # 4.3.1: train on T1, and record saliency after every epoch.
    model = initial_model(run, seed)
    recorder = _recorder(run, seed, "T1", model, t1, run.options.stored)
    checkpoints = EpochWeights(model, config.epochs) if _keeps_epochs(run, seed) else None
    rows, optimizer = train(
        model,
        corpus,
        t1,
        t3,
        seed=seed,
        folder=run.folder(seed, "T1"),
        recorder=recorder,
        keeper=checkpoints,
        tell=on_epoch,
        fingerprint=_fingerprint(run, seed, "T1", t1),
    )
    # 4.3.2: unstable words (eqs 7-9), and how rich the sentences of T2 are in them (eq. 10).
    wac, count = recorder.stream.result(config.ddof)
    check_converged(rows, config, f"{run.out}: seed {seed}, T1", wac[count > 0])
    tokens, offsets = corpus.take(t2)
    scores = sentence_instability(wac, tokens, offsets, config.unseen_words, config.repeated_words)
    # 4.3.3: two halves of T2, and the training sentences of the six models.
    h, l = median_halves(scores, t2)
    run.save_first_phase(
        seed,
        weights=model.weights(embedding=True),
        rows=rows,
        recorded=recorder.names,
        subset=subset,
        instability=(wac, count),
        scores=scores,
        arms=arm_sentences(subset, h, l, seed),
        epoch_weights=checkpoints and checkpoints.arrays,
        optimizer_state=(
            _optimizer_arrays(optimizer) if config.optimizer_state == "carried" else None
        ),
    )


@np.errstate(over="ignore", invalid="ignore")  # check_converged reports it
def run_arm(run: Run, seed: int, arm: str, on_epoch: OnEpoch | None = None) -> None:
    """Train one model of the second phase (4.4).

    The first phase must be done, but for the arms that need no score.

    Args:
        run: prepared.
        seed: of the run.
        arm: of :data:`replicate.config.ARMS`, but T1.
        on_epoch: called after every epoch.
    """
    config, corpus = run.config, run.corpus
    subset = split_corpus(corpus.labels, seed, config.split)
    t1, t3 = np.flatnonzero(subset == 1), np.flatnonzero(subset == 3)
    scored = arm not in UNSCORED
    sentences = run.sentences(seed, arm) if scored else unscored_arms(subset, seed)[arm]
    # T2h and T2l go on from the weights of the first phase; the others start afresh.
    continues = arm in ("T2h", "T2l")
    model = trained_model(run, seed, "T1") if continues else initial_model(run, seed)
    optimizer = None
    if continues and config.optimizer_state == "carried":
        optimizer = _carried_optimizer(model, config, run.optimizer_state(seed))
    recorder = _recorder(run, seed, arm, model, t1, False) if run.options.record_arms else None
    rows, _ = train(
        model,
        corpus,
        sentences,
        t3,
        seed=seed,
        folder=run.folder(seed, arm),
        optimizer=optimizer,
        recorder=recorder,
        tell=on_epoch,
        fingerprint=_fingerprint(run, seed, arm, sentences),
    )
    check_converged(rows, config, f"{run.out}: seed {seed}, {arm}")
    run.save_arm(
        seed,
        arm,
        weights=model.weights(embedding=config.vectors_mode == "finetuned"),
        rows=rows,
        recorded=recorder.names if recorder else (),
        instability=recorder.stream.result(config.ddof) if recorder else None,
    )


def conclude(run: Run) -> list[Verdict]:
    """Judge the claims on the finished seeds, draw the figures, and write the report.

    Args:
        run: with or without finished seeds.

    Returns:
        The verdict on every claim; see :func:`replicate.claims.judge`.
    """
    # Matplotlib takes a second to import, which a worker that trains does not need.
    from .show import figures, report

    # Looked up once: every file of a seed is read for it.
    seeds = run.finished_seeds()
    verdicts = judge([statistics_of(run, seed) for seed in seeds])
    report.write_claims(run, verdicts)
    figures.draw_figures(run, seeds)
    report.write_report(run, verdicts, seeds)
    return verdicts


def verdicts_of(run: Run) -> list[Verdict]:
    """The claims judged on the finished seeds of a run; nothing is written."""
    return judge([statistics_of(run, seed) for seed in run.finished_seeds()])


def statistics_of(run: Run, seed: int) -> dict[str, float]:
    """Statistics of a finished seed of a run; see :func:`replicate.statistics.seed_statistics`."""
    return seed_statistics(run.record(seed), run.accuracies(seed), run.sizes(seed), seed)


# --- before the stages -----------------------------------------------------------------


def prepare(
    out: str | Path,
    config: Config,
    options: Options,
    seeds: Sequence[int],
    corpus_paths: Sequence[str | Path],
    vectors: str | Path,
    preset: str = "",
    dimensions: int = 300,
) -> Run:
    """Make a run folder, or check that it is of these very settings.

    Args:
        out: DIR.
        config: readings.
        options: how it is carried out.
        seeds: to be run; further ones may be added later.
        corpus_paths: see :func:`replicate.corpus.read_corpus`.
        vectors: see :func:`replicate.vectors.embedding_matrix`.
        preset: named in ``config.json``.
        dimensions: D of random vectors.

    Returns:
        The run, ready to be worked on.

    Raises:
        InputError: for bad data, or a folder of other settings.
    """
    out = Path(out)
    least = 2 + config.ddof
    if config.epochs + int(config.record_epoch_0) < least:
        raise InputError(
            f"epochs = {config.epochs}: eq. (9) needs {least} recorded epochs; choose more epochs"
        )
    chainer_device(options.device)
    corpus, matrix, known, facts = read_data(config, corpus_paths, vectors, dimensions)
    settings = {
        "format": 1,
        "preset": preset,
        **config.to_dict(),
        "seeds": sorted(seeds),
        **vars(options),
        **facts,
        "versions": versions(),
        "environment": inherited(),
    }
    if Run.exists(out):
        settings = _merged(Run(out), settings)
    run = Run.create(out, settings, corpus, matrix, known)
    run.keep_first_epoch_weights()
    return run


def read_data(
    config: Config, corpus_paths: Sequence[str | Path], vectors: str | Path, dimensions: int = 300
) -> tuple[Corpus, np.ndarray, np.ndarray, dict[str, Any]]:
    """Corpus and word vectors, and what identifies them.

    Args:
        config: readings.
        corpus_paths, vectors, dimensions: see :func:`prepare`.

    Returns:
        The corpus, the network's input matrix (V + 1, D) float32, the known words (V,)
        bool, and facts for ``config.json``.
    """
    corpus = read_corpus(corpus_paths, config.tokens)
    subset_sizes(len(corpus))
    matrix, known = embedding_matrix(corpus.words, vectors, config, dimensions)
    types, tokens = coverage(known, corpus.tokens)
    is_file = str(vectors) != "random"
    facts = {
        "corpus": {
            "sha256": corpus.sha256,
            "content": content_of(corpus),
            "label_names": list(corpus.label_names),
            "sentences": len(corpus),
            "words": len(corpus.words),
            "tokens": len(corpus.tokens),
        },
        "vectors": {
            "name": Path(vectors).name if is_file else "random",
            "sha256": sha256(vectors) if is_file else "",
            "matrix": matrix_of(matrix, known),
            "dimensions": matrix.shape[1],
            "known_words": types,
            "known_tokens": tokens,
        },
    }
    return corpus, matrix, known, facts


def _merged(run: Run, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a run that is there, with further seeds; refused where others differ."""
    have = run.settings
    compared = [*Config.names(), *vars(run.options)]
    for name in compared:
        if have[name] != settings[name]:
            raise InputError(
                f"{run.out}: was made with {name} = {shorten(have[name])}, not "
                f"{shorten(settings[name])}; choose another --out or the old setting"
            )
    same_data(run.out, {**have, **run.data_facts()}, settings)
    seeds = sorted(set(settings["seeds"]) | set(have["seeds"]))
    return {**continued(have, settings), "seeds": seeds}


def check_converged(
    rows: Sequence[Sequence[float]], config: Config, what: str, wac: np.ndarray | None = None
) -> None:
    """Look whether training gave numbers.

    Args:
        rows: of :func:`replicate.training.train`.
        config: readings.
        what: was trained, for the message.
        wac: of words that occurred; None where nothing was recorded.

    Raises:
        InputError: if a loss is NaN, infinity or beyond any classifier's, if the saliency
            of a word is NaN, or if that of no word ever changed.

    Example:
        >>> check_converged([(1, 0.5, 0.7, 0.7)], Config(), "T1")
        >>> check_converged([(1, 0.5, 0.7, 0.7), (2, 0.5, 0.7, float("nan"))], Config(), "T1")
        Traceback (most recent call last):
            ...
        replicate.io.errors.InputError: T1: training diverged at epoch 2 (loss nan); lower \
learning_rate, now 0.0005, or choose another optimizer
    """
    for epoch, _, *losses in rows:
        # The untrained network has no training loss.
        for loss in losses if epoch else losses[:1]:
            if not loss <= _GREATEST_LOSS:  # NaN neither
                raise _diverged(what, f"at epoch {epoch:g} (loss {loss:.3g})", config)
    if wac is not None and not np.isfinite(wac).all():
        raise _diverged(what, "(the saliency of a word is not a number)", config)
    # The variance of a single difference is 0.
    if wac is not None and len(rows) > 2 and not wac.any():
        raise _diverged(what, "(the saliency of no word ever changed)", config)


#: A classifier whose mean loss is greater gives the right label a probability of e^-10,000.
_GREATEST_LOSS = 1e4


def _diverged(what: str, how: str, config: Config) -> InputError:
    rate = f"lower learning_rate, now {config.learning_rate:g}, or "
    remedy = f"{'' if config.optimizer == 'AdaDelta' else rate}choose another optimizer"
    return InputError(f"{what}: training diverged {how}; {remedy}")


# --- parts of a stage ------------------------------------------------------------------


def _recorder(run: Run, seed: int, arm: str, model: Any, t1: np.ndarray, stored: bool) -> Recorder:
    """The recorder of T1's saliency in a training run."""
    corpus = run.corpus
    folder = run.folder(seed, arm)
    return Recorder(model, *corpus.take(t1), len(corpus.words), run.config, folder, stored)


def _keeps_epochs(run: Run, seed: int) -> bool:
    """Whether the weights of every epoch of T1 are kept."""
    wanted = run.options.epoch_weights
    return wanted == "all" or (wanted == "first" and seed == min(run.seeds))


def _fingerprint(run: Run, seed: int, arm: str, sentences: np.ndarray) -> str:
    """Of a training run: a snapshot of another, or of another version, is not taken up."""
    now = {"versions": versions(), "environment": inherited(), "continued": [], "seeds": []}
    settings = {**run.settings, **now}
    text = f"{sorted(settings.items())} {seed} {arm} {zlib.crc32(sentences.tobytes())}"
    return f"{zlib.crc32(text.encode()):08x}"


def _optimizer_arrays(optimizer: Any) -> dict[str, np.ndarray]:
    """State of an optimiser; what Chainer writes as an object (None) is left out."""
    serializer = chainer.serializers.DictionarySerializer()
    optimizer.serialize(serializer)
    return {n: v for n, v in serializer.target.items() if v.dtype.kind != "O"}


def _carried_optimizer(model: Any, config: Config, arrays: dict[str, np.ndarray]) -> Any:
    optimizer = make_optimizer(model, config)
    optimizer.serialize(chainer.serializers.NpzDeserializer(arrays, strict=False))
    return optimizer
