"""The experiment: its stages in the order of section 4, then verdicts, figures and report.

=======  =============================================================  ======================
4.2      divide the corpus into T1, T2 and T3                           ``split_corpus``
4.3.1    train on T1, and record saliency after every epoch             ``train``, ``Recorder``
4.3.2    unstable words (eqs 7-9), the score A_S of sentences (eq. 10)  ``word_instability``,
                                                                        ``sentence_instability``
4.3.3    the halves T2h and T2l, the training sentences of six models   ``median_halves``,
                                                                        ``arm_sentences``
4.4      train the six models                                           ``train``
5-6      judge the claims, draw the figures, write the report           ``judge``, ``report``
=======  =============================================================  ======================

:func:`run_first_phase` is 4.2 to 4.3, :func:`run_arm` is 4.4, :func:`conclude` the rest.
A stage reads and writes its files through :class:`~replicate.run.Run`.  It is
complete if all its files exist and have the checksums stored with them.  An
incomplete stage runs again, from its last snapshot.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .claims import is_paper_corpus
from .config import ARMS, Config, checked_seeds
from .corpus import Corpus, read_corpus
from .environment import inherited, versions
from .fast.compat import chainer
from .fast.device import chainer_device
from .instability import sentence_instability
from .io.data import Paths, paths_of
from .io.errors import InputError, shorten
from .io.summary import Summary
from .io.wordvectors import Vectors
from .model import TextCNN, initial_model, trained_model
from .recorder import Recorder
from .run import Run
from .selection import arm_sentences, median_halves, unscored_arms
from .settings import Options, content_of, continued, matrix_of, same_data
from .split import split_corpus, subset_sizes
from .statistics import seed_statistics
from .training import PARTS, EpochCheckpoints, Parts, make_optimizer, train
from .vectors import coverage, embedding_matrix, identified
from .verdicts import Verdict, judge

__all__ = [
    "Inputs",
    "check_converged",
    "check_epochs",
    "conclude",
    "prepare",
    "read_data",
    "read_inputs",
    "run_arm",
    "run_first_phase",
    "run_seed",
    "run_stage",
    "statistics_of",
    "verdicts_of",
]

#: Arms that use no result of the first phase, so they may run at the same time.
UNSCORED = ("T1andT2", "T1andT2ran")

#: Called after every epoch with its number and the accuracy on T3.
OnEpoch = Callable[[int, float], None]

#: Called with what was read, before it may be refused.
OnRead = Callable[[Summary], None]


# --- the stages ------------------------------------------------------------------------


def run_seed(
    run: Run, seed: int, on_epoch: Callable[[str, int, float], None] | None = None
) -> None:
    """Run all stages of a seed, one after another, in this process (section 4).

    Args:
        run: a run that :func:`prepare` returned.
        seed: a seed of the run.
        on_epoch: called after every epoch with the arm, the epoch and the accuracy on T3.

    Example:
        >>> run_seed(sample_run(), 0)  # all its stages are complete: nothing to do
        >>> sorted(sample_run().accuracies(0))[:2]
        ['T1', 'T1andT2']
    """
    for arm in ARMS:
        if not run.finished(seed, arm):
            run_stage(run, seed, arm, on_epoch and (lambda *seen, arm=arm: on_epoch(arm, *seen)))
    run.save_accuracies(seed)


def run_stage(
    run: Run, seed: int, arm: str, on_epoch: OnEpoch | None = None, parts: Parts = PARTS
) -> None:
    """Run one stage: the first phase if the arm is T1, else one arm of the second phase."""
    if arm == "T1":
        run_first_phase(run, seed, on_epoch, parts)
    else:
        run_arm(run, seed, arm, on_epoch, parts)


@np.errstate(over="ignore", invalid="ignore")  # check_converged reports it
def run_first_phase(
    run: Run, seed: int, on_epoch: OnEpoch | None = None, parts: Parts = PARTS
) -> None:
    """Train on T1, record saliency, score T2, and select the sentences of all arms (4.3).

    Args:
        run: a run that :func:`prepare` returned.
        seed: a seed of the run.
        on_epoch: called after every epoch with its number and the accuracy on T3.
        parts: what the training is built of.

    Example:
        >>> run = sample_run()
        >>> run_first_phase(run, 0)
        >>> run.finished(0, "T1"), len(run.sentences(0, "T2h")), len(run.sentences(0, "T2l"))
        (True, 45, 45)
    """
    config, corpus = run.config, run.corpus
    # 4.2: the split.
    subset = split_corpus(corpus.labels, seed, config.split)
    t1, t2, t3 = (np.flatnonzero(subset == k) for k in (1, 2, 3))
    # 4.3.1: train on T1, and record saliency after every epoch.
    model = initial_model(run, seed)
    recorder = _recorder(run, seed, "T1", model, t1, run.options.stored, parts)
    checkpoints = EpochCheckpoints(model, config.epochs) if _keeps_epochs(run, seed) else None
    rows, optimizer = train(
        model, corpus, t1, t3, seed=seed, folder=run.folder(seed, "T1"), recorder=recorder,
        checkpoints=checkpoints, on_progress=on_epoch, parts=parts,
        fingerprint=_fingerprint(run, seed, "T1", t1),
    )  # fmt: skip
    # 4.3.2: unstable words (eqs 7-9), and the scores A_S of the sentences of T2 (eq. 10).
    wac, count = recorder.word_instability(config.ddof)
    check_converged(rows, config, f"{run.out}: seed {seed}, T1", wac[count > 0])
    tokens, offsets = corpus.take(t2)
    scores = sentence_instability(wac, tokens, offsets, config.unseen_words, config.repeated_words)
    # 4.3.3: the two halves of T2, and the training sentences of the six models.
    h, l = median_halves(scores, t2)
    run.save_first_phase(
        seed, weights=model.weights(embedding=True), rows=rows, recorded=recorder.names,
        subset=subset, instability=(wac, count), scores=scores,
        arms=arm_sentences(subset, h, l, seed),
        epoch_weights=checkpoints and checkpoints.arrays,
        optimizer_state=_state(optimizer) if config.optimizer_state == "carried" else None,
    )  # fmt: skip


@np.errstate(over="ignore", invalid="ignore")  # check_converged reports it
def run_arm(
    run: Run, seed: int, arm: str, on_epoch: OnEpoch | None = None, parts: Parts = PARTS
) -> None:
    """Train one model of the second phase (4.4).

    The first phase must be complete, except for the arms in :data:`UNSCORED`.

    Args:
        run: a run that :func:`prepare` returned.
        seed: a seed of the run.
        arm: one of :data:`replicate.config.ARMS`, but not T1.
        on_epoch: called after every epoch with its number and the accuracy on T3.
        parts: what the training is built of.

    Raises:
        InputError: if the first phase is not complete and the arm needs it.

    Example:
        >>> run = sample_run()
        >>> run_arm(run, 0, "T1andT2")
        >>> run.finished(0, "T1andT2")
        True
    """
    config, corpus = run.config, run.corpus
    subset = split_corpus(corpus.labels, seed, config.split)
    t1, t3 = np.flatnonzero(subset == 1), np.flatnonzero(subset == 3)
    model, sentences, optimizer = starting_point(run, seed, arm)
    recorder = None
    if run.options.record_arms:
        recorder = _recorder(run, seed, arm, model, t1, False, parts)
    rows, _ = train(
        model, corpus, sentences, t3, seed=seed, folder=run.folder(seed, arm),
        optimizer=optimizer, recorder=recorder, on_progress=on_epoch, parts=parts,
        fingerprint=_fingerprint(run, seed, arm, sentences),
    )  # fmt: skip
    check_converged(rows, config, f"{run.out}: seed {seed}, {arm}")
    run.save_arm(
        seed, arm, weights=model.weights(embedding=config.vectors_mode != "static"), rows=rows,
        recorded=recorder.names if recorder else (),
        instability=recorder.word_instability(config.ddof) if recorder else None,
    )  # fmt: skip


def starting_point(run: Run, seed: int, arm: str) -> tuple[TextCNN, NDArray[np.integer], Any]:
    """What a training run starts with (4.4): network, training sentences, optimiser.

    T2h and T2l continue from the weights of the first phase; the others start
    from new weights.  The optimiser is None where a new one is made.
    """
    config = run.config
    subset = split_corpus(run.corpus.labels, seed, config.split)
    if arm == "T1":
        return initial_model(run, seed), np.flatnonzero(subset == 1), None
    unscored = arm in UNSCORED
    sentences = unscored_arms(subset, seed)[arm] if unscored else run.sentences(seed, arm)
    if arm not in ("T2h", "T2l"):
        return initial_model(run, seed), sentences, None
    model = trained_model(run, seed, "T1")
    if config.optimizer_state == "fresh":
        return model, sentences, None
    return model, sentences, _carried_optimizer(model, config, run.optimizer_state(seed))


def conclude(run: Run, language: str = "en") -> list[Verdict]:
    """Judge the claims on the finished seeds, draw the figures, and write the report.

    Args:
        run: a run; it may have no finished seed.
        language: a further language of the report, beside English; reports in others that
            are there already are written again.

    Returns:
        The verdict on every claim, see :func:`replicate.verdicts.judge`.

    Example:
        >>> verdicts = conclude(sample_run())
        >>> verdicts[0].claim.id, verdicts[0].verdict
        ('S1', 'not applicable')
        >>> sample_run().report_file.name
        'report.html'
    """
    # Matplotlib takes a second to import, and workers do not need it.
    from .show import figures, forest, report
    from .show.strings import LANGUAGES

    # Asked once, because it reads every file of every seed.
    seeds = run.finished_seeds()
    verdicts = _judged(run, seeds)
    report.write_claims(run, verdicts)
    figures.draw_figures(run, seeds)
    forest.draw(run, verdicts, seeds)
    for other in LANGUAGES:
        if other in ("en", language) or run.report_in(other).exists():
            report.write_report(run, verdicts, seeds, other)
    return verdicts


def verdicts_of(run: Run) -> list[Verdict]:
    """Judge the claims on the finished seeds of a run, and write nothing.

    Example:
        >>> len(verdicts_of(sample_run()))
        17
    """
    return _judged(run, run.finished_seeds())


def _judged(run: Run, seeds: Sequence[int]) -> list[Verdict]:
    table = [statistics_of(run, seed) for seed in seeds]
    return judge(table, is_paper_corpus(run.settings["corpus"]["sha256"]))


def statistics_of(run: Run, seed: int) -> dict[str, float]:
    """The statistics of a finished seed, see :func:`replicate.statistics.seed_statistics`."""
    return seed_statistics(run.record(seed), run.accuracies(seed), run.sizes(seed), seed)


# --- before the stages -----------------------------------------------------------------


def prepare(
    out: str | Path,
    config: Config,
    options: Options,
    seeds: int | Iterable[int],
    corpus_paths: Paths,
    vectors: Vectors,
    preset: str = "",
    dimensions: int = 300,
    on_read: OnRead | None = None,
) -> Run:
    """Create a run folder, or check that an existing one has the same settings.

    Args:
        out: the folder DIR.
        config: the readings.
        options: how the run is carried out.
        seeds: the seeds to run, or how many from 0; seeds that an existing run has are kept.
        corpus_paths: see :func:`replicate.corpus.read_corpus`.
        vectors: see :func:`replicate.vectors.embedding_matrix`.
        preset: a name to store in ``config.json``.
        dimensions: D, for random vectors.
        on_read: called with what was read, before it may be refused.

    Returns:
        The run, ready for :func:`run_seed`.

    Raises:
        InputError: if the data, settings or seeds are bad, or the folder has a run with other
            settings; a run that is there stays as it is.

    Example:
        >>> from replicate.corpus import sample_path
        >>> corpus, vectors = sample_path()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = prepare(folder, Config(epochs=3), Options(), [0], [corpus], vectors)
        ...     run.vectors.shape[1], run.finished_seeds()
        (100, [])
    """
    out = Path(out)
    chosen = checked_seeds(seeds)
    check_epochs(config)
    chainer_device(options.device)
    inputs, facts = read_data(config, corpus_paths, vectors, dimensions, on_read)
    settings = {
        "format": 1,
        "preset": preset,
        **config.to_dict(),
        "seeds": sorted(chosen),
        **vars(options),
        **facts,
        "versions": versions(),
        "environment": inherited(),
    }
    if Run.exists(out):
        settings = _merged(Run(out), settings)
    run = Run.create(out, settings, inputs.corpus, inputs.matrix, inputs.known)
    run.keep_first_epoch_weights()
    return run


def check_epochs(config: Config) -> None:
    """Look whether there are enough epochs for the variance of eq. (9).

    Two changes are the least: the variance of one is 0 for every word, and the halves of T2
    would be those of the order of its sentences.

    Raises:
        InputError: if not.

    Example:
        >>> check_epochs(Config(epochs=1))
        Traceback (most recent call last):
            ...
        replicate.io.errors.InputError: epochs = 1: eq. (9) needs 3 recorded epochs; choose more \
