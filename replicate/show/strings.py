"""Every text of the report, by its key, in English and in Japanese.

A text has its own HTML, such as ``<code>``; what is put into it is escaped.  Texts
that stand elsewhere (claims, readings, answers) are translated by themselves, in
:data:`TRANSLATED`.
"""

import re
from collections.abc import Mapping

from markupsafe import Markup

from ..verdicts import Verdict as _Verdict
from .wording import PHRASES, SCALED, sentence

__all__ = ["LANGUAGES", "TEXTS", "TRANSLATED", "Words"]

#: Languages of the report, the first by default.
LANGUAGES = ("en", "ja")

#: Key -> English, Japanese.
TEXTS = {
    "title": ("Word saliency while a CNN learns", "CNN の学習過程における単語注目度：追試の結果"),
    "skip": ("Skip to the claims", "主張の判定へ"),
    # --- the outcome ---------------------------------------------------------------
    "outcome.none": (
        "No seed is finished yet, so there is no result.",
        "まだ一つのシードも完了していないため、結果はありません。",
    ),
    "outcome.sample": (
        "This trial on the sample corpus shows that the program works; it decides nothing about the "
        "paper.",
        "これは付属のサンプルによる試行です。プログラムが動くことは確かめられますが、論文については何も判定できません。",
    ),
    "outcome.few": (
        "Nothing is decided yet: {seeds} of the {least} seeds that a verdict needs are finished.",
        "まだ何も判定できません。判定に必要な {least} シードのうち、完了したのは {seeds} シードです。",
    ),
    "outcome.few.one": (
        "Nothing is decided yet: one of the {least} seeds that a verdict needs is finished.",
        "まだ何も判定できません。判定に必要な {least} シードのうち、完了したのは一つだけです。",
    ),
    "outcome.but": ("{changes}; but {gain}.", "{changes}が、{gain}。"),
    "outcome.and": ("{changes}, and {gain}.", "{changes}。また、{gain}。"),
    "outcome.changes.reproduced": (
        "The saliency of words changes more in misclassified sentences than in others, as the "
        "paper reports",
        "論文のとおり、誤分類された文の単語注目度は、正しく分類された文より大きく変わります",
    ),
    "outcome.changes.weaker": (
        "The saliency of words changes more in misclassified sentences than in others, though "
        "less than the paper reports",
        "誤分類された文の単語注目度は、論文ほどではないものの、正しく分類された文より大きく変わります",
    ),
    "outcome.changes.direction only": (
        "The saliency of words changes more in misclassified sentences than in others, by an "
        "amount that is open",
        "誤分類された文の単語注目度は、差の大きさは定まらないものの、正しく分類された文より大きく変わります",
    ),
    "outcome.changes.no such effect": (
        "The saliency of words does not change noticeably more in misclassified sentences than "
        "in others",
        "誤分類された文の単語注目度の変化は、正しく分類された文より目立って大きいとはいえません",
    ),
    "outcome.changes.reversed": (
        "Against the paper, the saliency of words changes less in misclassified sentences than "
        "in others",
        "論文とは逆に、誤分類された文の単語注目度の変化は、正しく分類された文より小さくなります",
    ),
    "outcome.changes.undecided": (
        "It is undecided whether the saliency of words changes more in misclassified sentences "
        "than in others",
        "誤分類された文の単語注目度が、正しく分類された文より大きく変わるかどうかは未決定です",
    ),
    "outcome.gain.both": (
        "choosing training sentences by their unstable words brings {gain}, compared with the other "
        "half and with a random half",
        "注目度の不安定な単語を多く含む文を選んで学習する効果は、残りの半分と比べても、無作為な半分と比べても「{gain}」です",
    ),
    "outcome.gain.each": (
        "choosing training sentences by their unstable words brings {half} compared with the other "
        "half, and {random} compared with a random half",
        "注目度の不安定な単語を多く含む文を選んで学習する効果は、残りの半分と比べると「{half}」、無作為な半分と比べると「{random}」です",
    ),
    "outcome.gain.reproduced": ("a better model", "正解率の向上あり"),
    "outcome.gain.weaker": (
        "a gain that is smaller than the paper reports",
        "論文より小さい向上",
    ),
    "outcome.gain.direction only": ("a gain of open size", "大きさの定まらない向上"),
    "outcome.gain.no such effect": ("no gain that matters", "意味のある向上なし"),
    "outcome.gain.reversed": ("a worse model", "正解率の低下"),
    "outcome.gain.undecided": ("no clear result", "未決定"),
    "banner.sample": (
        "<strong>Only {sentences} sentences: nothing is decided.</strong> Next: look at the figures "
        "and words below, then run <code>make paper</code>.",
        "<strong>{sentences} 文だけなので、何も判定できません。</strong>下の図と単語を見たあと、<code>make paper</code> を実行してください。",
    ),
    "banner.few": (
        "<strong>Too few seeds: nothing is decided.</strong> A verdict needs {least} seeds. The same "
        "command with more seeds continues this run.",
        "<strong>シードが足りないため、何も判定できません。</strong>判定には {least} シードが必要です。シードを増やして同じコマンドを実行すると、続きから計算します。",
    ),
    "banner.corpus": (
        "<strong>Not the paper’s corpus.</strong> The levels of accuracy (A1–A3) and the sizes (S1) "
        "are not judged: they belong to the paper’s corpus.",
        "<strong>論文のコーパスではありません。</strong>正解率の水準（A1〜A3）と文数（S1）は論文のコーパスについての主張なので、判定しません。",
    ),
    # --- the drawing of the experiment ---------------------------------------------
    "experiment": ("The experiment in five steps", "実験の五つの段階"),
    "step.train": ("1. Train on T1", "1. T1 で学習"),
    "step.train.text": (
        "A CNN learns to classify sentences.",
        "CNN に文の分類を学習させます。",
    ),
    "step.train.sized": (
        "A CNN learns to classify {size} sentences.",
        "CNN に {size} 文の分類を学習させます。",
    ),
    "step.record": ("2. Record saliency", "2. 注目度を記録"),
    "step.record.text": (
        "After each epoch: how strongly does each word influence the output?",
        "エポックごとに、各単語が出力をどれだけ左右するかを測ります。",
    ),
    "step.words": ("3. Unstable words", "3. 不安定な単語"),
    "step.words.text": (
        "The saliency of some words settles; that of others goes up and down.",
        "注目度が落ち着く単語と、上下し続ける単語があります。",
    ),
    "step.halves": ("4. Split T2 in halves", "4. T2 を二分"),
    "step.halves.text": (
        "T2h has the sentences with more unstable words, T2l the others.",
        "不安定な単語を多く含む文が T2h、残りが T2l です。",
    ),
    "step.halves.sized": (
        "T2h: {size} new sentences with more unstable words. T2l: the other {other}.",
        "新しい文のうち、不安定な単語を多く含む {size} 文が T2h、残りの {other} 文が T2l です。",
    ),
    "step.models": ("5. Compare six models", "5. 六つのモデルを比較"),
    "step.models.text": (
        "Each learns from other sentences; T3 measures its accuracy.",
        "学習に使う文を変え、T3 で正解率を測ります。",
    ),
    "step.words.stable": ("settles", "落ち着く"),
    "step.words.unstable": ("unstable", "不安定"),
    # --- the tiles -----------------------------------------------------------------
    "tile.dynamics": ("How saliency changes", "注目度の変化"),
    "tile.dynamics.asks": (
        "Does it keep changing in misclassified sentences?",
        "誤分類された文では変わり続けるか",
    ),
    "tile.levels": ("Levels of accuracy", "正解率の水準"),
    "tile.levels.asks": (
        "Are the models as accurate as the paper’s?",
        "モデルの正解率は論文と同じか",
    ),
    "tile.selection": ("Choosing sentences", "文の選択"),
    "tile.selection.asks": (
        "Does choosing by unstable words make a better model?",
        "不安定な単語で選ぶとモデルは良くなるか",
    ),
    "tile.number.F4": (
        "Change after epoch 20, misclassified over correct",
        "20 エポック以後の変化：誤分類／正分類",
    ),
    "tile.number.F5b": (
        "Change over all epochs, misclassified over correct",
        "全エポックの変化：誤分類／正分類",
    ),
    "tile.number.A1": ("T1andT2, epochs 40–50", "T1andT2、40–50 エポック"),
    "tile.number.A2": ("T1andT2h, epochs 40–50", "T1andT2h、40–50 エポック"),
    "tile.number.H": ("T1andT2h less T1andT2l", "T1andT2h − T1andT2l"),
    "tile.number.O2": ("T1andT2h less T1andT2ran", "T1andT2h − T1andT2ran"),
    "tile.paper": ("paper {paper}", "論文 {paper}"),
    # --- facts and vectors ---------------------------------------------------------
    "facts.seed": ("1 finished seed", "完了したシード：1"),
    "facts.seeds": ("{seeds} finished seeds", "完了したシード：{seeds}"),
    "facts.epochs": ("{epochs} epochs in each phase", "各段階 {epochs} エポック"),
    "facts.sentences": ("{sentences} sentences", "{sentences} 文"),
    "facts.types": ("{types} word types", "異なり語 {types}"),
    "facts.words": ("{words} words", "延べ語 {words}"),
    "facts.vectors": ("vectors: {vectors}", "ベクトル：{vectors}"),
    "vectors.other": (
        "Not made with the paper's word vectors.",
        "論文の単語ベクトルではありません。",
    ),
    "vectors.paper": (
        "The paper uses <code>GoogleNews-vectors-negative300.bin</code> in full; this run uses",
        "論文は <code>GoogleNews-vectors-negative300.bin</code> のすべてを使っています。この実行が使うのは",
    ),
    "vectors.random": (
        "random vectors of {dimensions} dimensions.",
        "{dimensions} 次元の乱数ベクトルです。",
    ),
    "vectors.file": (
        "<code>{name}</code>. It has a vector for {known_types} % of the corpus’s word types and "
        "{known_words} % of its words; the others get theirs by the reading "
        "<code>unknown_words = {unknown}</code>.",
        "<code>{name}</code> です。コーパスの異なり語の {known_types} %、延べ語の {known_words} % にベクトルがあり、残りは設定 "
        "<code>unknown_words = {unknown}</code> で決まります。",
    ),
    "vectors.effect": (
        "This alone can change the levels of accuracy.",
        "これだけでも正解率の水準は変わりえます。",
    ),
    "vectors.full": (
        "Word vectors: {title}, as in the paper. They cover {known_words} % of the corpus’s words.",
        "単語ベクトル：{title}（論文と同じ）。コーパスの延べ語の {known_words} % にベクトルがあります。",
    ),
    # --- contents ------------------------------------------------------------------
    "nav": ("Contents", "目次"),
    "nav.claims": ("Claims", "主張の判定"),
    "nav.figures": ("Figures", "図"),
    "nav.answers": ("Answers", "残された問い"),
    "nav.words": ("Words", "単語"),
    "nav.sentences": ("Sentences", "文"),
    "nav.repeat": ("Repeat", "再実行と引用"),
    "nav.readings": ("Readings", "設定"),
    "nav.versions": ("Versions", "版"),
    "download": ("Download:", "ダウンロード："),
    "file.large": (
        "{name} (too large for this page; see the folder of the run)",
        "{name}（大きいため、このページには入っていません。実行のフォルダにあります）",
    ),
    # --- claims --------------------------------------------------------------------
    "claims.picture": (
        "Each row is a claim. The <b>dot</b> is our mean and the <b>line</b> its interval; the "
        "<b>diamond</b> is the paper’s figure, where it has one. The <b>shaded band</b> has the "
        "effects that are too small to matter: it is equally wide in every row, because each claim "
        "is drawn in units of its smallest effect that matters. For claims of likeness, the zero is "
        "the paper’s value. Open a row for its details.",
        "各行が一つの主張です。<b>丸</b>は本実装の平均、<b>線</b>はその区間、<b>ひし形</b>は論文の値（あるとき）です。"
        "<b>網かけの帯</b>は、意味がないほど小さい効果の範囲です。主張ごとに「意味のある最小の効果」を単位にしているので、帯の幅はどの行でも同じです。"
        "「同程度」という主張では、0 が論文の値です。行を開くと詳細が見られます。",
    ),
    "claims.seeds": ("Not a full range of seeds:", "シードに欠けがあります："),
    "claims.claim": ("claim", "主張"),
    "claims.against": ("← opposite", "← 逆"),
    "claims.side": ("paper’s side →", "論文の側 →"),
    "claims.ours": ("ours, on average", "本実装の平均"),
    "claims.verdict": ("verdict", "判定"),
    "claims.measured": ("What is measured", "測ったもの"),
    "claims.paper": ("The paper", "論文"),
    "claims.one_run": ("In one run", "一回の実行では"),
    "claims.hits": (
        "seen in {hits} of {runs} single runs",
        "{runs} 回のうち {hits} 回で見られる",
    ),
    "claims.figure": ("Figure", "図"),
    "claims.beside": ("beside: does not count", "参考：判定に含めない"),
    "claims.other": (
        "another sample of reviews: {interval}",
        "別のレビュー文の集まりでは：{interval}",
    ),
    "claims.rule.title": ("How a claim is judged", "判定の規則"),
    "claims.rule": (
        "<em>On average</em> is what the paper's procedure gives on this corpus: every seed is one "
        "run of it, with its own split, initial weights and order. The intervals hold together with "
        "{certainty} % certainty, for the main claims (H, O2, R1) and for the others. The verdict "
        "comes from the interval alone, and from the smallest effect that matters, half of the "
        "paper's own figure. It needs {least} seeds. <em>One run</em> says how many of these runs "
        "would have shown the claim to somebody who made only one. Parts <em>beside</em> a claim do "
        "not count for it.",
        "<em>平均</em>とは、論文の手順をこのコーパスで繰り返したときの平均です。シードごとに、コーパスの分割、初期値、学習の順序が変わります。"
        "区間は、主な主張（H、O2、R1）について、またその他の主張について、あわせて {certainty} % の確かさで成り立ちます。"
        "判定に用いるのは、この区間と、意味のある最小の効果（論文の値の半分）だけです。{least} シードが必要です。"
        "<em>一回の実行</em>は、一度だけ実行した人に主張が見えたはずの割合です。<em>参考</em>の項目は判定に含めません。",
    ),
    "claims.scaled": (
        SCALED,
        "主張のエポックは論文の {paper} エポックについてのものです。この実行は {epochs} エポックなので、範囲を比例させています。",
    ),
    # --- figures -------------------------------------------------------------------
    "figures.intro": (
        "Figs 3 and 4 show one seed, as in the paper. The claims use all seeds.",
        "図 3 と図 4 は、論文と同じく一つのシードについてのものです。判定にはすべてのシードを使います。",
    ),
    "figure.paper": ("The paper", "論文"),
    "figure.here": ("This run: claims shown here ({number})", "この実行：この図の主張（{number}）"),
    "figure.none": (
        "Not drawn: no seed is finished yet.",
        "まだシードが完了していないため、描けません。",
    ),
    "figure.streaming": (
        "Not drawn: Figs 3 and 4 need the saliency of every epoch, which this run did not store.",
        "図 3 と図 4 にはすべてのエポックの注目度が必要ですが、この実行では保存していません。",
    ),
    "here.no": ("no result", "結果なし"),
    "fig3.short": ("Fig. 3", "図 3"),
    "fig4.short": ("Fig. 4", "図 4"),
    "fig5.short": ("Fig. 5", "図 5"),
    "fig6.short": ("Fig. 6", "図 6"),
    "fig3.title": ("Fig. 3: correctly classified sentences", "図 3：正しく分類された文"),
    "fig4.title": ("Fig. 4: misclassified sentences", "図 4：誤分類された文"),
    "fig5.title": ("Fig. 5: change from epoch to epoch", "図 5：エポック間の変化"),
    "fig6.title": ("Fig. 6: accuracy of the six models", "図 6：六つのモデルの正解率"),
    "fig3.says": (
        "The saliency of words, standardised within each epoch, changes much in epochs 0–20 and "
        "little after epoch 20; the change is roughly linear (§5.5.1, §6.1, §7).",
        "エポック内で標準化した単語注目度は、0–20 エポックで大きく変わり、20 エポック以後はほとんど変わらない。変化は概ね線形である（§5.5.1、§6.1、§7）。",
    ),
    "fig4.says": (
        "Saliency also changes much in epochs 0–20, and it keeps going up and down after epoch 20: "
        "for many words it has not converged in the second half of training (§5.5.1, §6.1, §7).",
        "注目度は 0–20 エポックで大きく変わり、20 エポック以後も上下し続ける。多くの単語では、学習の後半でも収束していない（§5.5.1、§6.1、§7）。",
    ),
    "fig5.says": (
        "At most epochs, the saliency of 100 misclassified sentences, summed over all words, changes "
        "more from one epoch to the next than that of 100 correctly classified ones; the two curves "
        "are broadly similar (§5.5.2). Over the whole training, the misclassified sentences change "
        "more (§6.1, §7).",
        "大半のエポックで、誤分類された 100 文の注目度の変化（全単語の合計）は、正しく分類された 100 文より大きい。二つの曲線はおおむね似ている（§5.5.2）。"
        "学習全体でも、誤分類された文の変化のほうが大きい（§6.1、§7）。",
    ),
    "fig6.says": (
        "In epochs 40–50, T1andT2 reaches about 0.78, T1andT2h about 0.76 and the four others about "
        "0.75 (§6.2). T1andT2h is above T1andT2l throughout, and falls from epoch 20 on.",
        "40–50 エポックでは、T1andT2 が約 0.78、T1andT2h が約 0.76、他の四つが約 0.75 である（§6.2）。T1andT2h は常に T1andT2l を上回り、20 エポックから下がる。",
    ),
    "fig3.caption": (
        "Each panel shows a sentence of T1, and each line a word of it. The words that change most "
        "are named. The dashed line marks epoch {epoch}, the end of the paper's period of large "
        "changes. Figs 3 and 4 have one scale.",
        "各パネルは T1 の一つの文、各線はその単語です。変化の大きい単語に名前を付けています。破線は {epoch} エポックで、論文が大きく変わるとする期間の終わりです。図 3 と図 4 の目盛りは共通です。",
    ),
    "fig4.caption": (
        "As Fig. 3, for sentences that the model misclassifies.",
        "図 3 と同じものを、モデルが誤分類する文について示します。",
    ),
    "fig5.caption": (
        "The first panel is as in the paper, for one seed. The second has all sentences of T1: the "
        "mean over seeds with its interval. The third is the same for the gradient of the logit "
        "difference, the difference of the two outputs before softmax. With the model's own label, "
        "saliency is (1 − p) times that gradient. So part of the gap between the curves comes from "
        "the model's uncertainty; the third panel removes that part.",
        "一つ目は論文と同じく一つのシードです。二つ目は T1 のすべての文についての、シードにわたる平均とその区間です。"
        "三つ目は、ロジット差（softmax の前の二つの出力の差）の勾配による同じ図です。注目度は、この勾配の (1 − p) 倍です。"
        "そのため、二つの曲線の差の一部はモデルの確信のなさから生じます。三つ目の図では、それを除いています。",
    ),
    "fig6.caption": (
        "First panel: accuracy on T3, mean over seeds{levels}. Other panels: differences of two "
        "models at every epoch, in points of accuracy. The bands hold at all epochs at once (95 %); "
        "the line at 0 is no difference. What lies beyond a panel is cut. With fewer than three seeds there are no bands. The CSV "
        "files have the intervals of all models.",
        "一つ目：T3 の正解率の、シードにわたる平均{levels}。ほかのパネル：二つのモデルの正解率の差（ポイント）。帯は、すべてのエポックで同時に成り立つ区間（95 %）です。"
        "0 の線は差がないことを示します。パネルの外は切り取っています。シードが三つ未満のときは帯がありません。すべてのモデルの区間は CSV にあります。",
    ),
    "fig6.levels": (
        "; the dashed lines are the paper’s levels (grey: the four models that it calls alike)",
        "（破線は論文の水準、灰色は同程度とされる四つのモデル）",
    ),
    "fig.correct": ("correctly classified", "正しく分類された文"),
    "fig.misclassified": ("misclassified", "誤分類された文"),
    "fig.standardised": ("standardised saliency", "標準化した注目度"),
    "fig.no_sentence": ("T1 has no sentence of this kind.", "T1 にこの種類の文はありません。"),
    "fig.one_kind": (
        "One kind of sentence is missing, so there is nothing to compare.",
        "一方の種類の文がないため、比べられません。",
    ),
    "fig.level": ("paper {level}", "論文 {level}"),
    "fig5.panel.paper": (
        "As in the paper: {right} against {wrong} sentences, seed {seed}",
        "論文と同じ：{right} 文と {wrong} 文、シード {seed}",
    ),
    "fig5.panel.all": ("All sentences of T1, {seeds} seeds", "T1 のすべての文、{seeds} シード"),
    "fig5.panel.logit": (
        "Gradient of the logit difference, {seeds} seeds",
        "ロジット差の勾配、{seeds} シード",
    ),
    "fig5.y.sum": ("|change|, sum over all words", "|変化|、全単語の合計"),
    "fig5.y.mean": ("|change| per sentence, mean", "一文あたりの |変化|、平均"),
    "fig6.panel.means": (
        "Accuracy on T3, mean of {seeds} seeds",
        "T3 の正解率、{seeds} シードの平均",
    ),
    "fig6.y": ("accuracy", "正解率"),
    "fig6.points": ("points of accuracy", "正解率の差（ポイント）"),
    "table1.short": ("Table 1", "表 1"),
    "table1.title": ("Table 1: sizes", "表 1：文数"),
    "table1.subset": ("subset", "部分"),
    "table1.paper": ("paper", "論文"),
    "table1.ours": ("ours", "本実装"),
    "table1.about": ("Number of sentences in each subset.", "各部分の文数です。"),
    "table1.none": ("No seed is finished yet.", "まだ完了したシードはありません。"),
    "table1.says": (
        "The corpus is divided 4.5 : 4.5 : 1 into T1, T2 and T3; T2h and T2l are the halves of T2 "
        "with high and with low instability (§4.2, §4.3.3).",
        "コーパスを T1、T2、T3 に 4.5 : 4.5 : 1 で分ける。T2h と T2l は、T2 のうち注目度変化量の高い半分と低い半分である（§4.2、§4.3.3）。",
    ),
    # --- answers -------------------------------------------------------------------
    "answers.title": ("Questions that the paper leaves open", "論文が残した問い"),
    "answers.intro": (
        "Q1: do the unstable words settle once the second phase has trained on them? Q3: are the "
        "unstable words the rare ones? Q2, whether a larger corpus changes the outcome, needs a run "
        "on that corpus. Intervals are 95 %.",
        "Q1：第二段階で学習すると、不安定な単語の注目度は収束するか。Q3：不安定な単語はまれな単語か。Q2（より大きなコーパスで結果は変わるか）には、そのコーパスでの実行が必要です。区間は 95 % です。",
    ),
    "answers.questions": ("Q1 and Q3", "Q1 と Q3"),
    "answers.without": ("without the highest {score}", "{score} の上位を除いた残り"),
    "answers.rivals": ("Other ways to choose sentences", "ほかの選び方"),
    "answers.rivals.about": (
        "Accuracy in the late epochs with the sentences of T2 that a score ranks first, less that "
        "with as many random sentences, in points. Marked is what is better or worse, corrected for the number of rows. "
        "The first row is the paper’s score. Scores with a star need the true labels of T2.",
        "各スコアの上位の文を T2 から選んで学習したときの、終盤のエポックの正解率から、同数の無作為な文によるものを引いた差（ポイント）です。印は、行の数を考慮して補正しても良い、または悪いと言えるものです。"
        "一行目が論文のスコアです。星印のスコアには T2 の正解ラベルが必要です。",
    ),
    "answers.choice": (
        "How much a choice of half of T2 can matter",
        "T2 の半分の選び方でどれだけ変わりうるか",
    ),
    "answers.choice.about": (
        "T1andT2h* and T1andT2l* choose by a score that is averaged over several first phases.",
        "T1andT2h* と T1andT2l* は、複数の第一段階で平均したスコアで選びます。",
    ),
    "answers.ceiling": ("Where the accuracy comes from", "正解率の違いはどこから来るか"),
    "answers.ceiling.about": (
        "Of the variance of accuracy on T3, {division} % come from the division of the corpus, "
        "{half} % from the half of T2, {training} % from initial weights and order, and the rest "
        "from both together. The best of several random halves seems to gain {seen} points; "
        "when other sentences of T3 and another training measure it than have chosen it, it gains {real}.",
        "T3 での正解率の分散のうち、{division} % はコーパスの分割、{half} % は T2 の半分の選び方、{training} % は初期重みと順序によるもので、"
        "残りは両者の組み合わせです。複数の無作為な半分のうち最良のものの利得は見かけ上 {seen} ポイントですが、選ぶ文・訓練と測る文・訓練を別にすると {real} ポイントです。",
    ),
    "answers.source.division": (
        "division of the corpus: standard deviation",
        "コーパスの分割：標準偏差",
    ),
    "answers.source.half": ("half of T2: standard deviation", "T2 の半分：標準偏差"),
    "answers.source.training": (
        "initial weights and order: standard deviation",
        "初期重みと順序：標準偏差",
    ),
    "answers.source.rest": ("both together: standard deviation", "両者の組み合わせ：標準偏差"),
    "answers.best.seen": (
        "best half, chosen and measured on the same sentences",
        "最良の半分（同じ文で選び、測る）",
    ),
    "answers.best.real": (
        "best half, chosen and measured on different sentences and trainings",
        "最良の半分（別の文・別の訓練で測る）",
    ),
    "answers.best.known": (
        "best half, if one knew which it is (from the variance of the half)",
        "最良の半分（どれかが分かるとき。半分の分散から）",
    ),
    "answers.trust": ("What jumps, and who finds it again", "何が跳び、再び見つかるか"),
    "answers.trust.about": (
        "{zero} % of all word saliencies are exactly 0, and {jump} % of the squared change of "
        "saliency are jumps, where other windows win. Another training with other initial "
        "weights ranks the words by instability with a correlation of {weights}; one in which "
        "everything is different, with {all}.",
        "単語注目度の {zero} % はちょうど 0 で、注目度の変化の二乗和の {jump} % は、最大値を与える窓が入れ替わる「跳び」です。"
        "初期重みだけを変えて学習し直したときの、単語の不安定さの順位相関は {weights}、すべてを変えたときは {all} です。",
    ),
    "answers.trust.zero": ("share of saliencies that are 0", "0 である注目度の割合"),
    "answers.trust.jump": (
        "share of squared change that are jumps",
        "変化の二乗和のうち跳びの割合",
    ),
    "answers.trust.initialisation": (
        "rank correlation of wac: other initial weights",
        "wac の順位相関：初期重みが別",
    ),
    "answers.trust.order": ("rank correlation of wac: another order", "wac の順位相関：順序が別"),
    "answers.trust.split": (
        "rank correlation of wac: another division",
        "wac の順位相関：分割が別",
    ),
    "answers.trust.unknown_words": (
        "rank correlation of wac: other vectors of unknown words",
        "wac の順位相関：未知語のベクトルが別",
    ),
    "answers.trust.all": ("rank correlation of wac: all of these", "wac の順位相関：すべて別"),
    "answers.measure": ("what is measured", "測ったもの"),
    "answers.ours": ("ours", "本実装"),
    "answers.paper": ("paper", "論文"),
    "answers.interval": ("interval", "区間"),
    "answers.seeds": ("seeds", "シード数"),
    "answers.answer": ("answer", "答え"),
    "answers.score": ("score", "スコア"),
    "answers.share": ("{share} % of T2", "T2 の {share} %"),
    # --- explorer ------------------------------------------------------------------
    "words.title": ("Word explorer", "単語の探索"),
    "words.about": (
        "The words of T1 (seed {seed}). <em>wac</em> is the instability of eq. (9): the variance over "
        "epochs of the changes of saliency, averaged over the occurrences of a word. Rank 1 is the "
        "most unstable word.",
        "T1 の単語です（シード {seed}）。<em>wac</em> は式 (9) の注目度変化量で、注目度の変化のエポックにわたる分散を、単語の出現について平均したものです。1 位が最も不安定な単語です。",
    ),
    "words.all": ("The page has all {words} words.", "このページには {words} 語すべてがあります。"),
    "words.some": (
        "The page has {kept} of {words} words: the highest and lowest ranks, a random sample, and "
        "the most frequent words.",
        "このページには {words} 語のうち {kept} 語（順位の高い語と低い語、無作為に選んだ語、頻度の高い語）があります。",
    ),
    "words.epochs": (
        "Curves have {kept} of {epochs} epochs, evenly spaced.",
        "曲線は {epochs} エポックのうち等間隔の {kept} エポックです。",
    ),
    "words.stored": (
        "Each word has the mean over all its occurrences. {details} of the words that occur twice or "
        "more also have their spread (quantiles over at most {occurrences} occurrences) and some "
        "single occurrences. Saliency is rounded to whole numbers q from 0 to {levels}: "
        "wa = {top} × (q ÷ {levels})².",
        "各単語には、すべての出現についての平均があります。二回以上現れる語のうち {details} 語には、散らばり（最大 {occurrences} 回の出現の分位点）といくつかの個別の出現もあります。"
        "注目度は 0 から {levels} までの整数 q に丸めています：wa = {top} × (q ÷ {levels})²。",
    ),
    "words.streaming": (
        "The run was made with <code>--streaming</code>, which does not store the saliency of single "
        "occurrences: curves over epochs are not available.",
        "この実行は <code>--streaming</code> によるもので、個々の出現の注目度を保存していないため、エポックごとの曲線はありません。",
    ),
    "words.noscript": (
        "Search, sorting, curves and heat maps need JavaScript. Without it, the table shows the most "
        "and the least unstable words.",
        "検索、並べ替え、曲線、ヒートマップには JavaScript が必要です。ない場合、表は最も不安定な語と最も安定した語を示します。",
    ),
    "words.find": ("Find a word", "単語を探す"),
    "words.least.before": ("at least", "出現"),
    "words.least.after": ("times", "回以上"),
    "words.show": ("show", "表示"),
    "words.kind.all": ("all words", "すべての語"),
    "words.kind.details": ("with spread", "散らばりのある語"),
    "words.kind.known": ("with a vector", "ベクトルのある語"),
    "words.kind.unknown": ("without a vector", "ベクトルのない語"),
    "words.caption": ("Words by instability", "注目度変化量の順に並べた単語"),
    "words.rank": ("rank", "順位"),
    "words.word": ("word", "単語"),
    "words.count": ("count", "回数"),
    "words.texts": ("Sentences that contain it", "この単語を含む文"),
    "previous": ("Previous", "前へ"),
    "next": ("Next", "次へ"),
    "epoch": ("Epoch", "エポック"),
    "sentences.title": ("Sentences, epoch by epoch", "エポックごとに見る文"),
    "sentences.about": (
        "Sentences of T1 with up to {longest} words: first those of Figs 3 and 4, then a random "
        "sample. The page has {correct} of {all_correct} correctly classified and {wrong} of "
        "{all_wrong} misclassified sentences, compared with the true label at epoch {judged}. All "
        "sentences, epochs and models share one colour scale. p is the probability of the label that "
        "the model gives.",
        "T1 の {longest} 語以下の文です。まず図 3 と図 4 の文、次に無作為に選んだ文が並びます。正しく分類された {all_correct} 文のうち {correct} 文と、誤分類された {all_wrong} 文のうち {wrong} 文があります"
        "（{judged} エポックで正解ラベルと比べました）。色の目盛りは、すべての文、エポック、モデルに共通です。p はモデルが与えるラベルの確率です。",
    ),
    "sentences.last": (
        "This run stored neither the saliency nor the weights of every epoch, so only the last epoch "
        "can be shown.",
        "この実行は各エポックの注目度も重みも保存していないため、最後のエポックだけを示します。",
    ),
    "sentences.again": (
        "This run did not store saliency; it was computed again from the stored weights of every "
        "epoch.",
        "この実行は注目度を保存していません。保存された各エポックの重みから計算し直しました。",
    ),
    "sentences.right": ("Correctly classified", "正しく分類された文"),
    "sentences.wrong": ("Misclassified", "誤分類された文"),
    "sentences.one": (
        "One sentence at every epoch and in every model",
        "一つの文：すべてのエポックとモデル",
    ),
    "sentences.first": (
        "First phase: a row for each word, a column for each epoch",
        "第一段階：行は単語、列はエポック",
    ),
    "sentences.raster": ("Saliency of each word by epoch", "エポックごとの各単語の注目度"),
    "sentences.arms": ("Final model of every arm", "各モデルの最終状態"),
    # --- repeat --------------------------------------------------------------------
    "repeat.title": ("Repeat and cite this run", "再実行と引用"),
    "repeat.folders": (
        'Add the folders of the files; their checksums are <a href="#versions">below</a>. '
        "<code>DIR</code> is a new folder.",
        'ファイルのフォルダを補ってください。チェックサムは<a href="#versions">下</a>にあります。<code>DIR</code> は新しいフォルダです。',
    ),
    "repeat.program": ("program", "プログラム"),
    "repeat.version": ("replicate {version}", "replicate {version}"),
    "repeat.commit": ("commit that wrote this page", "このページを書いたコミット"),
    "repeat.date": ("last training run", "最後の学習の日"),
    "repeat.time": ("time", "時間"),
    "repeat.minutes": ("{minutes} min", "{minutes} 分"),
    "repeat.jobs": ("parallel training runs", "並列の学習"),
    "repeat.memory": ("memory per process", "プロセスごとのメモリ"),
    "repeat.together": ("memory of all processes together", "全プロセスのメモリの合計"),
    "repeat.machine": ("machine", "計算機"),
    "repeat.untimed": (
        "Time and memory were not recorded.",
        "時間とメモリは記録されていません。",
    ),
    "repeat.cite": ("Cite", "引用"),
    "copy": ("Copy", "コピー"),
    # --- readings and versions -----------------------------------------------------
    "readings.title": ("Readings", "論文が定めていない設定"),
    "readings.about": (
        "Choices that the paper leaves open. <em>Fitted</em>: as in the preset paper, which was "
        "chosen so that the levels of "
        "accuracy (A1–A3), the number of misclassified sentences and the course of T1andT2h and "
        "T1andT2 (O5) come nearest to the paper's, on seeds that no verdict uses. Where all of "
        "them are, R1, A1–A3 and "
        "O5 are partly built in; the differences of T1andT2h from T1andT2l and T1andT2ran (H, O1, "
        "O2) were not used by themselves. <em>Changed</em>: differs from the default.",
        "論文が定めていない選択です。<em>調整</em>：preset paper と同じ値で、正解率の水準（A1〜A3）、誤分類された文の数、T1andT2h と T1andT2 の推移（O5）が論文に最も近くなるように、判定に使わないシードで選びました。"
        "すべてがそうである場合、R1、A1〜A3、O5 は一部が最初から組み込まれています。T1andT2h と T1andT2l・T1andT2ran の差（H、O1、O2）そのものは使っていません。<em>変更</em>：既定値と異なります。",
    ),
    "readings.open": (
        "All {readings} readings ({changed} changed)",
        "全 {readings} 項目（変更 {changed}）",
    ),
    "readings.reading": ("reading", "設定"),
    "readings.here": ("here", "この実行"),
    "readings.default": ("default", "既定値"),
    "readings.others": ("alternatives", "ほかの選択肢"),
    "readings.doc": ("about", "説明"),
    "readings.changed": ("changed", "変更"),
    "readings.fitted": ("fitted", "調整"),
    "versions.title": ("Versions and checksums", "版とチェックサム"),
    "versions.no": ("no file", "ファイルなし"),
    # --- verdicts ------------------------------------------------------------------
    "verdict.reproduced": ("reproduced", "再現された"),
    "verdict.weaker": ("weaker", "論文より弱い"),
    "verdict.direction only": ("direction only", "方向のみ"),
    "verdict.no such effect": ("no such effect", "その大きさの効果なし"),
    "verdict.reversed": ("reversed", "逆"),
    "verdict.alike": ("alike", "同程度"),
    "verdict.not alike": ("not alike", "異なる"),
    "verdict.undecided": ("undecided", "未決定"),
    "verdict.not applicable": ("not applicable", "対象外"),
    "verdict.checked": ("checked", "確認済み"),
    "verdict.failed": ("failed", "不一致"),
    # --- what a verdict means (wording.PHRASES) -------------------------------------
    **{
        f"said.{name}": (PHRASES[name], japanese)
        for name, japanese in {
            "reproduced": "平均として効果があり、意味のある大きさです。",
            "weaker": "平均として効果はありますが、論文の値より小さいです。",
            "direction only": "平均として論文と同じ向きの効果がありますが、大きさは分かりません。",
            "no such effect": "平均として、意味のある大きさの効果は否定されます。",
            "reversed": "平均として、効果は逆向きです。",
            "alike": "平均として同程度です。",
            "not alike": "平均として同程度ではありません。",
            "mean": "平均{title}は {mean}で、95 % の確かさで {interval}の間にあります。",
            "title": "（{title}）",
            "alike would be": "同程度とみなす範囲は {interval}です。",
            "paper": "論文の値は {figure}、意味のある最小の値は {least}です。",
            "no figure": "意味のある最小の値は {least}です。",
            "one run": "{runs} 回の実行のうち {hits} 回で主張が見られました。実行全体では {share} にあたります。",
            "runs": "{runs} 回の実行のうち {hits} 回で主張が見られました。実行全体では {share} にあたります。",
            "share": "{low}〜{high} %",
            "reason": "{reason}。",
            "between": "",
        }.items()
    },
    # --- texts of the scripts ------------------------------------------------------
    "js.copied": ("Copied", "コピーしました"),
    "js.selected": ("Selected: press Ctrl+C", "選択しました：Ctrl+C を押してください"),
    "js.play": ("Play", "再生"),
    "js.pause": ("Pause", "停止"),
    "js.found": ("{n} words", "{n} 語"),
    "js.found.one": ("1 word", "1 語"),
    "js.found.none": ("No word of T1 matches.", "一致する T1 の単語はありません。"),
    "js.of": ("{i} of {n}", "{i} / {n}"),
    "js.rank": ("rank {rank} of {n}", "{n} 語中 {rank} 位"),
    "js.times": ("{n} times in T1", "T1 に {n} 回"),
    "js.times.one": ("1 time in T1", "T1 に 1 回"),
    "js.known": ("has a vector", "ベクトルあり"),
    "js.unknown": ("has no vector", "ベクトルなし"),
    "js.chart": (
        "Mean saliency of “{word}”: {first} at epoch {start}, {last} at epoch {stop}",
        "「{word}」の平均注目度：{start} エポックで {first}、{stop} エポックで {last}",
    ),
    "js.epoch": ("epoch", "エポック"),
    "js.saliency": ("saliency, eq. (6)", "注目度、式 (6)"),
    "js.unstored": (
        "No saliency of single occurrences was stored in this run.",
        "この実行は個々の出現の注目度を保存していません。",
    ),
    "js.only": ("its only occurrence", "唯一の出現"),
    "js.mean": ("mean of {n} occurrences", "{n} 回の出現の平均"),
    "js.inner": ("quantiles {low} to {high}", "分位点 {low}〜{high}"),
    "js.outer": ("{low} to {high}", "{low}〜{high}"),
    "js.thin": (
        "thin lines: single occurrences, in the sentences below",
        "細い線：下の文にある個々の出現",
    ),
    "js.mean_only": (
        "This page has the spread of {n} words, but only the mean of this one.",
        "このページには {n} 語の散らばりがありますが、この語は平均だけです。",
    ),
    "js.no_text": (
        "No sentence on this page contains it.",
        "このページに、この単語を含む文はありません。",
    ),
    "js.labels": ("true: {true} · model: ", "正解：{true} · モデル："),
    "js.no_more": ("No more sentences of this kind.", "この種類の文はもうありません。"),
    "js.no_sentence": ("T1 has no sentence of this kind.", "T1 にこの種類の文はありません。"),
    "js.see": ("See every epoch and model", "全エポックとモデルを見る"),
    "js.see.one": (
        "See every epoch and model of sentence {n}",
        "文 {n} の全エポックとモデルを見る",
    ),
    "js.range": ("{first}–{last} of {n}", "{first}–{last} / {n}"),
    "js.colours": (
        "Colours from saliency 0 to {top} and above",
        "注目度 0 から {top} 以上までの色",
    ),
    "js.sentence": (
        "Sentence {n} of the corpus, true label {label}. T2h and T2l continue from T1's weights and "
        "do not train on T1; the other arms train on this sentence.",
        "コーパスの文 {n}、正解ラベル {label}。T2h と T2l は T1 の重みから学習を続け、T1 の文は使いません。ほかのモデルはこの文でも学習します。",
    ),
    "js.raster": (
        "Heat map: saliency of every word at every epoch",
        "ヒートマップ：各単語の各エポックの注目度",
    ),
    "js.readout": ("Epoch {epoch}: mean {mean}", "{epoch} エポック：平均 {mean}"),
    "js.middle": (
        "; middle half of the occurrences {low} … {high}",
        "、出現の中央半分 {low} … {high}",
    ),
    "js.at": ("epoch {epoch}", "{epoch} エポック"),
    "js.strongest": ("Strongest words: {words}.", "注目度の高い語：{words}。"),
}

