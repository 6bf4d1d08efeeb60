/** ⑤ The report of a tagging: how well held-out probes are told apart, in all and per run. */

import { Link, useParams, useSearchParams } from "react-router";

import { useDataset, useProject, useReport, useTagging } from "../../api/queries";
import { NotReady } from "../../components/NotReady";
import { Problem } from "../../components/Problem";
import { Heading } from "../../components/Shell";
import { Skeleton } from "../../components/Skeleton";
import { TaggingTabs } from "../../components/TaggingTabs";
import { count, inline, share, titleOf, words } from "../../lib/format";
import { epochsInWords } from "../../lib/tagging";
import { parseReport, type Report, type RunReport } from "../../lib/report";
import { settledInWords } from "../../lib/reportParts";
import { parseWrongLabels } from "../../lib/wrongLabels";
import { Confusion } from "./Confusion";
import { Epochs } from "./Epochs";
import { Learned } from "./Learned";
import { OrderQuality } from "./OrderQuality";
import { Pairs, PerClass } from "./PerClass";
import { PerCategory } from "./PerCategory";
import { Reliability } from "./Reliability";
import { Settling } from "./Settling";
import { Stability } from "./Stability";
import { WrongLabels } from "./WrongLabels";

export default function ReportScreen() {
  const project = useProject();
  const taggingId = Number(useParams().taggingId);
  const tagging = useTagging(taggingId);
  const dataset = useDataset(tagging.data?.dataset_id).data;
  const ready = tagging.data?.state === "finished";
  const { data, error: own, refetch } = useReport(taggingId, ready);
  const error = tagging.error ?? own;
  const title = dataset ? titleOf(dataset) : `Tagging ${taggingId}`;
  return (
    <>
      <title>{`Report · ${title} · Sondage`}</title>
      <Heading
        crumbs={<Link to={`/projects/${project}`}>Runs</Link>}
        title={title}
        facts={[`Tagging ${taggingId}`, tagging.data && epochsInWords(tagging.data), "how well the held-out probes are told apart"].filter(Boolean).join(" · ")}
      >
        <TaggingTabs taggingId={taggingId} current="report" />
      </Heading>
      {error ? <Problem error={error} retry={refetch} /> : null}
      {tagging.data && !ready ? <NotReady tagging={tagging.data} /> : null}
      {!data && !error && (ready || tagging.isPending) ? <Skeleton lines={10} /> : null}
      {data ? <Sections report={parseReport(data.report)} raw={data.report} /> : null}
    </>
  );
}

function Sections({ report, raw }: { report: Report; raw: Record<string, unknown> }) {
  const [params, setParams] = useSearchParams();
  const run = report.runs[Number(params.get("run") ?? NaN) - 1];
  const shown = run ?? report.overall;
  const names = report.categories.map(({ name }) => name);
  const runs = run ? [run] : report.runs;
  const choose = (number: number | undefined) => {
    setParams(number === undefined ? {} : { run: String(number) }, { replace: true });
  };
  return (
    <div className="report">
      <Warnings warnings={report.warnings} />
      {report.runs.length > 1 ? (
        <div className="segmented" role="group" aria-label="Runs">
          <button type="button" aria-pressed={!run} onClick={() => { choose(undefined); }}>
            All runs
          </button>
          {report.runs.map(({ name }, place) => (
            <button key={place} type="button" aria-pressed={run === report.runs[place]} onClick={() => { choose(place + 1); }}>
              {name}
            </button>
          ))}
        </div>
      ) : null}
      <Facts report={report} accuracy={shown?.accuracy} numHeldOut={shown?.numHeldOut} runs={runs} />
      <div className="report-layout">
        {shown ? <Confusion names={names} evaluation={shown} /> : null}
        {shown ? <PerCategory categories={report.categories} evaluation={shown} runs={runs} /> : null}
        {runs.map((each, place) => (
          <Learned key={place} run={each} names={names} />
        ))}
        {run ? null : <OfAll report={report} names={names} raw={raw} />}
      </div>
      <details>
        <summary className="muted">The report as JSON</summary>
        <pre>{JSON.stringify(raw, null, 2)}</pre>
      </details>
    </div>
  );
}

