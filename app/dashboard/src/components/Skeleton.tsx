/** Grey shapes in the place of what is still on its way. */

export function Skeleton({ lines = 4, height = 16 }: { lines?: number; height?: number }) {
  return (
    <div className="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} style={{ height, width: `${100 - ((line * 17) % 40)}%` }} />
      ))}
    </div>
  );
}

export function CardSkeletons({ number }: { number: number }) {
  return (
    <div className="cards" role="status" aria-label="Loading">
      {Array.from({ length: number }, (_, card) => (
        <span key={card} className="card skeleton-card" />
      ))}
    </div>
  );
}
