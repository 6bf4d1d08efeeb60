/** Whether a share of votes is a probability: how often a held-out probe's tag of so many votes is right. */

import { Bar } from "../../components/marks";
import { count, share } from "../../lib/format";
import type { Reliability as Found } from "../../lib/reportParts";

export function Reliability({ found }: { found: Found }) {
  return (
    <section className="panel" aria-label="Calibration of the votes">
      <h2 className="panel-title">
        Calibration of the votes <span className="muted">off by {share(found.error, 1)} on average</span>
      </h2>
      <div className="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Share of votes for the tag</th>
              <th scope="col" className="number">
                Held-out probes
              </th>
              <th scope="col" className="number">
                Mean share
              </th>
              <th scope="col">Tag is right</th>
            </tr>
          </thead>
          <tbody>
            {found.bins.map(({ low, high, num, mean_share, share_right }) => (
              <tr key={low}>
                <th scope="row">
                  {share(low)} to {share(high)}
                </th>
                <td className="number">{count(num)}</td>
                <td className="number">{share(mean_share)}</td>
                <td>
                  <span className="measure">
                    <Bar share={share_right} label={`Right ${share(share_right)}`} />
                    <span className="number">{share(share_right)}</span>
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
