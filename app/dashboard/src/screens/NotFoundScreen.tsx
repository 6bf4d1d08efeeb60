/** An address that leads nowhere. */

import { Link } from "react-router";

export function NotFoundScreen() {
  return (
    <div className="empty">
      <title>Not found · Sondage</title>
      <h1>There is nothing at this address</h1>
      <p>
        <Link to="/" className="link">
          To the runs
        </Link>
      </p>
    </div>
  );
}
