/** The list's filters, each value with how many examples it would leave. */

import { type ReactNode, type Ref, useState } from "react";

import { useFacets } from "../../api/queries";
import type { Dataset, Tagging } from "../../api/types";
import { Dot } from "../../components/marks";
import { inOrder, meaningOf } from "../../lib/categories";
import { count } from "../../lib/format";
import { isFiltered, type ListState, noFilters } from "../../lib/listState";
import { ThresholdSlider } from "./ThresholdSlider";

const SUSPICION_STEPS = [0.5, 0.7, 0.8, 0.9, 0.95];
const SEARCHED_FROM = 14;

interface Props {
  ref: Ref<HTMLElement>;
  tagging: Tagging;
  dataset: Dataset | undefined;
  state: ListState;
  restart: (change: Partial<ListState>) => void;
}

export function Filters({ ref, tagging, dataset, state, restart }: Props) {
  const { tags: tagCounts = {}, threshold } = useFacets(tagging, state, "tag").data ?? {};
  const labelCounts = useFacets(tagging, state, "label").data?.labels ?? {};
  const tags = inOrder(new Set([...tagging.categories, ...Object.keys(tagCounts)]));
  const labels = dataset?.class_names ?? Object.keys(labelCounts);
  return (
    <aside ref={ref} className="filters" aria-label="Filters">
      {threshold ? (
        <ThresholdSlider
          effect={threshold}
          chosen={state.threshold}
          choose={(chosen) => {
            restart({ threshold: chosen, inAllSeeds: undefined });
          }}
        />
      ) : null}
      <Facet
        title="Tag"
        values={tags}
        counts={tagCounts}
        chosen={state.tag}
        choose={(tag) => {
          restart({ tag });
        }}
        show={(tag) => (
          <span className="facet-name" title={meaningOf(tag)}>
            <Dot category={tag} />
            {tag}
          </span>
        )}
      />
      <Facet
        title="Given label"
        values={labels}
        counts={labelCounts}
        chosen={state.label}
        choose={(label) => {
          restart({ label });
        }}
        show={(label) => (
          <span className="facet-name label" title={label}>
            {label}
          </span>
        )}
      />
      <label className="facet">
        <h3>Suspicion</h3>
        <select
          value={state.minSuspicion ?? ""}
          onChange={({ target }) => {
            restart({ minSuspicion: target.value === "" ? undefined : Number(target.value) });
          }}
        >
          <option value="">any</option>
          {stepsWith(state.minSuspicion).map((step) => (
            <option key={step} value={step}>
              at least {step}
            </option>
          ))}
        </select>
      </label>
      {tagging.run_ids.length > 1 && (state.inAllSeeds !== undefined || !tagsMoved(tagging, state)) ? (
        <label className="facet">
          <h3>Tag in the seeds</h3>
          <select
            value={state.inAllSeeds === undefined ? "" : String(state.inAllSeeds)}
            title="Of the examples that two seeds at least have trained"
            onChange={({ target }) => {
              restart({ inAllSeeds: target.value === "" ? undefined : target.value === "true" });
            }}
          >
            <option value="">any</option>
            <option value="true">the same in all</option>
            <option value="false">not the same in all</option>
          </select>
        </label>
      ) : null}
      {isFiltered(state) ? (
        <button
          type="button"
          className="quiet clear"
          onClick={() => {
            restart(noFilters);
          }}
        >
          Clear the filters
        </button>
      ) : null}
    </aside>
  );
}

/** The agreement of seeds is known of the tags as they were written: of others the server refuses to filter by it. */
function tagsMoved(tagging: Tagging, state: ListState): boolean {
  return state.threshold !== undefined || (tagging.tagger === "evidence" && tagging.calibration === "reviews");
}

/** A value that came by the URL stands among the usual ones. */
function stepsWith(chosen: number | undefined): number[] {
  if (chosen === undefined || SUSPICION_STEPS.includes(chosen)) return SUSPICION_STEPS;
  return [...SUSPICION_STEPS, chosen].sort((a, b) => a - b);
}

interface FacetProps {
  title: string;
  values: string[];
  counts: Record<string, number>;
  chosen: string | undefined;
  choose: (value: string | undefined) => void;
  show: (value: string) => ReactNode;
}

function Facet({ title, values, counts, chosen, choose, show }: FacetProps) {
  const [search, setSearch] = useState("");
  const found = values.filter((value) => value.toLowerCase().includes(search.trim().toLowerCase()));
  return (
    <div className="facet" role="group" aria-label={title}>
      <h3>{title}</h3>
      {values.length >= SEARCHED_FROM ? (
        <input
          type="search"
          placeholder="Find a class"
          aria-label={`Find in ${title}`}
          value={search}
          onChange={({ target }) => {
            setSearch(target.value);
          }}
        />
      ) : null}
      <ul>
        {found.map((value) => (
          <li key={value}>
            <button
              type="button"
              className="facet-value"
              aria-pressed={chosen === value}
              onClick={() => {
                choose(chosen === value ? undefined : value);
              }}
            >
              {show(value)}
              <span className="facet-count">{count(counts[value] ?? 0)}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
