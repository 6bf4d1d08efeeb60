/** ⑥ One hook per thing that the screens read. Paths and parameters of the API are named here and nowhere else. */

import { keepPreviousData, useQueryClient } from "@tanstack/react-query";
import { useParams } from "react-router";

import { filtersOf, type ListState } from "../lib/listState";
import { api } from "./client";
import type { Dataset, Job, Run, Tagging } from "./types";

export const PAGE_SIZE = 60;
const NUM_NEIGHBOURS = 8;
const CHANGES_PAGE = 25;
const POLL_MS = 1500;
const IDLE_POLL_MS = 15_000;
const NEVER_STALE = { staleTime: Infinity };

const root = "/api/v1/projects/{project}";

export function useProject(): string {
  return useParams().project ?? "default";
}

export const isOpen = (thing: { state: Job["state"] | Run["state"] }): boolean =>
  thing.state === "queued" || thing.state === "running";

/** Polls quickly while something is under way, and slowly otherwise, to notice what others start. */
function pollWhileOpen(pages: { items: { state: Run["state"] | Job["state"] }[] }[] | undefined): number {
  return pages?.some((page) => page.items.some(isOpen)) ? POLL_MS : IDLE_POLL_MS;
}

const paged = {
  pageParamName: "cursor",
  // Null is left out of the address; undefined the library would send as 0.
  initialPageParam: null,
  getNextPageParam: (page: { next_cursor?: string | null }) => page.next_cursor ?? undefined,
};

export const useProjects = () => api.useQuery("get", "/api/v1/projects");

export const useHealth = () => api.useQuery("get", "/api/v1/health", {}, { refetchInterval: IDLE_POLL_MS });

export function useRuns() {
  const path = { project: useProject() };
  return api.useInfiniteQuery("get", `${root}/runs`, { params: { path, query: { limit: 50 } } }, {
    ...paged,
    refetchInterval: (query) => pollWhileOpen(query.state.data?.pages),
  });
}

export function useDatasets() {
  const path = { project: useProject() };
  return api.useInfiniteQuery("get", `${root}/datasets`, { params: { path, query: { limit: 50 } } }, paged);
}

export function useTaggings() {
  const path = { project: useProject() };
  return api.useInfiniteQuery("get", `${root}/taggings`, { params: { path, query: { limit: 50 } } }, {
    ...paged,
    refetchInterval: (query) => pollWhileOpen(query.state.data?.pages),
  });
}

export function useJobs() {
  const path = { project: useProject() };
  return api.useQuery("get", `${root}/jobs`, { params: { path, query: { limit: 100 } } }, {
    refetchInterval: (query) => pollWhileOpen(query.state.data && [query.state.data]),
  });
}

export function useJob(jobId: number, enabled: boolean) {
  const path = { project: useProject(), job_id: jobId };
  return api.useQuery("get", `${root}/jobs/{job_id}`, { params: { path } }, { enabled });
}

export function useAbort() {
  const client = useQueryClient();
  return api.useMutation("post", `${root}/runs/{run_id}/abort`, {
    onSettled: () => client.invalidateQueries(),
  });
}

/** Asks for tags by the epochs that the runs have completed. */
export function useTagNow() {
  const client = useQueryClient();
  return api.useMutation("post", `${root}/taggings`, {
    onSettled: () => client.invalidateQueries(),
  });
}

export function useDataset(datasetId: number | undefined) {
  const path = { project: useProject(), dataset_id: datasetId ?? 0 };
  /** Of a version only one thing changes: labels alone may get their inputs. */
  const staleTime = (query: { state: { data: Dataset | undefined } }) => (query.state.data?.modality === "none" ? 0 : Infinity);
  const options = { ...NEVER_STALE, staleTime, enabled: datasetId !== undefined };
  return api.useQuery("get", `${root}/datasets/{dataset_id}`, { params: { path } }, options);
}

export function useTagging(taggingId: number) {
  const path = { project: useProject(), tagging_id: taggingId };
  return api.useQuery("get", `${root}/taggings/{tagging_id}`, { params: { path } }, {
    refetchInterval: (query) => (query.state.data && isOpen(query.state.data) ? POLL_MS : false),
  });
}

/** Those of one dataset version, newest first. */
export function useTaggingsOf(datasetId: number | undefined) {
  const params = { path: { project: useProject() }, query: { dataset_id: datasetId ?? 1, limit: 1000 } };
  return api.useQuery("get", `${root}/taggings`, { params }, { enabled: datasetId !== undefined });
}

