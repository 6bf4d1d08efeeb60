/** What an example is and what the tagging says of it: labels, tag, suspicion, probabilities, scores. */

import type { Dataset, Tag } from "../../api/types";
import { ExampleInput } from "../../components/ExampleInput";
import { Bar, CategoryChip, Dot, SuspicionBar } from "../../components/marks";
import { calibrationInWords, inOrder, meaningOf, scoreMeaning } from "../../lib/categories";
import { capital, decimal, share, words } from "../../lib/format";
import { seedsInWords } from "../../lib/tagging";
import { hasInputs } from "../../lib/training";

interface Props {
  tag: Tag;
  dataset: Dataset | undefined;
  /** Why it stands where it stands, as the server says it; empty until it has come. */
  sentence: string | undefined;
}

export function Verdict({ tag, dataset, sentence }: Props) {
  return (
    <section className="verdict" aria-label="Verdict">
      <div className="verdict-input panel">
        {dataset && !hasInputs(dataset) ? <LabelsOnly dataset={dataset} /> : <ExampleInput shown={tag} alt={tag.key} size="big" />}
      </div>
      <div className="panel verdict-facts">
        <dl className="verdict-labels">
          <div>
            <dt>Given label</dt>
            <dd>{tag.label_name}</dd>
          </div>
          <div>
            <dt>Suggested label</dt>
            <dd className={tag.suggested_label_name ? "suggested" : "muted"}>{tag.suggested_label_name ?? "the same"}</dd>
          </div>
        </dl>
        <div className="verdict-tag">
          <CategoryChip category={tag.tag} /> <span className="muted">{[meaningOf(tag.tag), seedsInWords(tag)].filter(Boolean).join("; ")}</span>
        </div>
        {sentence ? <p className="verdict-sentence">{sentence}</p> : null}
        <div className="verdict-suspicion">
          <h3>Suspicion</h3>
          <SuspicionBar value={tag.suspicion} />
          {tag.probability_wrong === null ? null : <p>Wrong with a chance of {share(tag.probability_wrong)}</p>}
          <p className="muted small">{calibrationInWords(tag.calibration)}</p>
        </div>
        {tag.displaced ? (
          <p className="notice">A probe took this example&apos;s place in training, so there may be no curve of its own.</p>
        ) : null}
        {tag.probabilities ? <Probabilities probabilities={tag.probabilities} /> : null}
        <Scores scores={tag.scores} />
        {tag.decision ? (
          <p>
            Decision: <span className="decision">{tag.decision}</span>
          </p>
        ) : null}
      </div>
    </section>
  );
}

function Probabilities({ probabilities }: { probabilities: Record<string, number> }) {
  return (
    <div>
      <h3>Probability per category</h3>
      <ul className="probabilities">
        {inOrder(Object.keys(probabilities)).map((category) => {
          const value = probabilities[category] ?? 0;
          return (
            <li key={category} title={meaningOf(category)}>
              <span className="facet-name">
                <Dot category={category} />
                {category}
              </span>
              <Bar share={value} label={`${category} ${share(value)}`} category={category} />
              <span className="number">{share(value)}</span>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function Scores({ scores }: { scores: Record<string, number | null> }) {
  const entries = Object.entries(scores);
  if (!entries.length) return null;
  return (
    <div>
      <h3>Scores</h3>
      <dl className="scores">
        {entries.map(([method, value]) => (
          <div key={method} title={scoreMeaning(method)}>
            <dt>{method === "aum" ? "AUM" : capital(words(method))}</dt>
            <dd>{decimal(value)}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

/** Recorded from a loop of the user's own: no input has ever left their machine. */
function LabelsOnly({ dataset }: { dataset: Dataset }) {
  return (
    <p className="muted">
      Labels only: the server knows this example by its id and label. Show it here: <code>sondage dataset add-inputs {dataset.id} FILE</code>
    </p>
  );
}