/** What is said of the tagging as a whole, and of no run alone. */
function OfAll({ report, names, raw }: { report: Report; names: string[]; raw: Record<string, unknown> }) {
  const { reliability, stability, settling, perClass, epochs, orderQuality } = report.parts;
  const wrongLabels = parseWrongLabels(raw);
  return (
    <>
      {wrongLabels ? <WrongLabels found={wrongLabels} /> : null}
      {report.notTrainedOn ? <Confusion names={names} evaluation={report.notTrainedOn} title="Held-out probes that no run trained on" /> : null}
      {reliability?.bins.length ? <Reliability found={reliability} /> : null}
      {stability ? <Stability found={stability} /> : null}
      {settling?.epochs.length ? <Settling found={settling} /> : null}
      {epochs?.length ? <Epochs found={epochs} /> : null}
      {orderQuality ? <OrderQuality found={orderQuality} /> : null}
      {perClass?.classes.length ? <PerClass found={perClass} /> : null}
      {perClass?.pairs.length ? <Pairs pairs={perClass.pairs} numPairs={perClass.num_pairs} /> : null}
    </>
  );
}

function Warnings({ warnings }: { warnings: string[] }) {
  if (!warnings.length) return null;
  return (
    <ul className="warnings" aria-label="Warnings">
      {warnings.map((warning) => (
        <li key={warning}>{warning}</li>
      ))}
    </ul>
  );
}

interface FactsProps {
  report: Report;
  accuracy: number | undefined;
  numHeldOut: number | undefined;
  runs: RunReport[];
}

function Facts({ report, accuracy, numHeldOut, runs }: FactsProps) {
  const flips = report.parts.stability?.flip_rate;
  const facts: [string, string | undefined][] = [
    ["Accuracy", accuracy === undefined ? undefined : share(accuracy, 1)],
    ["Examples", examplesInWords(report.numExamples)],
    ["Held-out probes", numHeldOut === undefined ? undefined : inline(numHeldOut)],
    ["k", unique(runs.map(({ k }) => k))],
    ["Epochs", unique(runs.map(({ numEpochs }) => numEpochs))],
    ["Differ between seeds", typeof flips === "number" ? share(flips, 1) : undefined],
    ["Settled", settledInWords(report.parts.settling)],
    ["Tagger", report.tagger],
    ["Protocol", protocolInWords(report.protocol)],
  ];
  return (
    <>
      <dl className="facts">
        {facts.map(([name, value]) =>
          value === undefined ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
        )}
      </dl>
      {report.heldOutTrainedOn === undefined ? null : (
        <p className="muted small">
          Held out means: not used to fit the tagger.{" "}
          {report.heldOutTrainedOn
            ? "The model was trained on these probes as on all others, which flatters the accuracy."
            : "The model was not trained on these probes: it only scored them."}
        </p>
      )}
    </>
  );
}

/** What there is none of is left out. */
function examplesInWords(numbers: Report["numExamples"]): string | undefined {
  const some = Object.entries(numbers).filter(([, number]) => number > 0);
  return some.length ? some.map(([name, number]) => `${count(number)} ${words(name)}`).join(", ") : undefined;
}

function unique(values: (number | undefined)[]): string | undefined {
  const known = [...new Set(values.filter((value) => value !== undefined))];
  return known.length ? known.join(", ") : undefined;
}

function protocolInWords(protocol: unknown): string | undefined {
  if (typeof protocol === "string") return protocol;
  if (typeof protocol !== "object" || protocol === null) return undefined;
  return Object.entries(protocol)
    .map(([name, value]) => `${name} ${inline(value)}`)
    .join(", ");
}
