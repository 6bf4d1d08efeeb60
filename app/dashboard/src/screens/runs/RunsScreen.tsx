/** ② Runs with live progress, and beside them the taggings and the datasets of the project. */

import type { ReactNode } from "react";

import { useDatasets, useJobs, useProject, useRuns, useTaggings } from "../../api/queries";
import { Problem } from "../../components/Problem";
import { Heading } from "../../components/Shell";
import { Skeleton } from "../../components/Skeleton";
import { plural, titleOf } from "../../lib/format";
import { EmptyProject, NothingYet } from "./EmptyProject";
import { DatasetList } from "./DatasetList";
import { OtherJobs } from "./OtherJobs";
import { RunTable } from "./RunTable";
import { TaggingList } from "./TaggingList";

export function RunsScreen() {
  const project = useProject();
  const runs = useRuns();
  const datasets = useDatasets();
  const taggings = useTaggings();
  const jobs = useJobs();
  const jobList = jobs.data?.items ?? [];
  const runList = items(runs.data);
  const datasetList = items(datasets.data);
  const names = new Map(datasetList.map((dataset) => [dataset.id, titleOf(dataset)]));

  if (runs.data && datasets.data && runList.length + datasetList.length + jobList.length === 0) {
    return <EmptyProject project={project} />;
  }
  return (
    <>
      <title>{`Runs · ${project} · Sondage`}</title>
      <Heading title="Runs" facts={runs.data ? summary(runList.length, datasetList.length) : undefined} />
      <OtherJobs jobs={jobList} />
      <div className="runs-layout">
        <Section title="Runs" list={runs}>
          {runList.length ? (
            <RunTable runs={runList} jobs={jobList} taggings={items(taggings.data)} datasetNames={names} />
          ) : (
            <NothingYet>
              No run yet. Start one: <code>sondage run start {datasetList[0]?.name ?? "<dataset>"}</code>
            </NothingYet>
          )}
        </Section>
        <div className="runs-side">
          <Section title="Taggings" list={taggings}>
            <TaggingList taggings={items(taggings.data)} runs={runList} jobs={jobList} datasetNames={names} />
          </Section>
          <Section title="Datasets" list={datasets}>
            <DatasetList datasets={datasetList} />
          </Section>
        </div>
      </div>
    </>
  );
}

const summary = (runs: number, datasets: number): string => `${plural(runs, "run")} on ${plural(datasets, "dataset")}`;

function items<Item>(data: { pages: { items: Item[] }[] } | undefined): Item[] {
  return data?.pages.flatMap((page) => page.items) ?? [];
}

interface Listed {
  isPending: boolean;
  error: unknown;
  refetch: () => unknown;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
}

function Section({ title, list, children }: { title: string; list: Listed; children: ReactNode }) {
  return (
    <section className="panel" aria-label={title}>
      <h2 className="panel-title">{title}</h2>
      {list.error ? <Problem error={list.error} retry={list.refetch} /> : null}
      {list.isPending ? <Skeleton /> : null}
      {!list.isPending && !list.error ? children : null}
      {list.hasNextPage ? (
        <button type="button" className="quiet more" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
          Show more
        </button>
      ) : null}
    </section>
  );
}
