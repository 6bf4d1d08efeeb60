/** Tags of a training under way, by the epochs that it has completed. */

import { useProject, useTagNow } from "../../api/queries";
import type { Run } from "../../api/types";
import { messageOf } from "../../components/Problem";

export function TagNow({ run }: { run: Run }) {
  const project = useProject();
  const tag = useTagNow();
  if (!run.epochs_done) return null;
  return (
    <>
      <button
        type="button"
        disabled={tag.isPending}
        aria-label={`Tag ${run.name} by the epochs so far`}
        title="Tags its examples by the epochs that it has completed. The training goes on."
        onClick={() => {
          tag.mutate({ params: { path: { project } }, body: { run_ids: [run.id], now: true, tagger: "evidence" } });
        }}
      >
        Tag now
      </button>
      {tag.error ? <span role="alert">{messageOf(tag.error)}</span> : null}
    </>
  );
}