epochs
    """
    least = 3
    if config.epochs + int(config.record_epoch_0) < least:
        raise InputError(
            f"epochs = {config.epochs}: eq. (9) needs {least} recorded epochs; choose more epochs"
        )


@dataclass(frozen=True)
class Inputs:
    """What an experiment or a selection learns from.

    Attributes:
        corpus: N sentences over V word types.
        matrix: (V + 1, D) float32; row 0 is padding, and rows of unknown words are 0
            if every seed draws its own.
        known: (V,) bool, the words that the vector file has.
        read: counts of what was read.
    """

    corpus: Corpus
    matrix: NDArray[np.float32]
    known: NDArray[np.bool_]
    read: Summary


def read_inputs(
    config: Config,
    corpus_paths: Paths,
    vectors: Vectors,
    dimensions: int = 300,
    words: Iterable[str] = (),
) -> Inputs:
    """Read corpus and word vectors; ``read.check()`` refuses what is probably misread.

    Args:
        config: readings.
        corpus_paths, vectors, dimensions: see :func:`prepare`.
        words: further ones that get a vector, of texts that the network will be asked about.

    Example:
        >>> from replicate.corpus import sample_path
        >>> inputs = read_inputs(Config(), sample_path()[:1], "random", dimensions=4)
        >>> len(inputs.corpus), inputs.matrix.shape[1], inputs.read.tokens_with_vector
        (200, 4, None)
    """
    corpus = read_corpus(paths_of(corpus_paths), config.tokens)
    assert corpus.summary is not None  # a corpus that was just read has one
    read = corpus.summary
    corpus = corpus.with_words(words)
    matrix, known = embedding_matrix(corpus.words, vectors, config, dimensions, seed=None)
    if str(vectors) != "random":
        read = read.with_vectors(coverage(known, corpus.tokens)[1])
    return Inputs(corpus, matrix, known, read)


def read_data(
    config: Config,
    corpus_paths: Paths,
    vectors: Vectors,
    dimensions: int = 300,
    on_read: OnRead | None = None,
) -> tuple[Inputs, dict[str, Any]]:
    """The inputs of an experiment, and what identifies them.

    Args:
        config: readings.
        corpus_paths, vectors, dimensions, on_read: see :func:`prepare`.

    Returns:
        The inputs, and facts for ``config.json``.

    Raises:
        InputError: for bad data, and for data that are probably misread.
    """
    inputs = read_inputs(config, corpus_paths, vectors, dimensions)
    corpus, matrix, known = inputs.corpus, inputs.matrix, inputs.known
    if on_read is not None:
        on_read(inputs.read)
    inputs.read.check()
    subset_sizes(len(corpus))
    types, tokens = coverage(known, corpus.tokens)
    name, digest = identified(vectors)
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
            "name": name,
            "sha256": digest,
            "matrix": matrix_of(matrix, known),
            "dimensions": matrix.shape[1],
            "known_words": types,
            "known_tokens": tokens,
        },
        "read": inputs.read.to_dict(),
    }
    return inputs, facts


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


def _recorder(
    run: Run,
    seed: int,
    arm: str,
    model: TextCNN,
    t1: NDArray[np.integer],
    stored: bool,
    parts: Parts,
) -> Recorder:
    """The recorder of T1's saliency in a training run."""
    tokens, offsets = run.corpus.take(t1)
    n_words, folder = len(run.corpus.words), run.folder(seed, arm)
    return Recorder.of_model(model, tokens, offsets, n_words, folder, stored, parts.measure)