#: Texts of claims, readings and answers, English -> Japanese.
TRANSLATED = {
    # --- statements ----------------------------------------------------------------
    "sizes of T1, T2h, T2l, T3 (Table 1)": "T1、T2h、T2l、T3 の文数（表 1）",
    "correctly classified: saliency moves much in epochs 0-20 and little after": (
        "正しく分類された文：注目度は 0–20 エポックで大きく変わり、以後はほとんど変わらない"
    ),
    "misclassified: saliency keeps moving after epoch 20": (
        "誤分類された文：注目度は 20 エポック以後も変わり続ける"
    ),
    "saliency changes linearly in correctly classified data, up and down in misclassified": (
        "注目度の変化は、正しく分類された文ではほぼ直線的、誤分類された文では上下する"
    ),
    "raw saliency of the misclassified moves more at most epochs": (
        "大半のエポックで、誤分類された文のほうが注目度の変化が大きい"
    ),
    "epochs 40-50: T1andT2 first, T1andT2h second, the others alike": (
        "40–50 エポックでは T1andT2 が一位、T1andT2h が二位、他は同程度"
    ),
    "T1andT2h above T1andT2l throughout": "T1andT2h は常に T1andT2l を上回る",
    "T1andT2h above T1andT2ran": "T1andT2h は T1andT2ran を上回る",
    "T2h above T2l in epochs 0-20, about the same in 30-50 because T2h falls": (
        "0–20 エポックでは T2h が T2l を上回り、T2h が下がるため 30–50 では同程度"
    ),
    "T1andT2h like T1andT2 in epochs 0-10; T1andT2 better in 20-30 and in the second half": (
        "0–10 エポックでは T1andT2h と T1andT2 は同程度、20–30 と後半では T1andT2 が上"
    ),
    "T1andT2h falls from epoch 20 on; T1andT2 changes little in the second half": (
        "T1andT2h は 20 エポック以後下がり、T1andT2 は後半ほとんど変わらない"
    ),
    "T1 with T2h makes a better model than T1 with T2l": (
        "T1 と T2h で学習したモデルは、T1 と T2l で学習したモデルより良い"
    ),
    # --- readings ------------------------------------------------------------------
    "5.1: cleaning of the text; both use lower case": "5.1：テキストの前処理（どちらも小文字にする）",
    "5.3 (1): words without a vector; uniform(-0.25, 0.25)": (
        "5.3 (1)：ベクトルのない単語。uniform(-0.25, 0.25)"
    ),
    "5.3 (1): seed of the unknown words' vectors; -1: the run's own seed": (
        "5.3 (1)：ベクトルのない単語に与えるベクトルのシード。-1 は実行のシード"
    ),
    "5.3 (1): are word vectors trained? multichannel: Kim's two channels, one of each, which share the filters": (
        "5.3 (1)：単語ベクトルも学習するか。multichannel は Kim の二チャネル（学習するものとしないもの、フィルタは共通）"
    ),
    "5.3 (1): fine-tuned vectors of words that a batch lacks move as the optimiser's formula has it, or stay": (
        "5.3 (1)：学習するベクトルのうち、バッチにない単語のものを、最適化の式どおり動かすか、そのままにするか"
    ),
    "5.3 (2): number of filters F, of each height": "5.3 (2)：高さごとのフィルタ数 F",
    "5.3 (2): words a filter covers, h; several as 3,4,5 (Kim 2014)": (
        "5.3 (2)：フィルタが覆う語数 h。複数なら 3,4,5（Kim 2014）"
    ),
    "5.3 (2): the non-linear activation": "5.3 (2)：活性化関数",
    "5.3 (4): dropout before the output layer": "5.3 (4)：出力層の前のドロップアウト",
    "3.1: the optimiser": "3.1：最適化手法",
    "(1): the learning rate; AdaDelta ignores it": "(1)：学習率（AdaDelta は使わない）",
    "sentences in a batch, B": "バッチの文数 B",
    "largest L2 norm of a row of fc/W; 0 is off; Kim (2014) uses 3, see docs/kim.md": (
        "fc/W の行の L2 ノルムの上限。0 はなし、Kim (2014) は 3（尺度の違いは Kim の表のページを参照）"
    ),
    "rate of L2 weight decay; 0 is off": "L2 正則化の強さ。0 はなし",
    "5.6: epochs of each phase, E": "5.6：各段階のエポック数 E",
    "Chainer's defaults, or Kim's uniform(-0.01, 0.01)": (
        "Chainer の既定値、または Kim の uniform(-0.01, 0.01)"
    ),
    "(4): cross entropy on logits, or on softmax output (softmax twice)": (
        "(4)：交差エントロピーをロジットに対して計算するか、softmax の出力に対して計算するか（softmax を二回）"
    ),
    "5.3 (2): h - 1 zero vectors on each side, or none": (
        "5.3 (2)：両側にゼロベクトルを h - 1 個置くか、置かないか"
    ),
    "4.2: permutation, or by label": "4.2：全体の無作為な並べ替え、またはラベルごと",
    "(9): divide by n, or by n - 1": "(9)：分散を n で割るか、n - 1 で割るか",
    "(10): T2 words that do not occur in T1 are left out, or count as 0": (
        "(10)：T1 に現れない T2 の単語を除くか、0 とみなすか"
    ),
    "(10): a word that occurs twice in a sentence counts twice, or once": (
        "(10)：文に二回現れる単語を二回数えるか、一回数えるか"
    ),
    "4.4: state of the optimiser when T2h and T2l continue": (
        "4.4：T2h と T2l が学習を続けるときの最適化手法の状態"
    ),
    "4.3.1: record before training too": "4.3.1：学習前も記録するか",
    "5.5: epoch at which 'misclassified' is judged; 0 is the last, -1 the last that still "
    "has the 100 misclassified sentences of Fig. 5": (
        "5.5：誤分類を判断するエポック。0 は最後、-1 は図 5 に要る 100 文の誤分類がまだある最後のエポック"
    ),
    "5.5.1: set over which Figs 3 and 4 standardise": "5.5.1：図 3 と図 4 で標準化する範囲",
    # --- what the paper says, in short ---------------------------------------------
    "little after 20": "20 以後は小",
    "keeps moving": "変わり続ける",
    "linear; up and down": "直線的；上下",
    "most epochs": "大半のエポック",
    "same epochs": "同じエポック",
    "more": "大きい",
    "T1andT2 > T1andT2h > others": "T1andT2 > T1andT2h > 他",
    "> 0 throughout": "常に > 0",
    "> 0, then alike": "> 0、のち同程度",
    "alike, then T1andT2": "同程度、のち T1andT2",
    "falls; steady": "下降；横ばい",
    # --- more statements -----------------------------------------------------------
    "in epochs 0-10 the curves of both kinds rise and fall at the same epochs": (
        "0–10 エポックでは、二つの曲線は同じエポックで上下する"
    ),
    "summed over training, raw saliency of the misclassified moves more": (
        "学習全体の合計でも、誤分類された文のほうが注目度の変化が大きい"
    ),
    "epochs 40-50: accuracy of T1andT2": "40–50 エポックの T1andT2 の正解率",
    "epochs 40-50: accuracy of T1andT2h": "40–50 エポックの T1andT2h の正解率",
    "epochs 40-50: accuracy of the four others": "40–50 エポックの他の四つの正解率",
    # --- what is measured ----------------------------------------------------------
    "exact; another corpus has other sizes and is not a test of it": (
        "正確に一致するか。別のコーパスでは文数が異なるため、検証にならない"
    ),
    "change of standardised saliency a word and epoch, epochs 21-50 over epochs up to 20, all correctly classified T1 sentences": (
        "標準化した注目度の、単語・エポックあたりの変化。21–50 エポックと 20 エポックまでの比。正しく分類された T1 の文すべて"
    ),
    "change of standardised saliency a word and epoch, epochs 21-50, misclassified over correctly classified T1 sentences": (
        "標準化した注目度の、単語・エポックあたりの変化（21–50 エポック）。T1 の誤分類された文と正しく分類された文の比"
    ),
    "straightness of a word's saliency over epochs 20-50 (net change over length of the path), correctly classified less misclassified; standardised as in Figs 3 and 4, beside it raw, which wac is made of": (
        "20–50 エポックの単語注目度の直線らしさ（正味の変化と道のりの比）。正しく分類された文から誤分類された文を引いた差。図 3・図 4 と同じく標準化した値。参考：wac のもとになる標準化しない値"
    ),
    "share of epochs at which 100 misclassified T1 sentences move more than 100 correctly classified ones; beside it all of T1, and the gradient of the logit difference, which leaves the model's confidence out": (
        "誤分類された T1 の 100 文の変化が、正しく分類された 100 文より大きいエポックの割合。参考：T1 全体、およびモデルの確信度を除いたロジット差の勾配"
    ),
    "share of epochs up to 10 at which both curves of Fig. 5 (100 of each) rise or both fall; chance is 0.5": (
        "10 エポックまでのうち、図 5 の二つの曲線（各 100 文）がともに上がるかともに下がるエポックの割合。偶然なら 0.5"
    ),
    "total change a T1 sentence, misclassified over correctly classified; beside it of the gradient of the logit difference": (
        "T1 の文あたりの変化の合計。誤分類された文と正しく分類された文の比。参考：ロジット差の勾配"
    ),
    "mean accuracy of epochs 40-50; the preset paper was chosen for this level among others": (
        "40–50 エポックの平均正解率。プリセット paper の設定は、この水準なども見て選んだ"
    ),
    "differences of mean accuracies of epochs 40-50; one run: the order of the first two; beside it what all of T2 brings over a random half": (
        "40–50 エポックの平均正解率の差。一回の実行：上位二つの順序。参考：T2 全体が無作為な半分よりどれだけ良いか"
    ),
    "T1andT2h less T1andT2l in each of 5 equal blocks of epochs; one run: above at 90 % of its epochs or more": (
        "エポックを等しく五つに分けた各区間での T1andT2h − T1andT2l。一回の実行：90 % 以上のエポックで上回るか"
    ),
    "T1andT2h less T1andT2ran, epochs 40-50; beside it over all epochs": (
        "40–50 エポックの T1andT2h − T1andT2ran。参考：全エポック"
    ),
    "T2h less T2l in epochs 0-20, in epochs 30-50, and how much of it is lost between": (
        "0–20 エポックと 30–50 エポックの T2h − T2l、およびその間に失われる量"
    ),
    "T1andT2 less T1andT2h in epochs 0-10, and how much it grows to epochs 40-50; beside it the growth after as many updates, of which T1andT2 makes a third more in an epoch, and the growth to epochs 20-30": (
        "0–10 エポックの T1andT2 − T1andT2h と、40–50 エポックまでの増加。参考：同じ更新回数での増加（T1andT2 の更新は 1 エポックあたり三分の一多い）、20–30 エポックまでの増加"
    ),
    "fall of T1andT2h beyond that of T1andT2 over epochs 20-50, change of T1andT2h over 20-50 and change of T1andT2 over 25-50, by least-squares lines": (
        "20–50 エポックの T1andT2h の下降のうち T1andT2 の下降を超える分、20–50 エポックの T1andT2h の変化、25–50 エポックの T1andT2 の変化（最小二乗直線による）"
    ),
    "T1andT2h less T1andT2l, epochs 40-50; beside it over all epochs": (
        "40–50 エポックの T1andT2h − T1andT2l。参考：全エポック"
    ),
    # --- parts ---------------------------------------------------------------------
    "late over early change": "後半の変化と前半の変化の比",
    "misclassified over correct": "誤分類された文と正しく分類された文の比",
    "standardised": "標準化した値",
    "raw": "標準化しない値",
    "100 of each": "各 100 文",
    "all of T1": "T1 全体",
    "logit difference": "ロジット差",
    "all epochs": "全エポック",
    "lost between": "その間に失われる量",
    "growth, by updates": "増加（更新回数による）",
    "beyond T1andT2": "T1andT2 を超える分",
    "change of T1andT2h": "T1andT2h の変化",
    "change of T1andT2": "T1andT2 の変化",
    # --- reasons -------------------------------------------------------------------
    "undecided: not measured": "未決定：測っていません",
    "not applicable: another corpus than the paper's": "対象外：論文のコーパスではありません",
    "failed: the sizes are not those of Table 1": "不一致：文数が表 1 と異なります",
    "usual": "よくある",
    "rare": "まれ",
    # --- answers -------------------------------------------------------------------
    "no": "いいえ",
    "better": "良い",
    "worse": "悪い",
    "log wac, unstable less matched stable words, first phase": (
        "log wac：不安定な単語 − 条件をそろえた安定な単語、第一段階"
    ),
    "log late / early movement, unstable less stable, first phase": (
        "後半と前半の変化の比の対数：不安定な単語 − 安定な単語、第一段階"
    ),
    "T1's accuracy on T3 rich in unstable words less on the rest": (
        "T1 のモデルの正解率：不安定な単語の多い T3 の文 − 残りの文"
    ),
    "accuracy on T3 rich in unstable words, T1andT2h less T1andT2ran": (
        "不安定な単語の多い T3 の文の正解率：T1andT2h − T1andT2ran"
    ),
    "rank correlation of wac with frequency in T1": "wac と T1 での頻度の順位相関",
    "the same among words that occur twice or more": "同じ値、二回以上現れる単語",
    "unstable words differ from stable ones": "不安定な単語は安定な単語と異なる",
    "the gap closes": "差は縮まる",
    "T2h settles them more than random sentences": "T2h は無作為な文よりもよく収束させる",
    "T2h settles them more than T2l": "T2h は T2l よりもよく収束させる",
    "unstable words move later": "不安定な単語は遅くまで変わる",
    "T2h makes them settle earlier than random sentences": "T2h では無作為な文よりも早く収束する",
    "sentences rich in unstable words are classified worse": (
        "不安定な単語の多い文は正しく分類されにくい"
    ),
    "those words are learned better from T2h": "それらの単語は T2h からよりよく学ばれる",
    "unstable words are the rare ones": "不安定な単語はまれな単語である",
    "all of T2 less a random half": "T2 全体 − 無作為な半分",
    "rank correlation of A_S between two first phases of a seed": (
        "同じシードの二つの第一段階での A_S の順位相関"
    ),
    "share of T2h that two first phases have in common; by chance 0.5": (
        "二つの第一段階で T2h に共通する文の割合（偶然なら 0.5）"
    ),
    "instability": "注目度変化量（論文）",
    "instability_logit": "ロジット差の注目度変化量",
    "instability_shuffled": "頻度の近い単語の間で入れ替えた注目度変化量",
    "level_variance": "注目度そのものの分散",
    "length": "文の長さ",
    "rarity": "単語のまれさ",
    "unknown": "ベクトルのない単語の割合",
    "entropy": "確率のエントロピー",
    "small_margin": "確率の差の小ささ",
    "el2n": "EL2N",
    "grand": "GraNd",
    "forgetting": "忘却の回数",
    "variability": "確率のばらつき",
    "low_aum": "低い AUM",
    "k_centre": "コアセット（k 中心）",
    "badge": "BADGE",
    "tracin": "TracIn",
    "influence": "影響関数",
    "instability_switch": "切り替わりの不安定さ",
    "instability_smooth": "滑らかな変化の不安定さ",
    "matched_high": "条件をそろえた組の高い半分",
    "matched_low": "条件をそろえた組の低い半分",
    # --- word vectors --------------------------------------------------------------
    "GoogleNews, full file": "GoogleNews、全体",
    "GoogleNews, 31,530 words, not the full file": "GoogleNews、31,530 語、全体ではない",
    "GoogleNews subset, not the full file": "GoogleNews の一部、全体ではない",
    "IMDB word2vec, not GoogleNews": "IMDB の word2vec、GoogleNews ではない",
    "random vectors": "乱数ベクトル",
}

