/** How many labels are wrong, by the planted flips: one number where errors look like them, else a range with what each end assumes. */

import { Link, useParams } from "react-router";

import { useProject } from "../../api/queries";
import { count, share } from "../../lib/format";
import { estimateInWords, type WrongLabels as Found } from "../../lib/wrongLabels";

export function WrongLabels({ found }: { found: Found }) {
  const project = useProject();
  const taggingId = useParams().taggingId ?? "";
  if (!found.share_wrong) return null;
  return (
    <section className="panel" aria-label="Wrong labels">
      <h2 className="panel-title">
        Wrong labels <span className="muted">by {count(found.num_flips ?? 0)} planted flips</span>
      </h2>
      <div className="panel-note">
        <p>
          <strong>{estimateInWords(found.share_wrong)}</strong> of the labels are wrong{found.is_uniform ? "." : ", depending on what errors are like:"}
        </p>
        {found.is_uniform ? <p className="muted small">{found.assumption}</p> : <Families found={found} />}
        <p className="small">
          <Link to={`/projects/${project}/taggings/${taggingId}/review`}>Review 100</Link> for numbers that hold for any kind of error.
        </p>
      </div>
      <div className="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col" className="number">
                Of the first
              </th>
              <th scope="col">are wrong</th>
            </tr>
          </thead>
          <tbody>
            {found.top_lists.map((one) => (
              <tr key={one.k}>
                <td className="number">{count(one.k)}</td>
                <td>{estimateInWords(one)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Families({ found }: { found: Found }) {
  return (
    <dl className="families">
      {found.families.map((family) => (
        <div key={family.name}>
          <dt>{share(family.share, 1)}</dt>
          <dd className="muted small">{family.assumption}</dd>
        </div>
      ))}
    </dl>
  );
}
