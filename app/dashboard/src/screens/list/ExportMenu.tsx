/** ⑥ The list as a file, under the filters that are set. */

import { useMutation } from "@tanstack/react-query";

import { apiKey, asApiError } from "../../api/client";
import { useProject } from "../../api/queries";
import type { Tagging } from "../../api/types";
import { messageOf } from "../../components/Problem";
import { filtersOf, type ListState } from "../../lib/listState";

const FORMATS = { csv: "CSV", parquet: "Parquet", jsonl: "JSON lines" } as const;

export function ExportMenu({ tagging, state }: { tagging: Tagging; state: ListState }) {
  const project = useProject();
  const download = useMutation({ mutationFn: (format: string) => save(project, tagging, state, format) });
  return (
    <span className="export">
      <select
        aria-label="Export the list"
        value=""
        disabled={download.isPending}
        onChange={({ target }) => {
          download.mutate(target.value);
        }}
      >
        <option value="" disabled>
          {download.isPending ? "Exporting…" : "Export"}
        </option>
        {Object.entries(FORMATS).map(([format, name]) => (
          <option key={format} value={format}>
            {name}
          </option>
        ))}
      </select>
      {download.error ? (
        <span className="export-error" role="alert">
          {messageOf(download.error)}
        </span>
      ) : null}
    </span>
  );
}

/** Fetched and not linked to, so that a key is sent and an error can be told. */
async function save(project: string, tagging: Tagging, state: ListState, format: string): Promise<void> {
  const filters = Object.entries(filtersOf(state)).map(([name, value]): [string, string] => [name, String(value)]);
  const query = new URLSearchParams([...filters, ["order_by", state.orderBy], ["format", format]]);
  const path = `/api/v1/projects/${project}/taggings/${tagging.id}/tags/export?${query}`;
  const response = await fetch(path, { headers: apiKey.headers() });
  if (!response.ok) throw await asApiError(response);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = `tagging-${tagging.id}.${format}`;
  link.click();
  URL.revokeObjectURL(link.href);
}