export function useComparison(taggingId: number, otherId: number, enabled: boolean) {
  const path = { project: useProject(), tagging_id: taggingId, other_id: otherId };
  return api.useQuery("get", `${root}/taggings/{tagging_id}/compare/{other_id}`, { params: { path } }, { ...NEVER_STALE, enabled });
}

export function useChanges(taggingId: number, otherId: number, tag: string | undefined, otherTag: string | undefined) {
  const path = { project: useProject(), tagging_id: taggingId, other_id: otherId };
  const query = { limit: CHANGES_PAGE, tag, other_tag: otherTag };
  return api.useInfiniteQuery("get", `${root}/taggings/{tagging_id}/compare/{other_id}/changes`, { params: { path, query } }, paged);
}

export function useScores(datasetId: number | undefined) {
  const path = { project: useProject() };
  const params = { path, query: { dataset_id: datasetId ?? 0, limit: 1000 } };
  return api.useQuery("get", `${root}/scores`, { params }, { enabled: datasetId !== undefined });
}

export function useTagPage(tagging: Pick<Tagging, "id">, state: ListState, enabled = true) {
  const path = { project: useProject(), tagging_id: tagging.id };
  const query = { ...filtersOf(state), order_by: state.orderBy, limit: PAGE_SIZE, cursor: state.cursors.at(-1) };
  return api.useQuery("get", `${root}/taggings/{tagging_id}/tags`, { params: { path, query } }, {
    enabled,
    placeholderData: keepPreviousData,
  });
}

/** Counts under the filters of `state`; leave one filter out to count its own values. */
export function useFacets(tagging: Pick<Tagging, "id" | "state">, state: ListState, without?: "tag" | "label") {
  const path = { project: useProject(), tagging_id: tagging.id };
  const filters = filtersOf(state);
  const query = without ? { ...filters, [without]: undefined } : filters;
  return api.useQuery("get", `${root}/taggings/{tagging_id}/facets`, { params: { path, query } }, {
    enabled: tagging.state === "finished",
    placeholderData: keepPreviousData,
  });
}

export function useTag(taggingId: number, index: number, threshold: number | undefined) {
  const params = { path: { project: useProject(), tagging_id: taggingId, index }, query: { threshold } };
  return api.useQuery("get", `${root}/taggings/{tagging_id}/tags/{index}`, { params }, {
    placeholderData: keepPreviousData,
  });
}

interface Explained {
  runId: number | undefined;
  channel: string;
  /** The sentence says why the tag is what it is at this threshold. */
  threshold: number | undefined;
}

export function useExplanation(taggingId: number, index: number, { runId, channel, threshold }: Explained) {
  const path = { project: useProject(), tagging_id: taggingId, index };
  const params = { path, query: { run_id: runId, channel, threshold, k: NUM_NEIGHBOURS } };
  return api.useQuery("get", `${root}/taggings/{tagging_id}/tags/{index}/explanation`, { params }, {
    ...NEVER_STALE,
    placeholderData: keepPreviousData,
  });
}

export function useReport(taggingId: number, enabled: boolean) {
  const path = { project: useProject(), tagging_id: taggingId };
  return api.useQuery("get", `${root}/taggings/{tagging_id}/report`, { params: { path } }, { ...NEVER_STALE, enabled });
}

export function useReviewSample(taggingId: number, enabled: boolean) {
  const path = { project: useProject(), tagging_id: taggingId };
  return api.useQuery("get", `${root}/taggings/{tagging_id}/review-sample`, { params: { path } }, { enabled });
}

export function useCalibration(taggingId: number, enabled: boolean) {
  const path = { project: useProject(), tagging_id: taggingId };
  return api.useQuery("get", `${root}/taggings/{tagging_id}/calibration`, { params: { path } }, { enabled });
}

/** Drawing a sample, deciding on an example and calibrating; what is shown is read anew after each. */
export function useReviewing() {
  const client = useQueryClient();
  const options = { onSettled: () => client.invalidateQueries() };
  return {
    draw: api.useMutation("post", `${root}/taggings/{tagging_id}/review-sample`, options),
    decide: api.useMutation("post", `${root}/datasets/{dataset_id}/decisions`, options),
    calibrate: api.useMutation("post", `${root}/taggings/{tagging_id}/calibrate`, options),
  };
}

export function useRun(runId: number) {
  const path = { project: useProject(), run_id: runId };
  return api.useQuery("get", `${root}/runs/{run_id}`, { params: { path } }, NEVER_STALE);
}
