/** ⑤ The suspicious list of a tagging: worst labels first, filtered, sorted, paged, and walked by keyboard. */

import { useRef } from "react";
import { Link, useParams } from "react-router";

import { PAGE_SIZE, useDataset, useFacets, useProject, useTagging, useTagPage } from "../../api/queries";
import type { Dataset, Tag, Tagging } from "../../api/types";
import { Problem } from "../../components/Problem";
import { Heading } from "../../components/Shell";
import { CardSkeletons, Skeleton } from "../../components/Skeleton";
import { NotReady } from "../../components/NotReady";
import { TaggingTabs } from "../../components/TaggingTabs";
import { Shortcuts } from "../../components/Shortcuts";
import { calibrationInWords } from "../../lib/categories";
import { count, titleOf } from "../../lib/format";
import { isFiltered, type ListState, noFilters } from "../../lib/listState";
import { epochsInWords } from "../../lib/tagging";
import { hasInputs } from "../../lib/training";
import { useListState } from "../../lib/useListState";
import { Cards } from "./Cards";
import { Filters } from "./Filters";
import { Pager } from "./Pager";
import { Rows } from "./Rows";
import { Toolbar } from "./Toolbar";
import { useListKeys } from "./useListKeys";

export function ListScreen() {
  const taggingId = Number(useParams().taggingId);
  const { data: tagging, error, refetch } = useTagging(taggingId);
  if (error) return <Problem error={error} retry={refetch} />;
  if (!tagging) return <Skeleton lines={8} />;
  return <SuspiciousList tagging={tagging} />;
}

function SuspiciousList({ tagging }: { tagging: Tagging }) {
  const project = useProject();
  const dataset = useDataset(tagging.dataset_id).data;
  const { state, go, restart, select } = useListState();
  const ready = tagging.state === "finished";
  const page = useTagPage(tagging, state, ready);
  const facets = useFacets(tagging, state);
  const list = useRef<HTMLDivElement>(null);
  const filters = useRef<HTMLElement>(null);
  const tags = page.data?.items ?? [];
  const nextCursor = page.data?.next_cursor ?? undefined;
  const shortcuts = useListKeys({ list, filters, tags, nextCursor, state, go, settled: !page.isPlaceholderData });
  const view = state.view ?? (dataset && dataset.modality !== "image" ? "table" : "grid");
  const title = dataset ? titleOf(dataset) : `Dataset ${tagging.dataset_id}`;

  return (
    <>
      <title>{`Suspicious labels · ${title} · Sondage`}</title>
      <Heading
        crumbs={<Link to={`/projects/${project}`}>Runs</Link>}
        title={title}
        facts={<span title={calibrationInWords(tagging.calibration)}>{factsOf(tagging, dataset)}</span>}
      >
        <TaggingTabs taggingId={tagging.id} current="list" />
      </Heading>
      {ready ? null : <NotReady tagging={tagging} />}
      <div className="list-layout">
        <Filters ref={filters} tagging={tagging} dataset={dataset} state={state} restart={restart} />
        <section aria-label="Examples" aria-busy={page.isFetching}>
          <Toolbar tagging={tagging} state={state} restart={restart} go={go} view={view} places={places(state, tags, facets.data?.count)} />
          {page.error ? <Problem error={page.error} retry={page.refetch} /> : null}
          {page.isPending && ready ? <CardSkeletons number={18} /> : null}
          {page.data && tags.length === 0 ? <NoneMatch state={state} restart={restart} /> : null}
          <div ref={list} className={page.isPlaceholderData ? "stale" : undefined}>
            {view === "grid" && tags.length ? <Cards tags={tags} state={state} select={select} /> : null}
            {view === "table" && tags.length ? <Rows tags={tags} state={state} select={select} restart={restart} /> : null}
          </div>
          <Pager state={state} nextCursor={page.isPlaceholderData ? undefined : nextCursor} go={go} />
        </section>
      </div>
      <Shortcuts shortcuts={shortcuts} />
    </>
  );
}

function factsOf(tagging: Tagging, dataset: Dataset | undefined): string {
  const k = tagging.parameters.k;
  const runs = tagging.run_ids.length === 1 ? "1 run" : `${tagging.run_ids.length} runs`;
  const calibration = tagging.calibration === "none" ? "suspicion is a ranking" : `suspicion calibrated by ${tagging.calibration}`;
  return [`Tagging ${tagging.id}`, `${tagging.tagger} tagger`, typeof k === "number" ? `k = ${k}` : undefined, runs, epochsInWords(tagging), calibration, dataset && !hasInputs(dataset) ? "labels only" : undefined]
    .filter(Boolean)
    .join(" · ");
}

function places(state: ListState, tags: Tag[], total: number | undefined): string {
  if (!tags.length) return "";
  const first = state.page * PAGE_SIZE + 1;
  const range = `${count(first)}–${count(first + tags.length - 1)}`;
  return total === undefined ? range : `${range} of ${count(total)}`;
}

function NoneMatch({ state, restart }: { state: ListState; restart: (change: Partial<ListState>) => void }) {
  const filtered = isFiltered(state);
  return (
    <div className="empty small">
      <p>{filtered ? "No example matches these filters." : "This tagging has no tags."}</p>
      {filtered ? (
        <button
          type="button"
          onClick={() => {
            restart(noFilters);
          }}
        >
          Clear the filters
        </button>
      ) : null}
    </div>
  );
}