def _keeps_epochs(run: Run, seed: int) -> bool:
    """Whether the weights of every epoch of T1 are kept."""
    wanted = run.options.epoch_weights
    return wanted == "all" or (wanted == "first" and seed == min(run.seeds))


def _fingerprint(run: Run, seed: int, arm: str, sentences: NDArray[np.integer]) -> str:
    """Identifies a training run and its versions: only its own snapshot is resumed from."""
    now = {"versions": versions(), "environment": inherited(), "continued": [], "seeds": []}
    settings = {**run.settings, **now}
    text = f"{sorted(settings.items())} {seed} {arm} {zlib.crc32(sentences.tobytes())}"
    return f"{zlib.crc32(text.encode()):08x}"


def _state(optimizer: Any) -> dict[str, NDArray[Any]]:
    """The state of an optimiser, without what Chainer writes as an object (None)."""
    serializer = chainer.serializers.DictionarySerializer()
    optimizer.serialize(serializer)
    return {n: v for n, v in serializer.target.items() if v.dtype.kind != "O"}


def _carried_optimizer(model: Any, config: Config, arrays: dict[str, NDArray[Any]]) -> Any:
    optimizer = make_optimizer(model, config)
    optimizer.serialize(chainer.serializers.NpzDeserializer(arrays, strict=False))
    return optimizer
