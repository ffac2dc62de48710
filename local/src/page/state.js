// The state of the page, and the functions that draw it.

export const state = {
  control: false,
  clock: { now: 0, frozen: false },
  clockHeard: 0,
  faults: [],
  secrets: new Map(),
  requests: [],
  rotations: [],
};

const parts = [];
export const onDraw = (part) => parts.push(part);

/** Ensures that the page is drawn at most once per frame, however many events arrive. */
let isDrawing = false;
export function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    for (const part of parts) part();
  });
}
