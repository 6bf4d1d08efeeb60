/** The keys of a screen, and the list of them that `?` opens. */

import { useEffect, useRef } from "react";

export interface Shortcut {
  /** Values of KeyboardEvent.key, any of which will do. */
  keys: string[];
  does: string;
  run: () => void;
}

const SHOWN: Record<string, string> = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "esc" };

export function Shortcuts({ shortcuts }: { shortcuts: Shortcut[] }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const latest = useRef(shortcuts);
  useEffect(() => {
    latest.current = shortcuts;
  });

  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
      if (dialog.current?.open) return;
      if (isTyping(event.target) && event.key !== "Escape") return;
      if (event.key === "?") {
        dialog.current?.showModal();
        return;
      }
      const shortcut = latest.current.find(({ keys }) => keys.includes(event.key));
      if (!shortcut) return;
      event.preventDefault();
      shortcut.run();
    };
    window.addEventListener("keydown", listen);
    return () => {
      window.removeEventListener("keydown", listen);
    };
  }, []);

  return (
    <>
      <button type="button" className="help quiet" aria-haspopup="dialog" onClick={() => dialog.current?.showModal()}>
        <kbd>?</kbd> Keys
      </button>
      <dialog ref={dialog} className="dialog" aria-label="Keys">
        <form method="dialog">
          <h2>Keys</h2>
          <dl>
            {shortcuts.map(({ keys, does }) => (
              <div key={does}>
                <dt>
                  {keys.map((key) => (
                    <kbd key={key}>{SHOWN[key] ?? key.toLowerCase()}</kbd>
                  ))}
                </dt>
                <dd>{does}</dd>
              </div>
            ))}
            <div>
              <dt>
                <kbd>?</kbd>
              </dt>
              <dd>This list</dd>
            </div>
          </dl>
          <button type="submit">Close</button>
        </form>
      </dialog>
    </>
  );
}

/** Escape and the arrows mean something of their own in a field, so keys are left to it. */
function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.matches("input, select, textarea") || target.isContentEditable;
}