#: Units of numbers, English -> Japanese.
UNITS = {" points": " ポイント", " times": " 倍"}


class Words:
    """The texts of one language.

    Args:
        language: of :data:`LANGUAGES`.

    Example:
        >>> Words("ja")("facts.seeds", seeds=3)
        Markup('完了したシード：3')
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._place = LANGUAGES.index(language)

    def plain(self, key: str, **values: object) -> str:
        """A text with values, without HTML.

        Example:
            >>> Words("en").plain("answers.share", share=25)
            '25 % of T2'
        """
        return TEXTS[key][self._place].format(**values)

    def __call__(self, key: str, **values: object) -> Markup:
        return Markup(TEXTS[key][self._place]).format(**values)

    def beginning(self, start: str) -> dict[str, str]:
        """All texts whose keys begin so, without values: key -> text.

        Example:
            >>> Words("en").beginning("js.play")
            {'js.play': 'Play'}
        """
        return {key: pair[self._place] for key, pair in TEXTS.items() if key.startswith(start)}

    def of(self, text: str) -> str:
        """A text that stands elsewhere; as it is where it has no translation.

        Example:
            >>> Words("ja").of("T1andT2h above T1andT2ran")
            'T1andT2h は T1andT2ran を上回る'
        """
        if not self._place or not text:
            return text
        if text in TRANSLATED:
            return TRANSLATED[text]
        if f"verdict.{text}" in TEXTS:
            return self.plain(f"verdict.{text}")
        for pattern, japanese in _PATTERNS:
            found = pattern.fullmatch(text)
            if found:
                return japanese.format(*map(self.of, found.groups()))
        return self.number(text)

    def number(self, text: str) -> str:
        """A number with its unit.

        Example:
            >>> Words("ja").number("+0.10 points")
            '+0.10 ポイント'
        """
        if self._place:
            for unit, japanese in UNITS.items():
                if text.endswith(unit):
                    return text.removesuffix(unit) + japanese
        return text

    def said(self, verdict: _Verdict) -> str:
        """The sentence of a verdict, see :func:`replicate.show.wording.sentence`.

        Example:
            >>> from replicate.verdicts import judge
            >>> Words("ja").said(judge([])[0])
            '未決定：測っていません。'
        """
        phrases: Mapping[str, str] = {
            key.removeprefix("said."): text for key, text in self.beginning("said.").items()
        }
        return sentence(verdict, phrases, self.of)


#: Texts with something inside of them that changes: pattern -> Japanese with its groups.
_PATTERNS = [
    (re.compile(pattern), japanese)
    for pattern, japanese in (
        (r"undecided: (\d+) of (\d+) seeds", "未決定：必要な {1} シードのうち {0} シード"),
        (
            r"undecided: the interval includes a limit \((.+)\); more seeds decide",
            "未決定：区間が境界を含む（{0}）。シードを増やせば決まる",
        ),
        (
            r"seeds (\d+) to (\d+) without (.+): not a full range, so seeds may have been chosen",
            "シード {0}〜{1} のうち {2} がありません。シードが選ばれた可能性があります",
        ),
        (r"(.+) and ([\d,]+) more", "{0} ほか {1} 個"),
        (r"never in (\d+)", "{0} 回で一度もない"),
        (r"yes: (.+)", "はい：{0}"),
        (
            r"p = (.+) \(exact, all places equally likely\)",
            "p = {0}（正確検定、どの順位も同じ確率）",
        ),
        (r"epochs (\d+)-(\d+)", "{0}–{1} エポック"),
        (r"growth to (?:epochs )?(\d+-\d+)", "{0} エポックまでの増加"),
        (r"how much of that gap is closed in (\S+)", "その差が {0} で縮まった量"),
        (r"closed in (\S+) less in (\S+)", "縮まった量：{0} − {1}"),
        (r"the same in (\S+) less in (\S+)", "同じ量：{0} − {1}"),
        (
            r"standard deviation of (\d+) random halves in a seed",
            "無作為な {0} 個の半分の標準偏差（シード内）",
        ),
        (
            r"place of T1andT2h among (\d+) random halves, 0 worst, 1 best",
            "無作為な {0} 個の半分の中での T1andT2h の順位（0 が最低、1 が最高）",
        ),
        (r"first phases for a reliability of (.+)", "信頼性 {0} に必要な第一段階の数"),
        (r"reliability of the average of (\d+)", "{0} 回の平均の信頼性"),
        (r"(\S+) less the mean of the four(?: others)?", "{0} − 四つの平均"),
        (r"(\S+) less random halves", "{0} − 無作為な半分"),
        (r"(\S+) less (\S+)", "{0} − {1}"),
        (r"([^,]*[A-Za-z][^,]*), (.+)", "{0}、{1}"),
    )
]
