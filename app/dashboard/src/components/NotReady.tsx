/** In the place of a tagging's results, while there are none. */

import { isOpen } from "../api/queries";
import type { Tagging } from "../api/types";

export function NotReady({ tagging }: { tagging: Tagging }) {
  const says = isOpen(tagging)
    ? `This tagging is ${tagging.state}. Its results appear here when it has finished.`
    : `This tagging ${tagging.state === "aborted" ? "was aborted" : "has failed"}: it has no results.`;
  return (
    <p className="notice" role="status">
      {says}
    </p>
  );
}
